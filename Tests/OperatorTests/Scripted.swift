import Events
import Operators
import Streaming

/// Estimates and paces as a test wants them, in place of what would be learned.
///
/// An `impression` is an estimate of its ad: `bid` is its value per impression, `user` "vague" or
/// "known" how much is known of it, `placement` "refreshed" or "counted" whether it says anything
/// new. A `lease` is a pace of its campaign: `shard` the state, `amount` the multiplier.
struct Scripted: Operator {
  static let description = OperatorDescription(
    name: "scripted", version: 1, summary: "Says what it is told.", inputs: [.init(.events)],
    outputs: [.estimates, .paces], settings: [])

  private let events: EventInput
  private let estimates: Stream<EstimateRecord>
  private let paces: Stream<PaceRecord>
  private let counts: Table<Evidence>

  init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    estimates = setup.output(EstimateRecord.self)
    paces = setup.output(PaceRecord.self)
    counts = setup.store.table("counts", of: Evidence.self)
  }

  func deallocate() { events.deallocate() }

  mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer else { return }
    switch event.pointee.type {
    case .impression:
      counts.fill(to: Int(event.pointee.ad.row) + 1, with: Evidence())
      let evidence = counts.update(event.pointee.ad.row)
      evidence.pointee.impressions += 1
      evidence.pointee.spend = Money(
        micros: evidence.pointee.spend.micros + event.pointee.price.micros)
      var record = EstimateRecord(
        ad: event.pointee.ad.row, isRefreshed: event.pointee.placement.string != "counted")
      record.evidence = evidence.pointee
      record.valuePerImpressionMicros = Double(event.pointee.bid.micros)
      record.relativeDeviation = event.pointee.user.string == "vague" ? .infinity : 0.1
      record.ctr.mean = 0.01
      record.cvr.mean = 0.1
      estimates.append(record)
    case .lease:
      var record = PaceRecord(campaign: event.pointee.campaign.row)
      record.state =
        switch event.pointee.shard.string {
        case "daily": .dailyExhausted
        case "total": .totalExhausted
        case "early": .notStarted
        case "over": .ended
        default: .running
        }
      record.multiplier = Double(event.pointee.price.micros) / 1e6
      paces.append(record)
    default: break
    }
  }

  func digest(into digest: inout StateDigest) {}
}
