import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// A client that speaks HTTP by hand, so that broken and slow requests can be sent too. Everything
// in it blocks. For the tests of all targets; no test stands here.

package struct Answer: Sendable {
  package var status = 0
  package var headers: [String: String] = [:]
  package var body = ""

  package init() {}

  /// A member by its path: names of objects, places of arrays.
  package func value(_ path: Any...) -> Any? {
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

  package func text(_ path: String...) -> String? {
    var value = try? JSONSerialization.jsonObject(with: Data(body.utf8))
    for name in path { value = (value as? [String: Any])?[name] }
    return value as? String
  }

  package var errorCode: String? { text("error", "code") }
}

/// One connection.
package final class Connection: Sendable {
  private let socketNumber: Int32

  /// - Returns: nil where nobody listens.
  package init?(port: Int) {
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
    let number = socketNumber
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(number, $0, size) }
    }
    guard status == 0 else { return nil }
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
  package func send(_ bytes: [UInt8]) -> Bool {
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
  package func receive() -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(socketNumber, &buffer, buffer.count, 0)
    return count > 0 ? Array(buffer[..<count]) : []
  }

  /// The next answer, by its length; status 0 where the connection ends before.
  package func answer(isHead: Bool = false) -> Answer {
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

extension Connection {
  /// Sends one request and reads its answer; status 0 where nobody listens.
  package static func ask(
    _ port: Int, _ method: String, _ target: String, headers: [String] = [],
    body: [UInt8]? = nil
  ) -> Answer {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost:\(port)\r\n"
    for header in headers { head += header + "\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    return say(port, Array((head + "\r\n").utf8) + (body ?? []), isHead: method == "HEAD")
  }

  /// The same with a request of any bytes.
  package static func say(_ port: Int, _ bytes: [UInt8], isHead: Bool = false) -> Answer {
    guard let connection = Connection(port: port) else { return Answer() }
    connection.send(bytes)
    return connection.answer(isHead: isHead)
  }
}
