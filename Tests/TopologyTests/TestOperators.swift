import Events
import Streaming

// Operators that exist only here: descriptions without computation, of every shape that the
// checker knows.

let eventTypeNames = EventType.allCases.map { "\($0.name)" }

extension StreamType {
  static let interactions = StreamType("interactions")
  static let credits = StreamType("credits")
  static let valueChanges = StreamType("value_changes")
  static let predictions = StreamType("predictions")
  static let models = StreamType("models")
  static let estimates = StreamType("estimates")
  static let winners = StreamType("winners")
  static let paces = StreamType("paces")
  static let proposals = StreamType("proposals")
  static let bidParameters = StreamType("bid_parameters", compacted: true)
  static let actions = StreamType("actions")
}

private typealias Port = OperatorDescription.Port

let deduplicate = OperatorDescription(
  name: "deduplicate", version: 1, summary: "Drops events that were seen before.",
  inputs: [Port(.events)], outputs: [.events],
  settings: [
    SettingDescription(
      "within",
      .either([
        .duration(.seconds(1) ... .days(48)),
        .mapping(
          keys: eventTypeNames + ["order", "default"], .duration(.seconds(1) ... .days(48))),
      ]),
      default: "24h",
      meaning: "How long an event is remembered, for all types or by type; `order` is for the "
        + "orders of conversions, 30 d unless given.")
  ])

let tally = OperatorDescription(
  name: "tally", version: 1, summary: "Exact totals per account, campaign and ad.",
  inputs: [Port(.events)], outputs: [.tallies],
  settings: [
    SettingDescription(
      "every", .duration(.seconds(1) ... .days(1)), default: "1m",
      meaning: "Totals that changed are published at every multiple of it.")
  ])

private let journeys = OperatorDescription(
  name: "journeys", version: 3, summary: "Touches and states of persons.",
  inputs: [Port(.interactions)], outputs: [.interactions],
  settings: [
    SettingDescription(
      "lookback", .duration(.hours(1) ... .days(90)), default: "30d",
      meaning: "How long touches are kept."),
    SettingDescription(
      "timeout", .duration(.hours(1) ... .days(90)), default: "14d",
      meaning: "A journey lapses after this long without an interaction."),
    SettingDescription(
      "max_touches", .integer(1...1000), default: "200", meaning: "Per person; oldest go first."),
  ])

private let attribution = OperatorDescription(
  name: "attribution", version: 1, summary: "Credits touches for conversions.",
  inputs: [Port(.interactions), Port(.valueChanges, required: false)], outputs: [.credits],
  settings: [
    SettingDescription(
      "models", .list(.choice(["last_touch", "first_touch", "time_decay", "shapley"])),
      default: "[last_touch]", meaning: "Models that credit side by side."),
    SettingDescription(
      "primary", .choice(["last_touch", "first_touch", "time_decay", "shapley"]),
      default: "last_touch", meaning: "The model that learning follows."),
    SettingDescription(
      "windows",
      .structure([
        SettingDescription(
          "click", .duration(.minutes(1) ... .days(90)), default: "30d",
          meaning: "Clicks older than this get no credit."),
        SettingDescription(
          "view", .duration(.minutes(1) ... .days(90)), default: "1d",
          meaning: "Impressions older than this get no credit."),
      ]), default: "{}", meaning: "How far back touches are eligible."),
    SettingDescription(
      "min_confidence", .number(0...1), default: "0", meaning: "Links below it are not followed."),
  ])

private let dealValue = OperatorDescription(
  name: "deal_value", version: 1, summary: "Values deals while they are open.",
  inputs: [Port(.interactions)], outputs: [.valueChanges],
  settings: [
    SettingDescription(
      "pipelines",
      .mapping(
        keys: nil,
        .structure([
          SettingDescription("won", .text, default: "won", meaning: "The stage that wins."),
          SettingDescription(
            "stages",
            .list(
              .structure([
                SettingDescription("name", .text, default: "\"\"", meaning: "Of the stage."),
                SettingDescription(
                  "probability", .number(0...1), default: "0", meaning: "Of winning."),
              ])), default: "[]", meaning: "In their order."),
          SettingDescription(
            "learn", .boolean, default: "true", meaning: "Probabilities follow what is seen."),
        ])), default: "{}", meaning: "Stages and their values by pipeline.")
  ])

private let learner = OperatorDescription(
  name: "learner", version: 12, summary: "Click and conversion models.",
  inputs: [Port(.interactions), Port(.credits, required: false)],
  outputs: [.predictions, .models],
  settings: [
    SettingDescription(
      "hash_bits", .integer(10...30), default: "22", meaning: "Size of the feature space."),
    SettingDescription(
      "federate", .boolean, default: "false", meaning: "Whether updates are shared."),
    SettingDescription(
      "rate", .number(0.000001...(.infinity)), default: "0.05", meaning: "Of learning."),
  ])

private func plain(
  _ name: String, _ summary: String, _ inputs: [Port], _ outputs: [StreamType]
) -> OperatorDescription {
  OperatorDescription(
    name: name, version: 1, summary: summary, inputs: inputs, outputs: outputs, settings: [])
}

let registry: [OperatorDescription] = [
  deduplicate, tally,
  plain("identity", "Gives interactions a person.", [Port(.events)], [.interactions]),
  journeys, dealValue, attribution, learner,
  plain(
    "posteriors", "Beliefs about ads.",
    [Port(.interactions), Port(.credits), Port(.valueChanges, required: false)],
    [.estimates, .winners]),
  plain("pacing", "Spreads budgets.", [Port(.events), Port(.credits, required: false)], [.paces]),
  plain(
    "bids", "Proposes bids.",
    [Port(.events), Port(.predictions, required: false), Port(.estimates), Port(.paces)],
    [.proposals]),
  plain(
    "safety", "Decides what is published.", [Port(.events), Port(.proposals)],
    [.bidParameters, .actions]),
  plain("watch", "Alerts only.", [Port(.events)], []),
  plain("loop", "Proposals to credits, for cycles.", [Port(.proposals)], [.credits]),
  plain("echo", "Events again.", [Port(.events)], [.events]),
]

/// The file that most tests change a little.
let baseFile = """
  topology: t
  sources:
    events:
      log: { directory: data }
  operators:
    unique:
      operator: deduplicate
      from: events
      within: 24h
    totals:
      operator: tally
      from: unique
      every: 1m
  sinks:
    tallies:
      from: totals
      log: { topic: tallies }

  """

func parse(
  _ text: String, environment: [String: String] = [:], overrides: [String] = []
) throws(TopologyError) -> CheckedTopology {
  try CheckedTopology.parse(
    text: text, file: "t.yaml", environment: environment, overrides: overrides,
    registry: registry)
}

/// What is wrong with a text, one line a problem; empty when nothing is.
func problems(
  _ text: String, environment: [String: String] = [:], overrides: [String] = []
) -> [String] {
  do throws(TopologyError) {
    _ = try parse(text, environment: environment, overrides: overrides)
    return []
  } catch {
    return error.problems.map(\.description)
  }
}
