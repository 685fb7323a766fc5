import Events
import Testing

/// Nothing outside of a record is read, wherever it ends.
@Suite struct MemorySafetyTests {
  @Test func prefixesAndMutantsOfSamples() {
    let seed: UInt64 = 31
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    let memory = GuardedMemory(pages: 2)
    var decoder = EventDecoder()
    let batch = EventBatch()
    for sample in Samples.all {
      let bytes = Array(sample.utf8)
      for count in 0...bytes.count {
        for record in [Array(bytes[..<count]), generator.mutated(Array(bytes[..<count]))] {
          let expected = ReferenceDecoder.decode(record)
          #expect(Decoding.outcome(memory.atEnd(record), &decoder, batch) == expected)
          #expect(Decoding.outcome(memory.atStart(record), &decoder, batch) == expected)
        }
      }
    }
  }

  @Test func randomRecords() {
    let seed: UInt64 = 32
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    let memory = GuardedMemory(pages: 16)
    var decoder = EventDecoder()
    let batch = EventBatch(capacity: 3)
    for round in 0..<3_000 {
      let record = round % 2 == 0 ? generator.record() : generator.mutated(generator.record())
      let outcome = Decoding.outcome(memory.atEnd(record), &decoder, batch)
      #expect(outcome == Decoding.outcome(memory.atStart(record), &decoder, batch))
      _ = decoder.routing(of: memory.atEnd(record))
    }
  }

  /// Everything that may interrupt a string, at every place relative to the eight-byte words.
  @Test func interruptionsAtEveryPlaceOfAWord() {
    let memory = GuardedMemory(pages: 1)
    var decoder = EventDecoder()
    let batch = EventBatch()
    let inserts: [[UInt8]] =
      [
        "é", "日", "😀", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\x", "\"", "\\", "\u{1f}",
        "\u{7f}", "\u{0}",
      ].map { Array($0.utf8) } + [
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x9F, 0x80],
        [0xE0, 0xA0], [0xED, 0xA0, 0x80], [0xED, 0x9F, 0xBF], [0xEF, 0xBF, 0xBF],
        [0xF0, 0x8F, 0x80, 0x80], [0xF0, 0x90, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF],
      ]
    for insert in inserts {
      for before in 0...24 {
        for after in [0, 1, 7, 8, 9] {
          let text =
            [UInt8](repeating: 0x61, count: before) + insert
            + [UInt8](repeating: 0x62, count: after)
          for (front, back) in [
            (#"{"type":"click","time":1,"account":"a","ad":"d","campaign":"c","id":""#, "\"}"),
            (
              #"{"type":"click","time":1,"id":"i","account":"a","ad":"d","campaign":"c","x":""#,
              "\"}"
            ),
            (
              #"{"type":"click","id":"i","time":1,"account":"a","ad":"d","campaign":"c","#
                + #""features":{"n":""#,
              "\"}}"
            ),
            (
              #"{"type":"click","id":"i","time":1,"account":"a","ad":"d","campaign":"c","#
                + #""features":{""#,
              "\":1}}"
            ),
            (#"{"type":"heartbeat","time":1,""#, "\":1}"),
          ] {
            let record = Array(front.utf8) + text + Array(back.utf8)
            let outcome = Decoding.outcome(memory.atEnd(record), &decoder, batch)
            if outcome != ReferenceDecoder.decode(record) {
              Issue.record("\(record): \(outcome), not \(ReferenceDecoder.decode(record))")
            }
          }
        }
      }
    }
  }

  /// Every byte, at every place of a word, behind every other kind of byte.
  @Test func everyByteAtEveryPlace() {
    var decoder = EventDecoder()
    let batch = EventBatch()
    for byte in UInt8.min...UInt8.max {
      for before in [0x20, 0x21, 0x61, 0x7F] as [UInt8] {
        for place in 0..<9 {
          let text = [UInt8](repeating: before, count: place) + [byte, 0x7A]
          let front = Array(#"{"type":"heartbeat","time":1,"id":""#.utf8)
          let record = front + text + Array("\"}".utf8)
          let outcome = Decoding.outcome(record, &decoder, batch)
          if outcome != ReferenceDecoder.decode(record) {
            Issue.record("\(record): \(outcome), not \(ReferenceDecoder.decode(record))")
          }
        }
      }
    }
  }

  /// All sequences of two bytes and the interesting ones of three and four.
  @Test func utf8IsTheStandards() {
    var decoder = EventDecoder()
    let batch = EventBatch()
    func check(_ insert: [UInt8]) {
      let record =
        Array(#"{"type":"heartbeat","time":1,"id":"x"#.utf8) + insert + Array("y\"}".utf8)
      let outcome = Decoding.outcome(record, &decoder, batch)
      if String(validating: insert, as: UTF8.self) != nil {
        if case .accepted(let facts, _) = outcome {
          #expect(facts["id"] == "x" + String(decoding: insert, as: UTF8.self) + "y")
        } else {
          Issue.record("\(insert) is UTF-8: \(outcome)")
        }
      } else if outcome != .rejected(.invalidUTF8, field: nil, offset: nil) {
        Issue.record("\(insert) is not UTF-8: \(outcome)")
      }
    }
    for first in 0x80...0xFF as ClosedRange<UInt8> {
      check([first])
      for second in [0x41, 0x7F] + Array(0x80...0xC1 as ClosedRange<UInt8>) + [0xFF] {
        check([first, second])
        for third in [0x41, 0x7F, 0x80, 0xBF, 0xC0] as [UInt8] {
          check([first, second, third])
          if first >= 0xEF { check([first, second, third, 0x80]) }
          if first >= 0xEF { check([first, second, third, 0xC0]) }
        }
      }
    }
  }

  /// Texts with escapes stand in the batch's arena and stay there.
  @Test func identifiersStayWhereTheyAre() {
    let memory = GuardedMemory(pages: 4)
    var decoder = EventDecoder()
    let batch = EventBatch(capacity: 400)
    let record = Array(
      (#"{"type":"heartbeat","time":1,"id":"\u0041"# + String(repeating: "b", count: 100)
        + #"","account":"\n"}"#).utf8)
    let bytes = memory.atEnd(record)
    for _ in 0..<400 { #expect(decoder.decode(bytes, into: batch) == nil) }
    #expect(batch.isFull)
    var starts: Set<UnsafePointer<UInt8>?> = []
    for index in 0..<batch.count {
      #expect(batch[index].pointee.id.string == "A" + String(repeating: "b", count: 100))
      #expect(batch[index].pointee.account.string == "\n")
      starts.insert(batch[index].pointee.id.start)
    }
    #expect(starts.count == 400)
    batch.removeAll()
    #expect(batch.isEmpty)
    #expect(decoder.decode(bytes, into: batch) == nil)
  }
}
