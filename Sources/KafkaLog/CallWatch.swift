import Synchronization

/// Knows which calls of the client library are under way, because some have been seen not to come
/// back within the time that they were given.
final class CallWatch: Sendable {
  private struct Call {
    var what: String
    /// By then it should have returned, in monotonic ms.
    var until: Int64
  }

  private struct State {
    var calls: [Int: Call] = [:]
    var next = 0
  }

  /// How much longer than its time a call may take: it may be made of several.
  private static let graceMilliseconds: Int64 = 60_000

  private let state = Mutex(State())

  func during<Result, Failure: Error>(
    _ what: String, milliseconds: Int64, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let until = KafkaClient.now() + milliseconds
    let number = state.withLock { state in
      state.next += 1
      state.calls[state.next] = Call(what: what, until: until)
      return state.next
    }
    defer { state.withLock { $0.calls[number] = nil } }
    return try body()
  }

  /// The oldest call that has not returned long after its time.
  var overdue: String? {
    let now = KafkaClient.now()
    return state.withLock { state in
      state.calls.values.filter { now - $0.until > CallWatch.graceMilliseconds }
        .min { $0.until < $1.until }
        .map { "\($0.what) has not returned for \((now - $0.until) / 1000) s beyond its time" }
    }
  }
}
