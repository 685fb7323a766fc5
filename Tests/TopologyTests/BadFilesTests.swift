import Testing

/// A file that must be refused, and every word of what is said about it.
struct BadFile: Sendable, CustomTestStringConvertible {
  var name: String
  var text: String
  var overrides: [String] = []
  var expected: [String]

  var testDescription: String { name }

  /// A whole text.
  init(_ name: String, whole text: String, _ expected: [String]) {
    self.name = name
    self.text = text
    self.expected = expected
  }

  /// `baseFile` with one place changed.
  init(_ name: String, _ old: String, to new: String, _ expected: [String]) {
    self.name = name
    self.text = baseFile.replacing(old, with: new, maxReplacements: 1)
    self.expected = expected
  }

  /// `baseFile` with more text at its end.
  init(_ name: String, tail: String, _ expected: [String]) {
    self.name = name
    self.text = baseFile + tail
    self.expected = expected
  }

  /// `baseFile` with `--set` options.
  init(_ name: String, set overrides: [String], _ expected: [String]) {
    self.name = name
    self.text = baseFile
    self.overrides = overrides
    self.expected = expected
  }
}

let badFileEnvironment = [
  "BAD": "often", "API_TOKEN": "hunter2", "LINES": "1m\nfrom: x", "LIST": "[unique, events]",
  "EMPTY": "",
]

@Suite struct BadFilesTests {
  @Test(arguments: badFiles)
  func isRefusedWithEveryProblemInItsPlace(_ file: BadFile) {
    let found = problems(
      file.text, environment: badFileEnvironment, overrides: file.overrides)
    #expect(found == file.expected)
  }

  @Test func namesAreUnique() {
    #expect(Set(badFiles.map(\.name)).count == badFiles.count)
    #expect(badFiles.count >= 80)
  }
}

let badFiles: [BadFile] = badFiles1 + badFiles2 + badFiles3 + badFiles4 + badFiles5

private let badFiles1: [BadFile] = [
  BadFile(
    "empty file", whole: "",
    [
      "t.yaml:1:1: error: the file is empty; expected a topology"
    ]),
  BadFile(
    "only comments", whole: "# nothing here\n",
    [
      "t.yaml:1:1: error: the file is empty; expected a topology"
    ]),
  BadFile(
    "a scalar", whole: "hello\n",
    [
      "t.yaml:1:1: error: the file is `hello`; expected a mapping with `topology`"
    ]),
  BadFile(
    "a list", whole: "- a\n- b\n",
    [
      "t.yaml:1:1: error: the file is a list; expected a mapping with `topology`"
    ]),
  BadFile(
    "tab indentation", "    log: {", to: "\tlog: {",
    [
      "t.yaml:4:1: error: a tab; indent and separate with spaces"
    ]),
  BadFile(
    "tab between key and value", "every: 1m", to: "every:\t1m",
    [
      "t.yaml:13:11: error: a tab; indent and separate with spaces"
    ]),
  BadFile(
    "two documents", tail: "---\ntopology: u\n",
    [
      "t.yaml:18:1: error: a second document begins; a file holds one topology"
    ]),
  BadFile(
    "document end", tail: "...\n",
    [
      "t.yaml:18:1: error: a document end; a file holds one topology and no more"
    ]),
  BadFile(
    "directive", whole: "%YAML 1.2\n---\ntopology: t\n",
    [
      "t.yaml:1:1: error: a YAML directive; topology files have none"
    ]),
  BadFile(
    "anchor", "every: 1m", to: "every: &a 1m",
    [
      "t.yaml:13:12: error: an anchor; topology files have none, write the value out"
    ]),
  BadFile(
    "alias", "every: 1m", to: "every: *a",
    [
      """
      t.yaml:13:12: error: an alias; topology files have none, write the value out, or in quotes
      """
    ]),
  BadFile(
    "alias in flow", "from: unique", to: "from: [unique, *a]",
    [
      """
      t.yaml:12:20: error: an alias; topology files have none, write the value out, or in quotes
      """
    ]),
  BadFile(
    "alias bomb", whole: "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    [
      "t.yaml:1:4: error: an anchor; topology files have none, write the value out"
    ]),
  BadFile(
    "alias as key", "    every: 1m", to: "    *a : 1m",
    [
      """
      t.yaml:13:5: error: an alias; topology files have none, write the value out, or in quotes
      """
    ]),
  BadFile(
    "merge key", "    every: 1m", to: "    <<: { every: 1m }",
    [
      """
      t.yaml:13:5: error: unknown key `<<` in `operators.totals`; expected `every`, \
      `operator` or `from`
      """
    ]),
  BadFile(
    "tag", "every: 1m", to: "every: !!str 1m",
    [
      "t.yaml:13:12: error: a tag; topology files have none, types are known from the key"
    ]),
  BadFile(
    "block of text", "every: 1m", to: "every: |\n      1m",
    [
      "t.yaml:13:12: error: a block of text; write the text in quotes, on one line"
    ]),
  BadFile(
    "complex key", "    every: 1m", to: "    ? every\n    : 1m",
    [
      "t.yaml:13:5: error: a complex key; expected a name and a colon"
    ]),
  BadFile(
    "mapping as key", "    every: 1m", to: "    {a: b}: 1m",
    [
      "t.yaml:13:11: error: a complex key; expected a name and a colon"
    ]),
  BadFile(
    "list as key in flow", "{ topic: tallies }", to: "{ [a]: b }",
    [
      "t.yaml:17:12: error: a complex key; expected a name and a colon"
    ]),
  BadFile(
    "value over two lines", "every: 1m", to: "every: 1m\n      and more",
    [
      """
      t.yaml:14:7: error: this line continues the value before it; expected a key, or is it \
      indented too far?
      """
    ]),
  BadFile(
    "bad indentation", "    from: unique", to: "     from: unique",
    [
      """
      t.yaml:12:6: error: this line continues the value before it; expected a key, or is it \
      indented too far?
      """
    ]),
  BadFile(
    "indentation that fits nothing", "    from: unique", to: "   from: unique",
    [
      """
      t.yaml:13:5: error: this line continues the value before it; expected a key, or is it \
      indented too far?
      """
    ]),
  BadFile(
    "open quote", "every: 1m", to: "every: \"1m",
    [
      "t.yaml:13:12: error: this quote is not closed on its line"
    ]),
  BadFile(
    "open bracket", "{ topic: tallies }", to: "{ topic: tallies",
    [
      """
      t.yaml:18:1: error: not YAML: did not find expected ',' or '}' while parsing a flow \
      mapping that begins in line 17
      """
    ]),
  BadFile(
    "wrong bracket", "{ topic: tallies }", to: "{ topic: tallies ]",
    [
      """
      t.yaml:17:27: error: not YAML: did not find expected ',' or '}' while parsing a flow \
      mapping that begins in line 17
      """
    ]),
  BadFile(
    "missing comma over lines", "from: unique", to: "from: [unique\n      events]",
    [
      "t.yaml:13:7: error: this continues the value before it; expected a comma"
    ]),
  BadFile(
    "unknown escape", "every: 1m", to: "every: \"\\q\"",
    [
      """
      t.yaml:13:13: error: not YAML: found unknown escape character while parsing a quoted \
      scalar that begins in line 13
      """
    ]),
  BadFile(
    "null character in quotes", "every: 1m", to: "every: \"1\\0m\"",
    [
      "t.yaml:13:12: error: a control character; expected text on one line"
    ]),
  BadFile(
    "control character", "every: 1m", to: "every: 1\u{7}m",
    [
      "t.yaml:13:13: error: the character U+0007 is not accepted; write plain UTF-8 text"
    ]),
  BadFile(
    "other line break", "every: 1m", to: "every: 1m\u{2028}",
    [
      "t.yaml:13:14: error: the character U+2028 is not accepted; write plain UTF-8 text"
    ]),
  BadFile(
    "lone carriage return", "every: 1m", to: "every: 1m\r",
    []),
  BadFile(
    "nested too deep", "every: 1m",
    to: "every: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    [
      "t.yaml:13:33: error: nested more than 24 deep"
    ]),
  BadFile(
    "nested too deep in blocks",
    whole: "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - x\n",
    [
      "t.yaml:1:49: error: nested more than 24 deep"
    ]),
  BadFile(
    "duplicate key", "    every: 1m", to: "    every: 1m\n    every: 2m",
    [
      "t.yaml:14:5: error: `every` is given more than once (first in line 13)"
    ]),
  BadFile(
    "duplicate key, three times, quoted", "    every: 1m",
    to: "    every: 1m\n    \"every\": 2m\n    every: 3m",
    [
      "t.yaml:14:5: error: `every` is given more than once (first in line 13)",
      "t.yaml:15:5: error: `every` is given more than once (first in line 13)",
    ]),
  BadFile(
    "duplicate keys in two places", "    every: 1m",
    to: "    every: 1m\n    from: unique\nsources: {}",
    [
      "t.yaml:14:5: error: `from` is given more than once (first in line 12)",
      "t.yaml:15:1: error: `sources` is given more than once (first in line 2)",
    ]),
  BadFile(
    "duplicate operator", "  totals:\n",
    to: """
        unique: { operator: tally, from: events }
        totals:

      """,
    [
      "t.yaml:10:3: error: `unique` is given more than once (first in line 6)"
    ]),
  BadFile(
    "percent at the start of a value", "every: 1m", to: "every: %1m",
    [
      "t.yaml:13:12: error: a value cannot begin with this; write it in quotes"
    ]),
  BadFile(
    "unknown key", tail: "sedd: 7\n",
    [
      "t.yaml:18:1: error: unknown key `sedd`; did you mean `seed`?"
    ]),
]

private let badFiles2: [BadFile] = [
  BadFile(
    "unknown key far from any", tail: "colour: red\n",
    [
      """
      t.yaml:18:1: error: unknown key `colour`; expected `topology`, `key`, `seed`, `time`, \
      `sources`, `operators`, `sinks`, `delivery`, `snapshots` or `commit`
      """
    ]),
  BadFile(
    "lacks everything", whole: "{}\n",
    [
      "t.yaml:1:1: error: the file lacks `topology`; expected the topology's name",
      "t.yaml:1:1: error: the file lacks `sources`; expected a mapping from names to sources",
      """
      t.yaml:1:1: error: the file lacks `operators`; expected a mapping from names to operators
      """,
      "t.yaml:1:1: error: the file lacks `sinks`; expected a mapping from names to sinks",
    ]),
  BadFile(
    "lacks sinks",
    """
    sinks:
      tallies:
        from: totals
        log: { topic: tallies }

    """, to: "",
    [
      "t.yaml:1:1: error: the file lacks `sinks`; expected a mapping from names to sinks"
    ]),
  BadFile(
    "empty sections", whole: "topology: t\nsources:\noperators: []\nsinks: {}\n",
    [
      "t.yaml:2:9: error: `sources` is empty; expected a mapping from names to sources",
      """
      t.yaml:3:12: error: `operators` is an empty list; expected a mapping from names to \
      operators
      """,
      "t.yaml:4:8: error: `sinks` is empty; expected at least one",
    ]),
  BadFile(
    "no sources", whole: "topology: t\nsources: {}\noperators: {}\nsinks: {}\n",
    [
      "t.yaml:2:10: error: `sources` is empty; expected at least one",
      "t.yaml:4:8: error: `sinks` is empty; expected at least one",
    ]),
  BadFile(
    "bad topology name", "topology: t", to: "topology: my topology",
    [
      """
      t.yaml:1:11: error: `topology` is `my topology`; expected a name of letters, digits, \
      `.`, `_` and `-`, at most 64
      """
    ]),
  BadFile(
    "topology is a mapping", "topology: t", to: "topology: { name: t }",
    [
      """
      t.yaml:1:11: error: `topology` is a mapping; expected a name of letters, digits, `.`, \
      `_` and `-`, at most 64
      """
    ]),
  BadFile(
    "key other than account", tail: "key: campaign\n",
    [
      "t.yaml:18:6: error: `key` is `campaign`; expected `account`"
    ]),
  BadFile(
    "seed negative", tail: "seed: -1\n",
    [
      "t.yaml:18:7: error: `seed` is `-1`; expected an integer from 0 to 18446744073709551615"
    ]),
  BadFile(
    "seed too large", tail: "seed: 18446744073709551616\n",
    [
      """
      t.yaml:18:7: error: `seed` is `18446744073709551616`; expected an integer from 0 to \
      18446744073709551615
      """
    ]),
  BadFile(
    "seed with sign", tail: "seed: +5\n",
    [
      "t.yaml:18:7: error: `seed` is `+5`; expected an integer from 0 to 18446744073709551615"
    ]),
  BadFile(
    "seed in words", tail: "seed: one\n",
    [
      "t.yaml:18:7: error: `seed` is `one`; expected an integer from 0 to 18446744073709551615"
    ]),
  BadFile(
    "delivery misspelt", tail: "delivery: exactly-once\n",
    [
      """
      t.yaml:18:11: error: `delivery` is `exactly-once`; expected `exactly_once` or \
      `at_least_once`; did you mean `exactly_once`?
      """
    ]),
  BadFile(
    "delivery unknown", tail: "delivery: maybe\n",
    [
      "t.yaml:18:11: error: `delivery` is `maybe`; expected `exactly_once` or `at_least_once`"
    ]),
  BadFile(
    "key not a string", tail: "7: x\n",
    [
      """
      t.yaml:18:1: error: unknown key `7`; expected `topology`, `key`, `seed`, `time`, \
      `sources`, `operators`, `sinks`, `delivery`, `snapshots` or `commit`
      """
    ]),
  BadFile(
    "duration without unit", tail: "time: { tick: 1 }\n",
    [
      """
      t.yaml:18:15: error: `time.tick` is `1`; expected a duration from 10ms to 1h, written \
      like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration with wrong unit", tail: "time: { tick: 1 min }\n",
    [
      """
      t.yaml:18:15: error: `time.tick` is `1 min`; expected a duration from 10ms to 1h, \
      written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration with fraction", tail: "time: { tick: 1.5s }\n",
    [
      """
      t.yaml:18:15: error: `time.tick` is `1.5s`; expected a duration from 10ms to 1h, \
      written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration negative", tail: "time: { tick: -1s }\n",
    [
      """
      t.yaml:18:15: error: `time.tick` is `-1s`; expected a duration from 10ms to 1h, written \
      like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration out of range", tail: "time: { tick: 2h }\n",
    [
      "t.yaml:18:15: error: `time.tick` is `2h`; expected a duration from 10ms to 1h"
    ]),
  BadFile(
    "duration overflows", tail: "time: { max_gap: 99999999999999d }\n",
    [
      """
      t.yaml:18:18: error: `time.max_gap` is `99999999999999d`; expected a duration from 1s \
      to 3660d
      """
    ]),
  BadFile(
    "duration overflows the digits", tail: "time: { max_gap: 99999999999999999999999d }\n",
    [
      """
      t.yaml:18:18: error: `time.max_gap` is `99999999999999999999999d`; expected a duration \
      from 1s to 3660d
      """
    ]),
  BadFile(
    "duration in full-width digits", tail: "time: { tick: \u{FF11}s }\n",
    [
      """
      t.yaml:18:15: error: `time.tick` is `\u{FF11}s`; expected a duration from 10ms to 1h, \
      written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration empty", tail: "time:\n  tick:\n",
    [
      """
      t.yaml:19:8: error: `time.tick` is empty; expected a duration from 10ms to 1h, written \
      like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "duration list", tail: "time: { tick: [1s] }\n",
    [
      "t.yaml:18:15: error: `time.tick` is a list; expected a duration from 10ms to 1h"
    ]),
  BadFile(
    "time misspelt", tail: "time: { out_of_order: 5s, tik: 1s }\n",
    [
      """
      t.yaml:18:9: error: unknown key `out_of_order` in `time`; did you mean `out_of_orderness`?
      """,
      "t.yaml:18:27: error: unknown key `tik` in `time`; did you mean `tick`?",
    ]),
  BadFile(
    "time is a scalar", tail: "time: 5s\n",
    [
      """
      t.yaml:18:7: error: `time` is `5s`; expected a mapping with `out_of_orderness`, `tick`, \
      `max_ahead`, `max_gap` or `merge_wait`
      """
    ]),
  BadFile(
    "commit values", tail: "commit: { every: 2m, events: 0, fsync: sometimes }\n",
    [
      "t.yaml:18:18: error: `commit.every` is `2m`; expected a duration from 1ms to 1m",
      "t.yaml:18:30: error: `commit.events` is `0`; expected an integer from 1 to 10000000",
      """
      t.yaml:18:40: error: `commit.fsync` is `sometimes`; expected `always` or `never`, or a \
      duration from 1ms to 1h
      """,
    ]),
  BadFile(
    "commit key", tail: "commit: { evry: 1s }\n",
    [
      "t.yaml:18:11: error: unknown key `evry` in `commit`; did you mean `every`?"
    ]),
  BadFile(
    "snapshots twice", tail: "snapshots: { directory: a, kafka: { topic: b, brokers: c } }\n",
    [
      "t.yaml:18:35: error: `snapshots` has `directory` and `kafka`; expected one of them"
    ]),
  BadFile(
    "snapshots values", tail: "snapshots: { every: 0s, keep: 0, dir: x }\n",
    [
      "t.yaml:18:21: error: `snapshots.every` is `0s`; expected a duration from 1s to 7d",
      "t.yaml:18:31: error: `snapshots.keep` is `0`; expected an integer from 1 to 100",
      "t.yaml:18:34: error: unknown key `dir` in `snapshots`; did you mean `directory`?",
    ]),
  BadFile(
    "snapshots on a cluster that is not named", tail: "snapshots: { kafka: { topic: b } }\n",
    [
      """
      t.yaml:18:21: error: `snapshots.kafka` lacks `brokers`; expected `host:port`, more of \
      them after commas, because the sources are not on one cluster
      """
    ]),
  BadFile(
    "source without transport", "    log: { directory: data }", to: "    urgent: true",
    [
      """
      t.yaml:3:3: error: `sources.events` has no transport; expected `kafka`, `log` or `files`
      """
    ]),
  BadFile(
    "source with two transports", "    log: { directory: data }",
    to: "    log: { directory: data }\n    files: { paths: [a] }",
    [
      "t.yaml:5:5: error: `sources.events` has `log` and `files`; expected one transport"
    ]),
  BadFile(
    "source of an unknown transport", "    log: { directory: data }",
    to: "    kafak: { topics: [a] }",
    [
      """
      t.yaml:3:3: error: `sources.events` has no transport; expected `kafka`, `log` or `files`
      """,
      "t.yaml:4:5: error: unknown key `kafak` in `sources.events`; did you mean `kafka`?",
    ]),
  BadFile(
    "source is a scalar", "  events:\n    log: { directory: data }", to: "  events: kafka",
    [
      """
      t.yaml:3:11: error: `sources.events` is `kafka`; expected a mapping with `kafka`, `log` \
      or `files`
      """
    ]),
  BadFile(
    "kafka lacks brokers and topics", "    log: { directory: data }", to: "    kafka: {}",
    [
      """
      t.yaml:4:12: error: `sources.events.kafka` lacks `brokers`; expected `host:port`, more \
      of them after commas
      """,
      "t.yaml:4:12: error: `sources.events.kafka` lacks `topics`; expected a list of topics",
    ]),
  BadFile(
    "kafka keys", "    log: { directory: data }", to: "    kafka: { broker: a, topics: [a] }",
    [
      """
      t.yaml:4:12: error: `sources.events.kafka` lacks `brokers`; expected `host:port`, more \
      of them after commas
      """,
      """
      t.yaml:4:14: error: unknown key `broker` in `sources.events.kafka`; did you mean \
      `brokers`?
      """,
    ]),
  BadFile(
    "kafka brokers", "    log: { directory: data }",
    to: "    kafka: { brokers: \"a:b, c\", topics: [a] }",
    [
      """
      t.yaml:4:23: error: `sources.events.kafka.brokers` is `a:b, c`; expected `host:port`, \
      more of them after commas
      """
    ]),
  BadFile(
    "kafka topics", "    log: { directory: data }", to: "    kafka: { brokers: a, topics: a }",
    [
      "t.yaml:4:34: error: `sources.events.kafka.topics` is `a`; expected a list of topics"
    ]),
]

private let badFiles3: [BadFile] = [
  BadFile(
    "kafka topic name", "    log: { directory: data }",
    to: "    kafka: { brokers: a, topics: [a b, ok, \"..\"] }",
    [
      """
      t.yaml:4:35: error: `sources.events.kafka.topics[0]` is `a b`; expected a topic of \
      letters, digits, `.`, `_` and `-`, at most 249
      """,
      """
      t.yaml:4:44: error: `sources.events.kafka.topics[2]` is `..`; expected a topic of \
      letters, digits, `.`, `_` and `-`, at most 249
      """,
    ]),
  BadFile(
    "kafka topics empty", "    log: { directory: data }",
    to: "    kafka: { brokers: a, topics: [] }",
    [
      """
      t.yaml:4:34: error: `sources.events.kafka.topics` is an empty list; expected a list of \
      topics
      """
    ]),
  BadFile(
    "kafka partitioner", "    log: { directory: data }",
    to: "    kafka: { brokers: a, topics: [a], partitioner: murmur3 }",
    [
      """
      t.yaml:4:52: error: `sources.events.kafka.partitioner` is `murmur3`; expected `murmur2`, \
      `crc32` or `any`; did you mean `murmur2`?
      """,
      """
      t.yaml:17:10: error: `sinks.tallies.log` lacks `directory`; expected a path, because \
      the sources are not in one log
      """,
    ]),
  BadFile(
    "kafka property that is owned", "    log: { directory: data }",
    to: """
          kafka: { brokers: a, topics: [a], properties: { group.id: x, enable.auto.commit: \
      true } }
      """,
    [
      "t.yaml:4:53: error: `group.id` is not yours to set; write `group`",
      "t.yaml:4:66: error: `enable.auto.commit` is not yours to set; offsets are the engine's",
    ]),
  BadFile(
    "kafka property of a wrong type", "    log: { directory: data }",
    to: "    kafka: { brokers: a, topics: [a], properties: { ssl: { ca: x } } }",
    [
      "t.yaml:4:58: error: `sources.events.kafka.properties.ssl` is a mapping; expected text"
    ]),
  BadFile(
    "kafka properties as list", "    log: { directory: data }",
    to: "    kafka: { brokers: a, topics: [a], properties: [x] }",
    [
      """
      t.yaml:4:51: error: `sources.events.kafka.properties` is a list; expected a mapping of \
      settings of the Kafka client
      """
    ]),
  BadFile(
    "log lacks directory", "    log: { directory: data }", to: "    log: { topics: [a] }",
    [
      "t.yaml:4:10: error: `sources.events.log` lacks `directory`; expected a path"
    ]),
  BadFile(
    "log directory empty", "    log: { directory: data }", to: "    log: { directory: \"\" }",
    [
      "t.yaml:4:23: error: `sources.events.log.directory` is empty; expected a path"
    ]),
  BadFile(
    "log group", "    log: { directory: data }", to: "    log: { directory: data, group: a b }",
    [
      """
      t.yaml:4:36: error: `sources.events.log.group` is `a b`; expected a group of letters, \
      digits, `.`, `_` and `-`, at most 249
      """
    ]),
  BadFile(
    "files without paths", "    log: { directory: data }", to: "    files: {}",
    [
      "t.yaml:4:12: error: `sources.events.files` lacks `paths`; expected a list of paths"
    ]),
  BadFile(
    "files as a list", "    log: { directory: data }", to: "    files: [a.jsonl]",
    [
      "t.yaml:4:12: error: `sources.events.files` is a list; expected a mapping with `paths`"
    ]),
  BadFile(
    "flags", "    log: { directory: data }",
    to: "    log: { directory: data }\n    urgent: yes\n    trusted: 1",
    [
      "t.yaml:5:13: error: `sources.events.urgent` is `yes`; expected `true` or `false`",
      "t.yaml:6:14: error: `sources.events.trusted` is `1`; expected `true` or `false`",
    ]),
  BadFile(
    "source name", "  events:\n", to: "  Events-1:\n",
    [
      """
      t.yaml:3:3: error: `Events-1` is not a name; expected a lower-case letter, then at most \
      63 lower-case letters, digits and `_`
      """,
      """
      t.yaml:8:11: error: there is no source or operator `events`; expected `Events-1` or \
      `totals`
      """,
    ]),
  BadFile(
    "topic read twice", "    log: { directory: data }",
    to: """
          log: { directory: data }
        more:
          log: { directory: ./data/, topics: [x, events] }
      """,
    [
      "t.yaml:6:44: error: `sources.events` reads the topic `events` already; once is enough"
    ]),
  BadFile(
    "operator unknown", "operator: tally", to: "operator: taly",
    [
      "t.yaml:11:15: error: there is no operator `taly`; did you mean `tally`?"
    ]),
  BadFile(
    "operator unknown, nothing near", "operator: tally", to: "operator: counter",
    [
      """
      t.yaml:11:15: error: there is no operator `counter`; expected `deduplicate`, `tally`, \
      `identity`, `journeys`, `deal_value`, `attribution`, `learner`, `posteriors`, `pacing`, \
      `bids`, `safety`, `watch`, `loop` or `echo`
      """
    ]),
  BadFile(
    "operator missing", "    operator: tally\n", to: "",
    [
      """
      t.yaml:10:3: error: `operators.totals` lacks `operator`; expected one of `deduplicate`, \
      `tally`, `identity`, `journeys`, `deal_value`, `attribution`, `learner`, `posteriors`, \
      `pacing`, `bids`, `safety`, `watch`, `loop` or `echo`
      """
    ]),
  BadFile(
    "operator is a scalar", "  totals:\n    operator: tally\n    from: unique\n    every: 1m",
    to: "  totals: tally",
    [
      """
      t.yaml:10:11: error: `operators.totals` is `tally`; expected a mapping with `operator` \
      and `from`
      """
    ]),
  BadFile(
    "operator is a list", "operator: tally", to: "operator: [tally]",
    [
      """
      t.yaml:11:15: error: `operators.totals.operator` is a list; expected the name of an \
      operator
      """
    ]),
  BadFile(
    "from missing", "    from: unique\n", to: "",
    [
      """
      t.yaml:10:3: error: `operators.totals` lacks `from`; expected the name of a source or \
      operator, or a list of them
      """
    ]),
  BadFile(
    "from empty", "from: unique", to: "from: []",
    [
      """
      t.yaml:12:11: error: `operators.totals.from` is an empty list; expected the name of a \
      source or operator, or a list of them
      """
    ]),
  BadFile(
    "from is a mapping", "from: unique", to: "from: { a: b }",
    [
      """
      t.yaml:12:11: error: `operators.totals.from` is a mapping; expected the name of a \
      source or operator, or a list of them
      """
    ]),
  BadFile(
    "from holds a list", "from: unique", to: "from: [[unique]]",
    [
      "t.yaml:12:12: error: `operators.totals.from[0]` is a list; expected a name"
    ]),
  BadFile(
    "from twice the same", "from: unique", to: "from: [unique, unique]",
    [
      "t.yaml:12:20: error: `unique` is given twice in `operators.totals.from`; once is enough"
    ]),
  BadFile(
    "from unknown", "from: unique", to: "from: uniqe",
    [
      "t.yaml:12:11: error: there is no source or operator `uniqe`; did you mean `unique`?"
    ]),
  BadFile(
    "from names a stream", "from: totals", to: "from: tallies",
    [
      """
      t.yaml:16:11: error: there is no source or operator `tallies`; the stream of that name \
      is given by `totals`
      """
    ]),
  BadFile(
    "from itself", "from: unique", to: "from: totals",
    [
      "t.yaml:12:5: error: a cycle: totals → totals; streams go forward only"
    ]),
  BadFile(
    "setting unknown", "every: 1m", to: "evry: 1m",
    [
      "t.yaml:13:5: error: unknown key `evry` in `operators.totals`; did you mean `every`?"
    ]),
  BadFile(
    "setting of another operator", "every: 1m", to: "within: 1h",
    [
      """
      t.yaml:13:5: error: unknown key `within` in `operators.totals`; expected `every`, \
      `operator` or `from`
      """
    ]),
  BadFile(
    "setting out of range", "every: 1m", to: "every: 100ms",
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is `100ms`; expected a duration from 1s \
      to 1d
      """
    ]),
  BadFile(
    "setting of a wrong shape", "within: 24h", to: "within: [24h]",
    [
      """
      t.yaml:9:13: error: `operators.unique.within` is a list; expected a duration from 1s to \
      48d, or a mapping from `impression`, `click`, `conversion` and 12 more to a duration \
      from 1s to 48d
      """
    ]),
  BadFile(
    "setting either, mapping key", "within: 24h", to: "within: { clik: 1h, click: 1y }",
    [
      """
      t.yaml:9:15: error: unknown key `clik` in `operators.unique.within`; did you mean `click`?
      """,
      """
      t.yaml:9:32: error: `operators.unique.within.click` is `1y`; expected a duration from \
      1s to 48d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """,
    ]),
  BadFile(
    "setting either, scalar", "within: 24h", to: "within: long",
    [
      """
      t.yaml:9:13: error: `operators.unique.within` is `long`; expected a duration from 1s to \
      48d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "name clash", "  totals:\n",
    to: """
        events: { operator: echo, from: unique }
        totals:

      """,
    [
      "t.yaml:10:3: error: `events` is the name of a source; expected a name of its own"
    ]),
  BadFile(
    "operator name", "  totals:\n", to: "  2totals:\n",
    [
      """
      t.yaml:10:3: error: `2totals` is not a name; expected a lower-case letter, then at most \
      63 lower-case letters, digits and `_`
      """,
      "t.yaml:16:11: error: there is no source or operator `totals`; did you mean `2totals`?",
    ]),
  BadFile(
    "sink without from", "    from: totals\n", to: "",
    [
      """
      t.yaml:15:3: error: `sinks.tallies` lacks `from`; expected the name of a source or \
      operator, or a list of them
      """
    ]),
  BadFile(
    "sink without transport", "    log: { topic: tallies }\n", to: "",
    [
      """
      t.yaml:15:3: error: `sinks.tallies` has no transport; expected `kafka`, `log` or `files`
      """
    ]),
  BadFile(
    "sink from unknown", "from: totals", to: "from: total",
    [
      "t.yaml:16:11: error: there is no source or operator `total`; did you mean `totals`?"
    ]),
  BadFile(
    "sink of a stream that is not given", "from: totals", to: "from: totals\n    stream: tally",
    [
      "t.yaml:17:5: error: `totals` gives `tallies`, not `tally`"
    ]),
  BadFile(
    "sink of a stream from elsewhere", "from: totals", to: "from: totals\n    stream: events",
    [
      "t.yaml:17:5: error: `totals` gives `tallies`, not `events`"
    ]),
]

private let badFiles4: [BadFile] = [
  BadFile(
    "sink from different streams", "from: totals", to: "from: [totals, unique]",
    [
      "t.yaml:16:20: error: `unique` gives `events`, not `tallies` like the one before it"
    ]),
  BadFile(
    "sink key", "from: totals", to: "form: totals",
    [
      """
      t.yaml:15:3: error: `sinks.tallies` lacks `from`; expected the name of a source or \
      operator, or a list of them
      """,
      "t.yaml:16:5: error: unknown key `form` in `sinks.tallies`; did you mean `from`?",
    ]),
  BadFile(
    "sink topic", "{ topic: tallies }", to: "{ topic: a/b }",
    [
      """
      t.yaml:17:19: error: `sinks.tallies.log.topic` is `a/b`; expected a topic of letters, \
      digits, `.`, `_` and `-`, at most 249
      """
    ]),
  BadFile(
    "sink kafka without cluster", "log: { topic: tallies }", to: "kafka: { topic: tallies }",
    [
      """
      t.yaml:17:12: error: `sinks.tallies.kafka` lacks `brokers`; expected `host:port`, more \
      of them after commas, because the sources are not on one cluster
      """
    ]),
  BadFile(
    "sink file without path", "log: { topic: tallies }", to: "files: {}",
    [
      "t.yaml:17:12: error: `sinks.tallies.files` lacks `path`; expected a path"
    ]),
  BadFile(
    "sink writes what is read", "{ topic: tallies }", to: "{ topic: events }",
    [
      """
      t.yaml:17:12: error: `sinks.tallies` writes the topic `events`, which `sources.events` \
      reads; expected a topic of its own
      """
    ]),
  BadFile(
    "two sinks, one topic", tail: "  more: { from: unique, log: { topic: tallies } }\n",
    [
      """
      t.yaml:18:32: error: `sinks.tallies` writes the topic `tallies` already; expected a \
      topic of its own, or one sink with both in `from`
      """
    ]),
  BadFile(
    "dead letters from an operator", tail: "  dead_letters: { from: unique, log: {} }\n",
    [
      """
      t.yaml:18:25: error: `sinks.dead_letters.from` is given; `dead_letters` come from the \
      engine, leave `from` out
      """
    ]),
  BadFile(
    "dead letters twice",
    tail: """
        dead_letters: { log: {} }
        refused: { stream: dead_letters, log: { topic: x } }

      """,
    [
      """
      t.yaml:19:3: error: `dead_letters` takes `dead_letters` already; expected one sink for \
      them
      """
    ]),
  BadFile(
    "log sink without a log", "    log: { directory: data }", to: "    files: { paths: [a] }",
    [
      """
      t.yaml:17:10: error: `sinks.tallies.log` lacks `directory`; expected a path, because \
      the sources are not in one log
      """
    ]),
  BadFile(
    "variable missing", "every: 1m", to: "every: ${EVERY}",
    [
      """
      t.yaml:13:12: error: the environment has no `EVERY`; set it, or give a default: \
      `${EVERY:-default}`
      """
    ]),
  BadFile(
    "variable of a wrong type", "every: 1m", to: "every: ${BAD}",
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is `often` (`${BAD}`); expected a \
      duration from 1s to 1d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "variable in quotes, secret", "every: 1m", to: "every: ${API_TOKEN}",
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is the value of `${API_TOKEN}`; expected \
      a duration from 1s to 1d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "variable not closed", "every: 1m", to: "every: ${EVERY",
    [
      "t.yaml:13:12: error: `${` without `}`; write `$${` for the characters themselves"
    ]),
  BadFile(
    "variable without a name", "every: 1m", to: "every: ${}",
    [
      "t.yaml:13:12: error: `${}` names no variable; expected `${NAME}` or `${NAME:-default}`"
    ]),
  BadFile(
    "variable with another operator", "every: 1m", to: "every: ${EVERY:?no}",
    [
      """
      t.yaml:13:12: error: `${EVERY:?no}` names no variable; expected `${NAME}` or \
      `${NAME:-default}`
      """
    ]),
  BadFile(
    "variable that starts with a digit", "every: 1m", to: "every: ${1A}",
    [
      """
      t.yaml:13:12: error: `${1A}` names no variable; expected `${NAME}` or `${NAME:-default}`
      """
    ]),
  BadFile(
    "variable with a control character", "every: 1m", to: "every: ${LINES}",
    [
      """
      t.yaml:13:12: error: the variable `LINES` holds a control character; expected text on \
      one line
      """
    ]),
  BadFile(
    "variable that would be structure", "from: unique", to: "from: ${LIST}",
    [
      """
      t.yaml:12:11: error: there is no source or operator `[unique, events]`; expected \
      `events` or `unique`
      """
    ]),
  BadFile(
    "variable with an empty value", "every: 1m", to: "every: ${EMPTY}",
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is empty (`${EMPTY}`); expected a \
      duration from 1s to 1d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "set without equals", set: ["seed"],
    [
      "--set #1: error: `seed` is not `path=value`, as in `time.tick=1s`"
    ]),
  BadFile(
    "set without path", set: ["=7"],
    [
      "--set #1: error: `=7` is not `path=value`, as in `time.tick=1s`"
    ]),
  BadFile(
    "set with an empty segment", set: ["time..tick=1s"],
    [
      "--set #1: error: `time..tick` is not a path, as in `time.tick`"
    ]),
  BadFile(
    "set unknown key", set: ["sede=7"],
    [
      "--set #1: error: unknown key `sede`; did you mean `seed`?"
    ]),
  BadFile(
    "set unknown operator", set: ["operators.total.every=10s"],
    [
      "--set #1: error: the file has no `operators.total`; did you mean `totals`?"
    ]),
  BadFile(
    "set unknown source", set: ["sources.x.log.directory=a"],
    [
      "--set #1: error: the file has no `sources.x`; expected `events`"
    ]),
  BadFile(
    "set unknown setting", set: ["operators.totals.evry=10s"],
    [
      "--set #1: error: unknown key `evry` in `operators.totals`; did you mean `every`?"
    ]),
  BadFile(
    "set wrong value", set: ["seed=7", "time.tick=1x"],
    [
      """
      --set #2: error: `time.tick` is `1x`; expected a duration from 10ms to 1h, written like \
      `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "set structure where a scalar is", set: ["operators.totals.every.x=1"],
    [
      """
      --set #1: error: `operators.totals.every` is a mapping; expected a duration from 1s to 1d
      """
    ]),
  BadFile(
    "set broken flow", set: ["operators.totals.from=[unique"],
    [
      """
      --set #1: error: not YAML: did not find expected ',' or ']' while parsing a flow \
      sequence that begins in line 1
      """
    ]),
  BadFile(
    "set alias", set: ["operators.totals.from=[*a]"],
    [
      "--set #1: error: an alias; topology files have none, write the value out, or in quotes"
    ]),
  BadFile(
    "set duplicate key", set: ["operators.unique.within={click: 1h, click: 2h}"],
    [
      "--set #1: error: `click` is given more than once"
    ]),
  BadFile(
    "set variable missing", set: ["seed=${SEED}"],
    [
      """
      --set #1: error: the environment has no `SEED`; set it, or give a default: \
      `${SEED:-default}`
      """
    ]),
  BadFile(
    "set transport twice", set: ["sources.events.files.paths=[a]"],
    [
      "--set #1: error: `sources.events` has `log` and `files`; expected one transport"
    ]),
  BadFile(
    "set a section to a scalar", set: ["sinks=1"],
    [
      "--set #1: error: `sinks` is `1`; expected a mapping from names to sinks"
    ]),
  BadFile(
    "set a whole operator", set: ["operators.totals={operator: tally, form: unique}"],
    [
      """
      --set #1: error: `operators.totals` lacks `from`; expected the name of a source or \
      operator, or a list of them
      """,
      "--set #1: error: unknown key `form` in `operators.totals`; did you mean `from`?",
    ]),
  BadFile(
    "column after other letters", "{ topic: tallies }", to: "{ topic: \"äö😀\", topics: x }",
    [
      """
      t.yaml:17:19: error: `sinks.tallies.log.topic` is `äö😀`; expected a topic of letters, \
      digits, `.`, `_` and `-`, at most 249
      """,
      "t.yaml:17:26: error: unknown key `topics` in `sinks.tallies.log`; did you mean `topic`?",
    ]),
  BadFile(
    "carriage returns",
    whole: baseFile.replacing("every: 1m", with: "every: x").replacing("\n", with: "\r\n"),
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is `x`; expected a duration from 1s to \
      1d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "byte order mark", whole: "\u{FEFF}" + baseFile.replacing("every: 1m", with: "every: x"),
    [
      """
      t.yaml:13:12: error: `operators.totals.every` is `x`; expected a duration from 1s to \
      1d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """
    ]),
  BadFile(
    "many problems at once",
    whole: """
      topology: live!
      seed: many
      sources:
        events:
          kafka: { topics: [a], grop: x }
      operators:
        unique: { operator: dedup, from: events }
        totals: { operator: tally, from: unique, every: 1 }
        journeys: { operator: journeys, from: nobody, lookback: 1y }
      sinks:
        tallies: { from: totals }
      delivery: once

      """,
    [
      """
      t.yaml:1:11: error: `topology` is `live!`; expected a name of letters, digits, `.`, `_` \
      and `-`, at most 64
      """,
      "t.yaml:2:7: error: `seed` is `many`; expected an integer from 0 to 18446744073709551615",
      """
      t.yaml:5:12: error: `sources.events.kafka` lacks `brokers`; expected `host:port`, more \
      of them after commas
      """,
      "t.yaml:5:27: error: unknown key `grop` in `sources.events.kafka`; did you mean `group`?",
      "t.yaml:7:23: error: there is no operator `dedup`; did you mean `deduplicate`?",
      """
      t.yaml:8:51: error: `operators.totals.every` is `1`; expected a duration from 1s to 1d, \
      written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """,
      """
      t.yaml:9:41: error: there is no source or operator `nobody`; expected `events`, \
      `unique` or `totals`
      """,
      """
      t.yaml:9:59: error: `operators.journeys.lookback` is `1y`; expected a duration from 1h \
      to 90d, written like `250ms`, `5s`, `30m`, `24h` or `7d`
      """,
      """
      t.yaml:11:3: error: `sinks.tallies` has no transport; expected `kafka`, `log` or `files`
      """,
      "t.yaml:12:11: error: `delivery` is `once`; expected `exactly_once` or `at_least_once`",
    ]),
]

private let badFiles5: [BadFile] = [
  BadFile(
    "wrong stream type",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        a: { operator: journeys, from: e }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:5:34: error: `e` gives `events`; `a` (journeys) reads `interactions`"
    ]),
  BadFile(
    "required input missing",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e }
        c: { operator: attribution, from: i }
        a: { operator: posteriors, from: i }
        b: { operator: posteriors, from: c }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:7:30: error: `a` (posteriors) lacks its input `credits`; it is given by `c`",
      "t.yaml:8:30: error: `b` (posteriors) lacks its input `interactions`; it is given by `i`",
      """
      t.yaml:10:14: error: `a` gives `estimates` and `winners`; expected `stream:` to say \
      which one `sinks.x` takes
      """,
    ]),
  BadFile(
    "required input that nothing gives",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        p: { operator: pacing, from: e }
        a: { operator: bids, from: [e, p] }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      """
      t.yaml:6:24: error: `a` (bids) lacks its input `estimates`; nothing in this topology \
      gives it
      """
    ]),
  BadFile(
    "upstream that gives nothing",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        w: { operator: watch, from: e }
        a: { operator: echo, from: w }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      """
      t.yaml:6:30: error: `w` gives nothing but `alerts`; `a` (echo) reads `events` (from `e`)
      """
    ]),
  BadFile(
    "cycle of two",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        a: { operator: echo, from: b }
        b: { operator: echo, from: a }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:5:24: error: a cycle: a → b → a; streams go forward only"
    ]),
  BadFile(
    "cycle of three behind a tail, not first in the file",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        a: { operator: echo, from: [e, d] }
        b: { operator: echo, from: d }
        c: { operator: echo, from: b }
        d: { operator: echo, from: c }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:6:24: error: a cycle: b → c → d → b; streams go forward only"
    ]),
  BadFile(
    "two cycles",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        a: { operator: echo, from: a }
        b: { operator: echo, from: [b, e] }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:5:24: error: a cycle: a → a; streams go forward only",
      "t.yaml:6:24: error: a cycle: b → b; streams go forward only",
    ]),
  BadFile(
    "cycle through types",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e }
        c: { operator: attribution, from: [i, d] }
        d: { operator: deal_value, from: [i, c] }
      sinks:
        x: { from: c, log: {} }

      """,
    [
      "t.yaml:6:31: error: a cycle: c → d → c; streams go forward only",
      """
      t.yaml:7:40: error: `c` gives `credits`; `d` (deal_value) reads `interactions` (from `i`)
      """,
    ]),
  BadFile(
    "sink must choose",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e }
        a: { operator: learner, from: i }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      """
      t.yaml:8:14: error: `a` gives `predictions` and `models`; expected `stream:` to say \
      which one `sinks.x` takes
      """
    ]),
  BadFile(
    "sink chooses wrong",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e }
        a: { operator: learner, from: i }
      sinks:
        x: { from: a, stream: model, log: {} }

      """,
    [
      """
      t.yaml:8:17: error: `a` gives `predictions` and `models`, not `model`; did you mean \
      `models`?
      """
    ]),
  BadFile(
    "sink from an operator that gives alerts only",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        a: { operator: watch, from: e }
      sinks:
        x: { from: a, stream: events, log: {} }

      """,
    [
      "t.yaml:7:17: error: `a` gives nothing but `alerts`, not `events`"
    ]),
  BadFile(
    "settings of every kind",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e, x: 1 }
        j: { operator: journeys, from: i, max_touches: 0 }
        a: { operator: attribution, from: j, models: [last_tuch, linear], windows: { view: \
      1s, clik: 1d }, min_confidence: 2 }
        v: { operator: deal_value, from: j, pipelines: { sales: { won: [x], stages: [{ name: \
      a, probability: 1.5 }, b], learn: yes } } }
        l: { operator: learner, from: j, hash_bits: 22.5, federate: 1, rate: nan }
      sinks:
        x: { from: a, log: {} }

      """,
    [
      "t.yaml:5:37: error: unknown key `x` in `operators.i`; expected `operator` or `from`",
      """
      t.yaml:6:50: error: `operators.j.max_touches` is `0`; expected an integer from 1 to 1000
      """,
      """
      t.yaml:7:49: error: `operators.a.models[0]` is `last_tuch`; expected `last_touch`, \
      `first_touch`, `time_decay` or `shapley`; did you mean `last_touch`?
      """,
      """
      t.yaml:7:60: error: `operators.a.models[1]` is `linear`; expected `last_touch`, \
      `first_touch`, `time_decay` or `shapley`
      """,
      """
      t.yaml:7:86: error: `operators.a.windows.view` is `1s`; expected a duration from 1m to 90d
      """,
      "t.yaml:7:90: error: unknown key `clik` in `operators.a.windows`; did you mean `click`?",
      "t.yaml:7:118: error: `operators.a.min_confidence` is `2`; expected a number from 0 to 1",
      "t.yaml:8:66: error: `operators.v.pipelines.sales.won` is a list; expected text",
      """
      t.yaml:8:104: error: `operators.v.pipelines.sales.stages[0].probability` is `1.5`; \
      expected a number from 0 to 1
      """,
      """
      t.yaml:8:111: error: `operators.v.pipelines.sales.stages[1]` is `b`; expected a mapping \
      with `name` and `probability`
      """,
      """
      t.yaml:8:122: error: `operators.v.pipelines.sales.learn` is `yes`; expected `true` or \
      `false`
      """,
      """
      t.yaml:9:47: error: `operators.l.hash_bits` is `22.5`; expected an integer from 10 to 30
      """,
      "t.yaml:9:63: error: `operators.l.federate` is `1`; expected `true` or `false`",
      "t.yaml:9:72: error: `operators.l.rate` is `nan`; expected a number of at least 1e-06",
    ]),
  BadFile(
    "numbers",
    whole: """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        i: { operator: identity, from: e }
        a: { operator: learner, from: i, hash_bits: +22, rate: 0x1p3 }
        b: { operator: learner, from: i, hash_bits: 99999999999999999999, rate: 1e999 }
        c: { operator: learner, from: i, hash_bits: , rate: "" }
      sinks:
        x: { from: a, stream: models, log: {} }

      """,
    [
      "t.yaml:6:47: error: `operators.a.hash_bits` is `+22`; expected an integer from 10 to 30",
      "t.yaml:6:58: error: `operators.a.rate` is `0x1p3`; expected a number of at least 1e-06",
      """
      t.yaml:7:47: error: `operators.b.hash_bits` is `99999999999999999999`; expected an \
      integer from 10 to 30
      """,
      "t.yaml:7:75: error: `operators.b.rate` is `1e999`; expected a number of at least 1e-06",
      "t.yaml:8:47: error: `operators.c.hash_bits` is empty; expected an integer from 10 to 30",
      "t.yaml:8:55: error: `operators.c.rate` is empty; expected a number of at least 1e-06",
    ]),
]
