import Learning
import Streaming

/// A learner with its coordinates in tables: one row a feature, one total an account.
struct RateModel<Learner: SparseLearner> {
  let learner: Learner
  let coordinates: Table<Learner.Coordinate>
  let totals: Table<Learner.Total>

  init(_ learner: Learner, named name: String, in store: StateStore) {
    self.learner = learner
    coordinates = store.table("\(name).coordinates", of: Learner.Coordinate.self)
    totals = store.table("\(name).totals", of: Learner.Total.self)
    // There is always a row to begin counting from.
    coordinates.fill(to: Int(FeatureRows.blockRows), with: learner.coordinate(of: 0))
  }

  /// A feature has come; rows come in order of their blocks.
  func add(_ row: Int32, _ feature: UInt32, of rows: Int) {
    if coordinates.count < rows {
      coordinates.fill(to: rows, with: learner.coordinate(of: 0))
    }
    coordinates.update(row).pointee = learner.coordinate(of: feature)
  }

  func meet(_ account: Int32) {
    if Int(account) >= totals.count { totals.fill(to: Int(account) + 1, with: learner.total()) }
  }

  @inline(__always)
  private func active(_ example: ExampleFeatures) -> ActiveFeatures<Learner.Coordinate> {
    ActiveFeatures(
      coordinates: coordinates.address(0), rows: example.rows, values: example.values,
      count: example.count)
  }

  @inline(__always)
  func rates(_ example: ExampleFeatures, of account: Int32) -> Heads {
    learner.rates(learner.score(active(example), totals[account]))
  }

  /// Learns what an example is known to be; returns what the rates were before.
  ///
  /// - Parameters:
  ///   - click: The click's label, or nothing where it is not to be learned now.
  ///   - conversion: The same of a conversion, where the impression was clicked.
  @inline(__always)
  func learn(
    _ example: ExampleFeatures, of account: Int32, click: Label, conversion: Label
  ) -> Heads {
    // A snapshot under way keeps the rows as they were.
    coordinates.willChange(example.rows, count: example.count)
    let features = active(example)
    let total = totals.update(account)
    let score = learner.score(features, total.pointee)
    let rates = learner.rates(score)
    let labels = Heads(click.value, conversion.value)
    let weights = Heads(click.isKnown ? 1 : 0, conversion.isKnown ? 1 : 0)
    learner.learn(features, &total.pointee, score, labels: labels, weights: weights)
    return rates
  }

  func coordinate(_ row: Int32) -> Learner.Coordinate { coordinates[row] }

  /// The numbers of a row and of an account's total, as words.
  func forEachWord(of row: Int32, _ body: (Int64) -> Void) {
    RateModel.forEachWord(of: coordinates[row], body)
  }

  func forEachWord(ofAccount account: Int32, _ body: (Int64) -> Void) {
    guard Int(account) < totals.count, MemoryLayout<Learner.Total>.size > 0 else { return }
    RateModel.forEachWord(of: totals[account], body)
  }

  private static func forEachWord<Value: BitwiseCopyable>(
    of value: Value, _ body: (Int64) -> Void
  ) {
    withUnsafeBytes(of: value) { bytes in
      for offset in stride(from: 0, to: bytes.count & ~7, by: 8) {
        body(bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self))
      }
    }
  }
}

/// What is known of an outcome by now.
struct Label: BitwiseCopyable {
  var isKnown = false
  /// In 0...1.
  var value = 0.0

  static var unknown: Label { Label() }
  static func known(_ value: Double) -> Label { Label(isKnown: true, value: value) }
}

/// A model of any of the kinds that settings can name.
enum AnyRateModel {
  case ftrl(RateModel<FTRL>)
  case invariant(RateModel<InvariantUpdate>)
  case bayes(RateModel<BayesianLogistic>)
  case probit(RateModel<AdPredictor>)
  case machine2(RateModel<FactorizationMachine<SIMD2<Double>>>)
  case machine4(RateModel<FactorizationMachine<SIMD4<Double>>>)
  case machine8(RateModel<FactorizationMachine<SIMD8<Double>>>)

  static let settings: [SettingDescription] = [
    SettingDescription(
      "algorithm", .choice(["ftrl", "invariant", "bayes", "ad_predictor", "fm"]), default: "ftrl",
      meaning: """
        `ftrl`: sparse logistic regression. `invariant`: the same with a step that no weight \
        overshoots. `bayes`: with variances, by Laplace's approximation. `ad_predictor`: probit \
        with variances, for features that are there or not. `fm`: a factorization machine, which learns crosses.
        """),
    SettingDescription(
      "alpha", .number(1e-6...100), default: "0.1", meaning: "`ftrl`: the learning rate."),
    SettingDescription(
      "beta", .number(1e-6...1e6), default: "1",
      meaning: """
        `ftrl`: how slowly the learning rate falls at first. `ad_predictor`: deviation of the noise.
        """),
    SettingDescription(
      "l1", .number(0...1e6), default: "0",
      meaning: "`ftrl`: weights with less evidence than this are 0."),
    SettingDescription(
      "l2", .number(0...1e6), default: "0", meaning: "`ftrl`, `fm`: pull of weights toward 0."),
    SettingDescription(
      "rate", .number(1e-6...100), default: "0.1",
      meaning: "`invariant`, `fm`: the learning rate."),
    SettingDescription(
      "rank", .choice(["2", "4", "8"]), default: "4",
      meaning: "`fm`: numbers in a feature's latent vector, for each head."),
    SettingDescription(
      "prior", .number(1e-6...1e6), default: "1",
      meaning: "`bayes`: precision of a weight before any evidence."),
    SettingDescription(
      "memory", .number(0.5...1), default: "1",
      meaning: """
        `bayes`: what is kept of a weight's precision at each of its examples; below 1 it goes on \
        exploring.
        """),
  ]

  /// - Parameter prior: Rates before any evidence.
  init(
    _ settings: Settings, prior: Heads, named name: String, seed: UInt64, in store: StateStore
  ) {
    let base = Heads(Rate.logit(prior.x), Rate.logit(prior.y))
    switch settings.text("algorithm") {
    case "invariant":
      self = .invariant(
        RateModel(
          InvariantUpdate(rate: settings.number("rate"), base: base), named: name, in: store))
    case "bayes":
      let learner = BayesianLogistic(
        precision: settings.number("prior"), memory: settings.number("memory"),
        base: base)
      self = .bayes(RateModel(learner, named: name, in: store))
    case "ad_predictor":
      self = .probit(
        RateModel(
          AdPredictor(beta: settings.number("beta"), prior: prior), named: name, in: store))
    case "fm":
      switch settings.text("rank") {
      case "2": self = .machine2(AnyRateModel.machine(settings, base, name, seed, store))
      case "8": self = .machine8(AnyRateModel.machine(settings, base, name, seed, store))
      default: self = .machine4(AnyRateModel.machine(settings, base, name, seed, store))
      }
    default:
      let learner = FTRL(
        alpha: settings.number("alpha"), beta: settings.number("beta"),
        l1: settings.number("l1"), l2: settings.number("l2"), base: base)
      self = .ftrl(RateModel(learner, named: name, in: store))
    }
  }

  private static func machine<Latent>(
    _ settings: Settings, _ base: Heads, _ name: String, _ seed: UInt64, _ store: StateStore
  ) -> RateModel<FactorizationMachine<Latent>> {
    RateModel(
      FactorizationMachine(
        rate: settings.number("rate"), l2: settings.number("l2"), seed: seed, base: base),
      named: name, in: store)
  }

  func add(_ row: Int32, _ feature: UInt32, of rows: Int) {
    switch self {
    case .ftrl(let model): model.add(row, feature, of: rows)
    case .invariant(let model): model.add(row, feature, of: rows)
    case .bayes(let model): model.add(row, feature, of: rows)
    case .probit(let model): model.add(row, feature, of: rows)
    case .machine2(let model): model.add(row, feature, of: rows)
    case .machine4(let model): model.add(row, feature, of: rows)
    case .machine8(let model): model.add(row, feature, of: rows)
    }
  }

  func meet(_ account: Int32) {
    switch self {
    case .ftrl(let model): model.meet(account)
    case .invariant(let model): model.meet(account)
    case .bayes(let model): model.meet(account)
    case .probit(let model): model.meet(account)
    case .machine2(let model): model.meet(account)
    case .machine4(let model): model.meet(account)
    case .machine8(let model): model.meet(account)
    }
  }

  @inline(__always)
  func rates(_ example: ExampleFeatures, of account: Int32) -> Heads {
    switch self {
    case .ftrl(let model): model.rates(example, of: account)
    case .invariant(let model): model.rates(example, of: account)
    case .bayes(let model): model.rates(example, of: account)
    case .probit(let model): model.rates(example, of: account)
    case .machine2(let model): model.rates(example, of: account)
    case .machine4(let model): model.rates(example, of: account)
    case .machine8(let model): model.rates(example, of: account)
    }
  }

  @inline(__always)
  func learn(
    _ example: ExampleFeatures, of account: Int32, click: Label, conversion: Label
  ) -> Heads {
    switch self {
    case .ftrl(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .invariant(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .bayes(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .probit(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .machine2(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .machine4(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    case .machine8(let model):
      model.learn(example, of: account, click: click, conversion: conversion)
    }
  }

  func forEachWord(of row: Int32, _ body: (Int64) -> Void) {
    switch self {
    case .ftrl(let model): model.forEachWord(of: row, body)
    case .invariant(let model): model.forEachWord(of: row, body)
    case .bayes(let model): model.forEachWord(of: row, body)
    case .probit(let model): model.forEachWord(of: row, body)
    case .machine2(let model): model.forEachWord(of: row, body)
    case .machine4(let model): model.forEachWord(of: row, body)
    case .machine8(let model): model.forEachWord(of: row, body)
    }
  }

  func forEachWord(ofAccount account: Int32, _ body: (Int64) -> Void) {
    switch self {
    case .ftrl(let model): model.forEachWord(ofAccount: account, body)
    case .invariant(let model): model.forEachWord(ofAccount: account, body)
    case .bayes(let model): model.forEachWord(ofAccount: account, body)
    case .probit(let model): model.forEachWord(ofAccount: account, body)
    case .machine2(let model): model.forEachWord(ofAccount: account, body)
    case .machine4(let model): model.forEachWord(ofAccount: account, body)
    case .machine8(let model): model.forEachWord(ofAccount: account, body)
    }
  }
}
