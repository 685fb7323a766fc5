import Streaming
import Synchronization

/// Brings events of several requests into the log together: one write to the disk, or one wait for
/// the brokers, is for all that came in since the last.
final class IntakeQueue: Sendable {
  /// Bytes that wait; whoever comes when there are more is sent away.
  static let bytesMax = 64 << 20

  private struct Request {
    var records: [IncomingRecord]
    var answer: CheckedContinuation<LogError?, Never>
  }

  private struct State {
    var requests: [Request] = []
    var bytes = 0
    var isClosed = false
  }

  private let intake: any EventIntake
  private let queue = ThreadQueue(name: "intake")
  private let state = Mutex(State())

  init(_ intake: any EventIntake) { self.intake = intake }

  /// Returns when the records are durable, or with what stands against it.
  func append(_ records: [IncomingRecord]) async -> LogError? {
    guard !records.isEmpty else { return nil }
    return await withCheckedContinuation { answer in
      let bytes = records.reduce(0) { $0 + $1.value.count }
      let refusal: LogError? = state.withLock { state in
        if state.isClosed { return LogError(.unavailable, "the run is ending") }
        if state.bytes + bytes > IntakeQueue.bytesMax, state.bytes > 0 {
          return LogError(.unavailable, recovery: .retry, "too many events wait for the log")
        }
        state.requests.append(Request(records: records, answer: answer))
        state.bytes += bytes
        // Within the lock: the queue takes nothing once it is closed.
        if state.requests.count == 1 { queue.submit { self.takeAll() } }
        return nil
      }
      if let refusal { answer.resume(returning: refusal) }
    }
  }

  private func takeAll() {
    let requests = state.withLock { state in
      defer {
        state.requests.removeAll()
        state.bytes = 0
      }
      return state.requests
    }
    var failure: LogError?
    do throws(LogError) { try intake.append(requests.flatMap(\.records)) } catch {
      failure = error
    }
    for request in requests { request.answer.resume(returning: failure) }
  }

  /// Lets the log's writer give back what it holds, where nothing comes.
  func rest() {
    state.withLock { state in
      guard !state.isClosed, state.requests.isEmpty else { return }
      queue.submit { [intake] in intake.rest() }
    }
  }

  /// Takes in what has come, and nothing more. Blocks.
  func close() {
    let wasClosed = state.withLock { state in
      defer { state.isClosed = true }
      return state.isClosed
    }
    if !wasClosed { queue.close() }
  }
}
