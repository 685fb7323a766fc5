import Events
import Operators
import TestKit
import Testing

@testable import Streaming

/// Snapshots as files: what is read is what was written, and nothing else passes for it.
@Suite struct SnapshotTests {
  static func topology(
    _ operators: [String], partition: Int = 0, time: String = "{}"
  ) throws -> CheckedTopology {
    let sinks = operators.filter { $0.contains("operator: tally") }.map {
      let name = $0.prefix { $0 != ":" }
      return "  \(name)_out: { from: \(name), stream: tallies, log: { topic: \(name) } }"
    }
    return try CheckedTopology.parse(
      text: """
        topology: kept
        time: \(time)
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
        \(operators.map { "  \($0)" }.joined(separator: "\n"))
        sinks:
        \(sinks.joined(separator: "\n"))
        """,
      file: "kept.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  static let tallyAlone = ["totals: { operator: tally, from: events }"]

  static func impression(_ n: Int, at time: Int64) -> String {
    #"{"type":"impression","id":"i\#(n)","time":\#(time),"account":"a\#(n % 3)","#
      + #""campaign":"c","ad":"d\#(n % 5)","price":\#(n)}"#
  }

  /// A world with some records, run until its clean stop: outputs, and one snapshot.
  struct World {
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    var now: Int64 = 1_000

    func feed(_ range: Range<Int>, stepMilliseconds: Int64 = 700) {
      for n in range {
        broker.append(
          Array(SnapshotTests.impression(n, at: 60_000 + Int64(n) * stepMilliseconds).utf8))
      }
    }

    func runner(
      _ topology: CheckedTopology, partition: Int = 0, acceptLoss: Bool = false,
      notices: @escaping @Sendable (Notice) -> Void = { _ in }
    ) throws -> PartitionRunner {
      var options = RunnerOptions(
        mode: .live, partition: partition, acceptLoss: acceptLoss, notify: notices)
      options.idleClock = false
      return try PartitionRunner(
        topology: topology, registry: OperatorRegistry.all, log: broker.open(),
        snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
        snapshotQueue: ImmediateQueue(), options: options)
    }

    /// Runs to the end of what is there and stops, with a snapshot or without.
    @discardableResult
    mutating func run(
      _ topology: CheckedTopology, snapshot: Bool = true, acceptLoss: Bool = false
    ) throws -> PartitionRunner {
      let runner = try runner(topology, acceptLoss: acceptLoss)
      try runner.start(now: now)
      while try runner.isRecovering || runner.step(now: now) != .waiting {
        now += 1
        if runner.isRecovering { _ = try runner.step(now: now) }
      }
      while try !runner.drain(now: now, snapshot: snapshot) { now += 1 }
      return runner
    }

    /// The newest snapshot's bytes.
    var snapshot: [UInt8] {
      get throws {
        var bytes: [UInt8] = []
        let number = try #require(broker.snapshotNumbers.first)
        try SimulatedSnapshots(broker).read(number) { bytes += Array($0) }
        return bytes
      }
    }
  }

  /// What a parser makes of a snapshot that comes in pieces.
  static func parse(_ bytes: [UInt8], pieces: (Int) -> Int = { $0 }) -> Result<
    (pages: Int, bytes: Int, header: SnapshotHeader?), SnapshotDamage
  > {
    var parser = SnapshotParser()
    var found: (pages: Int, bytes: Int, header: SnapshotHeader?) = (0, 0, nil)
    var rest = bytes[...]
    do throws(SnapshotDamage) {
      while !rest.isEmpty {
        let piece = Array(rest.prefix(pieces(rest.count)))
        rest = rest.dropFirst(piece.count)
        let result: Result<Void, SnapshotDamage> = piece.withUnsafeBytes { raw in
          do throws(SnapshotDamage) {
            try parser.feed(raw) { item in
              switch item {
              case .header(let header): found.header = header
              case .page(_, _, let rows):
                found.pages += 1
                found.bytes += rows.count
              }
            }
            return .success(())
          } catch { return .failure(error) }
        }
        try result.get()
      }
    } catch { return .failure(error) }
    return parser.isComplete ? .success(found) : .failure(SnapshotDamage("cut"))
  }

  @Test func piecesOfAnySizeReadTheSame() throws {
    var world = World()
    world.feed(0..<200)
    try world.run(SnapshotTests.topology(SnapshotTests.tallyAlone))
    let bytes = try world.snapshot
    let whole = try SnapshotTests.parse(bytes).get()
    #expect(whole.header?.number == world.broker.commitNumber)
    #expect(whole.bytes == whole.header?.stateBytes)
    for seed in 1...20 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let largest = choice.pick([1, 2, 13, 100, 5_000])
      let again = try SnapshotTests.parse(bytes) { _ in choice.inside(1...largest) }.get()
      #expect(again.pages == whole.pages && again.bytes == whole.bytes)
      #expect(again.header == whole.header)
    }
    let header = try bytes.withUnsafeBytes { try readSnapshotHeader($0) }
    #expect(header == whole.header)
  }

  @Test func everyCutAndEveryFlippedBitIsFound() throws {
    var world = World()
    world.feed(0..<3)
    try world.run(SnapshotTests.topology(SnapshotTests.tallyAlone))
    var bytes = try world.snapshot
    print("a snapshot of \(bytes.count) bytes")
    for length in 0..<bytes.count {
      if case .success = SnapshotTests.parse(Array(bytes.prefix(length))) {
        Issue.record("\(length) of \(bytes.count) bytes pass for a snapshot")
      }
    }
    for place in bytes.indices {
      let bit = UInt8(1) << UInt8(place % 8)
      bytes[place] ^= bit
      if case .success = SnapshotTests.parse(bytes) {
        Issue.record("bit \(place % 8) of byte \(place) may be flipped")
      }
      bytes[place] ^= bit
    }
    for extra in [[0], [UInt8](repeating: 7, count: 12), bytes] {
      if case .success = SnapshotTests.parse(bytes + extra) {
        Issue.record("\(extra.count) bytes after the end pass")
      }
    }
  }

  @Test func missingPagesAreFound() throws {
    // A whole frame of pages left out, with an end that agrees, is not a snapshot.
    var world = World()
    world.feed(0..<3)
    try world.run(SnapshotTests.topology(SnapshotTests.tallyAlone))
    let header = try #require(try SnapshotTests.parse(world.snapshot).get().header)
    var first = SnapshotFormat.emptyFrame
    SnapshotFormat.encode(header, to: &first)
    SnapshotFormat.seal(&first, kind: .header)
    var end = SnapshotFormat.emptyFrame
    Varint.append(0, to: &end)
    Varint.append(0, to: &end)
    SnapshotFormat.seal(&end, kind: .end)
    guard case .failure(let damage) = SnapshotTests.parse(SnapshotFormat.magic + first + end)
    else {
      Issue.record("a snapshot without its pages passes")
      return
    }
    #expect(damage.description.contains("its header speaks of"))
  }

  @Test func noiseIsNoSnapshot() {
    var choice = SeededChoice(seed: 5)
    for _ in 0..<300 {
      let noise = (0..<choice.below(80)).map { _ in UInt8(choice.below(256)) }
      if case .success = SnapshotTests.parse(SnapshotFormat.magic + noise) {
        Issue.record("noise passes for a snapshot: \(noise)")
      }
    }
  }

  @Test func aTableThatComesTwiceIsRefused() throws {
    // The second would take the memory that the first one's pages are for.
    var world = World()
    world.feed(0..<3)
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    try world.run(topology)
    var header = try #require(try SnapshotTests.parse(world.snapshot).get().header)
    let core = try world.runner(topology).core
    for isStrict in [true, false] {
      var restoring = StateStore.Restoring(core.store, strict: isStrict)
      try restoring.prepare(header)
    }
    header.regions[1] = header.regions[0]
    header.regions[1].rows = 0
    for isStrict in [true, false] {
      var restoring = StateStore.Restoring(core.store, strict: isStrict)
      #expect(throws: SnapshotDamage.self) { try restoring.prepare(header) }
    }
  }

  @Test func headersOfAbsurdSizeAreRefusedOrHarmless() throws {
    var world = World()
    world.feed(0..<3)
    try world.run(SnapshotTests.topology(SnapshotTests.tallyAlone))
    var header = try #require(try SnapshotTests.parse(world.snapshot).get().header)
    for rows in [Int.max, 1 << 40, (1 << 40) / 24, -1] {
      header.regions[0].rows = rows
      var frame = SnapshotFormat.emptyFrame
      SnapshotFormat.encode(header, to: &frame)
      let decoded = SnapshotFormat.decodeHeader(
        Array(frame.dropFirst(SnapshotFormat.frameHeaderBytes)))
      #expect(decoded.map { $0.stateBytes > 0 && $0.pageCount > 0 } ?? true)
    }
  }

  @Test func aPartitionGoesOnFromItsSnapshot() throws {
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    var whole = World()
    whole.feed(0..<500)
    let expected = try whole.run(topology)
    var world = World()
    world.feed(0..<200)
    try world.run(topology)
    world.feed(200..<350)
    try world.run(topology, snapshot: false)
    world.feed(350..<500)
    let last = try world.run(topology)
    #expect("\(last.digest)" == "\(expected.digest)")
    #expect(last.core.recordsTaken == 500)
    #expect(world.broker.outputTexts == whole.broker.outputTexts)
  }

  @Test func whatAChangedTopologyKeeps() throws {
    // Before: x, y, z. After: z, new, x in another order; y is gone.
    let before = try SnapshotTests.topology([
      "x: { operator: tally, from: events, every: 10s }",
      "y: { operator: tally, from: events, every: 1h }",
      "z: { operator: tally, from: events, every: 5s }",
    ])
    let after = try SnapshotTests.topology([
      "z: { operator: tally, from: events, every: 5s }",
      "fresh: { operator: tally, from: events, every: 1h }",
      "x: { operator: tally, from: events, every: 10s }",
    ])
    var world = World()
    world.feed(0..<30)
    try world.run(before)
    world.feed(30..<60)
    let last = try world.run(after)
    #expect(last.core.recordsTaken == 60)
    // x and z have all sixty, and published on their old timers.
    let (last0, last2) = (try totals(world, sink: 0), try totals(world, sink: 2))
    #expect(last0 > 30 && last2 > 30, "\(last0), \(last2)")
    let fresh = try SnapshotTests.parse(world.snapshot).get().header
    #expect(fresh?.operators.map(\.name) == ["z", "fresh", "x"])
    #expect(fresh?.epoch.number == 2)
    #expect(last.core.store.entries.contains { $0.section == "fresh" })
  }

  /// The sum of the newest impression counts that a sink has.
  private func totals(_ world: World, sink: Int32) throws -> Int {
    var newest: [[UInt8]: Int] = [:]
    for output in world.broker.outputs where output.sink == sink {
      let text = String(decoding: output.value, as: UTF8.self)
      let digits = text.split(separator: #""impressions":"#).last?.prefix { $0.isNumber }
      newest[output.key] = try #require(Int(digits ?? "") as Int?)
    }
    return newest.values.reduce(0, +)
  }

  @Test func aWindowOfAnotherLengthDoesNotTakeTheOldOnesTimers() throws {
    let before = try SnapshotTests.topology([
      "u: { operator: deduplicate, from: events, within: { default: 10s, click: 20s, order: 30s } }",
      "t: { operator: tally, from: u }",
    ])
    let after = try SnapshotTests.topology([
      "u: { operator: deduplicate, from: events, within: { default: 40s, order: 40s } }",
      "t: { operator: tally, from: u }",
    ])
    var world = World()
    world.feed(0..<100)
    for n in 0..<20 {
      world.broker.append(
        Array(
          (#"{"type":"click","id":"k\#(n)","time":\#(130_000 + n),"account":"a","campaign":"c","#
            + #""ad":"d"}"#).utf8))
      world.broker.append(
        Array(
          (#"{"type":"conversion","id":"v\#(n)","time":\#(130_000 + n),"account":"a","#
            + #""order":"o\#(n)"}"#).utf8))
    }
    try world.run(before)
    world.feed(100..<1_000)
    let last = try world.run(after)
    #expect(last.core.recordsTaken == 1_040)
    // Its own windows rotate: what is held is about two windows' worth, 40 + 5 + 1 s each.
    let held = try #require(last.core.store.byteCounts.first { $0.section == "u" }).bytes
    #expect(held < 40_000, "\(held) bytes")
  }

  @Test func anotherKindUnderTheSameNameGetsNoTimers() throws {
    let before = try SnapshotTests.topology([
      "u: { operator: deduplicate, from: events, within: 10s }",
      "t: { operator: tally, from: u }",
    ])
    let after = try SnapshotTests.topology([
      "t: { operator: deduplicate, from: events, within: 10s }",
      "u: { operator: tally, from: t }",
    ])
    var world = World()
    world.feed(0..<50)
    try world.run(before)
    world.feed(50..<100)
    #expect(try world.run(after).core.recordsTaken == 100)
  }

  @Test func aChangedTickIsRefused() throws {
    for keepsSnapshot in [true, false] {
      var world = World()
      world.feed(0..<50)
      try world.run(SnapshotTests.topology(SnapshotTests.tallyAlone), snapshot: keepsSnapshot)
      do throws(LogError) {
        try SnapshotTests.restart(
          &world, SnapshotTests.topology(SnapshotTests.tallyAlone, time: "{ tick: 100ms }"))
        Issue.record("another tick passes; a snapshot: \(keepsSnapshot)")
      } catch {
        #expect(error.kind == .configuration && error.message.contains("time.tick"))
      }
    }
  }

  /// `run` with only the errors that a log gives.
  static func restart(_ world: inout World, _ topology: @autoclosure () throws -> CheckedTopology)
    throws(LogError)
  {
    do { try world.run(try topology()) } catch let error as LogError { throw error } catch {
      throw LogError(.ours, "\(error)")
    }
  }

  @Test func anotherPartitionsSnapshotIsRefused() throws {
    var world = World()
    world.feed(0..<50)
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    try world.run(topology)
    let other = try world.runner(topology, partition: 1)
    do throws(LogError) {
      try other.start(now: 0)
      Issue.record("the snapshot of another partition passes")
    } catch { #expect(error.kind == .configuration) }
  }

  @Test func aDamagedSnapshotThatIsWrittenAgainStays() throws {
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    var world = World()
    for n in 0..<2 {
      world.feed((n * 50)..<(n * 50 + 50))
      try world.run(topology)
    }
    let numbers = world.broker.snapshotNumbers
    world.broker.tearNewestSnapshot { $0 / 2 }
    // Nothing new has come: the clean stop shows the same commit.
    try world.run(topology)
    #expect(world.broker.snapshotNumbers == numbers)
    guard case .success = SnapshotTests.parse(try world.snapshot) else {
      Issue.record("the snapshot is still damaged")
      return
    }
  }

  @Test func aDamagedSnapshotMakesNoRoomForAGoodOne() throws {
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    var world = World()
    for n in 0..<2 {
      world.feed((n * 50)..<(n * 50 + 50))
      try world.run(topology)
    }
    let good = try #require(world.broker.snapshotNumbers.last)
    world.broker.tearNewestSnapshot { $0 / 2 }
    world.feed(100..<150)
    #expect(try world.run(topology).core.recordsTaken == 150)
    // The newest two that can be read: the new one and the one before the damaged one.
    #expect(world.broker.snapshotNumbers.count == 2)
    #expect(world.broker.snapshotNumbers.last == good)
    world.broker.tearNewestSnapshot { $0 / 2 }
    world.feed(150..<160)
    #expect(try world.run(topology).core.recordsTaken == 160)
  }
}
