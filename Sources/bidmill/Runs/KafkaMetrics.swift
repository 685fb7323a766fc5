import KafkaLog
import Service

/// What librdkafka says of its clients, as metrics.
enum KafkaMetrics {
  static func write(_ reports: [KafkaStatistics], to text: inout MetricsText) {
    perBroker(
      "kafka_client_broker_rtt_seconds", .gauge,
      "Round trip to the broker, mean of 5 s; fetches wait there for records.",
      reports, &text
    ) { report, broker in report.number("brokers", broker, "rtt", "avg").map { $0 / 1e6 } }
    perBroker(
      "kafka_client_broker_rtt_p99_seconds", .gauge,
      "Round trip to the broker, 99th percentile of 5 s.", reports, &text
    ) { report, broker in report.number("brokers", broker, "rtt", "p99").map { $0 / 1e6 } }
    perBroker(
      "kafka_client_broker_up", .gauge, "1: connected to the broker.", reports, &text
    ) { report, broker in
      report.word("brokers", broker, "state").map { $0 == "UP" ? 1 : 0 }
    }
    perBroker(
      "kafka_client_broker_waiting_requests", .gauge, "Requests that wait to be sent or answered.",
      reports, &text
    ) { report, broker in
      guard let waiting = report.number("brokers", broker, "outbuf_cnt"),
        let sent = report.number("brokers", broker, "waitresp_cnt")
      else { return nil }
      return waiting + sent
    }
    perBroker(
      "kafka_client_broker_errors_total", .counter, "Requests that failed or timed out.",
      reports, &text
    ) { report, broker in
      guard let sent = report.number("brokers", broker, "txerrs"),
        let received = report.number("brokers", broker, "rxerrs")
      else { return nil }
      return sent + received + (report.number("brokers", broker, "req_timeouts") ?? 0)
    }
    perClient(
      "kafka_client_queued_operations", .gauge, "Operations that wait for this process.", reports,
      &text
    ) { $0.number("replyq") }
    perClient(
      "kafka_client_queued_records", .gauge, "Records that wait to be sent.", reports, &text
    ) { $0.kind == "producer" ? $0.number("msg_cnt") : nil }
    perClient(
      "kafka_client_queued_bytes", .gauge, "Bytes of records that wait to be sent.", reports, &text
    ) { $0.kind == "producer" ? $0.number("msg_size") : nil }
    perClient(
      "kafka_client_received_bytes_total", .counter, "Bytes received from brokers.", reports, &text
    ) { $0.number("rx_bytes") }
    perClient(
      "kafka_client_sent_bytes_total", .counter, "Bytes sent to brokers.", reports, &text
    ) { $0.number("tx_bytes") }
    text.begin(
      "kafka_client_transaction_state", .gauge, "1, with the state of the transactions as a label.")
    for report in reports {
      guard let state = report.word("eos", "txn_state") else { continue }
      text.sample(
        1 as Int64,
        [
          ("client", report.client), ("state", state),
          ("idempotence", report.word("eos", "idemp_state") ?? ""),
        ])
    }
  }

  private static func perClient(
    _ name: String, _ kind: MetricsText.Kind, _ help: String, _ reports: [KafkaStatistics],
    _ text: inout MetricsText, _ value: (KafkaStatistics) -> Double?
  ) {
    text.begin(name, kind, help)
    for report in reports {
      if let value = value(report) {
        text.sample(value, [("client", report.client), ("type", report.kind)])
      }
    }
  }

  private static func perBroker(
    _ name: String, _ kind: MetricsText.Kind, _ help: String, _ reports: [KafkaStatistics],
    _ text: inout MetricsText, _ value: (KafkaStatistics, String) -> Double?
  ) {
    text.begin(name, kind, help)
    for report in reports {
      for broker in report.brokers {
        if let value = value(report, broker) {
          text.sample(
            value, [("client", report.client), ("type", report.kind), ("broker", broker)])
        }
      }
    }
  }
}
