/// The type of a stream: what flows between operators and what a sink publishes.
public struct StreamType: Hashable, Sendable, CustomStringConvertible {
  /// As in topology files and file names: `events`, `tallies`, `bid_parameters`.
  public var name: String
  /// Its records replace each other by key (a compacted topic).
  public var compacted: Bool

  public init(_ name: String, compacted: Bool = false) {
    self.name = name
    self.compacted = compacted
  }

  public var description: String { name }

  /// Decoded events, as sources give them and `deduplicate` passes them on.
  public static let events = StreamType("events")
  /// Refused records; always has a sink, named or not.
  public static let deadLetters = StreamType("dead_letters")
  /// Warnings for a person, by any operator.
  public static let alerts = StreamType("alerts")
  /// Exact running totals.
  public static let tallies = StreamType("tallies", compacted: true)
  /// Events with the person that they belong to and, behind `journeys`, what its journey knows.
  public static let interactions = StreamType("interactions")
  /// The earlier touches of whoever converts, for the interaction of the same entry.
  public static let touches = StreamType("touches")
  /// Which touches get the credit for a conversion.
  public static let attributions = StreamType("attributions")
  /// What a model expected of an impression, and what became of it.
  public static let predictions = StreamType("predictions")
  /// How good predictions were, by account and campaign, model and head.
  public static let scores = StreamType("scores", compacted: true)
  /// What a bidder needs to score by itself: weights, in parts.
  public static let models = StreamType("models")
  /// What accounts contribute to what they learn together: events, of the type `prior`.
  public static let updates = StreamType("updates")
  /// What they have in common: events of the type `prior`, for everybody.
  public static let priors = StreamType("priors")
  /// What is believed about an ad: rates, value, return, and the counts behind them.
  public static let estimates = StreamType("estimates", compacted: true)
  /// How fast a campaign may spend.
  public static let paces = StreamType("paces", compacted: true)
  /// What an ad's bid would be if nothing limited it.
  public static let proposals = StreamType("proposals", compacted: true)
  /// What bidders obey.
  public static let bidParameters = StreamType("bid_parameters", compacted: true)
}
