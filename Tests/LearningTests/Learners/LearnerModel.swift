import Learning

/// Features of a test, by number.
typealias Example = (features: [(UInt32, Double)], labels: Heads, weights: Heads)

/// A learner over memory of its own, as an engine would hold it.
final class LearnerModel<Learner: SparseLearner> {
  let learner: Learner
  private(set) var total: Learner.Total
  private var coordinates: UnsafeMutablePointer<Learner.Coordinate>
  private var capacity = 4
  private(set) var count = 0
  private var index = FeatureIndex()
  private var rows: [Int32] = []
  private var values: [Double] = []

  init(_ learner: Learner) {
    self.learner = learner
    total = learner.total()
    coordinates = .allocate(capacity: capacity)
  }

  deinit {
    coordinates.deallocate()
    index.deallocate()
  }

  private func row(_ feature: UInt32) -> Int32 {
    let known = index.row(of: feature)
    if known >= 0 { return known }
    if count == capacity {
      let larger = UnsafeMutablePointer<Learner.Coordinate>.allocate(capacity: capacity * 2)
      larger.initialize(from: coordinates, count: count)
      coordinates.deallocate()
      (coordinates, capacity) = (larger, capacity * 2)
    }
    (coordinates + count).initialize(to: learner.coordinate(of: feature))
    index.insert(feature, row: Int32(count))
    count += 1
    return Int32(count - 1)
  }

  /// Gives features their rows before they are seen.
  func meet(_ features: [UInt32]) { for feature in features { _ = row(feature) } }

  func set(_ coordinate: Learner.Coordinate, of feature: UInt32) {
    // The row first: it may move the coordinates.
    let row = row(feature)
    coordinates[Int(row)] = coordinate
  }

  func coordinate(_ feature: UInt32) -> Learner.Coordinate {
    let row = row(feature)
    return coordinates[Int(row)]
  }

  private func with<Result>(
    _ features: [(UInt32, Double)], _ body: (ActiveFeatures<Learner.Coordinate>) -> Result
  ) -> Result {
    rows = features.map { row($0.0) }
    values = features.map(\.1)
    return rows.withUnsafeBufferPointer { rows in
      values.withUnsafeBufferPointer { values in
        // An empty array's address may be nil; nothing is read there.
        body(
          ActiveFeatures(
            coordinates: coordinates, rows: rows.baseAddress ?? UnsafePointer(bitPattern: 8)!,
            values: values.baseAddress ?? UnsafePointer(bitPattern: 8)!, count: features.count))
      }
    }
  }

  func score(_ features: [(UInt32, Double)]) -> Learner.Score {
    with(features) { learner.score($0, total) }
  }

  func rates(_ features: [(UInt32, Double)]) -> Heads { learner.rates(score(features)) }

  /// Predicts, then learns.
  @discardableResult
  func learn(_ example: Example) -> Heads {
    with(example.features) { features in
      let score = learner.score(features, total)
      let rates = learner.rates(score)
      learner.learn(features, &total, score, labels: example.labels, weights: example.weights)
      return rates
    }
  }

  /// The same for one head.
  @discardableResult
  func learn(_ features: [(UInt32, Double)], _ label: Double, weight: Double = 1) -> Double {
    learn((features, Heads(label, 0), Heads(weight, 0))).x
  }

  /// Moves everything to other memory, as a snapshot does.
  func copy() -> LearnerModel {
    let other = LearnerModel(learner)
    other.total = total
    for (feature, row) in features {
      withUnsafeBytes(of: coordinates[Int(row)]) { bytes in
        other.set(bytes.loadUnaligned(as: Learner.Coordinate.self), of: feature)
      }
    }
    return other
  }

  /// Features in the order in which they came.
  private var features: [(UInt32, Int32)] {
    known.enumerated().map { ($0.element, Int32($0.offset)) }
  }
  private var known: [UInt32] {
    var found = [UInt32](repeating: 0, count: count)
    for feature in LearnerModel.names where index.row(of: feature) >= 0 {
      found[Int(index.row(of: feature))] = feature
    }
    return found
  }
  /// The tests' features.
  private static var names: Range<UInt32> { 0..<4096 }
}

/// Four letters for features.
enum Name {
  static let a: UInt32 = 1
  static let b: UInt32 = 2
  static let c: UInt32 = 3
}

func isNear(_ a: Double, _ b: Double, _ tolerance: Double) -> Bool {
  (a - b).magnitude <= tolerance
}

/// Every number within `tolerance`.
func areNear(_ a: [Double], _ b: [Double], _ tolerance: Double) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { isNear($0, $1, tolerance) }
}
