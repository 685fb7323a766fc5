import Events
import Learning
import Streaming

/// Maps from what models say to what is published, learned from labels: of clicks, and of
/// conversions of clicks. Their product is calibrated by both.
///
/// `platt` has a line for each campaign, learned with every label, that begins as the identity.
/// The others have a map for each account, fitted again to a fading histogram of what the model
/// said: after 256 labels, and then whenever there are an eighth more, or 16,384 more. An isotonic
/// curve needs a thousand positives; until then it is a line. A line takes 48 bytes a campaign,
/// model and head, a map 6 KiB an account, model and head, a curve 4 more.
struct RateCalibration {
  enum Method: Equatable {
    case none, platt, isotonic, beta, temperature

    /// As stored.
    var number: Int64 {
      switch self {
      case .none: 0
      case .platt: 1
      case .isotonic: 2
      case .beta: 3
      case .temperature: 4
      }
    }

    init(_ settings: Settings) {
      switch settings.text("calibration") {
      case "platt": self = .platt
      case "isotonic": self = .isotonic
      case "beta": self = .beta
      case "temperature": self = .temperature
      default: self = .none
      }
    }
  }

  static let setting = SettingDescription(
    "calibration", .choice(["none", "platt", "isotonic", "beta", "temperature"]), default: "none",
    meaning: """
      How predictions are corrected before they are published: `platt`, by a line in the log-odds \
      for each campaign; by a curve for each account: `isotonic`, rising, `beta`, of three \
      parameters, or `temperature`, of one (confidence alone, not the rate).
      """)

  static let curvePositivesMin = 1000.0

  private struct Line: BitwiseCopyable {
    var platt = OnlinePlatt()
    /// When its evidence faded last, in steps of an eighth of the half-life; -1 before its first
    /// label.
    var step: Int64 = -1
  }

  private struct Map: BitwiseCopyable {
    /// logit q = a ln p − b ln(1 − p) + c, which all but the curve are cases of.
    var map = BetaCalibration()
    /// The curve counts instead.
    var isCurve: Int64 = 0
    var labels: Int64 = 0
    /// Labels since it was fitted.
    var news: Int64 = 0
  }

  private static let headCount = 2

  let method: Method
  private let modelCount: Int
  private let decay: ForwardDecay
  private let directory: Directory
  /// First rows of campaigns (`platt`) or accounts; -1 before the first label.
  private let firsts: Table<Int32>
  /// What the rows below are of: the method, and the number of models. One row.
  private let shape: Table<Int64>
  private let lines: Table<Line>
  private let maps: Table<Map>
  private let curves: Table<IsotonicCalibration>
  private let histograms: Table<Fading<ScoreHistogram>>

  init(_ method: Method, models: Int, halfLife: Int64, _ setup: OperatorSetup) {
    self.method = method
    modelCount = models
    decay = ForwardDecay(halfLife: halfLife)
    directory = setup.directory
    firsts = setup.store.table("calibration.firsts", of: Int32.self)
    shape = setup.store.table("calibration.shape", of: Int64.self, capacity: 1)
    lines = setup.store.table("calibration.lines", of: Line.self)
    maps = setup.store.table("calibration.maps", of: Map.self)
    curves = setup.store.table(
      "calibration.curves", of: IsotonicCalibration.self, capacity: 1)
    histograms = setup.store.table(
      "calibration.scores", of: Fading<ScoreHistogram>.self, capacity: 1)
    let present = Int64(models) << 8 | method.number
    shape.append(present)
    let calibration = self
    setup.store.afterRestore { calibration.restored(present) }
  }

  /// Maps of other settings are of no use: they are learned anew.
  private func restored(_ present: Int64) {
    guard shape[0] != present else { return }
    shape.update(0).pointee = present
    firsts.removeAll()
    lines.removeAll()
    maps.removeAll()
    curves.removeAll()
    histograms.removeAll()
  }

  private var rowsEach: Int32 { Int32(modelCount * RateCalibration.headCount) }

  // MARK: Maps

  @inline(__always)
  func published(_ raw: Heads, _ model: Int, campaign: Int32, account: Int32) -> Heads {
    let owner = method == .platt ? campaign : account
    guard Int(owner) < firsts.count, firsts[owner] >= 0 else { return raw }
    let row = firsts[owner] &+ Int32(model &* RateCalibration.headCount)
    return Heads(published(raw.x, row), published(raw.y, row &+ 1))
  }

  @inline(__always)
  private func published(_ raw: Double, _ row: Int32) -> Double {
    if method == .platt { return lines.address(row).pointee.platt.scaling(raw) }
    let map = maps.address(row)
    // Nothing was fitted yet.
    if map.pointee.labels == map.pointee.news { return raw }
    return map.pointee.isCurve == 1 ? curves.address(row).pointee(raw) : map.pointee.map(raw)
  }

  // MARK: Publication

  /// The lines of a model, of both heads, for a campaign; nil before its first label. Only labels
  /// change them: what fades is the evidence behind them.
  func lines(
    ofCampaign campaign: Int32, _ model: Int
  ) -> (click: PlattScaling, conversion: PlattScaling)? {
    guard method == .platt, Int(campaign) < firsts.count, firsts[campaign] >= 0 else { return nil }
    let row = firsts[campaign] &+ Int32(model &* RateCalibration.headCount)
    return (lines[row].platt.scaling, lines[row &+ 1].platt.scaling)
  }

  /// Those that have lines.
  func forEachCampaign(_ body: (Int32) -> Void) {
    guard method == .platt else { return }
    for campaign in 0..<Int32(firsts.count) where firsts[campaign] >= 0 { body(campaign) }
  }

  /// What corrects a head of an account.
  enum HeadMap {
    case line(BetaCalibration)
    case curve(UnsafePointer<IsotonicCalibration>)
  }

  /// The map of a model's head for an account; nil before it was fitted. Valid until the next
  /// label.
  func map(of account: Int32, _ model: Int, head: Int) -> HeadMap? {
    guard method != .platt, Int(account) < firsts.count, firsts[account] >= 0 else { return nil }
    let row = firsts[account] &+ Int32(model &* RateCalibration.headCount &+ head)
    let map = maps[row]
    if map.labels == map.news { return nil }
    return map.isCurve == 1 ? .curve(UnsafePointer(curves.address(row))) : .line(map.map)
  }

  // MARK: Labels

  /// Learns from what a model said and what became of it.
  func learn(
    _ raw: Double, _ label: Double, _ head: RateHead, _ model: Int, campaign: Int32,
    account: Int32, at now: Int64
  ) {
    let owner = method == .platt ? campaign : account
    if Int(owner) >= firsts.count || firsts[owner] < 0 { begin(owner) }
    let row = firsts[owner] + Int32(model * RateCalibration.headCount + head.rawValue)
    if method == .platt {
      learn(raw, label, line: row, at: now)
    } else {
      learn(raw, label, map: row, at: now)
    }
  }

  private func begin(_ owner: Int32) {
    firsts.fill(to: Int(owner) + 1, with: -1)
    let first = Int32(method == .platt ? lines.count : maps.count)
    firsts.update(owner).pointee = first
    let end = Int(first + rowsEach)
    guard method != .platt else { return lines.fill(to: end, with: Line()) }
    maps.fill(to: end, with: Map())
    histograms.fill(to: end, with: Fading<ScoreHistogram>())
    if method == .isotonic { curves.fill(to: end, with: IsotonicCalibration()) }
  }

  private func learn(_ raw: Double, _ label: Double, line row: Int32, at now: Int64) {
    let line = lines.update(row)
    let step = max(now, 0) / max(decay.halfLife / 8, 1)
    if line.pointee.step >= 0, step > line.pointee.step {
      let steps = Double(step - line.pointee.step)
      line.pointee.platt.forget(keep: Elementary.exp2(-steps / 8))
    }
    line.pointee.step = max(step, line.pointee.step)
    line.pointee.platt.learn(logit: Rate.logit(Loss.bounded(raw)), label: label)
  }

  private func learn(_ raw: Double, _ label: Double, map row: Int32, at now: Int64) {
    let histogram = histograms.update(row)
    let weight = histogram.pointee.weight(at: max(now, 0), decay: decay)
    histogram.pointee.sums.add(probability: raw, label: label, weight: weight)
    let map = maps.update(row)
    map.pointee.labels += 1
    map.pointee.news += 1
    guard map.pointee.news >= min(max(256, map.pointee.labels / 8), 16_384) else { return }
    map.pointee.news = 0
    fit(row, weight)
  }

  /// Fits a map to its histogram.
  ///
  /// - Parameter weight: What a label of now weighs there.
  private func fit(_ row: Int32, _ weight: Double) {
    let points = points(histograms[row].sums, weight)
    let map = maps.update(row)
    map.pointee.isCurve = 0
    switch method {
    case .beta: map.pointee.map = BetaCalibration.fit(points)
    case .temperature:
      let scale = 1 / TemperatureScaling.fit(points).temperature
      map.pointee.map = BetaCalibration(a: scale, b: scale, c: 0)
    case .isotonic where positives(points) >= RateCalibration.curvePositivesMin:
      map.pointee.isCurve = 1
      curves.update(row).pointee = IsotonicCalibration.fit(points)
    case .isotonic, .platt, .none:
      let line = PlattScaling.fit(points)
      // Calibration does not turn a ranking round.
      let slope = max(line.slope, 0)
      map.pointee.map = BetaCalibration(a: slope, b: slope, c: line.intercept)
    }
  }

  private func positives(_ points: [CalibrationPoint]) -> Double {
    points.reduce(0) { $0 + $1.positives }
  }

  /// The outcomes of a histogram, each worth what it is now, in rising probability.
  private func points(_ histogram: ScoreHistogram, _ weight: Double) -> [CalibrationPoint] {
    var points = histogram.points
    var least = 0.0
    for i in points.indices {
      points[i].positives /= weight
      points[i].negatives /= weight
      // Rounding may exchange two means that are the same.
      points[i].probability = max(points[i].probability, least)
      least = points[i].probability
    }
    return points
  }

  // MARK: Drift

  /// Keeps a part of the evidence behind an account's maps of a head, and fits them again.
  func forget(_ account: Int32, _ head: RateHead, keeping part: Double, at now: Int64) {
    forEachOwner(of: account) { first in
      for model in 0..<modelCount {
        let row = first + Int32(model * RateCalibration.headCount + head.rawValue)
        forget(row, keeping: part, at: now)
      }
    }
  }

  private func forget(_ row: Int32, keeping part: Double, at now: Int64) {
    guard method != .platt else { return lines.update(row).pointee.platt.forget(keep: part) }
    let histogram = histograms.update(row)
    let weight = histogram.pointee.weight(at: max(now, 0), decay: decay)
    histogram.pointee.sums.scale(by: part)
    let map = maps.update(row)
    guard map.pointee.labels > 0 else { return }
    map.pointee.news = 0
    fit(row, weight)
  }

  /// A model of an account began anew: so do its maps.
  func restart(_ account: Int32, _ model: Int) {
    guard method != .none else { return }
    forEachOwner(of: account) { first in
      for head in 0..<RateCalibration.headCount {
        let row = first + Int32(model * RateCalibration.headCount + head)
        guard method != .platt else {
          lines.update(row).pointee = Line()
          continue
        }
        maps.update(row).pointee = Map()
        histograms.update(row).pointee = Fading<ScoreHistogram>()
      }
    }
  }

  /// First rows of an account, or of its campaigns.
  private func forEachOwner(of account: Int32, _ body: (Int32) -> Void) {
    guard method == .platt else {
      if Int(account) < firsts.count, firsts[account] >= 0 { body(firsts[account]) }
      return
    }
    for campaign in 0..<Int32(firsts.count)
    where firsts[campaign] >= 0 && directory.campaigns.parent(campaign) == account {
      body(firsts[campaign])
    }
  }

  // MARK: State

  func digest(into digest: inout StateDigest) {
    for owner in 0..<Int32(firsts.count) where firsts[owner] >= 0 {
      let hash =
        method == .platt ? directory.campaigns.hash(owner) : directory.accounts.hash(owner)
      for number in 0..<rowsEach {
        let row = firsts[owner] + number
        let place = Int64(number) &<< 4 | 8
        guard method != .platt else {
          digest.add(owner: hash, place: place, wordsOf: lines.address(row))
          continue
        }
        digest.add(owner: hash, place: place | 1, wordsOf: maps.address(row))
        digest.add(owner: hash, place: place | 2, wordsOf: histograms.address(row))
        if method == .isotonic {
          digest.add(owner: hash, place: place | 3, wordsOf: curves.address(row))
        }
      }
    }
  }
}
