import Events
import Learning
import Operators
import Streaming
import Support

#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  @preconcurrency import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `learner` says of conversions that come late, by its setting `delay`, against an oracle.
///
/// The operator itself runs, behind all that it needs, over histories whose true conversion rates
/// are known. The oracle is `delay: mature` over the same history with every conversion a second
/// after its click; naive is `delay: mature` that waits an hour only and takes who has not converted
/// by then as who never will. Each prediction counts as it was made when the impression was shown,
/// and is judged by the log-loss that the true rate lets expect, so that chance is not in it.
enum DelayReport {
  struct Method {
    var name: String
    var settings: String
    var isForetold = false
  }

  static let methods = [
    Method(
      name: "oracle", settings: "delay: mature\n    conversion_window: 2s", isForetold: true),
    Method(name: "mature", settings: "delay: mature"),
    Method(name: "dfm", settings: "delay: dfm"),
    Method(name: "es_dfm", settings: "delay: es_dfm"),
    Method(name: "fnw", settings: "delay: fnw"),
    Method(name: "naive", settings: "delay: mature\n    conversion_window: 1h"),
  ]

  struct Options {
    var seeds = 3
    var days = 90
    var impressionsPerDay = 3_000
    var directory = "/tmp/bidmill-measure"
  }

  /// Sums over the clicked impressions of some days.
  struct Sums {
    var loss = 0.0
    var predicted = 0.0
    var truth = 0.0
    var clicks = 0.0

    mutating func add(_ other: Sums) {
      loss += other.loss
      predicted += other.predicted
      truth += other.truth
      clicks += other.clicks
    }

    mutating func add(predicted rate: Double, truth: Double) {
      loss += Rate.logLoss(truth, rate)
      predicted += rate
      self.truth += truth
      clicks += 1
    }
  }

  static let usage = """
    usage: measure delay [--seeds N] [--days N] [--impressions PER-DAY] [--directory DIR]
    """

  static func run(_ arguments: [String]) throws {
    setvbuf(stdout, nil, _IOLBF, 0)
    let options = try options(arguments)
    System.makeDirectory(options.directory)
    var results: [String: [[Sums]]] = [:]
    for seed in 1...options.seeds {
      var history = DelayedHistory()
      history.seed = UInt64(seed)
      history.days = options.days
      history.impressionsPerDay = options.impressionsPerDay
      let files = (options.directory + "/delayed.jsonl", options.directory + "/foretold.jsonl")
      let truth = try history.write(to: files.0)
      _ = try history.write(to: files.1, isForetold: true)
      for method in methods {
        let days = try judge(
          method, file: method.isForetold ? files.1 : files.0, truth, options)
        results[method.name, default: []].append(days)
      }
    }
    show(results, options)
  }

  private static func options(_ arguments: [String]) throws -> Options {
    var options = Options()
    var rest = arguments
    while !rest.isEmpty {
      let option = rest.removeFirst()
      guard !rest.isEmpty else { throw BenchmarkFailure(usage) }
      let value = rest.removeFirst()
      switch (option, Int(value)) {
      case ("--seeds", let count?): options.seeds = max(count, 1)
      case ("--days", let count?): options.days = max(count, 10)
      case ("--impressions", let count?): options.impressionsPerDay = max(count, 1)
      case ("--directory", _): options.directory = value
      default: throw BenchmarkFailure(usage)
      }
    }
    return options
  }

  // MARK: Runs

  private static func topology(_ method: Method) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: delay
        sources: { events: { log: { directory: data, topics: [events] } } }
        operators:
          people: { operator: identity, from: events, key: measured }
          journeys: { operator: journeys, from: people, lookback: 30d }
          credits:
            operator: attribution
            from: journeys
            models: [last_touch]
            primary: last_touch
          learner:
            operator: learner
            from: [journeys, credits]
            features: [bias, ad, placement, "features.*"]
            prior: { ctr: 0.05, cvr: 0.05 }
            click_window: 5m
            \(method.settings)
        sinks:
          predictions: { from: learner, log: { topic: predictions } }
          dead_letters: { log: { topic: dead-letters } }
        """, file: "delay.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// Sums by day.
  private static func judge(
    _ method: Method, file: String, _ truth: [DelayedHistory.Impression], _ options: Options
  ) throws -> [Sums] {
    let output = options.directory + "/delay-out"
    _ = try Jobs.replay(topology(method), file: file, to: output)
    var days = [Sums](repeating: Sums(), count: options.days)
    var judged = 0
    try forEachLine(of: output + "/predictions.jsonl") { line in
      // Labels that became known repeat what was said.
      guard line.firstRange(of: "\"click\":") == nil else { return }
      guard let id = number(in: line, after: "\"id\":\"i"),
        let rate = number(in: line, after: "\"pcvr\":"), truth.indices.contains(Int(id))
      else { throw BenchmarkFailure("not a prediction: \(line)") }
      judged += 1
      let impression = truth[Int(id)]
      guard impression.isClicked else { return }
      days[impression.day].add(predicted: rate, truth: impression.conversionRate)
    }
    guard judged == truth.count else {
      throw BenchmarkFailure("\(judged) predictions of \(truth.count) impressions")
    }
    return days
  }

  private static func forEachLine(of path: String, _ body: (Substring) throws -> Void) throws {
    guard let file = fopen(path, "rb") else { throw BenchmarkFailure("no \(path)") }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, Int32(buffer.count), file) != nil {
      let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      try body(Substring(decoding: bytes, as: UTF8.self))
    }
  }

  private static func number(in line: Substring, after mark: String) -> Double? {
    guard let place = line.firstRange(of: mark) else { return nil }
    return Double(line[place.upperBound...].prefix { $0.isNumber || ".-e".contains($0) })
  }

  // MARK: Figures

  private static func show(_ results: [String: [[Sums]]], _ options: Options) {
    let warm = min(30, options.days / 3)
    let length = 10
    print(
      "\(options.seeds) histories of \(options.days) days with \(options.impressionsPerDay) "
        + "impressions a day, conversions up to 30 days late\n")
    let names = methods.dropFirst().map(\.name)
    print(
      "| days | " + (["oracle's log-loss"] + names.map { "\($0)" }).joined(separator: " | ")
        + " |")
    print("|---" + String(repeating: "|---", count: methods.count) + "|")
    for start in stride(from: 0, to: options.days, by: length) {
      let range = start..<min(start + length, options.days)
      row("\(range.lowerBound + 1)–\(range.upperBound)", range, results, names)
    }
    row("\(warm + 1)–\(options.days)", warm..<options.days, results, names)
    print(
      "\nEach: log-loss beyond the oracle's in %, and predicted conversions by true ones. The "
        + "oracle's ratio in the last row: "
        + ratio(sums(results["oracle"] ?? [], warm..<options.days)).text(3))
    print("\nDays \(warm + 1)–\(options.days) by history:")
    for name in names {
      let each = (results[name] ?? []).indices.map { seed -> String in
        let oracle = sums([results["oracle"]?[seed] ?? []], warm..<options.days)
        return excess(sums([results[name]?[seed] ?? []], warm..<options.days), oracle).text(2)
      }
      print("  \(name.padding(to: 8)) \(each.joined(separator: " "))")
    }
  }

  private static func row(
    _ title: String, _ days: Range<Int>, _ results: [String: [[Sums]]], _ names: [String]
  ) {
    let oracle = sums(results["oracle"] ?? [], days)
    let cells = names.map { name -> String in
      let own = sums(results[name] ?? [], days)
      return "\(excess(own, oracle).text(2)) / \(ratio(own).text(2))"
    }
    print(
      "| \(title) | \((oracle.loss / oracle.clicks).text(4)) | "
        + cells.joined(separator: " | ") + " |")
  }

  private static func sums(_ runs: [[Sums]], _ days: Range<Int>) -> Sums {
    var total = Sums()
    for run in runs {
      for day in days where run.indices.contains(day) { total.add(run[day]) }
    }
    return total
  }

  private static func excess(_ own: Sums, _ oracle: Sums) -> Double {
    100 * (own.loss / oracle.loss - 1)
  }

  private static func ratio(_ sums: Sums) -> Double { sums.predicted / sums.truth }
}
