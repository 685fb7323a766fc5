package import Events

// Durations as topology files write them: a whole number and one unit.

/// Why a text is not a duration within bounds.
package enum DurationFault: Equatable {
  case form
  case range
}

extension TimeSpan {
  static let units: [(name: String, milliseconds: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
  ]

  /// `250ms`, `5s`, `30m`, `24h`, `7d`; nothing else.
  package static func parse(_ text: String) -> Result<TimeSpan, DurationFault> {
    let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
    let unit = String(text.dropFirst(digits.count))
    guard !digits.isEmpty, let scale = units.first(where: { $0.name == unit }) else {
      return .failure(.form)
    }
    guard let number = Int64(Substring(digits)) else { return .failure(.range) }
    let (milliseconds, overflow) = number.multipliedReportingOverflow(by: scale.milliseconds)
    return overflow ? .failure(.range) : .success(TimeSpan(milliseconds: milliseconds))
  }

  /// As a topology file would write it, in the largest unit that divides it.
  package var text: String {
    if milliseconds == 0 { return "0s" }
    let unit = Self.units.first { milliseconds % $0.milliseconds == 0 } ?? ("ms", 1)
    return "\(milliseconds / unit.milliseconds)\(unit.name)"
  }
}

extension DurationFault: Error {}
