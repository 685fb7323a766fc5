import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// Posteriors with times of minutes and hours, so that short histories reach everything.
enum Estimating {
  static func topology(_ settings: String = "", sinks: Bool = true) throws -> CheckedTopology {
    try Attributing.topology(
      behind: """
        beliefs:
            operator: posteriors
            from: [journeys, credits]
            half_life: 3h
            maturity: { click: 5m, conversion: 40m }
            \(settings)
        """,
      views: "always",
      sinks: [Attributing.sink("estimates", from: "beliefs")]
        + (sinks
          ? [
            Attributing.sink("interactions", from: "journeys"),
            Attributing.sink("attributions", from: "credits"),
          ] : []))
  }

  static func history(
    _ count: Int, seed: UInt64, duration: TimeSpan = .hours(7), accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    Attributing.onTime(
      count, seed: seed, duration: duration, accounts: accounts, change: change)
  }

  static func path(_ record: [String: Any]) -> [String] {
    ["account", "campaign", "ad"].map { record[$0] as? String ?? "" }
  }

  static func number(_ record: [String: Any], _ path: String...) -> Double {
    number(record, path)
  }

  static func micros(_ record: [String: Any], _ path: String...) -> Int64 {
    Int64((number(record, path) * 1e6).rounded())
  }

  /// Amounts may be written as texts.
  private static func number(_ record: [String: Any], _ path: [String]) -> Double {
    var value: Any = record
    for key in path { value = (value as? [String: Any])?[key] ?? 0 }
    if let text = value as? String { return Double(text) ?? 0 }
    return (value as? Double) ?? Double(value as? Int ?? 0)
  }
}

/// Evidence equals a recount exactly and beliefs equal a recount of what has matured, over random
/// histories with duplicates and bad records.
@Suite struct PosteriorsOracleTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func equalsANaiveRecount(_ seed: UInt64) throws {
    let driver = try Attributing.driver(Estimating.topology())
    var naive = NaivePosteriors(
      clickMaturity: 5 * 60_000, conversionMaturity: 40 * 60_000, halfLife: 3 * 3_600_000)
    var inputs: [String: [String: Any]] = [:]
    var checked = (evidence: 0, beliefs: 0, credited: 0)
    for record in Estimating.history(1_500, seed: seed) {
      if let input = try? Attributing.object(String(decoding: record, as: UTF8.self)),
        let id = input["id"] as? String
      {
        inputs["\(input["account"] ?? "")/\(id)"] = input
      }
      try driver.send(record)
      let counting = try take(driver, inputs, &naive)
      checked.credited += counting.credits
      let estimates = try driver.outputs(of: "estimates").map { try Attributing.object($0) }
      var newest: [[String]: [String: Any]] = [:]
      for estimate in estimates {
        newest[Estimating.path(estimate)] = estimate
        // A clock entry's records were given before the event was.
        let source = estimate["source"] as? [String: Any]
        let clock = (source?["clock"] as? Int).map(Int64.init)
        guard clock == nil || counting.isQuiet else { continue }
        if checked.beliefs % 7 == 0 || clock == nil {
          check(estimate, naive, at: clock ?? driver.clock.milliseconds, counting.isNew, seed)
        }
        checked.beliefs += 1
      }
      for (path, estimate) in newest {
        let evidence = NaivePosteriors.Evidence(
          impressions: Int64(Estimating.number(estimate, "evidence", "impressions")),
          clicks: Int64(Estimating.number(estimate, "evidence", "clicks")),
          credits: Estimating.micros(estimate, "evidence", "conversions"),
          value: Estimating.micros(estimate, "evidence", "value"),
          spend: Estimating.micros(estimate, "evidence", "spend"))
        let isCounted = counting.paths.contains(path) || counting.isQuiet
        if isCounted { #expect(evidence == naive.evidence(of: path), "\(path), seed \(seed)") }
        checked.evidence += 1
      }
      #expect(counting.paths.allSatisfy { newest[$0] != nil }, "seed \(seed)")
    }
    print("seed \(seed): \(checked)")
    #expect(checked.evidence > 1_000 && checked.beliefs > 500 && checked.credited > 50)
  }

  struct Counting {
    var paths: Set<[String]> = []
    var credits = 0
    var isNew: Set<[String]> = []
    var isQuiet: Bool { paths.isEmpty }
  }

  /// Takes what the operator was given with the last event.
  private func take(
    _ driver: TopologyDriver, _ inputs: [String: [String: Any]], _ naive: inout NaivePosteriors
  ) throws -> Counting {
    var counting = Counting()
    func add(_ observation: NaivePosteriors.Observation) {
      let path = [observation.account, observation.campaign, observation.ad]
      if naive.evidence(of: path) == NaivePosteriors.Evidence() { counting.isNew.insert(path) }
      counting.paths.insert(path)
      naive.add(observation)
    }
    let clock = driver.clock.milliseconds
    for output in driver.outputs(of: "interactions") {
      let record = try Attributing.object(output)
      guard let type = record["type"] as? String, type == "impression" || type == "click",
        let id = record["id"], let input = inputs["\(record["account"] ?? "")/\(id)"]
      else { continue }
      let path = Estimating.path(input)
      add(
        NaivePosteriors.Observation(
          account: path[0], campaign: path[1], ad: path[2],
          time: Int64(Estimating.number(record, "time")), seen: clock, isClick: type == "click",
          spend: Estimating.micros(input, "price")))
    }
    for output in driver.outputs(of: "attributions") {
      let record = try Attributing.object(output)
      guard record["model"] as? String == "linear", let touch = record["touch"] as? [String: Any]
      else { continue }
      let path = Estimating.path(record)
      counting.credits += 1
      add(
        NaivePosteriors.Observation(
          account: path[0], campaign: path[1], ad: path[2],
          time: Int64(Estimating.number(touch, "time")), seen: clock,
          isClick: touch["type"] as? String == "click",
          credit: Double(Estimating.micros(record, "credit")) * 1e-6,
          value: Estimating.micros(record, "value")))
    }
    return counting
  }

  /// Checks what is believed, to the places that are written. Of an event's records only those of
  /// new ads were computed at that moment.
  private func check(
    _ estimate: [String: Any], _ naive: NaivePosteriors, at now: Int64, _ new: Set<[String]>,
    _ seed: UInt64
  ) {
    let path = Estimating.path(estimate)
    let isEvent = (estimate["source"] as? [String: Any])?["clock"] == nil
    guard !isEvent || new.contains(path) else { return }
    let belief = naive.belief(of: path, at: now)
    func close(_ a: Double, _ b: Double, _ places: Double) -> Bool {
      (a - b).magnitude <= 0.51 * places + 1e-9 * b.magnitude
    }
    #expect(
      close(Estimating.number(estimate, "ctr", "alpha"), belief.ctr.alpha, 1e-6)
        && close(Estimating.number(estimate, "ctr", "beta"), belief.ctr.beta, 1e-6)
        && close(Estimating.number(estimate, "cvr", "alpha"), belief.cvr.alpha, 1e-6)
        && close(Estimating.number(estimate, "cvr", "beta"), belief.cvr.beta, 1e-6)
        && close(
          Estimating.number(estimate, "value", "per_conversion"), belief.valuePerConversion / 1e6,
          1e-6)
        && close(
          Estimating.number(estimate, "value", "per_impression"), belief.valuePerImpression / 1e6,
          1e-9),
      "\(estimate) instead of \(belief) at \(now), seed \(seed)")
  }
}
