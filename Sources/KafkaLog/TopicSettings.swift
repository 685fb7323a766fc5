import CKafka
import Streaming

extension KafkaCluster {
  /// What topics take unless told otherwise.
  static let messageBytesDefault = 1_000_000

  /// How large a record of each topic may be. Where the cluster does not tell (the client may not
  /// ask, or it does not know how), it is what topics take unless told otherwise.
  func messageBytesMax(of topics: [String]) -> [Int] {
    guard settings.asksForTopicSettings else {
      return topics.map { _ in KafkaCluster.messageBytesDefault }
    }
    return topics.map { topic in
      let text = try? configuration(of: topic)["max.message.bytes"]
      return text.flatMap { Int($0) } ?? KafkaCluster.messageBytesDefault
    }
  }

  /// The settings of a topic, by name.
  func configuration(of topic: String) throws(LogError) -> [String: String] {
    guard let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic) else {
      throw LogError(.ours, "\(topic) is no name of a topic")
    }
    defer { rd_kafka_ConfigResource_destroy(resource) }
    var requests: [OpaquePointer?] = [resource]
    let event = try ask(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS) { client, options, queue in
      rd_kafka_DescribeConfigs(client, &requests, 1, options, queue)
    }
    defer { rd_kafka_event_destroy(event) }
    var count = 0
    guard let answer = rd_kafka_event_DescribeConfigs_result(event),
      let found = rd_kafka_DescribeConfigs_result_resources(answer, &count)?[0], count == 1
    else { throw LogError(.ours, "the answer about \(topic) is another one's") }
    let error = rd_kafka_ConfigResource_error(found)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw unreachable(error) }
    let entries = rd_kafka_ConfigResource_configs(found, &count)
    var settings: [String: String] = [:]
    for place in 0..<count {
      guard let entry = entries?[place], let name = rd_kafka_ConfigEntry_name(entry) else {
        continue
      }
      settings[String(cString: name)] = rd_kafka_ConfigEntry_value(entry).map {
        String(cString: $0)
      }
    }
    return settings
  }

  /// Removes the records of a partition before an offset.
  func deleteRecords(_ topic: String, _ partition: Int32, before offset: Int64) throws(LogError) {
    let list = PartitionList(capacity: 1)
    list.add(topic, partition, offset: offset)
    let request = rd_kafka_DeleteRecords_new(list.list)
    defer { rd_kafka_DeleteRecords_destroy(request) }
    var requests: [OpaquePointer?] = [request]
    let event = try ask(RD_KAFKA_ADMIN_OP_DELETERECORDS) { client, options, queue in
      rd_kafka_DeleteRecords(client, &requests, 1, options, queue)
    }
    defer { rd_kafka_event_destroy(event) }
    guard let answer = rd_kafka_event_DeleteRecords_result(event),
      let offsets = rd_kafka_DeleteRecords_result_offsets(answer)
    else { throw LogError(.ours, "the answer to the shortening of \(topic) is another one's") }
    let error = offsets.pointee.cnt > 0 ? offsets.pointee.elems[0].err : RD_KAFKA_RESP_ERR_NO_ERROR
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw LogError(
        .unavailable,
        "\(topic) partition \(partition) cannot be shortened: \(KafkaClient.text(error))")
    }
  }

  /// Sends an administrative request and waits for its answer, which the caller destroys.
  private func ask(
    _ operation: rd_kafka_admin_op_t,
    _ send: (_ client: OpaquePointer, _ options: OpaquePointer?, _ queue: OpaquePointer) -> Void
  ) throws(LogError) -> OpaquePointer {
    guard let queue = rd_kafka_queue_new(consumer.handle) else {
      throw LogError(.ours, "the Kafka client gives no queue")
    }
    defer { rd_kafka_queue_destroy(queue) }
    let options = rd_kafka_AdminOptions_new(consumer.handle, operation)
    defer { rd_kafka_AdminOptions_destroy(options) }
    var reason = [CChar](repeating: 0, count: 512)
    let wait = Int32(clamping: settings.answerWithinMilliseconds)
    rd_kafka_AdminOptions_set_request_timeout(options, wait, &reason, reason.count)
    send(consumer.handle, options, queue)
    guard let event = rd_kafka_queue_poll(queue, wait &+ 5_000) else {
      throw unreachable(RD_KAFKA_RESP_ERR__TIMED_OUT)
    }
    let error = rd_kafka_event_error(event)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      rd_kafka_event_destroy(event)
      throw unreachable(error)
    }
    return event
  }
}
