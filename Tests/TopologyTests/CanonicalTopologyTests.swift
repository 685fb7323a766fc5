import Streaming
import Testing

@Suite struct CanonicalTopologyTests {
  @Test func textIsStable() throws {
    #expect(
      try parse(baseFile).canonicalText == """
        topology-format 1
        key account
        seed 1
        time out_of_orderness 5000ms
        time tick 1000ms
        time max_ahead 3600000ms
        time max_gap 2678400000ms
        source events
        operator unique deduplicate 1
          input events from events
          setting "within" 86400000ms
        operator totals tally 1
          input events from unique
          setting "every" 60000ms
        sink dead_letters dead_letters from engine
        sink tallies tallies from totals

        """)
    #expect(try parse(baseFile).hash == 0x9CC3_11E7_4DCF_8BEC)
  }

  @Test(arguments: [
    ("topology: t", "topology: other"),
    ("log: { directory: data }", "log: { directory: x, topics: [y], group: z }"),
    ("log: { directory: data }", "kafka: { brokers: b, topics: [y], properties: { a.key: z } }"),
    ("log: { directory: data }", "files: { paths: [a] }"),
    ("log: { topic: tallies }", "files: { path: x }"),
    ("sinks:\n", "delivery: at_least_once\nsinks:\n"),
    ("sinks:\n", "snapshots: { directory: x, every: 1h, keep: 7 }\nsinks:\n"),
    ("sinks:\n", "commit: { every: 1s, events: 7, fsync: never }\nsinks:\n"),
    ("sinks:\n", "time: { tick: 1000ms, merge_wait: 1s }\nsinks:\n"),
    ("sinks:\n", "seed: 1\nsinks:\n"),
    ("    every: 1m\n", ""),
    ("every: 1m", "every: ${EVERY:-60s}"),
    ("from: unique", "from: [unique]"),
    ("sinks:\n", "sinks:\n  dead_letters: { log: { directory: z, topic: refused } }\n"),
  ])
  func whatDoesNotMatterDoesNotChangeIt(_ old: String, _ new: String) throws {
    var text = baseFile.replacing(old, with: new, maxReplacements: 1)
    // A sink's transport may be completed from a log only where there is one.
    text = text.replacing("log: { topic: tallies }", with: "log: { directory: data }")
    #expect(problems(text) == [])
    #expect(try parse(text).canonicalText == parse(baseFile).canonicalText)
  }

  @Test(arguments: [
    ("sinks:\n", "seed: 2\nsinks:\n"),
    ("sinks:\n", "time: { tick: 2s }\nsinks:\n"),
    ("sinks:\n", "time: { out_of_orderness: 1s }\nsinks:\n"),
    ("sinks:\n", "time: { max_ahead: 2h }\nsinks:\n"),
    ("sinks:\n", "time: { max_gap: 2d }\nsinks:\n"),
    ("every: 1m", "every: 2m"),
    ("within: 24h", "within: 23h"),
    ("within: 24h", "within: { click: 24h }"),
    ("within: 24h", "within: { order: 24h }"),
    ("from: unique", "from: events"),
    ("from: unique", "from: [unique, events]"),
    ("from: unique", "from: [events, unique]"),
    ("log: { directory: data }", "log: { directory: data }\n    trusted: true"),
    ("log: { directory: data }", "log: { directory: data }\n    urgent: true"),
    ("sinks:\n", "sinks:\n  more: { from: unique, log: {} }\n"),
    ("  tallies:\n", "  sums:\n"),
    (
      "operator: deduplicate\n    from: events\n    within: 24h", "operator: echo\n    from: events"
    ),
  ])
  func whatMattersChangesIt(_ old: String, _ new: String) throws {
    let text = baseFile.replacing(old, with: new, maxReplacements: 1)
    #expect(problems(text) == [])
    #expect(try parse(text).hash != parse(baseFile).hash)
  }

  @Test func everySettingOfEveryKindChangesIt() throws {
    let settings = [
      "operators.journeys.max_touches=7", "operators.credits.models=[shapley]",
      "operators.credits.windows.view=2d", "operators.credits.min_confidence=0.25",
      "operators.deals.pipelines.default.learn=false", "operators.deals.pipelines={}",
      "operators.deals.pipelines.default.stages=[{name: demo, probability: 0.26}]",
      "operators.learner.federate=true", "operators.learner.rate=0.051",
    ]
    var hashes: Set<UInt64> = [try parse(liveFile).hash]
    for setting in settings {
      hashes.insert(try parse(liveFile, overrides: [setting]).hash)
    }
    #expect(hashes.count == settings.count + 1)
  }

  @Test func versionsOfOperatorsChangeIt() throws {
    var newer = registry
    newer[0].version += 1
    let checked = try CheckedTopology.parse(text: baseFile, file: "t.yaml", registry: newer)
    #expect(try checked.hash != parse(baseFile).hash)
  }

  @Test func orderOfKeysDoesNotMatterAndOrderOfTheRunDoes() throws {
    let turned = liveFile.replacing(
      "lookback: 30d, timeout: 14d", with: "timeout: 14d, lookback: 30d")
    #expect(try parse(turned).hash == parse(liveFile).hash)
    let text = baseFile.replacing(
      "  totals:", with: "  a: { operator: echo, from: unique }\n  totals:")
    let other = baseFile.replacing(
      "sinks:", with: "  a: { operator: echo, from: unique }\nsinks:")
    #expect(try parse(text).hash != parse(other).hash)
  }

  @Test func textCannotBeTakenForSomethingElse() throws {
    let one = liveFile.replacing("name: demo", with: "name: 'a\",\"probability\":1'")
    #expect(try parse(one).canonicalText.contains(#""name":"a\",\"probability\":1","#))
  }
}
