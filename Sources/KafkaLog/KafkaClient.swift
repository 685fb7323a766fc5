import CKafka
import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A client instance of librdkafka. Its functions may be called from any thread.
final class KafkaClient: @unchecked Sendable {
  enum Kind {
    case consumer, producer
    /// A producer that is told where each of its records went.
    case appender
  }

  /// What became of an appender's record.
  struct Report {
    var tag: UInt64
    var partition: Int32
    var offset: Int64
    var error: rd_kafka_resp_err_t
  }

  /// Keeps what the library last complained of, for messages that have a cause to name. The
  /// library never logs passwords or keys.
  private final class Complaints: Sendable {
    let last = Mutex<String?>(nil)
    /// Why a record was not delivered, the first of them.
    let delivery = Mutex<rd_kafka_resp_err_t?>(nil)
    let reports = Mutex<[Report]>([])
    /// What a person has to see to: who the client says it is, is not believed.
    let refusal = Mutex<String?>(nil)
    /// Every broker was out of reach when it was last tried.
    let areBrokersAway = Mutex(false)
  }

  let handle: OpaquePointer
  let settings: KafkaSettings
  private let complaints: Complaints
  // The library holds it as its opaque value until it is destroyed.
  private let retained: Unmanaged<Complaints>

  /// - Parameters:
  ///   - owned: Properties that nobody may change.
  ///   - preferred: Properties that the settings' own go before; unknown ones are left out.
  ///   - events: `RD_KAFKA_EVENT_…` that come by the queue instead of by callbacks.
  init(
    _ kind: Kind, _ settings: KafkaSettings, owned: [(String, String)],
    preferred: [(String, String)], events: Int32 = 0
  ) throws(LogError) {
    let complaints = Complaints()
    let retained = Unmanaged.passRetained(complaints)
    let configuration = rd_kafka_conf_new()
    do throws(LogError) {
      let interval = "statistics.interval.ms"
      for (name, value) in preferred + [(interval, "\(KafkaStatistics.intervalMilliseconds)")] {
        // A property of a newer release of the library is no error.
        _ = rd_kafka_conf_set(configuration, name, value, nil, 0)
      }
      for property in settings.properties { try KafkaClient.set(property, configuration) }
      let silence = settings.reportsStatistics ? [] : [(interval, "0")]
      for (name, value) in [("bootstrap.servers", settings.brokers)] + owned + silence {
        try KafkaClient.set(Topology.Property(name: name, value: value), configuration)
      }
    } catch {
      rd_kafka_conf_destroy(configuration)
      retained.release()
      throw error
    }
    rd_kafka_conf_set_opaque(configuration, retained.toOpaque())
    if events != 0 { rd_kafka_conf_set_events(configuration, events) }
    rd_kafka_conf_set_error_cb(configuration) { _, code, reason, opaque in
      guard let opaque else { return }
      let complaints = Unmanaged<Complaints>.fromOpaque(opaque).takeUnretainedValue()
      let text = reason.map { String(cString: $0) } ?? ""
      switch rd_kafka_resp_err_t(code) {
      case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__SSL,
        RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        complaints.refusal.withLock { $0 = text }
      case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        complaints.areBrokersAway.withLock { $0 = true }
      default: break
      }
    }
    rd_kafka_conf_set_log_cb(configuration) { client, level, _, text in
      // 0 to 4: from emergencies to warnings.
      guard level <= 4, let client, let text, let opaque = rd_kafka_opaque(client) else { return }
      let complaints = Unmanaged<Complaints>.fromOpaque(opaque).takeUnretainedValue()
      let message = String(cString: text)
      complaints.last.withLock { $0 = message }
    }
    rd_kafka_conf_set_stats_cb(configuration) { _, json, count, _ in
      KafkaStatistics.take(UnsafeRawBufferPointer(start: json, count: count))
      // The library frees the text.
      return 0
    }
    if kind == .producer {
      rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
        guard let message, let opaque, message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR else {
          return
        }
        let complaints = Unmanaged<Complaints>.fromOpaque(opaque).takeUnretainedValue()
        let error = message.pointee.err
        // Records that an abort takes back are no cause of it.
        guard error != RD_KAFKA_RESP_ERR__PURGE_QUEUE, error != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT
        else { return }
        complaints.delivery.withLock { $0 = $0 ?? error }
      }
    }
    if kind == .appender {
      rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
        guard let message, let opaque else { return }
        let report = Report(
          tag: UInt64(UInt(bitPattern: message.pointee._private)),
          partition: message.pointee.partition, offset: message.pointee.offset,
          error: message.pointee.err)
        let complaints = Unmanaged<Complaints>.fromOpaque(opaque).takeUnretainedValue()
        complaints.reports.withLock { $0.append(report) }
      }
    }
    var reason = [CChar](repeating: 0, count: 512)
    let type = kind == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
    guard let handle = rd_kafka_new(type, configuration, &reason, reason.count) else {
      // Only then the configuration is still ours.
      rd_kafka_conf_destroy(configuration)
      retained.release()
      throw LogError(
        .configuration,
        "the Kafka client refuses its configuration: \(KafkaClient.text(reason)); look at "
          + "`properties`")
    }
    if kind == .consumer { rd_kafka_poll_set_consumer(handle) }
    self.handle = handle
    self.settings = settings
    self.complaints = complaints
    self.retained = retained
    if kind == .producer, settings.reportsStatistics {
      KafkaClient.reporting.withLock { $0.append(Reporting(client: self)) }
    }
  }

  deinit {
    if let name = rd_kafka_name(handle) { KafkaStatistics.forget(String(cString: name)) }
    // Closing would leave the group, which whoever joined it does beforehand, and without waiting
    // for good. The library has been seen not to come back from this either, after a topic was
    // deleted: then the client is left behind, or the process could not say why it ends.
    let destruction = Destruction(handle, retained)
    let thread = Thread(name: "end of a client") { destruction.run() }
    let deadline = Deadline(milliseconds: 5_000)
    while !destruction.isOver.load(ordering: .acquiring), !deadline.isOver { usleep(500) }
    if destruction.isOver.load(ordering: .acquiring) { thread.join() }
  }

  /// The end of a client, on a thread of its own.
  private final class Destruction: @unchecked Sendable {
    // The handle is used by nobody else any more.
    private let handle: OpaquePointer
    private let complaints: Unmanaged<Complaints>
    let isOver = Atomic<Bool>(false)

    init(_ handle: OpaquePointer, _ complaints: Unmanaged<Complaints>) {
      self.handle = handle
      self.complaints = complaints
    }

    func run() {
      rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
      complaints.release()
      isOver.store(true, ordering: .releasing)
    }
  }

  /// What the library last warned of.
  var lastComplaint: String? { complaints.last.withLock { $0 } }

  /// Why the cluster did not believe the client since the last call.
  func takeRefusal() -> String? {
    complaints.refusal.withLock { refusal in
      defer { refusal = nil }
      return refusal
    }
  }

  /// Whether all brokers were found out of reach since the last call.
  func takeAbsence() -> Bool {
    complaints.areBrokersAway.withLock { isAway in
      defer { isAway = false }
      return isAway
    }
  }

  /// Why the first record failed that did since the last call.
  func takeDeliveryError() -> rd_kafka_resp_err_t? {
    rd_kafka_poll(handle, 0)
    return complaints.delivery.withLock { error in
      defer { error = nil }
      return error
    }
  }

  /// What became of an appender's records since the last call; waits for the first of them.
  func takeReports(waitMilliseconds: Int32) -> [Report] {
    rd_kafka_poll(handle, waitMilliseconds)
    return complaints.reports.withLock { reports in
      defer { reports.removeAll(keepingCapacity: true) }
      return reports
    }
  }

  private static func set(
    _ property: Topology.Property, _ configuration: OpaquePointer?
  ) throws(LogError) {
    var reason = [CChar](repeating: 0, count: 512)
    switch rd_kafka_conf_set(configuration, property.name, property.value, &reason, reason.count) {
    case RD_KAFKA_CONF_OK: return
    case RD_KAFKA_CONF_UNKNOWN:
      throw LogError(
        .configuration,
        "the Kafka client knows no property `\(property.name)`; correct it in `properties`")
    default:
      // The library repeats the value, which may be a secret.
      let why = property.isSecret ? "its value is not valid" : text(reason)
      throw LogError(
        .configuration, "the Kafka client refuses the property `\(property.name)`: \(why)")
    }
  }

  /// Empties the queue of what no one asked for, so that it does not grow.
  func discardEvents() {
    while let message = rd_kafka_consumer_poll(handle, 0) {
      precondition(
        message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR,
        "records come into the queues of their partitions, never into the common one")
      rd_kafka_message_destroy(message)
    }
  }

  private struct Reporting {
    weak var client: KafkaClient?
  }

  private static let reporting = Mutex<[Reporting]>([])

  /// Lets producers say what they have to say, which they do by themselves only while they send: a
  /// partition may have nothing to commit for days.
  static func serveProducers() {
    let clients = reporting.withLock { reporting in
      reporting.removeAll { $0.client == nil }
      return reporting.compactMap(\.client)
    }
    for client in clients { rd_kafka_poll(client.handle, 0) }
  }

  static func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  static func text(_ error: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2str(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
  }

  static func name(_ error: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2name(error).map { String(cString: $0) } ?? "\(error.rawValue)"
  }

  /// Monotonic milliseconds.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

/// A time by which something has to be done.
struct Deadline {
  private let at: Int64

  init(milliseconds: Int64) { at = KafkaClient.now() + milliseconds }

  /// Milliseconds left; 0 when it has passed.
  var left: Int32 { Int32(clamping: max(0, at - KafkaClient.now())) }
  var isOver: Bool { left == 0 }
}

/// A list of partitions with offsets, as the library wants it.
final class PartitionList {
  let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

  init(capacity: Int) { list = rd_kafka_topic_partition_list_new(Int32(capacity)) }

  deinit { rd_kafka_topic_partition_list_destroy(list) }

  var elements: UnsafeMutableBufferPointer<rd_kafka_topic_partition_t> {
    UnsafeMutableBufferPointer(start: list.pointee.elems, count: Int(list.pointee.cnt))
  }

  func add(_ topic: String, _ partition: Int32, offset: Int64) {
    rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = offset
  }
}
