import CKafka
import Synchronization

/// What librdkafka says of its clients every few seconds: numbers by name.
///
/// The library reports each client as a JSON object; its numbers, and the few words that tell a
/// state, are kept by their path, of brokers and of the client itself. What it says of single
/// partitions the engine knows better.
public struct KafkaStatistics: Sendable {
  /// `consumer` or `producer`.
  public var kind: String
  /// The library's name of the client, unique in the process.
  public var client: String
  /// By path within the report: `brokers/host:9092/1/rtt/p99`.
  public var numbers: [(path: [String], value: Double)] = []
  public var words: [(path: [String], text: String)] = []

  static let intervalMilliseconds = 5_000

  private static let reports = Mutex<[String: KafkaStatistics]>([:])

  /// The newest report of every client that is open, in the order of their names.
  public static var current: [KafkaStatistics] {
    reports.withLock { $0.values.sorted { $0.client < $1.client } }
  }

  /// Called by the library's callback.
  static func take(_ json: UnsafeRawBufferPointer) {
    guard let report = KafkaStatistics(json) else { return }
    reports.withLock { $0[report.client] = report }
  }

  /// The client is gone, and what it said last with it.
  static func forget(_ client: String) { reports.withLock { $0[client] = nil } }

  /// nil where it is no report.
  init?(_ json: UnsafeRawBufferPointer) {
    var reader = StatisticsReader(json)
    guard reader.read(), let client = reader.text(["name"]), let kind = reader.text(["type"])
    else { return nil }
    self.client = client
    self.kind = kind
    numbers = reader.numbers
    words = reader.words
  }

  public func number(_ path: String...) -> Double? {
    numbers.first { $0.path == path }?.value
  }

  public func word(_ path: String...) -> String? { words.first { $0.path == path }?.text }

  /// Names of the brokers, bootstrap addresses and the client's own groupings left out.
  public var brokers: [String] {
    var names: [String] = []
    for (path, id) in numbers
    where path.count == 3 && path[0] == "brokers" && path[2] == "nodeid" && id >= 0 {
      if !names.contains(path[1]) { names.append(path[1]) }
    }
    return names
  }
}

/// Walks the library's JSON, which it trusts to be JSON but not to end.
private struct StatisticsReader {
  private let bytes: UnsafeRawBufferPointer
  private var place = 0
  private var path: [String] = []
  var numbers: [(path: [String], value: Double)] = []
  var words: [(path: [String], text: String)] = []

  /// Reports of hundreds of partitions are long, and none of ours.
  private static let skipped: Set<String> = ["topics", "toppars"]
  private static let depthMax = 8

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  func text(_ path: [String]) -> String? { words.first { $0.path == path }?.text }

  mutating func read() -> Bool { value() }

  private mutating func next() -> UInt8? {
    while place < bytes.count, bytes[place] <= 0x20 { place += 1 }
    return place < bytes.count ? bytes[place] : nil
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next() == byte else { return false }
    place += 1
    return true
  }

  private mutating func value() -> Bool {
    guard path.count <= StatisticsReader.depthMax, let first = next() else { return false }
    switch first {
    case UInt8(ascii: "{"): return object()
    case UInt8(ascii: "["): return array()
    case UInt8(ascii: "\""):
      guard let text = string() else { return false }
      if isKept { words.append((path, text)) }
      return true
    default: return scalar()
    }
  }

  private var isKept: Bool { !path.contains { StatisticsReader.skipped.contains($0) } }

  private mutating func object() -> Bool {
    guard take(UInt8(ascii: "{")) else { return false }
    if take(UInt8(ascii: "}")) { return true }
    repeat {
      guard next() == UInt8(ascii: "\""), let name = string(), take(UInt8(ascii: ":")) else {
        return false
      }
      path.append(name)
      guard value() else { return false }
      path.removeLast()
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "}"))
  }

  private mutating func array() -> Bool {
    guard take(UInt8(ascii: "[")) else { return false }
    if take(UInt8(ascii: "]")) { return true }
    repeat {
      guard value() else { return false }
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "]"))
  }

  /// Names and states of the library: escapes stay as they are.
  private mutating func string() -> String? {
    guard take(UInt8(ascii: "\"")) else { return nil }
    let start = place
    while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
      place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1
    }
    guard place < bytes.count else { return nil }
    defer { place += 1 }
    return String(decoding: bytes[start..<place], as: UTF8.self)
  }

  private mutating func scalar() -> Bool {
    let start = place
    while place < bytes.count, !",]}".utf8.contains(bytes[place]), bytes[place] > 0x20 {
      place += 1
    }
    guard place > start else { return false }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    if isKept {
      if text == "true" || text == "false" {
        numbers.append((path, text == "true" ? 1 : 0))
      } else if let number = Double(text) {
        numbers.append((path, number))
      }
    }
    return true
  }
}
