/// Metrics in Prometheus' text format (version 0.0.4): families with help and type, and samples.
public struct MetricsText: Sendable {
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  public typealias Labels = [(name: String, value: String)]

  /// What the format calls itself.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  public private(set) var text = ""
  private var family = ""

  public init() { text.reserveCapacity(1 << 14) }

  /// Begins a family; its samples follow. Each family is written once.
  public mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    precondition(MetricsText.isName(name), "\(name) is no name of a metric")
    family = name
    text += "# HELP \(name) \(MetricsText.escaped(help, quotes: false))\n"
    text += "# TYPE \(name) \(kind.rawValue)\n"
  }

  public mutating func sample(_ value: Int64, _ labels: Labels = []) {
    write("", labels, "\(value)")
  }

  public mutating func sample(_ value: Double, _ labels: Labels = []) {
    write("", labels, MetricsText.number(value))
  }

  /// A family of one sample.
  public mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ value: Int64, _ labels: Labels = []
  ) {
    begin(name, kind, help)
    sample(value, labels)
  }

  /// A histogram's samples.
  ///
  /// - Parameters:
  ///   - counts: per bound, not cumulative, and a last one for what lies above all.
  public mutating func histogram(
    bounds: [Double], counts: [Int64], sum: Double, _ labels: Labels = []
  ) {
    precondition(counts.count == bounds.count + 1, "a histogram has a count beyond its last bound")
    var total: Int64 = 0
    for (bound, count) in zip(bounds, counts) {
      total += count
      write("_bucket", labels + [("le", MetricsText.number(bound))], "\(total)")
    }
    total += counts[bounds.count]
    write("_bucket", labels + [("le", "+Inf")], "\(total)")
    write("_sum", labels, MetricsText.number(sum))
    write("_count", labels, "\(total)")
  }

  private mutating func write(_ suffix: String, _ labels: Labels, _ value: String) {
    precondition(!family.isEmpty, "a sample belongs to a family")
    text += family
    text += suffix
    if !labels.isEmpty {
      text += "{"
      for (i, label) in labels.enumerated() {
        precondition(MetricsText.isName(label.name), "\(label.name) is no name of a label")
        if i > 0 { text += "," }
        text += "\(label.name)=\"\(MetricsText.escaped(label.value, quotes: true))\""
      }
      text += "}"
    }
    text += " \(value)\n"
  }

  static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
    else { return false }
    return name.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }

  /// In a label's value the quote is escaped too.
  static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
    return "\(value)"
  }
}
