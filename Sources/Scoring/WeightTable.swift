import Learning

/// Weights by the hashes of their features.
struct WeightTable {
  struct Weights: BitwiseCopyable {
    /// What it adds to the score of a click and of a conversion: to the log-odds, where rates are
    /// logistic.
    var heads: Heads
    /// What it adds to the logarithm of a conversion's value.
    var value: Double
  }

  private var index = FeatureIndex()
  private var rows: UnsafeMutablePointer<Weights>
  /// How sure the heads' weights are; memory only where that counts.
  private var sureness: UnsafeMutablePointer<Heads>?
  private var capacity = 64
  private(set) var count = 0

  init() { rows = .allocate(capacity: capacity) }

  func deallocate() {
    index.deallocate()
    rows.deallocate()
    sureness?.deallocate()
  }

  /// Forgets everything; keeps the memory.
  mutating func removeAll() {
    index.removeAll()
    count = 0
  }

  /// Amortised O(1).
  mutating func set(_ weight: ModelUpdate.Weight, hasSpreads: Bool) {
    var row = index.row(of: weight.feature)
    if row < 0 {
      if count == capacity { grow() }
      row = Int32(truncatingIfNeeded: count)
      index.insert(weight.feature, row: row)
      count += 1
    }
    (rows + Int(row)).initialize(to: Weights(heads: weight.heads, value: weight.value))
    guard hasSpreads else { return }
    let memory = sureness ?? .allocate(capacity: capacity)
    sureness = memory
    (memory + Int(row)).initialize(to: weight.spreads)
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Weights>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: rows, count: count)
    rows.deallocate()
    rows = larger
    if let old = sureness {
      let larger = UnsafeMutablePointer<Heads>.allocate(capacity: 2 * capacity)
      larger.moveInitialize(from: old, count: count)
      old.deallocate()
      sureness = larger
    }
    capacity *= 2
  }

  /// The row of a feature; -1 when it has no weight.
  @inline(__always)
  func row(of feature: UInt32) -> Int32 { index.row(of: feature) }

  @inline(__always)
  subscript(row: Int32) -> Weights { rows[Int(row)] }

  /// Precisions or variances, where all weights came with them.
  @inline(__always)
  func spreads(_ row: Int32) -> Heads { sureness.map { $0[Int(row)] } ?? .one }
}
