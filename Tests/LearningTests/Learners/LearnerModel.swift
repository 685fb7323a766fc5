import Learning

/// Features of a test, by number.
typealias Example = (features: [(UInt32, Double)], labels: Heads, weights: Heads)

/// Coordinates in memory of their own, as an engine would hold them: rows in the order in which
/// features came.
final class FeatureMemory<Coordinate: BitwiseCopyable> {
  private let fresh: (UInt32) -> Coordinate
  private var coordinates: UnsafeMutablePointer<Coordinate>
  private var capacity = 4
  private(set) var count = 0
  private var index = FeatureIndex()
  private var rows: [Int32] = []
  private var values: [Double] = []

  /// - Parameter fresh: What is known of a feature that was never seen.
  init(_ fresh: @escaping (UInt32) -> Coordinate) {
    self.fresh = fresh
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
      let larger = UnsafeMutablePointer<Coordinate>.allocate(capacity: capacity * 2)
      larger.initialize(from: coordinates, count: count)
      coordinates.deallocate()
      (coordinates, capacity) = (larger, capacity * 2)
    }
    (coordinates + count).initialize(to: fresh(feature))
    index.insert(feature, row: Int32(count))
    count += 1
    return Int32(count - 1)
  }

  /// Gives features their rows before they are seen.
  func meet(_ features: [UInt32]) { for feature in features { _ = row(feature) } }

  func set(_ coordinate: Coordinate, of feature: UInt32) {
    // The row first: it may move the coordinates.
    let row = row(feature)
    coordinates[Int(row)] = coordinate
  }

  func coordinate(_ feature: UInt32) -> Coordinate {
    let row = row(feature)
    return coordinates[Int(row)]
  }

  func with<Result>(
    _ features: [(UInt32, Double)], _ body: (ActiveFeatures<Coordinate>) -> Result
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

  /// The same bytes in other memory, as a snapshot moves them.
  func copy() -> FeatureMemory {
    let other = FeatureMemory(fresh)
    var features = [UInt32](repeating: 0, count: count)
    // The tests' features.
    for feature in 0..<4096 as Range<UInt32> where index.row(of: feature) >= 0 {
      features[Int(index.row(of: feature))] = feature
    }
    for (row, feature) in features.enumerated() {
      withUnsafeBytes(of: coordinates[row]) { bytes in
        other.set(bytes.loadUnaligned(as: Coordinate.self), of: feature)
      }
    }
    return other
  }
}

/// A learner over memory of its own.
final class LearnerModel<Learner: SparseLearner> {
  let learner: Learner
  var total: Learner.Total
  private var memory: FeatureMemory<Learner.Coordinate>

  init(_ learner: Learner) {
    self.learner = learner
    total = learner.total()
    memory = FeatureMemory { learner.coordinate(of: $0) }
  }

  func meet(_ features: [UInt32]) { memory.meet(features) }

  func set(_ coordinate: Learner.Coordinate, of feature: UInt32) {
    memory.set(coordinate, of: feature)
  }

  func coordinate(_ feature: UInt32) -> Learner.Coordinate { memory.coordinate(feature) }

  func score(_ features: [(UInt32, Double)]) -> Learner.Score {
    memory.with(features) { learner.score($0, total) }
  }

  func rates(_ features: [(UInt32, Double)]) -> Heads { learner.rates(score(features)) }

  /// Predicts, then learns.
  @discardableResult
  func learn(_ example: Example) -> Heads {
    memory.with(example.features) { features in
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
    other.memory = memory.copy()
    return other
  }
}

/// Letters for features.
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
