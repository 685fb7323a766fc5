public import Events

/// A rule that shares the credit for a conversion among the touches before it.
public enum AttributionModel: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// All to the newest touch.
  case lastTouch
  /// All to the oldest touch.
  case firstTouch
  /// The same to every touch.
  case linear
  /// Half as much for every half-life that a touch is older.
  case timeDecay
  /// Fixed shares to the first and the last touch, the rest to those between.
  case position

  public var name: StaticString {
    switch self {
    case .lastTouch: "last_touch"
    case .firstTouch: "first_touch"
    case .linear: "linear"
    case .timeDecay: "time_decay"
    case .position: "position"
    }
  }

  /// The touch that gets everything under this model, by its number of `count`, oldest first; nil
  /// where they have to share.
  public func onlyTouch(of count: Int) -> Int? {
    switch self {
    case .lastTouch: count - 1
    case .firstTouch: 0
    case .linear, .timeDecay, .position: count == 1 ? 0 : nil
    }
  }
}

/// The numbers of the models that have some.
public struct CreditRules: Sendable, BitwiseCopyable {
  /// `timeDecay`: above 0.
  public var halfLife: TimeSpan
  /// `position`: millionths for the first touch, those between together, and the last one.
  public var first: Int64
  public var middle: Int64
  public var last: Int64

  /// - Precondition: the half-life is above 0; the shares are not negative and sum to 1,000,000.
  public init(
    halfLife: TimeSpan = .days(7), first: Int64 = 400_000, middle: Int64 = 200_000,
    last: Int64 = 400_000
  ) {
    precondition(halfLife.milliseconds > 0, "a half-life is above 0")
    precondition(
      min(first, middle, last) >= 0 && first + middle + last == 1_000_000,
      "the shares of the positions sum to a million")
    self.halfLife = halfLife
    self.first = first
    self.middle = middle
    self.last = last
  }

  /// What each touch weighs under a model; each weight is below 2⁵⁴ and at least one above 0.
  ///
  /// Time decay is taken relative to the newest touch, which changes no share and keeps the newest
  /// from vanishing however long ago it was. Position: two touches share as the first to the last
  /// (evenly when both have nothing); a single one takes everything.
  ///
  /// - Parameters:
  ///   - times: Of the touches, in ms, oldest first; at least one.
  ///   - weights: As many; filled.
  public func weigh(
    _ model: AttributionModel, times: UnsafeBufferPointer<Int64>,
    into weights: UnsafeMutableBufferPointer<UInt64>
  ) {
    let count = times.count
    precondition(count > 0 && weights.count >= count, "every touch has a place for its weight")
    let newest = count - 1
    switch model {
    case .lastTouch: for i in 0..<count { weights[i] = i == newest ? 1 : 0 }
    case .firstTouch: for i in 0..<count { weights[i] = i == 0 ? 1 : 0 }
    case .linear: for i in 0..<count { weights[i] = 1 }
    case .timeDecay:
      for i in 0..<count {
        let age = times[newest] &- times[i]
        weights[i] = Decay.weight(age: age, halfLife: halfLife.milliseconds) >> 10
      }
    case .position:
      // Times the number of touches between, so that their part of `middle` is whole.
      let between = UInt64(max(count - 2, 1))
      for i in 0..<count { weights[i] = UInt64(middle) }
      weights[0] = UInt64(first) * between
      weights[newest] = UInt64(last) * between
      if count == 1 || (count == 2 && first + last == 0) {
        weights[0] = 1
        weights[newest] = 1
      }
    }
  }
}

/// Which touches may be credited with a conversion.
public struct AttributionWindows: Sendable, BitwiseCopyable {
  /// How old a click may be.
  public var click: TimeSpan
  /// How old a viewable impression may be.
  public var view: TimeSpan
  /// Views count although there is a click.
  public var viewsBesideClicks: Bool

  public init(
    click: TimeSpan = .days(30), view: TimeSpan = .days(1), viewsBesideClicks: Bool = false
  ) {
    self.click = click
    self.view = view
    self.viewsBesideClicks = viewsBesideClicks
  }

  /// Whether a touch at `time` is within its window [t − w, t) of a conversion at `conversion`.
  @inlinable
  public func holds(
    isClick: Bool, isViewable: Bool, at time: EventTime, conversion: EventTime
  ) -> Bool {
    guard isClick || isViewable, time < conversion else { return false }
    return conversion - time <= (isClick ? click : view)
  }
}
