public import Events

/// What an impression is worth to a campaign, by its goal.
public struct BidGoal: BitwiseCopyable, Sendable, Equatable {
  public var kind: EventDetails.Campaign.GoalKind
  /// Micros: the cost of a conversion for `cpa`, the return on spend for `roas`. 0: not given.
  public var targetMicros: Int64

  public init(kind: EventDetails.Campaign.GoalKind = .maxValue, targetMicros: Int64 = 0) {
    self.kind = kind
    self.targetMicros = targetMicros
  }

  /// The most that an average impression may cost on average, in micros, if the goal is to be met.
  ///
  /// `max_value`: what it brings. `cpa`: conversions per impression × target. `roas`: what it
  /// brings / target. A goal without a target above 0 is `max_value`.
  ///
  /// - Parameters:
  ///   - valueMicros: Value that an impression brings.
  ///   - conversions: Conversions per impression.
  public func worthMicros(valueMicros: Double, conversions: Double) -> Double {
    guard targetMicros > 0 else { return valueMicros }
    return switch kind {
    case .maxValue: valueMicros
    case .cpa: conversions * Double(targetMicros)
    case .roas: valueMicros / (Double(targetMicros) / 1e6)
    }
  }

  /// Worth comes from conversions alone: what they bring is not asked.
  public var isByConversions: Bool { kind == .cpa && targetMicros > 0 }

  /// How uncertain the worth is, standard deviation by mean.
  public func deviation(value: Double, conversions: Double) -> Double {
    isByConversions ? conversions : value
  }
}
