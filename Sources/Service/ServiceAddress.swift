/// Where the service listens.
public struct ServiceAddress: Sendable, Equatable, CustomStringConvertible {
  public static let standard = ServiceAddress(host: "127.0.0.1", port: 8080)

  public var host: String
  /// 0: any that is free.
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT`, `[IPv6]:PORT`, or `PORT` alone for this machine only.
  public init?(_ text: String) {
    var host = ServiceAddress.standard.host
    var digits = Substring(text)
    if text.hasPrefix("["), let end = text.lastIndex(of: "]") {
      host = String(text[text.index(after: text.startIndex)..<end])
      guard text[text.index(after: end)...].first == ":" else { return nil }
      digits = text[text.index(end, offsetBy: 2)...]
    } else if let colon = text.lastIndex(of: ":") {
      host = String(text[..<colon])
      digits = text[text.index(after: colon)...]
      guard !host.contains(":") else { return nil }
    }
    guard !host.isEmpty, !host.contains(where: \.isWhitespace), digits.allSatisfy(\.isASCII),
      let port = UInt16(digits), digits.first != "+"
    else { return nil }
    self.init(host: host, port: Int(port))
  }

  /// Nobody but this machine can reach it.
  public var isLoopback: Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    if parts.count == 4, parts.allSatisfy({ UInt8($0) != nil }) { return parts[0] == "127" }
    return host == "localhost" || host == "::1"
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
