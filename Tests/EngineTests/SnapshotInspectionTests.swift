import Events
import Operators
import Streaming
import TestKit
import Testing

/// A snapshot is looked into without being restored, and what is not whole is refused.
@Suite struct SnapshotInspectionTests {
  /// The newest snapshot of a short life, by its number.
  private func snapshot() throws -> (number: Int64, bytes: [UInt8]) {
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    for record in History.records(400, seed: 12) { broker.append(record) }
    let runner = try PartitionRunner(
      topology: try Tallying.topology(), registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: ImmediateQueue(), options: RunnerOptions(mode: .live, commitEvery: 1))
    try runner.start(now: 0)
    var now: Int64 = 0
    while runner.core.recordsTaken < 400 {
      now += 5
      _ = try runner.step(now: now)
    }
    while try !runner.drain(now: now, snapshot: true) { now += 5 }
    let number = try #require(broker.snapshotNumbers.first)
    var bytes: [UInt8] = []
    try SimulatedSnapshots(broker).read(number) { bytes += Array($0) }
    return (number, bytes)
  }

  private func inspect(_ bytes: [UInt8]) -> Result<SnapshotInspection.Summary, SnapshotDamage> {
    bytes.withUnsafeBytes { raw in
      do throws(SnapshotDamage) { return .success(try SnapshotInspection.inspect(raw)) } catch {
        return .failure(error)
      }
    }
  }

  @Test func aWholeSnapshotSaysWhatItHolds() throws {
    let (number, bytes) = try snapshot()
    let summary = try inspect(bytes).get()
    #expect(summary.header.number == number)
    #expect(summary.header.topology == "tally")
    #expect(summary.header.operators.map(\.name) == ["unique", "totals"])
    #expect(summary.header.inputs.map(\.nextOffset) == [400])
    #expect(summary.stateBytes == summary.header.stateBytes && summary.stateBytes > 1_000)
    #expect(summary.pages >= summary.header.regions.count { $0.rows > 0 })
    #expect(summary.snapshotBytes == bytes.count)
  }

  @Test func everyCutIsNoticed() throws {
    let (_, bytes) = try snapshot()
    for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 300)) {
      #expect(throws: SnapshotDamage.self) { try inspect(Array(bytes[..<count])).get() }
    }
  }

  @Test func everyChangedByteIsNoticed() throws {
    let seed: UInt64 = 41
    print("seed \(seed)")
    var choice = SeededChoice(seed: seed)
    let (_, bytes) = try snapshot()
    for _ in 0..<300 {
      var changed = bytes
      changed[choice.below(bytes.count)] ^= UInt8(choice.inside(1...255))
      #expect(throws: SnapshotDamage.self) { try inspect(changed).get() }
    }
  }

  /// Frames as they stand in a file: kind, length, checksum, payload.
  private func frames(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var frames: [ArraySlice<UInt8>] = []
    var rest = bytes[8...]
    while !rest.isEmpty {
      let at = rest.startIndex
      let length = (0..<4).reduce(0) { $0 | Int(rest[at + 1 + $1]) << (8 * $1) }
      frames.append(rest.prefix(13 + length))
      rest = rest.dropFirst(13 + length)
    }
    return frames
  }

  @Test func aFrameOfPagesThatIsMissingOrComesTwiceIsNoticed() throws {
    let (_, bytes) = try snapshot()
    let parts = frames(bytes)
    #expect(parts.count >= 3 && parts[1].first == 2)
    let without = Array(bytes[..<8]) + parts[0] + parts.dropFirst(2).joined()
    #expect(throws: SnapshotDamage.self) { try inspect(without).get() }
    let twice = Array(bytes[..<8]) + parts[0] + parts[1] + parts.dropFirst().joined()
    let failure = #expect(throws: SnapshotDamage.self) { try inspect(twice).get() }
    #expect(failure?.description.contains("comes twice") == true)
  }

  /// Every checksum holds and the counts at the end agree, but the pages are not there.
  @Test func pagesThatTheHeaderSpeaksOfMustBeThere() throws {
    let (_, bytes) = try snapshot()
    var end: [UInt8] = [0, 0]
    let payload = end
    let sum = payload.withUnsafeBufferPointer {
      Hash.combine(Hash.text($0), 3 << 32 | UInt64(payload.count))
    }
    end = [3, 2, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) } + payload
    let empty = Array(bytes[..<8]) + frames(bytes)[0] + end
    let failure = #expect(throws: SnapshotDamage.self) { try inspect(empty).get() }
    #expect(failure?.description.contains("its header speaks of") == true)
  }

  @Test func aHeaderOfMoreThanThereIsDoesNotOverflow() throws {
    let (_, bytes) = try snapshot()
    var header = try inspect(bytes).get().header
    var region = header.regions[0]
    region.stride = 16_384
    region.rows = 1 << 40
    header.regions = Array(repeating: region, count: 2_000)
    #expect(header.stateBytes == Int.max)
  }
}
