// Drift: has what is observed changed? Detectors that read one number after another and say so.
//
// A detector is a small value of fixed size; what it looks at, what is done about an alarm, and
// which seed a sample is drawn with are the operator's affair. Feed matured labels only: a delay
// looks like a change. `Documentation.docc/Learning.md` has measured false alarms and delays.

/// What a detector says after an observation.
@frozen
public enum DriftSignal: UInt8, BitwiseCopyable, Sendable {
  case stable
  /// Something may be changing.
  case warning
  /// It has changed. The detector has begun anew, or has dropped what was before the change.
  case drift
}

/// Reads observations one by one and says when their distribution has changed.
public protocol DriftDetector: BitwiseCopyable, Sendable {
  associatedtype Settings: BitwiseCopyable, Sendable

  /// Nothing observed.
  init()

  /// Takes an observation. What is no finite number is ignored.
  ///
  /// - Parameter settings: The same at every call.
  mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal
}

/// Two copies of a detector of increases of values in 0...1, one of them on 1 − value: notices both
/// increases and decreases. After a drift both begin anew.
@frozen
public struct Mirrored<Detector: DriftDetector>: DriftDetector {
  public var rise = Detector()
  public var fall = Detector()

  @inlinable public init() {}

  @inlinable
  public mutating func update(_ value: Double, _ settings: Detector.Settings) -> DriftSignal {
    let up = rise.update(value, settings)
    let down = fall.update(1 - value, settings)
    if up == .drift || down == .drift {
      self = Mirrored()
      return .drift
    }
    return up == .warning ? up : down
  }
}
