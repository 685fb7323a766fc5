/// The top-level fields that at least one event type knows.
enum Field: UInt8, CaseIterable {
  case type, id, time, account
  case campaign, ad, price, advertiser, user, device, clickID, placement, bid, viewable, shard
  case features, consent, impression, action, order, value, signals, deal, stage, pipeline, amount
  case status, budget, schedule, timezone, goal, mode, auction, until, by, reason, won
  case from, to, impressions, clicks, conversions, spend, revenue, target, targetType, kind
  case payload

  /// As it stands in records.
  var name: StaticString {
    switch self {
    case .type: "type"
    case .id: "id"
    case .time: "time"
    case .account: "account"
    case .campaign: "campaign"
    case .ad: "ad"
    case .price: "price"
    case .advertiser: "advertiser"
    case .user: "user"
    case .device: "device"
    case .clickID: "click_id"
    case .placement: "placement"
    case .bid: "bid"
    case .viewable: "viewable"
    case .shard: "shard"
    case .features: "features"
    case .consent: "consent"
    case .impression: "impression"
    case .action: "action"
    case .order: "order"
    case .value: "value"
    case .signals: "signals"
    case .deal: "deal"
    case .stage: "stage"
    case .pipeline: "pipeline"
    case .amount: "amount"
    case .status: "status"
    case .budget: "budget"
    case .schedule: "schedule"
    case .timezone: "timezone"
    case .goal: "goal"
    case .mode: "mode"
    case .auction: "auction"
    case .until: "until"
    case .by: "by"
    case .reason: "reason"
    case .won: "won"
    case .from: "from"
    case .to: "to"
    case .impressions: "impressions"
    case .clicks: "clicks"
    case .conversions: "conversions"
    case .spend: "spend"
    case .revenue: "revenue"
    case .target: "target"
    case .targetType: "target_type"
    case .kind: "kind"
    case .payload: "payload"
    }
  }

  var bit: UInt64 { 1 &<< UInt64(rawValue) }

  /// What a record of `type` must give, in the order in which missing fields are reported.
  static func required(by type: EventType) -> [Field] {
    switch type {
    case .impression: [.id, .time, .account, .campaign, .ad, .price]
    case .click: [.id, .time, .account, .campaign, .ad]
    case .conversion: [.id, .time, .account]
    case .dealStage: [.id, .time, .account, .deal, .stage]
    case .campaign: [.id, .time, .account, .campaign]
    case .control: [.id, .time, .account, .action]
    case .auction: [.id, .time, .account, .campaign, .ad, .bid, .won]
    case .lease: [.id, .time, .account, .campaign, .shard, .action]
    case .actuals: [.id, .time, .account, .campaign, .from, .to]
    case .adjustment: [.id, .time, .account, .target, .targetType, .kind]
    // `user` or `device` stands outside of this list.
    case .erasure: [.id, .time, .account]
    case .prior: [.id, .time]
    case .heartbeat: [.time]
    }
  }
}
