public import Events

/// What a generated history is like. The defaults are a week of a small agency.
public struct HistorySettings: Sendable, Equatable {
  /// Everything that is left to chance follows from it.
  public var seed: UInt64 = 1
  /// Records in all: duplicates and bad ones count.
  public var records = 1_000_000
  /// 1…9,999.
  public var accounts = 8
  /// 1…99.
  public var campaignsPerAccount = 4
  /// 1…999. The first ad of a campaign is shown most (Zipf's law).
  public var adsPerCampaign = 12
  /// 1…1,000,000. The first user is seen most (Zipf's law).
  public var usersPerAccount = 20_000
  /// When the first record is sent; from 1970 on.
  public var start = EventTime(milliseconds: 1_767_225_600_000)
  /// From the first record to the last.
  public var duration = TimeSpan.days(7)
  /// How often each type is drawn. The catalogue (every campaign once, at the start) comes on top.
  public var shares = Shares()
  /// Records that come a second time, byte by byte, in a million.
  public var duplicatesPerMillion = 10_000
  /// A duplicate comes no later than this after its original (but at least one record later).
  public var duplicateDelayMax = TimeSpan.minutes(10)
  /// Records that are sent after their event time, in a million.
  public var latePerMillion = 20_000
  /// How long after its event time a record may be sent.
  public var latenessMax = TimeSpan.seconds(4)
  /// Records that break the contract, in a million.
  public var badPerMillion = 1_000
  /// Added to the numbers that ids, orders and deals are made of. Histories of one seed whose
  /// numbers do not overlap share no id: none is a duplicate of the other.
  public var numbersFrom: UInt64 = 0
  /// Budgets are so many times as large: for histories that spend much in a day.
  /// 1…100,000,000.
  public var budgetFactor: Int64 = 1

  public init() {}

  /// Weights of the types, relative to their sum.
  public struct Shares: Sendable, Equatable {
    public var impression = 8_400
    public var auction = 800
    public var click = 500
    public var conversion = 150
    public var dealStage = 50
    public var adjustment = 40
    public var heartbeat = 40
    public var control = 20

    public init() {}
  }
}

/// What a generated record is, beside its bytes.
public struct HistoryRecord: Sendable, Equatable {
  /// Position in the history, from 0.
  public var index: Int
  /// When it is sent. Never falls from one record to the next.
  public var sent: EventTime
  /// The event time that the record carries (or, for a bad one, would carry): `sent`, or earlier
  /// for late records and duplicates.
  public var time: EventTime
  /// Index of the account that it belongs to, also where the record does not say so.
  public var account: Int
  /// The type that it has or, for a bad one, was meant to have.
  public var type: EventType
  /// The same bytes came before.
  public var isDuplicate: Bool
  /// Why the record must be refused; nil for a good one.
  public var rejection: RejectionReason?
}

/// What a history has held so far, exactly.
public struct HistoryCounts: Sendable, Equatable {
  public var records = 0
  /// Good records, without duplicates, by `EventType.rawValue`.
  public private(set) var accepted = [Int](repeating: 0, count: EventType.allCases.count)
  public var duplicates = 0
  /// Bad records, by `RejectionReason.rawValue`.
  public private(set) var rejected = [Int](repeating: 0, count: RejectionReason.allCases.count)

  public func accepted(_ type: EventType) -> Int { accepted[Int(type.rawValue)] }
  public func rejected(_ reason: RejectionReason) -> Int { rejected[Int(reason.rawValue)] }

  mutating func count(_ record: HistoryRecord) {
    records += 1
    if let reason = record.rejection {
      rejected[Int(reason.rawValue)] += 1
    } else if record.isDuplicate {
      duplicates += 1
    } else {
      accepted[Int(record.type.rawValue)] += 1
    }
  }
}

/// What one ad has done, exactly: good records only, each counted once.
public struct AdTotals: Sendable, Equatable {
  public var impressions: Int64 = 0
  public var clicks: Int64 = 0
  /// Prices of its impressions and clicks.
  public var spendMicros: Int64 = 0
  public var auctions: Int64 = 0
  public var wins: Int64 = 0

  public init() {}
}
