import Events
import LocalLog
import Simulation
import Streaming

/// A closed loop from its world to what is said about it, with everything left in a directory.
struct SimulationRun {
  var world: MarketWorld
  /// Nil: nobody processes the events, and bids are constant.
  var topology: CheckedTopology?
  var directory: MadeDirectory
  var isQuiet: Bool

  /// The topology that bids.
  ///
  /// - Parameter path: nil for the shipped one; where that is not at hand, its copy.
  static func load(_ path: String?) throws(TopologyError) -> CheckedTopology {
    let path = path ?? ShippedTopology.livePath
    let isCopy = path == ShippedTopology.livePath && PathKind(path) != .file
    let checked =
      isCopy
      ? try TopologyOptions.parse(ShippedTopology.live, name: path)
      : try TopologyOptions.load(path, overrides: [])
    for warning in checked.warnings { Terminal.error(warning.description) }
    return checked
  }

  func run() throws -> MarketReport {
    let clock = SystemClock()
    let archive = try MarketArchive(
      directory: directory, topic: ClosedLoop.topic(of: topology),
      outputs: topology?.outputs ?? [], world: world)
    let loop = try ClosedLoop(world, topology: topology, archive: archive)
    let progress = ProgressLine(isQuiet: isQuiet)
    let meter = RateMeter()
    let length = Double((world.end - world.start).milliseconds)
    let begun = clock.now()
    try loop.run { now, events in
      progress.show(Double((now - world.start).milliseconds) / length) {
        "day \((now - world.start).milliseconds / 86_400_000 + 1), "
          + "\(Text.plural(events, "event")), \(Text.count(meter.rate(events))) events/s"
      }
    }
    let seconds = Double(max(clock.now() - begun, 1)) / 1000
    progress.end()
    let report = MarketReport(loop, baseline: ClosedLoop.baseline(world), seconds: seconds)
    try TextFile.replace(directory.file("truth.json"), with: report.truth.pretty)
    try TextFile.replace(directory.file("summary.json"), with: report.json.pretty)
    return report
  }

  /// Replays the log that a closed loop has left, and says where it went another way: in state, in
  /// what it published, or in what it counted. Empty when all is well.
  func disagreements(with report: MarketReport) throws -> [String] {
    guard let topology, let outcome = report.outcome else { return [] }
    let results = directory.file("replay")
    let summary = try ReplayPlan(
      topology: topology, from: [directory.file("log")],
      destination: FileReplay.Destination(directory: results, overwrite: true, compress: true),
      followsJournal: false, isQuiet: isQuiet
    ).run()
    var found = report.miscounts
    if summary.digest != outcome.digest {
      found.append(
        "the closed loop ended in the state \(outcome.digest), the replay in \(summary.digest)")
    }
    if summary.events != report.events {
      found.append("the replay took \(summary.events) events, the market sent \(report.events)")
    }
    let store = try LocalLogStore.open(directory.file("log"))
    let outputs = topology.outputs
    for output in outputs where outputs.count(where: { $0.topic == output.topic }) == 1 {
      if let difference = try difference(
        topic: output.topic, in: store, file: "\(results)/\(output.sink).jsonl.zst")
      {
        found.append("\(output.sink): \(difference)")
      }
    }
    return found
  }

  /// The first record in which a topic and a file differ.
  private func difference(
    topic: String, in store: LocalLogStore, file: String
  ) throws -> String? {
    let reader = try store.reader(topic, partition: 0)
    let input = try FileInput(path: file)
    let (ours, theirs) = (RecordChunk(), RecordChunk())
    var (at, other) = (0, 0)
    var count = 0
    while true {
      if at == ours.records.count {
        at = 0
        if try reader.fetch(into: ours, maxRecords: 4096) != .records { ours.removeAll() }
      }
      if other == theirs.records.count {
        other = 0
        if try input.fetch(into: theirs, maxRecords: 4096) != .records { theirs.removeAll() }
      }
      if ours.records.isEmpty, theirs.records.isEmpty { return nil }
      guard !ours.records.isEmpty, !theirs.records.isEmpty else {
        return "one ends after \(Text.plural(count, "record")), the other goes on"
      }
      guard ours.records[at].value.elementsEqual(theirs.records[other].value) else {
        return "record \(count) differs"
      }
      at += 1
      other += 1
      count += 1
    }
  }
}
