/// By what kind of identifier an event's person was found. Raw values are stable: they stand in
/// snapshots.
public enum IdentityMethod: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// By nothing: the event names no one, or its person did not consent.
  case none = 0
  case clickID = 1
  case user = 2
  case device = 3

  public var name: StaticString {
    switch self {
    case .none: "none"
    case .clickID: "click_id"
    case .user: "user"
    case .device: "device"
    }
  }

  /// How sure the link is, in millionths: exact identifiers are certain, a device's fingerprint
  /// may be somebody else's.
  public var confidenceMillionths: Int64 {
    switch self {
    case .none: 0
    case .clickID, .user: 1_000_000
    case .device: 900_000
    }
  }
}

/// Beyond what a set of identifiers is no longer believed to be one person.
public struct SupernodeLimits: Sendable, BitwiseCopyable {
  public var devices: Int32
  public var users: Int32

  public init(devices: Int32 = 20, users: Int32 = 5) {
    self.devices = devices
    self.users = users
  }

  @inlinable
  public func areExceeded(devices: Int32, users: Int32) -> Bool {
    devices > self.devices || users > self.users
  }
}
