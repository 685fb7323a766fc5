import CKafka
import Streaming

/// The topics of a partition's sinks, for one producer: which partition a record goes to, what its
/// headers are, and how much of it fits.
final class OutputTopics {
  /// What the client itself takes (`message.max.bytes` of the producers).
  static let recordBytesMax = 32 << 20
  /// What a record takes beside key, value and headers, generously.
  private static let overheadBytes = 1024
  /// Of a refused record at least so much is kept.
  private static let keptBytesMin = 1024

  private let outputs: [LogOutput]
  private let topics: [TopicHandle]
  /// Bytes that a record of each may have.
  private(set) var limits: [Int]

  /// - Parameter limits: `max.message.bytes` of the topics.
  init(_ client: KafkaClient, _ outputs: [LogOutput], limits: [Int]) throws(LogError) {
    self.outputs = outputs
    var topics: [TopicHandle] = []
    for output in outputs { topics.append(try TopicHandle(client, output.topic)) }
    self.topics = topics
    self.limits = limits.map { min($0, OutputTopics.recordBytesMax) }
  }

  func name(of record: OutputBuffer.Record) -> String { topics[Int(record.sink)].name }

  /// Hands a record to the client; its error where it is not taken. One for every partition may have
  /// been taken by some.
  func produce(
    _ record: OutputBuffer.Record, of buffer: OutputBuffer, from partition: Int32
  ) -> rd_kafka_resp_err_t? {
    let sink = Int(record.sink)
    let key = buffer.key(of: record)
    if outputs[sink].isForAll, let keying = outputs[sink].keying {
      let value = buffer.value(of: record)
      for target in 0..<Int32(keying.partitions) {
        if let error = topics[sink].produce(target, key: key, value: value) { return error }
      }
      return nil
    }
    var target = partition
    // Without a key it is for everybody in the partition that it comes from.
    if let keying = outputs[sink].keying, !key.isEmpty {
      target = Int32(keying.partition(of: key))
    }
    guard record.headersLength > 0 else {
      return topics[sink].produce(target, key: key, value: buffer.value(of: record))
    }
    return produceCut(record, buffer, key, to: target)
  }

  /// A refused record: as much of it as the topic takes.
  private func produceCut(
    _ record: OutputBuffer.Record, _ buffer: OutputBuffer, _ key: UnsafeRawBufferPointer,
    to partition: Int32
  ) -> rd_kafka_resp_err_t? {
    let sink = Int(record.sink)
    let value = buffer.value(of: record)
    let beside = key.count + Int(record.headersLength) + OutputTopics.overheadBytes
    let room = max(limits[sink] - beside, OutputTopics.keptBytesMin)
    let kept = UnsafeRawBufferPointer(rebasing: value[..<min(value.count, room)])
    guard let headers = rd_kafka_headers_new(12) else { return RD_KAFKA_RESP_ERR__FAIL }
    for (name, content) in RecordHeaders(buffer.headers(of: record)) {
      OutputTopics.add(name, content, to: headers)
    }
    let isCut = kept.count < value.count
    OutputTopics.add("truncated", isCut ? "true" : "false", to: headers)
    if isCut { OutputTopics.add("length", "\(value.count)", to: headers) }
    let error = topics[sink].produce(partition, key: key, value: kept, headers: headers)
    if error != nil { rd_kafka_headers_destroy(headers) }
    return error
  }

  private static func add(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, to headers: OpaquePointer
  ) {
    // It fails only for headers that are read-only, which these are not.
    rd_kafka_header_add(
      headers, name.bindMemory(to: CChar.self).baseAddress, name.count, value.baseAddress,
      value.count)
  }

  private static func add(_ name: String, _ value: String, to headers: OpaquePointer) {
    rd_kafka_header_add(headers, name, -1, value, value.utf8.count)
  }

  /// A topic takes less than it says: halves what is kept of refused records. False where that
  /// cannot help: there are none among these, or next to nothing is kept of them already.
  func keepLess(of buffer: OutputBuffer) -> Bool {
    var isLess = false
    for sink in limits.indices {
      let largest = buffer.records.lazy
        .filter { Int($0.sink) == sink && $0.headersLength > 0 }
        .map { Int($0.keyLength) + Int($0.headersLength) + Int($0.valueLength) }.max()
      guard let largest, largest > OutputTopics.keptBytesMin * 2 else { continue }
      let half = min(limits[sink], largest) / 2
      guard half >= OutputTopics.keptBytesMin * 2 else { continue }
      limits[sink] = half
      isLess = true
    }
    return isLess
  }
}
