import TestKit
import Testing

@testable import Streaming

/// What is written to a journal is read from it; what was damaged on the way never crashes.
@Suite struct JournalTests {
  struct Written {
    var bytes: [UInt8]
    var tick: Int64
    var offsets: [Int64]
    var entries: [JournalEntry]
  }

  /// A transaction's journal of random entries.
  static func random(_ choice: inout SeededChoice) -> Written {
    var writer = JournalWriter()
    var tick = choice.magnitude(bits: 40) - 1
    var offsets = (0..<choice.below(5)).map { _ in choice.magnitude(bits: 50) }
    var written = Written(bytes: [], tick: tick, offsets: offsets, entries: [])
    writer.begin(tick: tick, nextOffsets: offsets)
    for _ in 0..<choice.below(30) {
      switch choice.below(offsets.isEmpty ? 2 : 6) {
      case 0:
        tick += 1 + choice.magnitude(bits: 30)
        writer.clock(tick: tick)
        written.entries.append(.clock(tick: tick))
      case 1:
        let text = String(repeating: "ü\n", count: choice.below(40))
        let epoch = Epoch(
          number: choice.magnitude(bits: 20), topologyHash: UInt64.max - UInt64(choice.below(99)),
          snapshot: choice.magnitude(bits: 60), tickMilliseconds: choice.magnitude(bits: 22),
          topology: text)
        writer.epoch(epoch)
        written.entries.append(.epoch(epoch))
      default:
        let input = choice.below(offsets.count)
        // Record by record, as the sequencer does; neighbours of one input are one run.
        for _ in 0..<(1 + choice.below(4)) {
          offsets[input] += 1 + choice.magnitude(bits: 10)
          writer.took(input: input, nextOffset: offsets[input])
        }
        let run = JournalEntry.run(input: input, nextOffset: offsets[input])
        if case .run(input, _) = written.entries.last {
          written.entries[written.entries.count - 1] = run
        } else {
          written.entries.append(run)
        }
      }
    }
    writer.finish()
    written.bytes = writer.bytes
    return written
  }

  /// All entries, or nil where the reader reports damage.
  static func read(_ bytes: [UInt8]) -> (tick: Int64, offsets: [Int64], [JournalEntry])? {
    bytes.withUnsafeBytes { raw in
      do throws(JournalReader.Damage) {
        var reader = try JournalReader(raw)
        let (tick, offsets) = (reader.startTick, reader.offsets)
        var entries: [JournalEntry] = []
        while let entry = try reader.next() { entries.append(entry) }
        return (tick, offsets, entries)
      } catch {
        #expect(!error.description.isEmpty)
        return nil
      }
    }
  }

  @Test func whatIsWrittenIsRead() {
    for seed in 1...500 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let written = JournalTests.random(&choice)
      guard let read = JournalTests.read(written.bytes), read.tick == written.tick,
        read.offsets == written.offsets, read.2 == written.entries
      else {
        Issue.record("seed \(seed): another journal was read")
        return
      }
    }
  }

  @Test func everyDamageIsAnErrorOrEntries() {
    var refused = 0
    for seed in 1...25 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let written = JournalTests.random(&choice)
      for length in 0..<written.bytes.count {
        if JournalTests.read(Array(written.bytes.prefix(length))) == nil { refused += 1 }
      }
      var bytes = written.bytes
      for place in bytes.indices {
        for bit in 0..<8 {
          bytes[place] ^= 1 << bit
          if JournalTests.read(bytes) == nil { refused += 1 }
          bytes[place] ^= 1 << bit
        }
      }
    }
    #expect(refused > 1_000)
  }

  @Test func noiseIsNoJournal() {
    var choice = SeededChoice(seed: 77)
    for _ in 0..<5_000 {
      let noise = (0..<choice.below(60)).map { _ in UInt8(choice.below(256)) }
      _ = JournalTests.read([JournalWriter.version] + noise)
      _ = JournalTests.read(noise)
    }
    #expect(JournalTests.read([]) == nil)
    #expect(JournalTests.read([9]) == nil)
  }

  @Test func integersOfEveryLengthComeBack() {
    let numbers: [Int64] = (0..<63).flatMap { [1 << $0, -(1 << $0), (1 << $0) - 1] }
    for number in numbers + [.min, .max, 0, -1] {
      var bytes: [UInt8] = []
      Varint.append(signed: number, to: &bytes)
      Varint.append(UInt64(bitPattern: number), to: &bytes)
      var position = 0
      #expect(Varint.readSigned(bytes, &position) == number)
      #expect(Varint.read(bytes, &position) == UInt64(bitPattern: number))
      #expect(position == bytes.count)
    }
    var position = 0
    #expect(Varint.read([UInt8](repeating: 0x80, count: 9) + [0x02], &position) == nil)
    position = 0
    #expect(Varint.read([UInt8](repeating: 0xFF, count: 11), &position) == nil)
  }
}
