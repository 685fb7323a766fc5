import Events
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A load as a picture: latencies by percentile; lag and rates over time.
struct LoadPlot {
  private let outcome: LoadOutcome
  private let result: LoadResult
  private static let width = 860.0
  private static let (left, right) = (80.0, 836.0)
  private static let colors = (
    published: "#b2182b", committed: "#2166ac", other: "#777777", grid: "#e4e4e4"
  )

  init(_ outcome: LoadOutcome, _ result: LoadResult) {
    self.outcome = outcome
    self.result = result
  }

  /// Finds out before the load whether the picture can be written after it.
  static func check(_ path: String) throws(Failure) {
    guard path.hasSuffix(".svg") else {
      throw Failure(.usage, "error: a plot is an SVG file: write --plot \(path).svg")
    }
    guard PathKind(path) != .directory else {
      throw Failure(.configuration, "error: \(path) is a directory; name a file in it")
    }
    try TextFile.replace(path, with: SVGDrawing(width: 1, height: 1).svg)
  }

  var svg: String {
    var drawing = SVGDrawing(width: LoadPlot.width, height: 800)
    let rate = Text.count(Int(result.plan.rate))
    drawing.words(
      "\(outcome.topology.topology.name) on \(outcome.transport), \(rate) events/s", LoadPlot.left,
      28, size: 16, isBold: true)
    drawLatencies(&drawing)
    drawLag(&drawing)
    drawRates(&drawing)
    return drawing.svg
  }

  // MARK: Latency

  /// Percentiles stand by how few are beyond them: each next nine is as far as the one before.
  private static func place(_ percentile: Double) -> Double {
    -log10(max((100 - percentile) / 100, 1e-6))
  }

  private func drawLatencies(_ drawing: inout SVGDrawing) {
    let commit = Double(outcome.topology.topology.commit.every.milliseconds)
    let curves = [
      (result.published, LoadPlot.colors.published, "\(outcome.sink) published"),
      (result.committed, LoadPlot.colors.committed, "committed"),
    ]
    let top = curves.compactMap { $0.0.milliseconds(100) }.max() ?? 1
    let y = SVGAxis.fromZero(to: max(top, commit) * 1.02, places: (300, 70))
    let x = SVGAxis(values: 0...5, places: (LoadPlot.left, LoadPlot.right))
    frame(&drawing, y, title: "latency from intended emission, ms") {
      Text.decimal($0, places: y.values.upperBound < 5 ? 1 : 0)
    }
    for (percentile, name) in [
      (0.0, "0"), (50, "50"), (90, "90"), (99, "99"), (99.9, "99.9"), (99.99, "99.99"),
      (99.999, "99.999"),
    ] {
      let at = x.place(LoadPlot.place(percentile))
      drawing.line(at, 70, at, 300, color: LoadPlot.colors.grid)
      drawing.words(name, at, 316, size: 11, anchor: .middle)
    }
    drawing.words(
      "percentile of events", LoadPlot.right, 332, size: 11, anchor: .end, color: "#777")
    drawing.line(
      LoadPlot.left, y.place(commit), LoadPlot.right, y.place(commit),
      color: LoadPlot.colors.other, dashes: "5 4")
    drawing.words(
      "commit interval", LoadPlot.right - 4, y.place(commit) - 4, size: 11, anchor: .end,
      color: LoadPlot.colors.other)
    for (row, (latencies, color, name)) in curves.enumerated() {
      // The last point is the maximum, of which no percentile is known.
      let points = latencies.curve.filter { $0.percentile < 100 }.map {
        (x: x.place(LoadPlot.place($0.percentile)), y: y.place($0.milliseconds))
      }
      drawing.path(points, color: color, width: 2)
      key(&drawing, row, y: 58, name, color)
    }
  }

  // MARK: Over time

  private var time: SVGAxis {
    SVGAxis(
      values: 0...max(result.samples.last?.seconds ?? 1, 1),
      places: (LoadPlot.left, LoadPlot.right))
  }

  private func drawLag(_ drawing: inout SVGDrawing) {
    let samples = result.thinned(to: 1500)
    let y = SVGAxis.fromZero(
      to: Double(samples.map(\.lag).max() ?? 1), places: (520, 390))
    frame(&drawing, y, title: "lag, records") { Text.count(Int($0.rounded())) }
    timeTicks(&drawing, y)
    drawing.path(
      samples.map { (x: time.place($0.seconds), y: y.place(Double($0.lag))) },
      color: LoadPlot.colors.committed, width: 1)
  }

  private func drawRates(_ drawing: inout SVGDrawing) {
    let emitted = rates { Double($0.emitted) }
    let processed = rates { Double($0.emitted) - Double($0.lag) }
    let top = (emitted + processed).map(\.rate).max() ?? 1
    let y = SVGAxis.fromZero(to: max(top, result.plan.rate), places: (730, 600))
    frame(&drawing, y, title: "events a second") { Text.count(Int($0.rounded())) }
    timeTicks(&drawing, y)
    drawing.words("seconds", LoadPlot.right, 766, size: 11, anchor: .end, color: "#777")
    for (row, (points, color, name)) in [
      (emitted, LoadPlot.colors.other, "emitted"),
      (processed, LoadPlot.colors.published, "processed"),
    ].enumerated() {
      drawing.path(
        points.map { (x: time.place($0.seconds), y: y.place($0.rate)) }, color: color)
      key(&drawing, row, y: 588, name, color)
    }
  }

  /// How fast a total grows. Totals go up by commits, so they are averaged over several first.
  private func rates(
    _ total: (LoadWatch<SystemLoadClock>.Sample) -> Double
  ) -> [(seconds: Double, rate: Double)] {
    var means: [(seconds: Double, total: Double, count: Double)] = []
    let width = max(0.5, (result.samples.last?.seconds ?? 0) / 60)
    for sample in result.samples {
      if means.isEmpty || sample.seconds >= width * Double(means.count) { means.append((0, 0, 0)) }
      means[means.count - 1].seconds += sample.seconds
      means[means.count - 1].total += total(sample)
      means[means.count - 1].count += 1
    }
    let points = means.map { (seconds: $0.seconds / $0.count, total: $0.total / $0.count) }
    return zip(points, points.dropFirst()).map { before, after in
      (
        seconds: (before.seconds + after.seconds) / 2,
        rate: max(0, after.total - before.total) / max(after.seconds - before.seconds, 1e-3)
      )
    }
  }

  // MARK: Parts

  private func frame(
    _ drawing: inout SVGDrawing, _ y: SVGAxis, title: String, _ label: (Double) -> String
  ) {
    for tick in y.ticks {
      let at = y.place(tick)
      drawing.line(LoadPlot.left, at, LoadPlot.right, at, color: LoadPlot.colors.grid)
      drawing.words(label(tick), LoadPlot.left - 8, at + 4, size: 11, anchor: .end)
    }
    drawing.line(LoadPlot.left, y.places.0, LoadPlot.right, y.places.0, color: "#333")
    drawing.words(title, LoadPlot.left, y.places.1 - 12, size: 12, isBold: true)
  }

  private func timeTicks(_ drawing: inout SVGDrawing, _ y: SVGAxis) {
    for tick in time.ticks {
      let at = time.place(tick)
      drawing.line(at, y.places.0, at, y.places.0 + 4, color: "#333")
      let places = time.values.upperBound < 5 ? 1 : 0
      drawing.words(
        Text.decimal(tick, places: places), at, y.places.0 + 18, size: 11, anchor: .middle)
    }
  }

  private func key(
    _ drawing: inout SVGDrawing, _ row: Int, y: Double, _ name: String, _ color: String
  ) {
    let x = LoadPlot.right - 190 * Double(2 - row)
    drawing.line(x, y - 4, x + 22, y - 4, color: color, width: 2.5)
    drawing.words(name, x + 28, y, size: 11)
  }
}
