/// What kind of thing happened. Raw values are stable: they are part of fingerprints, snapshots
/// and logs. New types get new numbers.
@frozen
public enum EventType: UInt8, CaseIterable, Sendable {
  case impression = 0
  case click = 1
  case conversion = 2
  case dealStage = 3
  case campaign = 4
  case control = 5
  case auction = 6
  case adjustment = 7
  case lease = 8
  case actuals = 9
  case erasure = 10
  case prior = 11
  case heartbeat = 12

  /// The value of the record's `type` field.
  public var name: StaticString {
    switch self {
    case .impression: "impression"
    case .click: "click"
    case .conversion: "conversion"
    case .dealStage: "deal_stage"
    case .campaign: "campaign"
    case .control: "control"
    case .auction: "auction"
    case .adjustment: "adjustment"
    case .lease: "lease"
    case .actuals: "actuals"
    case .erasure: "erasure"
    case .prior: "prior"
    case .heartbeat: "heartbeat"
    }
  }
}
