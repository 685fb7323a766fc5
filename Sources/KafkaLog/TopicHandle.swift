import CKafka
import Streaming

/// A topic as a producer writes it, with the name for messages.
final class TopicHandle {
  let name: String
  private let handle: OpaquePointer
  private let client: KafkaClient

  init(_ client: KafkaClient, _ name: String) throws(LogError) {
    guard let handle = rd_kafka_topic_new(client.handle, name, nil) else {
      throw LogError(.ours, "the Kafka client gives no handle for the topic \(name)")
    }
    self.name = name
    self.handle = handle
    self.client = client
  }

  deinit { rd_kafka_topic_destroy(handle) }

  /// Hands a record to the client, which copies it.
  ///
  /// - Parameter value: nil for a tombstone: nothing is left under this key.
  /// - Returns: The client's error; nil when it has taken the record.
  func produce(
    _ partition: Int32, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?
  ) -> rd_kafka_resp_err_t? {
    let status = rd_kafka_produce(
      handle, partition, Int32(RD_KAFKA_MSG_F_COPY),
      UnsafeMutableRawPointer(mutating: value?.baseAddress), value?.count ?? 0,
      key.isEmpty ? nil : key.baseAddress, key.count, nil)
    return status == 0 ? nil : rd_kafka_last_error()
  }

  /// The same with headers, which the client takes over when it takes the record.
  func produce(
    _ partition: Int32, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    headers: OpaquePointer
  ) -> rd_kafka_resp_err_t? {
    var fields = [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 6)
    fields[0].vtype = RD_KAFKA_VTYPE_RKT
    fields[0].u.rkt = handle
    fields[1].vtype = RD_KAFKA_VTYPE_PARTITION
    fields[1].u.i32 = partition
    fields[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS
    fields[2].u.i = Int32(RD_KAFKA_MSG_F_COPY)
    fields[3].vtype = RD_KAFKA_VTYPE_KEY
    fields[3].u.mem.ptr = key.isEmpty ? nil : UnsafeMutableRawPointer(mutating: key.baseAddress)
    fields[3].u.mem.size = key.count
    fields[4].vtype = RD_KAFKA_VTYPE_VALUE
    fields[4].u.mem.ptr = UnsafeMutableRawPointer(mutating: value.baseAddress)
    fields[4].u.mem.size = value.count
    fields[5].vtype = RD_KAFKA_VTYPE_HEADERS
    fields[5].u.headers = headers
    guard let error = rd_kafka_produceva(client.handle, &fields, fields.count) else { return nil }
    defer { rd_kafka_error_destroy(error) }
    return rd_kafka_error_code(error)
  }
}
