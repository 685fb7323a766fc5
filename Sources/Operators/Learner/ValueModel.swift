import Learning
import Streaming

/// The learner of what a conversion brings, with its coordinates in tables.
struct ValueModel {
  private let learner: ValueRegression
  private let coordinates: Table<ValueRegression.Coordinate>
  private let totals: Table<ValueRegression.Total>

  static let settings: [SettingDescription] = [
    SettingDescription(
      "family", .choice(["log_normal", "gamma"]), default: "log_normal",
      meaning: "How the values of conversions scatter around what features say."),
    SettingDescription(
      "prior", .number(1e-6...1e6), default: "5",
      meaning: "Precision of a feature's weight before any evidence, in conversions."),
    SettingDescription(
      "memory", .number(0.5...1), default: "0.999",
      meaning: "What is kept of a weight's precision at each of its conversions."),
  ]

  init(_ settings: Settings, in store: StateStore) {
    learner = ValueRegression(
      family: settings.text("family") == "gamma" ? .gamma : .logNormal,
      precision: settings.number("prior"), memory: settings.number("memory"))
    coordinates = store.table("value.coordinates", of: ValueRegression.Coordinate.self)
    coordinates.fill(to: Int(FeatureRows.blockRows), with: learner.coordinate(of: 0))
    totals = store.table("value.totals", of: ValueRegression.Total.self)
  }

  func add(_ row: Int32, of rows: Int) {
    if coordinates.count < rows { coordinates.fill(to: rows, with: learner.coordinate(of: 0)) }
  }

  func meet(_ account: Int32) {
    if Int(account) >= totals.count { totals.fill(to: Int(account) + 1, with: learner.total()) }
  }

  @inline(__always)
  private func active(
    _ example: ExampleFeatures
  ) -> ActiveFeatures<ValueRegression.Coordinate> {
    ActiveFeatures(
      coordinates: coordinates.address(0), rows: example.rows, values: example.values,
      count: example.count)
  }

  /// What a conversion is expected to bring, in units of the currency; 0 before the first.
  @inline(__always)
  func expected(_ example: ExampleFeatures, of account: Int32) -> Double {
    guard totals.address(account).pointee.weight > 0 else { return 0 }
    return learner.expected(active(example), totals[account])
  }

  /// Learns what a conversion, or a part of one, brought.
  func learn(_ example: ExampleFeatures, of account: Int32, amount: Double, weight: Double) {
    coordinates.willChange(example.rows, count: example.count)
    learner.learn(
      active(example), &totals.update(account).pointee, amount: amount, weight: weight)
  }

  /// A feature's weight: what it adds to the amount's logarithm.
  func weight(of row: Int32) -> Double { coordinates[row].mean }

  /// What a bidder needs beside the weights; nil before an account's first conversion.
  func published(of account: Int32) -> (bias: Double, scatter: Double)? {
    guard Int(account) < totals.count, totals[account].weight > 0 else { return nil }
    let total = totals[account]
    return (total.bias.mean, learner.family == .logNormal ? total.variance / 2 : 0)
  }

  func digest(ofRow row: Int32, _ owner: UInt64, _ digest: inout StateDigest) {
    let coordinate = coordinates[row]
    digest.add(owner: owner, 1, bits(coordinate.mean), bits(coordinate.precision), 0)
  }

  func digest(ofAccount account: Int32, _ owner: UInt64, _ digest: inout StateDigest) {
    guard Int(account) < totals.count else { return }
    let total = totals[account]
    digest.add(
      owner: owner, bits(total.bias.mean), bits(total.bias.precision), bits(total.weight),
      bits(total.squaredErrors))
  }
}
