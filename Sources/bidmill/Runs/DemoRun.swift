import Events
import LocalLog
import Simulation
import Streaming

/// A demo from its history to what is said about it.
struct DemoRun {
  var directory: MadeDirectory
  var topology: CheckedTopology
  var topologyPath: String
  var events: Int
  var seed: UInt64
  var isQuiet: Bool
  /// Tells each step as it is done.
  var isTelling: Bool

  private var historyPath: String { directory.file("events.jsonl") }
  private var logPath: String { directory.file("log") }
  private var resultsPath: String { directory.file("results") }

  func run() throws -> DemoReport {
    let clock = SystemClock()
    var begun = clock.now()
    try tell(
      "A demo of bidmill in \(directory.path): \(Text.plural(events, "event")), seed \(seed)\n\n")
    let truth = try DemoHistory.write(events, seed: seed, to: historyPath, isQuiet: isQuiet)
    try step("history", historyPath, milliseconds: clock.now() - begun)

    begun = clock.now()
    let copies = try fillLog()
    try step("local log", logPath, milliseconds: clock.now() - begun)

    let live = try LiveRun(
      topology: topology, exitWhenIdle: .milliseconds(500), isQuiet: isQuiet
    ).run()
    try step("live run", topologyPath, live.summary)

    let replay = try ReplayPlan(
      topology: topology, from: [historyPath],
      destination: FileReplay.Destination(directory: resultsPath, overwrite: true),
      partitions: min(Machine.cores, 8), isQuiet: isQuiet
    ).run()
    let results = ResultDirectory(path: resultsPath)
    try results.write(replay)
    try step("replay", resultsPath, replay)
    try tell("\n")

    let tallies = try Results.tallies(results.file("tallies.jsonl"))
    let refused = try Results.deadLetters(results.file("dead_letters.jsonl"))
    return DemoReport(
      directory: directory, topologyPath: topologyPath, truth: truth, copies: copies,
      live: live.summary, replay: replay, tallies: tallies, refused: refused)
  }

  /// Returns how many records of the log are copies that stand in further partitions.
  private func fillLog() throws -> Int64 {
    let store = try LocalLogStore.open(logPath, creating: true)
    let partitions = 4
    guard let topic = topology.topology.sources.first?.transport.topics.first else {
      preconditionFailure("a source of a local log names a topic")
    }
    try store.createTopic(topic, partitions: partitions)
    let total = Double(events)
    let result = try LogImport(
      store: store, topic: topic, partitions: partitions, isQuiet: isQuiet
    ).run([historyPath]) { Double($0) / total }
    return result.everywhere * Int64(partitions - 1)
  }

  // MARK: Telling

  private func tell(_ text: String) throws {
    if isTelling { try Terminal.output(text) }
  }

  private func line(_ name: String, _ what: String, _ how: String) throws {
    let padding = String(repeating: " ", count: max(0, 11 - name.count))
    let gap = String(repeating: " ", count: max(2, 40 - what.count))
    try tell("\(name)\(padding)\(what)\(gap)\(how)\n")
  }

  private func step(_ name: String, _ what: String, milliseconds: Int64) throws {
    try line(name, what, Text.seconds(Double(milliseconds) / 1000))
  }

  private func step(_ name: String, _ what: String, _ summary: Summary) throws {
    let rate = Text.count(Int64(summary.eventsPerSecond.rounded()))
    try line(name, what, "\(Text.seconds(summary.seconds)), \(rate) events/s")
  }
}

/// What came out of a demo, and whether it is what went in.
struct DemoReport {
  var directory: MadeDirectory
  var topologyPath: String
  var truth: DemoHistory
  /// Records of the log that stand in further partitions too.
  var copies: Int64
  var live: Summary
  var replay: Summary
  /// The last totals per ad, by the replay.
  var tallies: [String: AdTotals]
  var refused: [String: Int]

  /// What should be equal and is not; empty when all is well.
  var disagreements: [String] {
    var found: [String] = []
    func compare(_ what: String, _ got: Int64, _ expected: Int64) {
      if got != expected { found.append("\(what): \(got), but the history has \(expected)") }
    }
    if live.digest != replay.digest {
      found.append(
        "the live run ended in the state \(live.digest), the replay in \(replay.digest)")
    }
    let refusedCount = truth.refused.reduce(0) { $0 + Int64($1.count) }
    compare("events of the replay", replay.events, truth.records)
    compare("events of the live run", live.events - copies, truth.records)
    for (name, summary) in [("live run", live), ("replay", replay)] {
      compare("duplicates of the \(name)", summary.duplicates, truth.duplicates)
      compare("dead letters of the \(name)", summary.deadLetters, refusedCount)
    }
    for (name, count) in truth.refused {
      compare("dead letters that are \(name)", Int64(refused[name] ?? 0), Int64(count))
    }
    let wrong = Set(truth.ads.keys).union(tallies.keys).filter { truth.ads[$0] != tallies[$0] }
    for key in wrong.sorted().prefix(5) {
      let (got, expected) = (tallies[key], truth.ads[key])
      found.append(
        "totals of \(key): \(got.map { "\($0)" } ?? "none"), but the history has "
          + (expected.map { "\($0)" } ?? "none"))
    }
    if wrong.count > 5 { found.append("and \(wrong.count - 5) more ads") }
    return found
  }

  private var topAds: [(key: String, value: AdTotals)] {
    tallies.sorted { a, b in
      (b.value.spendMicros, a.key) < (a.value.spendMicros, b.key)
    }
  }

  var text: String {
    var rows = [
      ["events", Text.count(replay.events), ""],
      ["accepted", Text.count(replay.accepted), ""],
      ["duplicates", Text.count(replay.duplicates), "dropped: they had come before"],
      ["dead letters", Text.count(replay.deadLetters), "refused, kept whole with the reason"],
    ]
    let reasons = refused.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    for (name, count) in reasons { rows.append(["  \(name)", Text.count(count), ""]) }
    var text = Text.table(rows, [.left, .right])
    text += "\ntop ads by spend, of \(Text.count(tallies.count))\n"
    var ads = [["account", "ad", "impressions", "clicks", "spend"]]
    for (key, totals) in topAds.prefix(5) {
      let names = key.split(separator: "/", omittingEmptySubsequences: false)
      ads.append([
        String(names.first ?? ""), String(names.last ?? ""), Text.count(totals.impressions),
        Text.count(totals.clicks), Text.money(micros: totals.spendMicros),
      ])
    }
    text += Text.table(ads, [.left, .left, .right, .right, .right], indent: 2)
    if disagreements.isEmpty {
      text += """

        Live run and replay agree: both ended in the state \(replay.digest).
        Both agree with what went in: events, duplicates, dead letters by reason, and every total \
        of every ad.

        """
    }
    return text + next
  }

  private var next: String {
    let program = CommandLine.arguments.first ?? "bidmill"
    return """

      Look at it
        \(program) log info \(directory.file("log"))
        \(program) log cat \(directory.file("log")) tallies --limit 3
        head -3 \(directory.file("results/dead_letters.jsonl"))
      Try it
        \(program) describe \(topologyPath)
        \(program) replay \(topologyPath) --from \(directory.file("events.jsonl")) \\
          --out results --set operators.totals.every=1h

      """
  }

  var json: JSONText {
    .object([
      ("agree", .bool(disagreements.isEmpty)),
      ("disagreements", .array(disagreements.map { .string($0) })),
      ("live", live.json),
      ("replay", replay.json),
      (
        "dead_letters",
        .object(refused.sorted { $0.key < $1.key }.map { ($0.key, .count($0.value)) })
      ),
      (
        "top_ads",
        .array(
          topAds.prefix(5).map { key, totals in
            .object([
              ("key", .string(key)),
              ("impressions", .count(totals.impressions)),
              ("clicks", .count(totals.clicks)),
              ("spend", .number(Double(totals.spendMicros) / 1_000_000)),
            ])
          })
      ),
    ])
  }
}
