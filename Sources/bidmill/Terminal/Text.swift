import Events

/// Numbers, sizes and tables for people.
enum Text {
  /// `1,234,567`
  static func count(_ number: some BinaryInteger) -> String {
    let digits = String(number.magnitude)
    var text = ""
    for (place, digit) in digits.enumerated() {
      if place > 0, (digits.count - place) % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return number < 0 ? "-" + text : text
  }

  /// `12.3` with as many places as asked for.
  static func decimal(_ number: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    guard number.isFinite, abs(number) < 1e15, abs(number) * scale < 9e18 else {
      return "\(number)"
    }
    let scaled = Int64((abs(number) * scale).rounded())
    let whole = count(scaled / Int64(scale))
    guard places > 0 else { return (number < 0 ? "-" : "") + whole }
    let fraction = String(scaled % Int64(scale))
    return (number < 0 ? "-" : "") + whole + "."
      + String(repeating: "0", count: places - fraction.count) + fraction
  }

  /// `1.5 MiB`
  static func bytes(_ number: some BinaryInteger) -> String {
    var value = Double(number)
    for unit in ["B", "KiB", "MiB", "GiB"] {
      if abs(value) < 1024 {
        return unit == "B" ? "\(Int64(number)) B" : "\(decimal(value, places: 1)) \(unit)"
      }
      value /= 1024
    }
    return "\(decimal(value, places: 1)) TiB"
  }

  /// `0.25 s`, `12.3 s`, `2 min 5 s`
  static func seconds(_ seconds: Double) -> String {
    if seconds < 10 { return decimal(seconds, places: 2) + " s" }
    if seconds < 120 { return decimal(seconds, places: 1) + " s" }
    return "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
  }

  /// Money in micros: `1,234.50`
  static func money(micros: Int64) -> String {
    decimal(Double(micros) / 1_000_000, places: 2)
  }

  static func time(_ time: EventTime?) -> String { time?.rfc3339 ?? "none" }

  /// `1 event`, `2 events`
  static func plural(_ number: some BinaryInteger, _ noun: String) -> String {
    "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
  }

  enum Alignment {
    case left, right
  }

  /// Rows with columns of equal width, two blanks apart; ends with a line break.
  static func table(_ rows: [[String]], _ alignments: [Alignment], indent: Int = 0) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    var text = ""
    for row in rows {
      var line = String(repeating: " ", count: indent)
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        let isRight = column < alignments.count && alignments[column] == .right
        line += (column > 0 ? "  " : "") + (isRight ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }
}
