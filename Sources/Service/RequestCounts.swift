import Synchronization

/// How many requests were answered, and how.
final class RequestCounts: Sendable {
  private struct State {
    /// By route and status: both are few.
    var requests: [String: [Int: Int64]] = [:]
    var accepted: Int64 = 0
  }

  private let state = Mutex(State())

  func answered(_ route: String, status: Int) {
    state.withLock { $0.requests[route, default: [:]][status, default: 0] += 1 }
  }

  func accepted(_ events: Int) { state.withLock { $0.accepted += Int64(events) } }

  func write(to text: inout MetricsText) {
    let (requests, accepted) = state.withLock { ($0.requests, $0.accepted) }
    text.begin("bidmill_http_requests_total", .counter, "Requests answered, by route and status.")
    for (route, statuses) in requests.sorted(by: { $0.key < $1.key }) {
      for (status, count) in statuses.sorted(by: { $0.key < $1.key }) {
        text.sample(count, [("route", route), ("status", "\(status)")])
      }
    }
    text.add(
      "bidmill_http_events_accepted_total", .counter, "Events taken in by POST /v1/events.",
      accepted)
  }
}
