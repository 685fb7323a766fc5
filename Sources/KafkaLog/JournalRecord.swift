import CKafka
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One record of the journal's topic: a commit's journal, or a part of it.
///
/// Its key is the commit's number as text. Its value begins with the format's version and a byte
/// that is 1 where another part follows; a commit's parts follow each other.
struct JournalRecord {
  static let version: UInt8 = 1
  /// Well below what topics take unless told otherwise.
  static let partBytesMax = 512 << 10

  private var key: [UInt8]
  private var value: [UInt8]

  /// What a new writer begins with: whoever wrote before cannot go on, and what it has left
  /// unfinished is void. Its number is 0.
  static var fence: JournalRecord { JournalRecord(key: Array("0".utf8), value: [version, 0]) }

  static func parts(_ journal: [UInt8], number: Int64) -> [JournalRecord] {
    var parts: [JournalRecord] = []
    var start = 0
    repeat {
      let end = min(journal.count, start + partBytesMax)
      parts.append(
        JournalRecord(
          key: Array("\(number)".utf8),
          value: [version, end < journal.count ? 1 : 0] + journal[start..<end]))
      start = end
    } while start < journal.count
    return parts
  }

  func withBytes(
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let result: Result<Void, LogError> = key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        do throws(LogError) { return .success(try body(key, value)) } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
  }

  /// What a record of the topic says.
  struct Content {
    var number: Int64
    var bytes: [UInt8]
    var isContinued: Bool
  }

  static func read(_ record: LogRecord, topic: String) throws(LogError) -> Content {
    let text = String(decoding: record.key, as: UTF8.self)
    guard let number = Int64(text), number >= 0, record.value.count >= 2, record.value[1] <= 1
    else {
      throw LogError(
        .badData,
        "offset \(record.offset) of \(topic) is no journal record: somebody else writes the topic")
    }
    guard record.value[0] == version else {
      throw LogError(
        .badData,
        "offset \(record.offset) of \(topic) has format \(record.value[0]); this build reads "
          + "\(version)")
    }
    return Content(
      number: number, bytes: Array(record.value.dropFirst(2)), isContinued: record.value[1] == 1)
  }
}

/// Puts the parts of commits together.
struct JournalParts {
  typealias Whole = (number: Int64, bytes: [UInt8])

  private var open: Int64?
  private var bytes: [UInt8] = []

  /// The commit's journal, once its last part is there.
  mutating func take(_ content: JournalRecord.Content) -> Whole? {
    if open != content.number { bytes.removeAll(keepingCapacity: true) }
    guard content.number > 0 else {
      open = nil
      return nil
    }
    bytes += content.bytes
    open = content.isContinued ? content.number : nil
    guard open == nil else { return nil }
    defer { bytes.removeAll(keepingCapacity: true) }
    return (content.number, bytes)
  }
}

/// What a committed offset's metadata say of its commit: `journal=17 sum=9f3c`.
enum CommitMetadata {
  struct Mark: Equatable {
    var number: Int64
    /// `Transaction.journalSum`; nil in what earlier builds wrote.
    var journalSum: UInt64?
  }

  private static let prefix = "journal="
  private static let sumPrefix = "sum="

  /// The library frees the text with the partition.
  static func set(_ mark: Mark, on partition: inout rd_kafka_topic_partition_t) {
    var text = "\(prefix)\(mark.number)"
    if let sum = mark.journalSum { text += " \(sumPrefix)\(String(sum, radix: 16))" }
    partition.metadata = strdup(text).map { UnsafeMutableRawPointer($0) }
    partition.metadata_size = text.utf8.count
  }

  /// Nil where the offset is not one of our commits.
  static func mark(_ partition: rd_kafka_topic_partition_t) -> Mark? {
    guard let start = partition.metadata else { return nil }
    let text = String(
      decoding: UnsafeRawBufferPointer(start: start, count: partition.metadata_size), as: UTF8.self)
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard let first = words.first, words.count <= 2, first.hasPrefix(prefix),
      let number = Int64(first.dropFirst(prefix.count)), number > 0
    else { return nil }
    guard words.count == 2 else { return Mark(number: number) }
    guard words[1].hasPrefix(sumPrefix),
      let sum = UInt64(words[1].dropFirst(sumPrefix.count), radix: 16)
    else { return nil }
    return Mark(number: number, journalSum: sum)
  }
}
