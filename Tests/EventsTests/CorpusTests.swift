import Events
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The contract's corpus: Corpus/*.jsonl, one case a line, written from the contract and not from
// the decoder. A case has
// - `name`;
// - `input`, the record as text; or `parts`, joined: a text, {"repeat": text, "times": n}, or
//   {"hex": bytes};
// - `expect`: "accept", with what the event must hold in `event`; or a reason code, with the
//   `field` at fault (null where none is);
// - `every_beginning`: the case is about every proper prefix of the input.
// In `event`, null is an absent identifier or a value that was not given; money and ratios are
// in micros, times in ms; `detail` holds what only rare types carry. A feature is
// [name, "number" | "text" | "bool", value].

@Suite struct CorpusTests {
  static let themes = [
    "booleans", "counts", "depth", "enumerations", "features", "grammar", "identifiers", "money",
    "objects", "precedence", "repeated-and-unknown", "required", "size", "time", "types", "utf8",
    "wrong-types",
  ]

  @Test(arguments: themes)
  func decoderKeepsTheContract(theme: String) throws {
    let cases = try Corpus.cases(of: theme)
    #expect(!cases.isEmpty)
    let arena = GuardedBytes(capacity: 2_200_000)
    // A decoder may learn from the records before: its answers must not.
    var warm = EventDecoder()
    for round in 0..<2 {
      for one in round == 0 ? cases : cases.reversed() {
        var fresh = EventDecoder()
        // Once is enough for the records that take long.
        for record in one.records where round == 0 || record.count < 10_000 {
          for place in [GuardedBytes.Place.atEnd, .atStart] {
            let bytes = arena.hold(record, place)
            let cold = Verdict(of: bytes, by: &fresh)
            let problems = one.problems(with: cold, recordCount: record.count)
            #expect(problems.isEmpty, "\(one.name): \(problems.joined(separator: "; "))")
            let learned = Verdict(of: bytes, by: &warm)
            #expect(
              learned.summary == cold.summary, "\(one.name): another answer after other records")
          }
        }
      }
    }
  }

  @Test func everyReasonIsCovered() throws {
    let cases = try Self.themes.flatMap { try Corpus.cases(of: $0) }
    #expect(cases.count >= 1_300)
    #expect(Set(cases.map(\.name)).count == cases.count, "names are unique")
    for reason in RejectionReason.allCases where reason != .wrongPartition {
      let count = cases.filter { $0.expect == "\(reason.code)" }.count
      #expect(count > 0, "no case for \(reason.code)")
    }
    for type in EventType.allCases {
      let accepted = cases.contains {
        $0.expect == "accept" && $0.event?["type"] == .text("\(type.name)")
      }
      #expect(accepted, "no accepted \(type.name)")
    }
  }

  @Test func everyFileIsRun() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Corpus.folder.path)
    #expect(files.sorted() == Self.themes.map { "\($0).jsonl" }.sorted())
  }
}

// MARK: Cases

private enum Corpus {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

  static func cases(of theme: String) throws -> [CorpusCase] {
    let text = try Data(contentsOf: folder.appending(path: "\(theme).jsonl"))
    return try text.split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(CorpusCase.self, from: $0)
    }
  }
}

private struct CorpusCase: Decodable {
  enum Part: Decodable {
    case text(String)
    case repeated(String, times: Int)
    case hex(String)

    init(from decoder: any Decoder) throws {
      if let text = try? decoder.singleValueContainer().decode(String.self) {
        self = .text(text)
        return
      }
      let object = try decoder.singleValueContainer().decode([String: JSONValue].self)
      switch (object["repeat"], object["times"], object["hex"]) {
      case (.text(let text), .integer(let times), nil): self = .repeated(text, times: Int(times))
      case (nil, nil, .text(let digits)): self = .hex(digits)
      default:
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "not a part of a record"))
      }
    }

    var bytes: [UInt8] {
      switch self {
      case .text(let text): return Array(text.utf8)
      case .repeated(let text, let times):
        return Array(repeatElement(text.utf8, count: times).joined())
      case .hex(let digits):
        let nibbles = digits.compactMap(\.hexDigitValue)
        return stride(from: 0, to: nibbles.count, by: 2).map {
          UInt8(nibbles[$0] * 16 + nibbles[$0 + 1])
        }
      }
    }
  }

  var name: String
  var expect: String
  var field: String?
  var event: [String: JSONValue]?
  /// What the decoder is given.
  var records: [[UInt8]]

  private enum Key: String, CodingKey {
    case name, input, parts, expect, field, event
    case everyBeginning = "every_beginning"
  }

  init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: Key.self)
    name = try object.decode(String.self, forKey: .name)
    expect = try object.decode(String.self, forKey: .expect)
    field = try object.decodeIfPresent(String.self, forKey: .field)
    event = try object.decodeIfPresent([String: JSONValue].self, forKey: .event)
    let record: [UInt8]
    if let input = try object.decodeIfPresent(String.self, forKey: .input) {
      record = Array(input.utf8)
    } else {
      record = try object.decode([Part].self, forKey: .parts).flatMap(\.bytes)
    }
    let everyBeginning = try object.decodeIfPresent(Bool.self, forKey: .everyBeginning) ?? false
    records = everyBeginning ? record.indices.map { Array(record[..<$0]) } : [record]
  }

  /// What a verdict has wrong; empty where it is right.
  func problems(with verdict: Verdict, recordCount: Int) -> [String] {
    switch verdict.outcome {
    case .refused(let rejection):
      guard "\(rejection.reason.code)" == expect,
        Array((rejection.field ?? "-").utf8) == Array((field ?? "-").utf8)
      else {
        let expected = field.map { "\(expect) of \($0)" } ?? expect
        return ["expected \(expected), got \(verdict.summary)"]
      }
      guard (0...recordCount).contains(rejection.byteOffset), !rejection.detail.isEmpty else {
        return ["no place in the record, or no detail: \(verdict.summary)"]
      }
      return []
    case .accepted(let got):
      guard expect == "accept" else { return ["expected \(expect), got accept"] }
      var wanted = event ?? [:]
      if case .object(let detail) = wanted.removeValue(forKey: "detail") {
        for (key, value) in detail { wanted["detail.\(key)"] = value }
      } else if let none = event?["detail"] {
        wanted["detail"] = none
      }
      if case .list(let features) = wanted["features"] {
        wanted["features"] = .list(features.map(\.hashedFeature))
      }
      return wanted.filter { got[$0.key] != $0.value }.sorted { $0.key < $1.key }.map {
        "\($0.key): expected \($0.value), got \(got[$0.key].map { "\($0)" } ?? "nothing")"
      }
    }
  }
}

// MARK: Values

private enum JSONValue: Decodable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let integer = try? value.decode(Int64.self) {
      self = .integer(integer)
    } else if let text = try? value.decode(String.self) {
      self = .text(text)
    } else if let list = try? value.decode([JSONValue].self) {
      self = .list(list)
    } else {
      self = .object(try value.decode([String: JSONValue].self))
    }
  }

  /// An identifier's text, byte by byte: Swift's equality would take `ü` for `u` and its dots.
  init(_ identifier: Identifier) {
    self = identifier.isAbsent ? .null : .text(identifier.string)
  }

  init(_ integer: Int64?) { self = integer.map { .integer($0) } ?? .null }

  static func == (a: JSONValue, b: JSONValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
    case (.list(let a), .list(let b)): a == b
    case (.object(let a), .object(let b)): a == b
    default: false
    }
  }
}

/// What a decoder said about a record, copied out of its batch.
private struct Verdict {
  enum Outcome {
    case accepted([String: JSONValue])
    case refused(Rejection)
  }

  var outcome: Outcome

  init(of record: UnsafeRawBufferPointer, by decoder: inout EventDecoder) {
    let batch = EventBatch(capacity: 1)
    if let rejection = decoder.decode(record, into: batch) {
      outcome = .refused(rejection)
      if batch.count != 0 { outcome = .accepted(["refused, but in the batch": .bool(true)]) }
    } else {
      outcome = .accepted(Verdict.fields(of: batch))
    }
  }

  var summary: String {
    switch outcome {
    case .accepted(let fields):
      let listed = fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      return "accept \(listed.joined(separator: " "))"
    case .refused(let r):
      return "\(r.reason.code) of \(r.field ?? "no field") at \(r.byteOffset) (\(r.detail))"
    }
  }

  private static func fields(of batch: EventBatch) -> [String: JSONValue] {
    let event = batch[0].pointee
    var fields: [String: JSONValue] = [
      "type": .text("\(event.type.name)"), "time": .integer(event.time.milliseconds),
      "id": JSONValue(event.id), "account": JSONValue(event.account),
      "campaign": JSONValue(event.campaign), "ad": JSONValue(event.ad),
      "advertiser": JSONValue(event.advertiser), "user": JSONValue(event.user),
      "device": JSONValue(event.device), "click_id": JSONValue(event.clickID),
      "placement": JSONValue(event.placement), "shard": JSONValue(event.shard),
      "reference": JSONValue(event.reference), "action": JSONValue(event.action),
      "price": .integer(event.price.micros), "bid": .integer(event.bid.micros),
      "value": .integer(event.value.micros),
    ]
    let flags: [(String, Event.Flags)] = [
      ("viewable", .viewable), ("consent", .consent), ("won", .won), ("has_price", .hasPrice),
      ("has_bid", .hasBid), ("has_value", .hasValue), ("has_features", .hasFeatures),
      ("has_unknown_fields", .hasUnknownFields),
    ]
    for (name, flag) in flags { fields[name] = .bool(event.flags.contains(flag)) }
    fields["features"] = .list(batch.features(of: event).map { .feature($0) })
    guard let details = batch.details(of: event) else {
      fields["detail"] = .null
      return fields
    }
    for (name, value) in self.fields(of: details) { fields["detail.\(name)"] = value }
    return fields
  }

  private static func fields(of details: EventDetails) -> [String: JSONValue] {
    switch details {
    case .conversion(let signals):
      return fields(of: signals)
    case .dealStage(let stage):
      return fields(of: stage.signals ?? EventDetails.Signals())
        .merging(["pipeline": JSONValue(stage.pipeline)]) { $1 }
    case .campaign(let campaign):
      return [
        "status": .word(campaign.status), "mode": .word(campaign.mode),
        "auction": .word(campaign.auction), "goal": .word(campaign.goal),
        "daily_budget": JSONValue(campaign.dailyBudget?.micros),
        "total_budget": JSONValue(campaign.totalBudget?.micros),
        "start": JSONValue(campaign.start?.milliseconds),
        "end": JSONValue(campaign.end?.milliseconds), "timezone": JSONValue(campaign.timezone),
        "goal_target": JSONValue(campaign.goalTarget?.micros),
        "default_bid": JSONValue(campaign.defaultBid?.micros),
        "max_bid": JSONValue(campaign.maxBid?.micros), "ceiling": JSONValue(campaign.ceilingMicros),
      ]
    case .control(let control):
      return [
        "action": .word(control.action), "value": JSONValue(control.valueMicros),
        "until": JSONValue(control.until?.milliseconds), "by": JSONValue(control.by),
        "reason": JSONValue(control.reason),
      ]
    case .adjustment(let adjustment):
      return [
        "kind": .word(adjustment.kind), "target_type": .text("\(adjustment.targetType.name)"),
      ]
    case .lease(let action):
      return ["action": .word(action)]
    case .actuals(let actuals):
      return [
        "from": JSONValue(actuals.from.milliseconds), "to": JSONValue(actuals.to.milliseconds),
        "impressions": JSONValue(actuals.impressions), "clicks": JSONValue(actuals.clicks),
        "conversions": JSONValue(actuals.conversions), "spend": JSONValue(actuals.spend?.micros),
        "revenue": JSONValue(actuals.revenue?.micros),
      ]
    case .prior(let kind, let payload):
      return ["kind": JSONValue(kind), "payload": JSONValue(payload)]
    }
  }

  private static func fields(of signals: EventDetails.Signals) -> [String: JSONValue] {
    [
      "ip": JSONValue(signals.ip), "user_agent": JSONValue(signals.userAgent),
      "language": JSONValue(signals.language), "timezone": JSONValue(signals.timezone),
      "postal": JSONValue(signals.postal),
    ]
  }
}

extension JSONValue {
  /// A case's name as the contract writes it: `maxValue` is `max_value`.
  fileprivate static func word<Word>(_ value: Word?) -> JSONValue {
    guard let value else { return .null }
    return .text("\(value)".map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined())
  }

  /// A decoded feature in numbers: its hashes and its value's bits.
  fileprivate static func feature(_ feature: Feature) -> JSONValue {
    .list([
      .integer(Int64(feature.name)), .integer(Int64(feature.hash)),
      .text(String(feature.value.bitPattern, radix: 16)),
    ])
  }

  /// [name, kind, value] as the decoder must hash it.
  fileprivate var hashedFeature: JSONValue {
    guard case .list(let parts) = self, parts.count == 3, case .text(let name) = parts[0],
      case .text(let kind) = parts[1], case .text(let value) = parts[2]
    else { return .text("a feature of the corpus is [name, kind, value]: \(self)") }
    let nameHash = murmur3(Array(name.utf8), seed: 0)
    guard kind == "number" else {
      let hash = murmur3(Array(value.utf8), seed: nameHash)
      return .feature(Feature(name: nameHash, hash: hash, value: 1))
    }
    guard let number = Double(value) else { return .text("not a number: \(value)") }
    return .feature(Feature(name: nameHash, hash: nameHash, value: number))
  }
}

/// MurmurHash3_x86_32, written again from its description: the corpus does not ask the code under
/// test what is right.
private func murmur3(_ bytes: [UInt8], seed: UInt32) -> UInt32 {
  func rotated(_ x: UInt32, by n: UInt32) -> UInt32 { x << n | x >> (32 - n) }
  var hash = seed
  for start in stride(from: 0, to: bytes.count, by: 4) {
    let block = bytes[start..<min(start + 4, bytes.count)]
    let word = block.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    hash ^= rotated(word &* 0xcc9e_2d51, by: 15) &* 0x1b87_3593
    if block.count == 4 { hash = rotated(hash, by: 13) &* 5 &+ 0xe654_6b64 }
  }
  hash ^= UInt32(bytes.count)
  hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
  hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
  return hash ^ hash >> 16
}

// MARK: Memory

/// Holds a record between two pages that may not be touched, so that reading one byte before or
/// behind the record ends the process instead of going unseen.
private final class GuardedBytes {
  enum Place { case atStart, atEnd }

  private let base: UnsafeMutableRawPointer
  private let page = Int(sysconf(Int32(_SC_PAGESIZE)))
  private let room: Int

  init(capacity: Int) {
    room = (capacity + page - 1) / page * page
    let mapped = mmap(
      nil, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
      preconditionFailure("no memory for the corpus: mmap gave \(errno)")
    }
    base = mapped
    mprotect(base, page, PROT_NONE)
    mprotect(base + page + room, page, PROT_NONE)
  }

  deinit { munmap(base, room + 2 * page) }

  /// The record's bytes, until the next call.
  func hold(_ record: [UInt8], _ place: Place) -> UnsafeRawBufferPointer {
    precondition(record.count <= room, "a record of the corpus is larger than its arena")
    let start = base + page + (place == .atStart ? 0 : room - record.count)
    record.withUnsafeBytes { bytes in
      if let from = bytes.baseAddress { start.copyMemory(from: from, byteCount: bytes.count) }
    }
    return UnsafeRawBufferPointer(start: start, count: record.count)
  }
}
