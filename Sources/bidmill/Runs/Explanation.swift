import Events
import Streaming

/// Why an ad has the bid that it has, for a person and for a program.
struct Explanation {
  var ad: AdHistory.Ad
  var parameters: JSONRecord
  var proposal: JSONRecord
  var pace: JSONRecord?
  var moves: [AdHistory.Move]
  var publications: Int

  /// - Returns: nil where the ad has no bid parameters.
  init?(_ ad: AdHistory.Ad, _ state: AdHistory.State) {
    guard let parameters = state.parameters, let proposal = state.proposal else { return nil }
    self.ad = ad
    self.parameters = parameters
    self.proposal = proposal
    pace = state.pace
    moves = state.moves.values.sorted { ($1.time, $0.what) < ($0.time, $1.what) }
    publications = state.publications
  }

  private func time(_ name: String) -> String {
    Text.time(parameters.integer(name).map { EventTime(milliseconds: $0) })
  }

  private var reasons: [String] {
    (parameters["reasons"] ?? "[]").split { "[],\"".contains($0) }.map(String.init)
  }

  /// What each published reason means.
  private static let meanings = [
    "control_kill": "an order says kill; only a release lifts it",
    "control_pause": "an order says pause",
    "campaign_ended": "the catalogue says that the campaign has ended",
    "campaign_paused": "the catalogue says that the campaign is paused",
    "schedule_ended": "the campaign's schedule is over",
    "schedule_not_started": "the campaign's schedule has not begun",
    "total_budget": "the campaign's total budget is spent",
    "daily_budget": "the day's budget is spent, until the campaign's own midnight",
    "default_bid": "too little is known of the ad: the campaign's default bid stands in",
    "pacing": "lowered so that the budget lasts the day",
    "control_multiplier": "an order multiplies the bid",
    "max_bid": "at most the campaign's bid.max",
    "control_max_bid": "at most what an order allows",
    "ceiling": "at most bid.ceiling times what an impression brings",
    "step_limit": "a bid rises step by step",
  ]

  // MARK: Text

  var text: String {
    var text = """
      \(ad.account)/\(ad.campaign)/\(ad.ad)
      \(parameters["status"] ?? "") since its record \(parameters["seq"] ?? "") of \(time("time")), \
      valid until \(time("valid_until"))
      bid \(parameters["bid"] ?? ""), never above \(parameters["max_bid"] ?? ""); \
      \(Text.plural(publications, "record")) so far

      how it came about

      """
    text += Text.table(steps, [.left, .right, .left], indent: 2)
    if !reasons.isEmpty {
      text += "\nwhat bounds it\n"
      text += Text.table(
        reasons.map { [$0, Explanation.meanings[$0] ?? ""] }, [.left, .left], indent: 2)
    }
    text += "\nwhat was counted\n" + Text.table(evidence, [.left, .right], indent: 2)
    text += "\nlast moved by\n"
    text += Text.table(
      moves.map { [$0.what, Explanation.place($0.source), Text.time($0.time)] },
      [.left, .left, .left], indent: 2)
    for move in moves {
      if let record = move.record { text += "\n\(move.what): \(record)\n" }
    }
    return text
  }

  private var steps: [[String]] {
    func number(_ value: Double?, _ places: Int = 6) -> String {
      value.map { Text.decimal($0, places: places) } ?? "none"
    }
    func rate(_ name: String) -> [String] {
      let mean = proposal.number(name, "mean").map { Text.decimal($0 * 100, places: 4) + " %" }
      let alpha = number(proposal.number(name, "alpha"), 1)
      return [mean ?? "none", "Beta(\(alpha), \(number(proposal.number(name, "beta"), 1)))"]
    }
    /// What the learner's model expects of the ad's recent traffic, and how much that counts.
    func view(_ name: String) -> [[String]] {
      guard let rate = proposal.number("prediction", name),
        let weight = proposal.number("prediction", name + "_weight")
      else { return [] }
      return [
        [
          "  the model's", Text.decimal(rate * 100, places: 4) + " %",
          "counts \(Text.decimal(weight * 100, places: 0)) %",
        ]
      ]
    }
    var steps = [["click rate"] + rate("ctr")] + view("ctr")
    steps += [["conversion rate"] + rate("cvr")] + view("cvr")
    steps += [
      ["value of a conversion", number(proposal.number("value", "per_conversion"), 2), ""],
      ["value of an impression", number(proposal.number("value", "per_impression")), deviation],
      [
        "worth by the goal", number(proposal.number("worth")),
        proposal["default"] == "true" ? "the campaign's default bid" : "",
      ],
      ["times pacing", number(proposal.number("pacing")), budget],
      ["proposed", number(proposal.number("bid")), ""],
    ]
    for clip in clips {
      steps.append([
        clip["limit"] ?? "", number(clip.number("clipped")), "was \(number(clip.number("raw")))",
      ])
    }
    steps.append(["published", number(parameters.number("bid")), parameters["status"] ?? ""])
    return steps
  }

  private var deviation: String {
    guard let deviation = proposal.number("deviation") else { return "not known yet" }
    return "give or take \(Text.decimal(deviation * 100, places: 0)) %"
  }

  private var budget: String {
    guard let pace else { return "" }
    var parts: [String] = []
    if let budget = pace.number("budget_today") {
      let spent = Text.decimal(pace.number("spent_today") ?? 0, places: 2)
      parts.append("\(spent) of \(Text.decimal(budget, places: 2)) spent today")
    }
    if let budget = pace.number("budget_total") {
      let spent = Text.decimal(pace.number("spent_total") ?? 0, places: 2)
      parts.append("\(spent) of \(Text.decimal(budget, places: 2)) spent in all")
    }
    return parts.isEmpty
      ? "no budget" : parts.joined(separator: ", ") + " when it was set"
  }

  private var clips: [JSONRecord] {
    guard let text = parameters["clips"], text.count > 2 else { return [] }
    return text.dropFirst().dropLast().split(separator: "}", omittingEmptySubsequences: true).map {
      JSONRecord("\($0.drop { $0 == "," })}".utf8)
    }
  }

  private var evidence: [[String]] {
    func count(_ name: String) -> String { parameters["evidence", name] ?? "0" }
    return [
      ["impressions", count("impressions")], ["clicks", count("clicks")],
      ["conversions (credited)", count("conversions")], ["value", count("value")],
      ["spend", count("spend")],
    ]
  }

  /// `events.jsonl line 7`, `events partition 0 offset 18211`, `the clock`.
  private static func place(_ source: String) -> String {
    let record = JSONRecord(source.utf8)
    if let file = record["file"] { return "\(file) line \(record["line"] ?? "")" }
    if let topic = record["topic"] {
      return "\(topic) partition \(record["partition"] ?? "") offset \(record["offset"] ?? "")"
    }
    return "the clock"
  }

  // MARK: JSON

  /// One line: the published record, the proposal behind it, the pace, and what moved them last.
  var json: String {
    let moved = moves.map { move in
      let record = move.record.map { ",\"event\":\($0)" } ?? ""
      return "{\"what\":\"\(move.what)\",\"time\":\(move.time.milliseconds),"
        + "\"source\":\(move.source)\(record)}"
    }
    return "{\"bid_parameters\":\(parameters.text),\"proposal\":\(proposal.text),"
      + "\"pace\":\(pace?.text ?? "null"),\"moved_by\":[\(moved.joined(separator: ","))]}\n"
  }
}
