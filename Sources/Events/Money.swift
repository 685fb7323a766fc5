/// An amount in the account's currency, held as whole micros (millionths).
///
/// Amounts are parsed from their decimal digits and written back the same way; no binary
/// floating point is involved, so sums are exact.
@frozen
public struct Money: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
  /// Micros: 1 unit of currency = 1,000,000.
  public var rawValue: Int64

  @inlinable
  public init(rawValue: Int64) { self.rawValue = rawValue }

  @inlinable
  public init(micros: Int64) { self.rawValue = micros }

  @inlinable
  public var micros: Int64 { rawValue }

  public static let zero = Money(micros: 0)

  @inlinable
  public static func < (a: Money, b: Money) -> Bool { a.rawValue < b.rawValue }
}
