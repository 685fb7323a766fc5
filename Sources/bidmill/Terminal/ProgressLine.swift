import Dispatch
import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Progress on standard error: one line that changes on a terminal, a line every few seconds
/// elsewhere.
final class ProgressLine: Sendable {
  private static let lock = Mutex(State())
  /// Between two lines where there is no terminal: in the first minute, and after it.
  private static let plainEvery: Int64 = 5_000
  private static let plainEveryLater: Int64 = 60_000
  private static let terminalEvery: Int64 = 100

  private struct State {
    /// Text that stands on the terminal and must go before something else is written.
    var shown = ""
    var lastAt: Int64 = 0
  }

  private let isQuiet: Bool
  private let begun = SystemClock().now()

  init(isQuiet: Bool) {
    self.isQuiet = isQuiet
    ProgressLine.lock.withLock { $0.lastAt = begun }
  }

  /// Shows progress if it is time to.
  /// - Parameter fraction: how much is done, 0 to 1, where that is known.
  func show(_ fraction: Double? = nil, _ text: () -> String) {
    if isQuiet { return }
    let now = SystemClock().now()
    let plainEvery =
      now - begun < 60_000 ? ProgressLine.plainEvery : ProgressLine.plainEveryLater
    let every = Terminal.errorIsTerminal ? ProgressLine.terminalEvery : plainEvery
    ProgressLine.lock.withLock { state in
      guard now - state.lastAt >= every else { return }
      state.lastAt = now
      if Terminal.errorIsTerminal {
        let line = ProgressLine.bar(fraction) + text()
        state.shown = String(line.prefix(Terminal.width - 1))
        ProgressLine.put("\r\(state.shown)\u{1B}[K")
      } else {
        let percent = fraction.map { "\(Int($0 * 100)) %, " } ?? ""
        ProgressLine.put(percent + text() + "\n")
      }
    }
  }

  /// Wipes the line: what comes next is the result.
  func end() { ProgressLine.interrupt {} }

  /// Writes something else, with the progress line out of the way.
  static func interrupt(_ write: () -> Void) {
    lock.withLock { state in
      if !state.shown.isEmpty { put("\r\u{1B}[K") }
      state.shown = ""
      write()
    }
  }

  private static func bar(_ fraction: Double?) -> String {
    guard let fraction else { return "" }
    let cells = 24
    let done = max(0, min(cells, Int(fraction * Double(cells))))
    let percent = "\(max(0, min(100, Int(fraction * 100))))"
    return "[" + String(repeating: "#", count: done)
      + String(repeating: ".", count: cells - done) + "] "
      + String(repeating: " ", count: 3 - percent.count) + percent + " %  "
  }

  private static func put(_ text: String) {
    let bytes = Array(text.utf8)
    bytes.withUnsafeBytes { _ = Terminal.writeAll($0, to: STDERR_FILENO) }
  }
}

/// How fast something grows just now.
final class RateMeter: Sendable {
  private struct State {
    var at: Int64
    var total: Int64 = 0
    var rate: Int64?
  }

  private static let windowMilliseconds: Int64 = 2_000
  private let clock = SystemClock()
  private let state: Mutex<State>

  init() { state = Mutex(State(at: clock.now())) }

  /// Per second, over the last seconds.
  func rate(_ total: Int64) -> Int64 {
    let now = clock.now()
    return state.withLock {
      let passed = now - $0.at
      let rate = (total - $0.total) * 1000 / max(passed, 1)
      guard passed >= RateMeter.windowMilliseconds else { return $0.rate ?? rate }
      $0 = State(at: now, total: total, rate: rate)
      return rate
    }
  }
}

/// Calls something now and then on a thread of its own, until it is stopped.
final class Ticker: @unchecked Sendable {
  // Dispatch sources may be used from any thread.
  private let timer: any DispatchSourceTimer
  private let queue: DispatchQueue

  init(milliseconds: Int, _ body: @escaping @Sendable () -> Void) {
    queue = DispatchQueue(label: "ticker")
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(
      deadline: .now() + .milliseconds(milliseconds), repeating: .milliseconds(milliseconds))
    timer.setEventHandler(handler: body)
    timer.resume()
    self.timer = timer
  }

  /// No call is under way or follows when it returns.
  func stop() {
    timer.cancel()
    queue.sync {}
  }
}
