import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// A client that speaks HTTP by hand, so that broken and slow requests can be sent too. What blocks
// runs on threads of its own: the server under test needs Swift's pool.

enum Blocking {
  /// Runs what blocks beside the pool.
  static func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }
}

struct Answer: Sendable {
  var status = 0
  var headers: [String: String] = [:]
  var body = ""

  /// A member by its path: names of objects, places of arrays.
  func value(_ path: Any...) -> Any? {
    var value = try? JSONSerialization.jsonObject(with: Data(body.utf8))
    for step in path {
      if let name = step as? String {
        value = (value as? [String: Any])?[name]
      } else if let place = step as? Int, let list = value as? [Any], list.indices.contains(place) {
        value = list[place]
      } else {
        return nil
      }
    }
    return value
  }

  func text(_ path: String...) -> String? {
    var value = try? JSONSerialization.jsonObject(with: Data(body.utf8))
    for name in path { value = (value as? [String: Any])?[name] }
    return value as? String
  }

  var errorCode: String? { text("error", "code") }
}

/// One connection.
final class Connection: Sendable {
  private let socketNumber: Int32

  init(port: Int) {
    #if canImport(Glibc)
      socketNumber = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      socketNumber = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socketNumber, $0, size) }
    }
    precondition(status == 0, "the service listens on \(port)")
    // Longer than any answer takes; a test must not hang.
    var patience = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(
      socketNumber, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(
      socketNumber, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(socketNumber) }

  /// False where the other side has gone.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        #if canImport(Glibc)
          Glibc.send(socketNumber, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        #else
          Darwin.send(socketNumber, $0.baseAddress, $0.count, 0)
        #endif
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Nothing at the end of the connection.
  func receive() -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(socketNumber, &buffer, buffer.count, 0)
    return count > 0 ? Array(buffer[..<count]) : []
  }

  /// The next answer, by its length; status 0 where the connection ends before.
  func answer(isHead: Bool = false) -> Answer {
    var bytes: [UInt8] = []
    while true {
      if let answer = Connection.parse(bytes, isHead: isHead) { return answer }
      let more = receive()
      if more.isEmpty { return Answer() }
      bytes += more
    }
  }

  private static func parse(_ bytes: [UInt8], isHead: Bool) -> Answer? {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
      .split(separator: "\r\n")
    var answer = Answer()
    answer.status = Int(lines[0].split(separator: " ")[1]) ?? 0
    for line in lines.dropFirst() {
      let halves = line.split(separator: ":", maxSplits: 1)
      answer.headers[halves[0].lowercased()] = halves[1].trimmingCharacters(in: .whitespaces)
    }
    if answer.status == 100 { return parse(Array(bytes[end.upperBound...]), isHead: isHead) }
    let length = isHead ? 0 : Int(answer.headers["content-length"] ?? "") ?? 0
    guard bytes.count - end.upperBound >= length else { return nil }
    answer.body = String(decoding: bytes[end.upperBound..<end.upperBound + length], as: UTF8.self)
    return answer
  }
}

/// Sends one request and reads its answer.
func ask(
  _ port: Int, _ method: String, _ target: String, headers: [String] = [],
  body: [UInt8]? = nil
) async -> Answer {
  await Blocking.run {
    let connection = Connection(port: port)
    var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost:\(port)\r\n"
    for header in headers { head += header + "\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    connection.send(Array((head + "\r\n").utf8) + (body ?? []))
    return connection.answer(isHead: method == "HEAD")
  }
}

func ask(_ port: Int, _ target: String, headers: [String] = []) async -> Answer {
  await ask(port, "GET", target, headers: headers)
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
