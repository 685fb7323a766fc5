/// What a request is about.
enum Route: Equatable {
  case index
  case live
  case ready
  case metrics
  case topology
  case campaign(account: String, campaign: String)
  case ad(account: String, campaign: String?, ad: String)
  case events

  /// Open to everyone: whoever restarts processes has no token.
  var isOpen: Bool { self == .live || self == .ready }

  var method: String { self == .events ? "POST" : "GET" }

  /// As it stands in metrics.
  var name: String {
    switch self {
    case .index: "/"
    case .live: "/health/live"
    case .ready: "/health/ready"
    case .metrics: "/metrics"
    case .topology: "/v1/topology"
    case .campaign: "/v1/accounts/{account}/campaigns/{campaign}"
    case .ad(_, nil, _): "/v1/accounts/{account}/ads/{ad}"
    case .ad: "/v1/accounts/{account}/campaigns/{campaign}/ads/{ad}"
    case .events: "/v1/events"
    }
  }

  /// - Parameter target: the request's target, with its query.
  /// - Returns: nil where there is nothing of this name.
  init?(_ target: String) {
    let path = target.prefix { $0 != "?" && $0 != "#" }
    guard path.first == "/" else { return nil }
    let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    // Decoded one by one, after they were told apart: an id may hold a slash as %2F.
    let words = parts.compactMap { PercentText.decode($0) }
    guard words.count == parts.count else { return nil }
    switch words {
    case [""]: self = .index
    case ["health", "live"]: self = .live
    case ["health", "ready"]: self = .ready
    case ["metrics"]: self = .metrics
    case ["v1", "topology"]: self = .topology
    case ["v1", "events"]: self = .events
    default:
      guard words.count >= 5, words[0] == "v1", words[1] == "accounts",
        !words.contains("")
      else { return nil }
      switch (words.count, words[3], words.count == 7 ? words[5] : "") {
      case (5, "campaigns", _): self = .campaign(account: words[2], campaign: words[4])
      case (5, "ads", _): self = .ad(account: words[2], campaign: nil, ad: words[4])
      case (7, "campaigns", "ads"):
        self = .ad(account: words[2], campaign: words[4], ad: words[6])
      default: return nil
      }
    }
  }

  /// The value of a parameter in the query; nil where it is not given or does not read.
  static func parameter(_ name: String, in target: String) -> String? {
    guard let mark = target.firstIndex(of: "?") else { return nil }
    for pair in target[target.index(after: mark)...].split(separator: "&") {
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if halves.count == 2, halves[0] == name { return PercentText.decode(halves[1]) }
    }
    return nil
  }
}

/// `%2F` and the like (RFC 3986).
enum PercentText {
  /// - Returns: nil where a `%` stands without two digits, or what comes of it is not UTF-8.
  static func decode(_ text: Substring) -> String? {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit)
      else { return nil }
      bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
