/// Why a record was refused, with the contract's reason code.
public enum RejectionReason: UInt8, CaseIterable, Sendable, Error {
  case malformedJSON
  case invalidUTF8
  case missingField
  case invalidField
  case unknownType
  case tooLarge
  case tooDeep
  case outOfRange
  case tooManyFeatures
  case wrongPartition

  /// The code as it stands in `dead_letters`.
  public var code: StaticString {
    switch self {
    case .malformedJSON: "malformed_json"
    case .invalidUTF8: "invalid_utf8"
    case .missingField: "missing_field"
    case .invalidField: "invalid_field"
    case .unknownType: "unknown_type"
    case .tooLarge: "too_large"
    case .tooDeep: "too_deep"
    case .outOfRange: "out_of_range"
    case .tooManyFeatures: "too_many_features"
    case .wrongPartition: "wrong_partition"
    }
  }
}

/// A refused record: the reason, the field at fault, and where in the record.
public struct Rejection: Sendable, Equatable, Error {
  public var reason: RejectionReason
  /// Dotted path of the field (`features.height`, `budget.daily`); nil where no field is at fault.
  public var field: String?
  /// What was found and what was expected, for a person.
  public var detail: String
  /// Byte offset in the record where the problem was found.
  public var byteOffset: Int

  public init(reason: RejectionReason, field: String?, detail: String, byteOffset: Int) {
    self.reason = reason
    self.field = field
    self.detail = detail
    self.byteOffset = byteOffset
  }
}
