import Events
import Testing

/// Records as they come, one of each type.
enum Samples {
  static let impression = """
    {"type":"impression","id":"imp-000000123456","time":1767225600123,"account":"acme-7",\
    "campaign":"c-12","ad":"ad-345","price":0.002315,"user":"u-98765432",\
    "device":"d-1234567890ab","click_id":"k-000000123456","placement":"news/home/top",\
    "bid":0.0031,"viewable":true,"features":{"hour":13,"country":"DE","os":"ios",\
    "size":"300x250","score":0.7312,"app":"com.example.news"}}
    """
  static let click = """
    {"type":"click","id":"clk-1","time":1767225600123,"account":"acme-7","campaign":"c-12",\
    "ad":"ad-345","impression":"imp-000000123456","click_id":"k-1","price":0.25}
    """
  static let conversion = """
    {"type":"conversion","id":"cnv-1","time":"2026-01-01T00:00:00.5Z","account":"acme-7",\
    "order":"o-1","value":"12.50","user":"u-1","signals":{"ip":"10.0.0.1","language":"de"}}
    """
  static let campaign = """
    {"type":"campaign","id":"cmp-1","time":1767225600123,"account":"acme-7","campaign":"c-12",\
    "status":"active","budget":{"daily":100,"total":1e4},"schedule":{"start":1,"end":2},\
    "timezone":"Europe/Berlin","goal":{"kind":"cpa","target":12.5},"bid":{"default":0.1,\
    "max":1,"ceiling":0.8},"mode":"direct","auction":"first_price"}
    """
  static let all = [
    impression, click, conversion, campaign,
    #"{"type":"deal_stage","id":"d","time":1,"account":"a","deal":"d-1","stage":"won","amount":9}"#,
    #"{"type":"control","id":"c","time":1,"account":"a","action":"set_max_bid","value":0.5}"#,
    """
    {"type":"auction","id":"u","time":1,"account":"a","campaign":"c","ad":"d","bid":1,\
    "won":true}
    """,
    """
    {"type":"lease","id":"l","time":1,"account":"a","campaign":"c","shard":"s",\
    "action":"return"}
    """,
    """
    {"type":"actuals","id":"x","time":9,"account":"a","campaign":"c","from":1,"to":2,\
    "clicks":3}
    """,
    """
    {"type":"adjustment","id":"j","time":1,"account":"a","target":"i","target_type":"click",\
    "kind":"refund"}
    """,
    #"{"type":"erasure","id":"e","time":1,"account":"a","device":"d-1"}"#,
    #"{"type":"prior","id":"p","time":1,"kind":"ctr","payload":{"a":[1, 2]}}"#,
    #"{"type":"heartbeat","time":1767225600123}"#,
    #"{"time":1,"type":"heartbeat","x":{"a":[{}]}}"#,
    #"{"type":"click","id":"i","time":1,"account":"a","campaign":"c","ad":"d","features":{}}"#,
  ]
}

@Suite struct EventDecoderTests {
  @Test func decodesAnImpression() throws {
    var decoder = EventDecoder()
    let batch = EventBatch()
    var text = Samples.impression
    text.withUTF8 { bytes in
      #expect(decoder.decode(UnsafeRawBufferPointer(bytes), into: batch) == nil)
      let event = batch[0].pointee
      #expect(event.type == .impression)
      #expect(event.time == EventTime(milliseconds: 1_767_225_600_123))
      #expect(event.campaign.string == "c-12")
      #expect(event.price == Money(micros: 2_315))
      #expect(event.flags == [.viewable, .consent, .hasPrice, .hasBid, .hasFeatures])
      #expect(batch.features(of: event).count == 6)
      #expect(batch.details(of: event) == nil)
      let record = UnsafeRawBufferPointer(bytes)
      let start = event.id.start.map { UnsafeRawPointer($0) }
      #expect(start == record.baseAddress.map { $0 + 27 }, "text is pointed to, not copied")
    }
  }

  @Test(arguments: Samples.all)
  func agreesWithTheReferenceOnSamples(_ sample: String) {
    var decoder = EventDecoder()
    let batch = EventBatch()
    let outcome = Decoding.outcome(Array(sample.utf8), &decoder, batch)
    #expect(outcome == ReferenceDecoder.decode(Array(sample.utf8)))
    guard case .accepted = outcome else {
      Issue.record("\(sample) should be accepted: \(outcome)")
      return
    }
  }

  @Test(arguments: Samples.all)
  func agreesOnEveryPrefix(_ sample: String) {
    var decoder = EventDecoder()
    let batch = EventBatch()
    let bytes = Array(sample.utf8)
    for count in 0..<bytes.count {
      let prefix = Array(bytes[..<count])
      #expect(Decoding.outcome(prefix, &decoder, batch) == ReferenceDecoder.decode(prefix))
    }
  }

  @Test(arguments: Samples.all)
  func agreesOnEveryChangedByte(_ sample: String) {
    var decoder = EventDecoder()
    let batch = EventBatch()
    let replacements =
      Array("{}[]\",:\\ \n05.e-tn\u{0}\u{1f}".utf8) + [0x80, 0xC3, 0xE9, 0xF5, 0xFF]
    var bytes = Array(sample.utf8)
    for place in bytes.indices {
      let original = bytes[place]
      for replacement in replacements + [original ^ 0x20, original &+ 1] {
        bytes[place] = replacement
        let outcome = Decoding.outcome(bytes, &decoder, batch)
        let expected = ReferenceDecoder.decode(bytes)
        if outcome != expected {
          Issue.record("\(String(decoding: bytes, as: UTF8.self)): \(outcome), not \(expected)")
        }
      }
      bytes[place] = original
    }
  }

  @Test(arguments: [UInt64(1), 2, 3, 4])
  func agreesWithTheReferenceOnRandomRecords(seed: UInt64) {
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    var decoder = EventDecoder()
    let batch = EventBatch()
    var accepted = 0
    var reasons: Set<RejectionReason> = []
    for round in 0..<6_000 {
      generator.oddPerMille = round % 3 == 0 ? 0 : 30
      var record = generator.record()
      if round % 5 == 4 { record = generator.mutated(record) }
      let outcome = Decoding.outcome(record, &decoder, batch)
      let expected = ReferenceDecoder.decode(record)
      if outcome != expected {
        Issue.record(
          "seed \(seed): \(String(decoding: record, as: UTF8.self)): \(outcome), not \(expected)")
        return
      }
      switch outcome {
      case .accepted: accepted += 1
      case .rejected(let reason, _, _): reasons.insert(reason)
      }
    }
    #expect(accepted > 1_500, "the generator makes enough right records")
    #expect(reasons.count >= 7, "and enough kinds of wrong ones")
  }

  @Test func whatCameBeforeDoesNotMatter() {
    let seed: UInt64 = 11
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    var experienced = EventDecoder()
    let batch = EventBatch(capacity: 8)
    for _ in 0..<2_000 {
      let record = generator.record()
      var fresh = EventDecoder()
      let first = Decoding.outcome(record, &fresh, EventBatch(capacity: 1))
      #expect(Decoding.outcome(record, &experienced, batch) == first)
      #expect(Decoding.outcome(record, &experienced, batch) == first)
    }
  }

  @Test func layoutDoesNotMatter() {
    let seed: UInt64 = 12
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    generator.oddPerMille = 0
    var decoder = EventDecoder()
    let batch = EventBatch()
    for _ in 0..<2_000 {
      let members = generator.members(generator.type())
      let compact = generator.layOut(members, RecordGenerator.Layout())
      let spaced = generator.layOut(
        members, RecordGenerator.Layout(spaced: true, shuffled: true, escaped: true))
      let expected = Decoding.outcome(compact, &decoder, batch)
      // Which of several faults is named depends on the order; acceptance does not.
      guard case .accepted = expected else { continue }
      #expect(Decoding.outcome(spaced, &decoder, batch) == expected)
    }
  }

  @Test func routingIsTheDecodersAccount() {
    let seed: UInt64 = 13
    print("seed \(seed)")
    var generator = RecordGenerator(seed: seed)
    var decoder = EventDecoder()
    var other = EventDecoder()
    let batch = EventBatch(capacity: 1)
    for _ in 0..<1_000 {
      let record = generator.record()
      record.withUnsafeBytes { bytes in
        batch.removeAll()
        let rejection = decoder.decode(bytes, into: batch)
        let routing = other.routing(of: bytes)
        #expect((routing == nil) == (rejection != nil))
        guard let routing, rejection == nil else { return }
        #expect(routing.account.hash == batch[0].pointee.account.hash)
        #expect(routing.account.string == batch[0].pointee.account.string)
        #expect(routing.type == batch[0].pointee.type && routing.time == batch[0].pointee.time)
      }
    }
    #expect(other.unknownFieldsCount == 0)
  }

  @Test func limitsAreExact() {
    var decoder = EventDecoder()
    let batch = EventBatch()
    func heartbeat(_ padding: Int) -> [UInt8] {
      Array((#"{"type":"heartbeat","time":1,"x":""# + String(repeating: "y", count: padding)).utf8)
        + Array("\"}".utf8)
    }
    let frame = heartbeat(0).count
    let largest = Decoding.outcome(heartbeat(1_048_576 - frame), &decoder, batch)
    #expect(
      largest
        == .accepted(
          ["type": "heartbeat", "time": "1", "consent": "true"], unknownFields: 1))
    #expect(
      Decoding.outcome(heartbeat(1_048_577 - frame), &decoder, batch)
        == .rejected(.tooLarge, field: nil, offset: 0))

    func nested(_ depth: Int) -> [UInt8] {
      Array(
        (#"{"type":"heartbeat","time":1,"x":"# + String(repeating: "[", count: depth)
          + String(repeating: "]", count: depth) + "}").utf8)
    }
    #expect(ReferenceDecoder.decode(nested(7)) == Decoding.outcome(nested(7), &decoder, batch))
    #expect(
      Decoding.outcome(nested(8), &decoder, batch) == .rejected(.tooDeep, field: nil, offset: nil))
    #expect(
      Decoding.outcome(nested(400_000), &decoder, batch)
        == .rejected(.tooDeep, field: nil, offset: nil))
  }

  @Test func manyUnknownFieldsAreCountedAndRepeatedOnesFound() {
    var decoder = EventDecoder()
    let batch = EventBatch()
    func record(_ last: String) -> [UInt8] {
      var text = #"{"type":"heartbeat","time":1"#
      for index in 0..<80_000 { text += ",\"k\(index)\":1" }
      return Array((text + ",\"\(last)\":1}").utf8)
    }
    let distinct = Decoding.outcome(record("other"), &decoder, batch)
    #expect(
      distinct
        == .accepted(
          ["type": "heartbeat", "time": "1", "consent": "true"], unknownFields: 80_001))
    let repeated = record("k40000")
    #expect(
      Decoding.outcome(repeated, &decoder, batch)
        == .rejected(.invalidField, field: "k40000", offset: repeated.count - 11))
  }

  @Test func detailsAreForPeople() {
    func detail(_ record: String) -> String? {
      var decoder = EventDecoder()
      var record = record
      return record.withUTF8 {
        decoder.decode(UnsafeRawBufferPointer($0), into: EventBatch(capacity: 1))?.detail
      }
    }
    #expect(detail("") == "the record is empty; expected one JSON object")
    #expect(detail("[1]") == "expected one JSON object, found [1]")
    #expect(
      detail(#"{"type":"click","id":7}"#)
        == "expected a string of 1…128 bytes, found the number 7")
    #expect(
      detail(#"{"type":"click","time":"yesterday"}"#)
        == "expected whole milliseconds since 1970 or RFC 3339 like \"2026-01-31T23:59:59Z\", "
        + "found the string \"yesterday\"")
    #expect(
      detail(#"{"type":"click","id":"a","#) == "expected a key in quotes, but the record ends")
  }
}
