import Foundation
import TestClient
import Testing

// What blocks runs on threads of its own: the server under test needs Swift's pool.

enum Blocking {
  /// Runs what blocks beside the pool.
  static func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }
}

/// Sends one request and reads its answer.
func ask(
  _ port: Int, _ method: String, _ target: String, headers: [String] = [],
  body: [UInt8]? = nil
) async -> Answer {
  await Blocking.run { Connection.ask(port, method, target, headers: headers, body: body) }
}

func ask(_ port: Int, _ target: String, headers: [String] = []) async -> Answer {
  await ask(port, "GET", target, headers: headers)
}

/// Sends what may be no request at all, and reads the answer.
func say(_ port: Int, _ text: String) async -> Answer {
  await Blocking.run { Connection.say(port, Array(text.utf8)) }
}

/// Asks again and again until the answer is as wanted.
func until(
  _ what: String, _ ask: @autoclosure () async -> Answer, _ isWanted: (Answer) -> Bool
) async -> Answer {
  var answer = Answer()
  for _ in 0..<3_000 {
    answer = await ask()
    if isWanted(answer) { return answer }
    try? await Task.sleep(for: .milliseconds(10))
  }
  Issue.record("\(what) does not come: \(answer.status) \(answer.body)")
  return answer
}
