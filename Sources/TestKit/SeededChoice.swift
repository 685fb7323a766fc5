import Events

/// Choices of a simulation, all from one seed: print it, and the same run comes again.
public struct SeededChoice: Sendable {
  private var generator: SplitMix64
  public let seed: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    generator = SplitMix64(seed: seed)
  }

  /// A number in 0..<bound.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "a choice among nothing")
    return Int(generator.next() % UInt64(bound))
  }

  public mutating func inside(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + below(range.count)
  }

  /// True once in `n` times.
  public mutating func once(in n: Int) -> Bool { below(n) == 0 }

  public mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
}
