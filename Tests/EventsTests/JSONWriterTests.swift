import Events
import Testing

@Suite struct JSONWriterTests {
  private func written(_ write: (inout JSONWriter) -> Void) -> String {
    var json = JSONWriter(capacity: 1)
    write(&json)
    return json.string
  }

  private func identifier(_ text: StaticString) -> Identifier {
    Identifier(
      hash: Hash.text(text), start: text.utf8Start, length: UInt32(text.utf8CodeUnitCount))
  }

  @Test(
    arguments: [
      (0, "0"), (1, "0.000001"), (-3_000_000, "-3"), (12_500_000, "12.5"), (-1, "-0.000001"),
      (1_000_010, "1.00001"), (100_000_000_000, "100000"), (.max, "9223372036854.775807"),
      (.min, "-9223372036854.775808"), (999_999, "0.999999"), (10_000_000, "10"),
    ] as [(Int64, String)])
  func moneyIsExact(_ micros: Int64, _ text: String) {
    #expect(written { $0.money(Money(micros: micros)) } == text)
  }

  @Test func integersAreTheirDigits() {
    let seed: UInt64 = 51
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var values: [Int64] = [0, 9, 10, 99, 100, 999, 1_000, .max, .min, -1, -10]
    for _ in 0..<2_000 {
      values.append(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random))
    }
    for value in values { #expect(written { $0.integer(value) } == String(value)) }
  }

  @Test func doublesReadBackTheSame() {
    let seed: UInt64 = 52
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var values = [
      0.0, -0.0, 1, 0.1, 1e16, 1e-5, Double.leastNonzeroMagnitude, Double.greatestFiniteMagnitude,
    ]
    while values.count < 2_000 {
      let value = Double(bitPattern: random.next())
      if value.isFinite { values.append(value) }
    }
    for value in values {
      let text = written { $0.double(value) }
      #expect(Double(text)?.bitPattern == value.bitPattern)
      #expect(ReferenceParser.isNumber(Array(text.utf8)), "\(text) is JSON")
    }
  }

  @Test func textReadsBackTheSame() throws {
    let seed: UInt64 = 53
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    for round in 0..<2_000 {
      var text = ""
      for _ in 0..<(round % 40) {
        text.unicodeScalars.append(Unicode.Scalar(UInt8(random.next() % 128)))
        if random.next() % 8 == 0 { text += "é日😀" }
      }
      let json = "{\"x\":" + written { $0.string(text) } + "}"
      var parser = ReferenceParser(bytes: Array(json.utf8))
      guard case .object(let members) = try parser.record().value else {
        Issue.record("\(json) is an object")
        return
      }
      #expect(members[0].node.value == .string(Array(text.utf8)))
    }
  }

  @Test func escapesOnlyWhatItMust() {
    #expect(
      written { $0.string("a\"b\\c/d\n\r\t\u{8}\u{1f}\u{7f}é" as StaticString) }
        == #""a\"b\\c/d\n\r\t\u0008\u001f"# + "\u{7f}é\"")
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func base64IsRFC4648s(_ text: String, _ encoded: String) {
    let found = Array(text.utf8).withUnsafeBytes { bytes in written { $0.base64(bytes) } }
    #expect(found == "\"\(encoded)\"")
  }

  @Test func base64HasAllItsDigits() {
    let bytes: [UInt8] = [0x00, 0x10, 0x83, 0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF]
    let found = bytes.withUnsafeBytes { bytes in written { $0.base64(bytes) } }
    #expect(found == "\"ABCD++++////\"")
  }

  @Test func placesCommas() {
    let text = written { json in
      json.beginObject()
      json.key("a")
      json.beginArray()
      json.integer(1)
      json.beginObject()
      json.endObject()
      json.null()
      json.beginArray()
      json.endArray()
      json.bool(true)
      json.endArray()
      json.member("b", false)
      json.member("c", text: "x")
      json.member("d", 0.5)
      json.key("e")
      json.raw("[1]")
      json.endObject()
      json.newline()
      json.beginObject()
      json.endObject()
    }
    #expect(text == #"{"a":[1,{},null,[],true],"b":false,"c":"x","d":0.5,"e":[1]}"# + "\n{}")
  }

  /// A source whose prefix lives as long as the test process.
  private func source(_ prefix: [UInt8], _ number: Int64) -> RecordSource {
    let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: prefix.count)
    _ = bytes.initialize(from: prefix)
    return RecordSource(prefix: UnsafeBufferPointer(bytes), number: number)
  }

  @Test func tally() {
    let record = Tally(
      account: identifier("acme"), campaign: identifier("c-1"), ad: identifier("a\"1"),
      time: EventTime(milliseconds: 60_000),
      source: source(RecordSource.topicPrefix("events", partition: 3), 99),
      impressions: 10, clicks: 2, spend: Money(micros: 1_250_000), auctions: 7, wins: 3)
    #expect(
      written { record.write(to: &$0) }
        == #"{"account":"acme","campaign":"c-1","ad":"a\"1","time":60000,"#
        + #""source":{"topic":"events","partition":3,"offset":99},"impressions":10,"clicks":2,"#
        + #""spend":1.25,"auctions":7,"wins":3}"#)
  }

  private func attribution(_ credit: Attribution.Credit, method: StaticString?) -> Attribution {
    Attribution(
      account: identifier("acme"), conversion: identifier("c\"1"),
      time: EventTime(milliseconds: 60_000),
      source: source(RecordSource.topicPrefix("events", partition: 3), 99), revision: 1,
      credit: credit, person: 0x12, method: method, confidenceMillionths: 900_000)
  }

  /// What records of one conversion have in common is copied, and the bytes are those of records
  /// written alone.
  @Test(arguments: ["device", nil] as [StaticString?])
  func attributions(method: StaticString?) {
    func touch(_ id: StaticString, _ time: Int64) -> Attribution.Touch {
      Attribution.Touch(
        id: identifier(id), type: .click, time: EventTime(milliseconds: time),
        campaign: identifier("a name of more than eight bytes"), ad: identifier("a\"1"))
    }
    let credits = [
      Attribution.Credit(
        model: "linear", touch: touch("t\\1", 59_000), creditMillionths: 250_000,
        value: Money(micros: 1)),
      Attribution.Credit(
        model: "time_decay", touch: touch("0123456789", 1), creditMillionths: 750_000,
        value: Money(micros: -2_500_000)),
      Attribution.Credit(model: "linear", touch: nil, creditMillionths: 0, value: .zero),
    ]
    let alone = credits.map { credit in
      written { attribution(credit, method: method).write(to: &$0) }
    }
    #expect(
      alone[0] == #"{"account":"acme","conversion":"c\"1","time":60000,"#
        + #""source":{"topic":"events","partition":3,"offset":99},"revision":1,"kind":"assert","#
        + #""model":"linear","touch":{"id":"t\\1","type":"click","time":59000},"#
        + #""campaign":"a name of more than eight bytes","ad":"a\"1","credit":0.25,"#
        + #""value":0.000001,"person":"0000000000000012","#
        + (method == nil ? "" : #""method":"device","#) + #""confidence":0.9}"#)
    for (i, first) in credits.enumerated() {
      let together = written { json in
        json.unframed("key" as String)
        let shared = attribution(first, method: method).write(to: &json)
        for credit in credits {
          json.newline()
          credit.write(to: &json, sharing: shared)
        }
      }
      #expect(together == "key" + ([alone[i]] + alone).joined(separator: "\n"))
    }
  }

  private func deadLetter(_ payload: [UInt8], account: Identifier = .absent, max: Int = .max)
    -> String
  {
    payload.withUnsafeBytes { bytes in
      let record = DeadLetter(
        account: account, time: EventTime(milliseconds: 5),
        source: source(RecordSource.filePrefix("in.jsonl"), 7),
        rejection: Rejection(
          reason: .invalidField, field: "price", detail: "expected \"x\"", byteOffset: 3),
        payload: bytes)
      return written { record.write(to: &$0, payloadBytesMax: max) }
    }
  }

  @Test func deadLetterHoldsTheWholeRecord() {
    #expect(
      deadLetter(Array(#"{"price":"é"}"#.utf8), account: identifier("acme"))
        == #"{"account":"acme","time":5,"source":{"file":"in.jsonl","partition":0,"line":7},"#
        + #""reason":"invalid_field","field":"price","detail":"expected \"x\"","#
        + #""payload":"{\"price\":\"é\"}","encoding":"utf8","truncated":false}"#)
  }

  @Test func deadLetterOfBytesThatAreNoText() {
    #expect(
      deadLetter([0xFF, 0x00]).hasSuffix(
        #""payload":"/wA=","encoding":"base64","truncated":false}"#))
    #expect(deadLetter([]).hasSuffix(#""payload":"","encoding":"utf8","truncated":false}"#))
  }

  @Test func deadLetterIsCutBetweenCharacters() {
    let text = Array("abé😀z".utf8)
    #expect(
      deadLetter(text, max: 2).contains(#""payload":"ab","encoding":"utf8","truncated":true"#))
    #expect(
      deadLetter(text, max: 3).contains(#""payload":"ab","encoding":"utf8","truncated":true"#))
    #expect(deadLetter(text, max: 4).contains(#""payload":"abé","encoding":"utf8""#))
    #expect(deadLetter(text, max: 7).contains(#""payload":"abé","encoding":"utf8""#))
    #expect(deadLetter(text, max: 8).contains(#""payload":"abé😀","encoding":"utf8""#))
    #expect(
      deadLetter(text, max: 9).contains(#""payload":"abé😀z","encoding":"utf8","truncated":false"#))
    #expect(deadLetter([0x61, 0xC3], max: 2).contains(#""payload":"YcM=","encoding":"base64""#))
  }

  @Test func clockAsSource() {
    #expect(
      written { $0.source(source(RecordSource.clockPrefix(), 8)) } == #"{"clock":8}"#)
  }
}

extension JSONWriterTests {
  @Test func decimalsAreRoundedAndShort() {
    func written(_ value: Double, _ places: Int) -> String {
      var json = JSONWriter()
      json.decimal(value, places: places)
      return json.string
    }
    #expect(written(0.001234567891, 9) == "0.001234568")
    #expect(written(12.5, 6) == "12.5")
    #expect(written(-0.25, 2) == "-0.25")
    #expect(written(-0.0001, 2) == "0")
    #expect(written(0.005, 2) == "0.01")
    #expect(written(7, 0) == "7")
    #expect(written(0.1 + 0.2, 9) == "0.3")
    #expect(written(1e300, 6) == "1e+300")
    #expect(written(-1_234_567.890625, 6) == "-1234567.890625")
  }
}
