/// The vector that an account contributes to a round: which number stands where, and how long it may
/// be.
///
/// Three parts: how often there is a click and a conversion, what each shared feature adds to their
/// log-odds, and which features do so clearly. Each part is clipped by itself to 1/√3, so that none
/// crowds out another and the whole is at most 1 long. Features are slots: what a slot means is
/// agreed elsewhere, and is the same for all accounts.
///
/// Numbers travel as whole multiples of 2⁻³⁰, rounded toward 0: sums of them are exact, whatever
/// the order, and no rounding makes a vector longer.
@frozen
public struct UpdateLayout: Sendable, Equatable {
  /// Features that accounts have in common.
  public let slots: Int
  /// Length of an account's weights, in log-odds, above which they are clipped.
  public let weightLimit: Double

  /// - Parameters:
  ///   - slots: At least 1.
  ///   - weightLimit: Above 0.
  public init(slots: Int, weightLimit: Double) {
    precondition(slots > 0 && weightLimit > 0, "an update has features, and weights a limit")
    self.slots = slots
    self.weightLimit = weightLimit
  }

  /// Numbers of a vector.
  public var count: Int { 8 * (slots + 1) }

  /// Each part's greatest length; of three, the whole is 1.
  static let partLength = (1.0 / 3).squareRoot()
  /// One, as it travels.
  static let one = 0x1p30

  /// Log-odds that rates are compared with: a click in 100 impressions, a conversion in 30 clicks.
  /// Constants, so that no account's settings are needed to read its update.
  static let anchors = Heads(Rate.logit(0.01), Rate.logit(1.0 / 30))
  /// How far from there they may lie.
  static let logitSpan = 4.0
  /// What is known of a rate, so that typical rates are not clipped and noise is small beside them:
  /// that it is known, its distance, that squared, and its variance by chance.
  static let rateScales = SIMD4(0.4, 0.6, 0.3, 0.2) * partLength
  /// Rates whose log-odds are less certain are not told; their variance.
  static let varianceMax = 0.5

  /// What a weight of 1 and one account with a pattern are, as numbers of a vector. An account that
  /// knows nearly everything of both heads, and is sure of it, is clipped and counts a little less.
  var weightScale: Double { UpdateLayout.partLength / weightLimit }
  var patternScale: Double { UpdateLayout.partLength / Double(2 * slots).squareRoot() }

  func rate(_ head: Int) -> Int { 4 * head }
  func weight(_ slot: Int, _ head: Int) -> Int { 8 + 2 * slot + head }
  /// Known, raises, lowers.
  func pattern(_ slot: Int, _ head: Int) -> Int { 8 + 2 * slots + 3 * (2 * slot + head) }

  private var parts: [Range<Int>] { [0..<8, 8..<(8 + 2 * slots), (8 + 2 * slots)..<count] }

  // MARK: One account

  /// What an account knows of a head: how often it came, of so many. Too little is nothing.
  ///
  /// - Parameter vector: All zeros at first.
  public func set(
    _ head: Int, successes: Double, trials: Double, in vector: UnsafeMutableBufferPointer<Double>
  ) {
    guard successes >= 0, trials >= successes, trials.isFinite else { return }
    let (yes, no) = (successes + 0.5, trials - successes + 0.5)
    let variance = 1 / yes + 1 / no
    guard variance <= UpdateLayout.varianceMax else { return }
    let logit = Elementary.log(yes) - Elementary.log(no)
    let distance = (logit - UpdateLayout.anchors[head]) / UpdateLayout.logitSpan
    let x = min(max(distance, -1), 1)
    let numbers = SIMD4(1, x, x * x, variance) * UpdateLayout.rateScales
    for i in 0..<4 { vector[rate(head) + i] = numbers[i] }
  }

  /// What a feature adds to an account's log-odds, and what of that it is sure of.
  ///
  /// - Parameters:
  ///   - weights: Of both heads.
  ///   - known: Which of them have enough evidence to be judged.
  ///   - raises: Which are clearly above 0 and, in `lowers`, below; of those that are known.
  public func set(
    _ slot: Int, weights: Heads, known: SIMDMask<SIMD2<Int64>>,
    raises: SIMDMask<SIMD2<Int64>>, lowers: SIMDMask<SIMD2<Int64>>,
    in vector: UnsafeMutableBufferPointer<Double>
  ) {
    for head in 0..<2 {
      vector[weight(slot, head)] = weights[head] * weightScale
      let place = pattern(slot, head)
      vector[place] = known[head] ? patternScale : 0
      vector[place + 1] = known[head] && raises[head] ? patternScale : 0
      vector[place + 2] = known[head] && lowers[head] ? patternScale : 0
    }
  }

  /// Makes a vector short enough, in place: what an account does before it gives it away, and the
  /// round again, which trusts nobody. Nobody counts as more than one account either. O(numbers).
  public func clip(_ vector: UnsafeMutableBufferPointer<Double>) {
    precondition(vector.count == count, "a vector has the layout's numbers")
    for i in 0..<8 {
      let limit = UpdateLayout.rateScales[i % 4]
      vector[i] = min(max(vector[i], i % 4 == 1 ? -limit : 0), limit)
    }
    for i in parts[2] { vector[i] = min(max(vector[i], 0), patternScale) }
    for part in parts {
      Contribution.clip(
        UnsafeMutableBufferPointer(rebasing: vector[part]), to: UpdateLayout.partLength)
    }
  }

  /// As it travels.
  public static func fixed(_ number: Double) -> Int32 {
    Int32((min(max(number, -1), 1) * one).rounded(.towardZero))
  }

  public static func number(_ fixed: Int32) -> Double { Double(fixed) / one }
}
