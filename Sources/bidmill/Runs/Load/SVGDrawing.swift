/// A drawing of lines and words as SVG text.
struct SVGDrawing {
  let width: Double
  let height: Double
  private var body = ""

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  mutating func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, color: String, width: Double = 1,
    dashes: String? = nil
  ) {
    body +=
      "<line x1=\"\(SVGDrawing.text(x1))\" y1=\"\(SVGDrawing.text(y1))\" "
      + "x2=\"\(SVGDrawing.text(x2))\" y2=\"\(SVGDrawing.text(y2))\" stroke=\"\(color)\" "
      + "stroke-width=\"\(SVGDrawing.text(width))\""
      + (dashes.map { " stroke-dasharray=\"\($0)\"" } ?? "") + "/>\n"
  }

  mutating func path(_ points: [(x: Double, y: Double)], color: String, width: Double = 1.5) {
    guard !points.isEmpty else { return }
    let list = points.map { "\(SVGDrawing.text($0.x)),\(SVGDrawing.text($0.y))" }
    body +=
      "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"\(SVGDrawing.text(width))\" "
      + "stroke-linejoin=\"round\" points=\"\(list.joined(separator: " "))\"/>\n"
  }

  enum Anchor: String {
    case start, middle, end
  }

  mutating func words(
    _ words: String, _ x: Double, _ y: Double, size: Double = 12, anchor: Anchor = .start,
    color: String = "#333", isBold: Bool = false
  ) {
    body +=
      "<text x=\"\(SVGDrawing.text(x))\" y=\"\(SVGDrawing.text(y))\" "
      + "font-size=\"\(SVGDrawing.text(size))\" text-anchor=\"\(anchor.rawValue)\" "
      + "fill=\"\(color)\"\(isBold ? " font-weight=\"bold\"" : "")>\(SVGDrawing.escaped(words))"
      + "</text>\n"
  }

  var svg: String {
    let size = "\(SVGDrawing.text(width))"
    let high = "\(SVGDrawing.text(height))"
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(size)\" height=\"\(high)\" "
      + "viewBox=\"0 0 \(size) \(high)\" font-family=\"Helvetica, Arial, sans-serif\">\n"
      + "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n" + body + "</svg>\n"
  }

  static func escaped(_ words: String) -> String {
    var text = ""
    for character in words {
      switch character {
      case "&": text += "&amp;"
      case "<": text += "&lt;"
      case ">": text += "&gt;"
      case "\"": text += "&quot;"
      default: text.append(character)
      }
    }
    return text
  }

  /// Two places, which is finer than any screen.
  private static func text(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let hundredths = Int((min(max(value, -1e6), 1e6) * 100).rounded())
    let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
    let sign = hundredths < 0 ? "-" : ""
    if rest == 0 { return "\(sign)\(whole)" }
    return "\(sign)\(whole).\(rest < 10 ? "0" : "")\(rest)"
  }
}

/// An axis: values to places, with ticks at round numbers.
struct SVGAxis {
  var values: ClosedRange<Double>
  /// Where the first and the last value stand.
  var places: (Double, Double)

  /// From 0 to at least `top`, to a round number.
  static func fromZero(to top: Double, places: (Double, Double)) -> SVGAxis {
    let step = roundStep(top / 5)
    let end = max((top / step).rounded(.up), 1) * step
    return SVGAxis(values: 0...end, places: places)
  }

  func place(_ value: Double) -> Double {
    let share = (value - values.lowerBound) / max(values.upperBound - values.lowerBound, 1e-12)
    return places.0 + min(max(share, 0), 1) * (places.1 - places.0)
  }

  var ticks: [Double] {
    let step = SVGAxis.roundStep((values.upperBound - values.lowerBound) / 5)
    return Array(
      stride(from: values.lowerBound, through: values.upperBound + step * 1e-6, by: step))
  }

  /// 1, 2 or 5 times a power of ten, at least as large.
  private static func roundStep(_ least: Double) -> Double {
    guard least.isFinite, least > 0 else { return 1 }
    var power = 1.0
    while power > least { power /= 10 }
    while power * 10 <= least { power *= 10 }
    for factor in [1.0, 2, 5] where power * factor >= least * 0.999_999 { return power * factor }
    return power * 10
  }
}
