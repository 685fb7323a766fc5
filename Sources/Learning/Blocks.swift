/// A fixed number of doubles, in place: the memory of a sketch that is one row of a table.
///
/// A block has no header, no reference and no padding, so its bytes are its value. Reading may copy
/// the block first: loops go through `withElements`, and what must cost nothing is done by `add` or
/// within `withMutableElements`, which never copy.
public protocol Block: BitwiseCopyable, Sendable, Equatable {
  /// Every element is 0.
  init()
}

extension Block {
  /// Number of elements.
  @inlinable @inline(__always)
  public static var count: Int { MemoryLayout<Self>.size / MemoryLayout<Double>.size }

  /// An element.
  @inlinable
  public subscript(index: Int) -> Double {
    get { withElements { $0[index] } }
    set { withMutableElements { $0[index] = newValue } }
  }

  /// Adds to an element, in place. O(1).
  @inlinable @inline(__always)
  public mutating func add(_ value: Double, at index: Int) {
    withMutableElements { $0[index] += value }
  }

  /// The elements, for reading; not to be kept beyond the call.
  @inlinable @inline(__always)
  public func withElements<Result>(_ body: (UnsafeBufferPointer<Double>) -> Result) -> Result {
    withUnsafeBytes(of: self) { body($0.assumingMemoryBound(to: Double.self)) }
  }

  /// The elements, for changing; not to be kept beyond the call.
  @inlinable @inline(__always)
  public mutating func withMutableElements<Result>(
    _ body: (UnsafeMutableBufferPointer<Double>) -> Result
  ) -> Result {
    withUnsafeMutableBytes(of: &self) { body($0.assumingMemoryBound(to: Double.self)) }
  }

  /// Adds `factor` times another block's elements.
  @inlinable
  public mutating func add(_ other: Self, times factor: Double = 1) {
    withMutableElements { own in
      other.withElements { for i in 0..<own.count { own[i] += factor * $0[i] } }
    }
  }

  /// Multiplies every element.
  @inlinable
  public mutating func scale(by factor: Double) {
    withMutableElements { for i in 0..<$0.count { $0[i] *= factor } }
  }
}

/// Eight doubles.
@frozen
public struct Block8: Block {
  @usableFromInline var e0 = 0.0
  @usableFromInline var e1 = 0.0
  @usableFromInline var e2 = 0.0
  @usableFromInline var e3 = 0.0
  @usableFromInline var e4 = 0.0
  @usableFromInline var e5 = 0.0
  @usableFromInline var e6 = 0.0
  @usableFromInline var e7 = 0.0

  @inlinable public init() {}
}

/// 32 doubles.
@frozen
public struct Block32: Block {
  @usableFromInline var e0 = Block8()
  @usableFromInline var e1 = Block8()
  @usableFromInline var e2 = Block8()
  @usableFromInline var e3 = Block8()

  @inlinable public init() {}
}

/// 64 doubles.
@frozen
public struct Block64: Block {
  @usableFromInline var e0 = Block32()
  @usableFromInline var e1 = Block32()

  @inlinable public init() {}
}

/// 128 doubles.
@frozen
public struct Block128: Block {
  @usableFromInline var e0 = Block64()
  @usableFromInline var e1 = Block64()

  @inlinable public init() {}
}

/// 256 doubles.
@frozen
public struct Block256: Block {
  @usableFromInline var e0 = Block128()
  @usableFromInline var e1 = Block128()

  @inlinable public init() {}
}

/// 768 doubles.
@frozen
public struct Block768: Block {
  @usableFromInline var e0 = Block256()
  @usableFromInline var e1 = Block256()
  @usableFromInline var e2 = Block256()

  @inlinable public init() {}
}
