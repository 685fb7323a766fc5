import Learning
import Streaming

/// When and how conversions are learned that come late: the setting `delay`.
enum DelayMethod {
  /// When nothing can change a label any more.
  case mature
  /// At once, a pending click as the probability that it still converts.
  case dfm
  /// After a wait; later conversions again, both weighted.
  case esDFM
  /// Every click at once as a negative; conversions again, both weighted.
  case fnw

  init(_ name: String) {
    switch name {
    case "dfm": self = .dfm
    case "es_dfm": self = .esDFM
    case "fnw": self = .fnw
    default: self = .mature
    }
  }

  /// How old a click is when it is looked at between its click window and its conversion window.
  func looks(window: Int64, wait: Int64) -> [Int64] {
    switch self {
    case .mature, .fnw: []
    case .dfm:
      [1, 4, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072].map { window / 4096 * $0 }
    case .esDFM: [wait]
    }
  }
}

/// The conversion head that learns at once, beside the two heads of a model, which wait.
///
/// It is an `FTRL` over the same features; in the second lane is what its method needs beside.
///
/// `dfm` learns from clicks, by the loss of conversions with a delay. A pending click is looked at
/// again and again: each time the derivative is what it is now, less that which was learned of this
/// click before, until its label is final. So nothing is learned twice, what proves wrong is taken
/// back, and in the end the head has learned what it would have from final labels. Delays are those
/// of the account (`ConversionLags`): of a probability and a rate of delays for every feature, young
/// clicks would tell the product alone.
///
/// `es_dfm` and `fnw` learn from all impressions, by the loss of pCTCVR, conversions whenever they
/// come, with weights that make it right on average. The second lane of `es_dfm` is the log-odds of a
/// conversion after the wait, learned from final labels.
struct DelayedConversions {
  private let method: DelayMethod
  private let learner: FTRL
  private let coordinates: Table<FTRL.Coordinate>

  /// What was learned of a pending click so far, by one model. `dfm`: the derivative. `es_dfm`: 1 and
  /// the credit, once the wait has ended; 0 before.
  typealias Told = Float

  /// - Parameter prior: Conversions per click before any evidence.
  init(
    _ method: DelayMethod, _ settings: Settings, prior: Double, named name: String,
    in store: StateStore
  ) {
    self.method = method
    // Half of the conversions come after the wait.
    let second = method == .esDFM ? Rate.logit(prior / 2) : 0
    let base = Heads(Rate.logit(prior), second)
    if settings.text("algorithm") == "ftrl" {
      learner = FTRL(
        alpha: settings.number("alpha"), beta: settings.number("beta"),
        l1: settings.number("l1"), l2: settings.number("l2"), base: base)
    } else {
      learner = FTRL(base: base)
    }
    coordinates = store.table("\(name).conversions", of: FTRL.Coordinate.self)
    coordinates.fill(to: Int(FeatureRows.blockRows), with: learner.coordinate(of: 0))
  }

  func grow(to rows: Int) {
    if coordinates.count < rows { coordinates.fill(to: rows, with: learner.coordinate(of: 0)) }
  }

  /// Begins with a weight, as if it had this much evidence.
  func seed(_ row: Int32, weight: Double, evidence: Double) {
    coordinates.update(row).pointee = learner.coordinate(
      weights: Heads(weight, 0), squaredGradients: Heads(evidence, 0))
  }

  @inline(__always)
  private func active(_ example: ExampleFeatures) -> ActiveFeatures<FTRL.Coordinate> {
    ActiveFeatures(
      coordinates: coordinates.address(0), rows: example.rows, values: example.values,
      count: example.count)
  }

  /// Log-odds, not cut.
  @inline(__always)
  private func logits(_ example: ExampleFeatures) -> Heads {
    learner.logits(active(example))
  }

  /// Probability of a conversion, given a click.
  @inline(__always)
  func rate(_ example: ExampleFeatures) -> Double {
    Rate.bounded(Rate.sigmoid(logits(example).x))
  }

  /// The weight of a feature in the log-odds of a conversion, which begin at `prior`.
  func weight(of row: Int32) -> Double { learner.weights(coordinates[row]).x }

  @inline(__always)
  private func descend(_ example: ExampleFeatures, by derivatives: Heads) {
    // A snapshot under way keeps the rows as they were.
    coordinates.willChange(example.rows, count: example.count)
    learner.descend(active(example), by: derivatives)
  }

  // MARK: What becomes known

  /// The heads before something is learned, and the click rate beside them.
  private struct Present {
    var click: Double
    var logits: Heads
    var conversion: Double

    var both: Double { click * conversion }
    var slope: Double { EntireSpace.slope(click: click, conversion: conversion) }
  }

  @inline(__always)
  private func present(_ example: ExampleFeatures, click: Double) -> Present {
    let logits = logits(example)
    return Present(
      click: click, logits: logits, conversion: Rate.bounded(Rate.sigmoid(logits.x)))
  }

  /// Probability of a click that converts only after the wait.
  private func late(_ present: Present) -> Double {
    present.click * Rate.sigmoid(present.logits.y)
  }

  /// An impression was not clicked: it has not converted.
  func learnUnclicked(_ example: ExampleFeatures, click: Double) {
    guard method == .esDFM || method == .fnw else { return }
    let present = present(example, click: click)
    let weight =
      method == .fnw
      ? FakeNegatives.negative(predicted: present.both).weight
      : ElapsedSampling.negative(predicted: present.both, late: late(present)).weight
    descend(example, by: Heads(weight * present.both * present.slope, 0))
  }

  /// A click that comes is something to learn from. At this age it says nothing to `dfm`, and to
  /// `es_dfm` not yet.
  var learnsClicks: Bool { method == .fnw }

  /// The click rate beside it counts.
  var usesClickRate: Bool { method != .dfm }

  /// A click has come.
  func learnClick(_ example: ExampleFeatures, click: Double) {
    learnUnclicked(example, click: click)
  }

  /// A click that has this credit so far is looked at.
  ///
  /// - Parameter remaining: The part of all conversions that comes at a later age.
  func learnPending(
    _ example: ExampleFeatures, click: Double, remaining: Double, credit: Double,
    _ told: inout Told
  ) {
    let present = present(example, click: click)
    switch method {
    case .mature, .fnw: return
    case .dfm:
      // What has converted waits for nothing.
      guard credit == 0 else { return }
      // In the time whose hazard is 1, delays are exponential whatever they are in ours.
      let gradient = ExponentialDelay.pendingGradient(
        logit: present.logits.x, logRate: 0, age: -Elementary.log(remaining))
      tell(example, gradient.logit, &told)
    case .esDFM:
      let late = late(present)
      let negative = ElapsedSampling.negative(predicted: present.both, late: late)
      let positive = ElapsedSampling.positive(late: late)
      // A positive's (c − 1)(1 − q) / (1 − c) is −(1 − q).
      let derivative =
        (1 - credit) * negative.weight * present.both * present.slope
        - credit * positive.weight * (1 - present.conversion)
      descend(example, by: Heads(derivative, 0))
      told = 1 + Float(credit)
    }
  }

  /// The credit of a click has changed, by a conversion or by a retraction.
  func learnCredit(
    _ example: ExampleFeatures, click: Double, from old: Double, to new: Double,
    _ told: inout Told
  ) {
    guard old != new else { return }
    let present = present(example, click: click)
    switch method {
    case .mature: return
    case .dfm:
      tell(example, present.conversion - new, &told)
    case .esDFM:
      guard told > 0 else { return }
      let weight = ElapsedSampling.positive(late: late(present)).weight
      descend(example, by: Heads((old - new) * weight * (1 - present.conversion), 0))
    case .fnw:
      let weight = FakeNegatives.positive(predicted: present.both).weight
      descend(example, by: Heads((old - new) * weight * (1 - present.conversion), 0))
    }
  }

  /// The label of a click is final.
  func learnMature(
    _ example: ExampleFeatures, click: Double, credit: Double, _ told: Told
  ) {
    switch method {
    case .mature, .fnw: return
    case .dfm:
      guard credit == 0 else { return }
      var told = told
      tell(example, present(example, click: click).conversion, &told)
    case .esDFM:
      // The second head learns from clicks, not from all impressions.
      let late = min(max(credit + 1 - Double(told), 0), 1)
      descend(example, by: Heads(0, Rate.sigmoid(logits(example).y) - late))
    }
  }

  /// Learns what the derivative of a click's loss is now, instead of what it was.
  private func tell(_ example: ExampleFeatures, _ derivative: Double, _ told: inout Told) {
    let now = Told(derivative)
    descend(example, by: Heads(Double(now) - Double(told), 0))
    told = now
  }

  func digest(ofRow row: Int32, _ owner: UInt64, _ digest: inout StateDigest) {
    let coordinate = coordinates[row]
    digest.add(
      owner: owner, bits(coordinate.z.x), bits(coordinate.z.y), bits(coordinate.root.x),
      bits(coordinate.root.y))
  }
}
