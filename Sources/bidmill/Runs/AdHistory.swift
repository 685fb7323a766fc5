import Events
import Streaming
import Synchronization

/// What moved an ad's bid: gathered while a history goes through a topology.
final class AdHistory: Sendable {
  /// One event, and where it stands.
  struct Move {
    var what: String
    /// As in outputs: `{"file":…,"partition":0,"line":…}`.
    var source: String
    var time: EventTime
    /// The event itself, where it was kept.
    var record: String?
  }

  struct State {
    /// The newest record of each stream.
    var parameters: JSONRecord?
    var proposal: JSONRecord?
    var estimate: JSONRecord?
    var pace: JSONRecord?
    /// The newest of each kind, by kind.
    var moves: [String: Move] = [:]
    /// Records of `bid_parameters`.
    var publications = 0
  }

  struct Ad: Sendable {
    var account: String
    var campaign: String
    var ad: String
  }

  static let streams: [StreamType] = [.estimates, .paces, .proposals, .bidParameters]

  let ad: Ad
  private let adKey: [UInt8]
  private let campaignKey: [UInt8]
  /// Numbers of the watchers of `streams`.
  private let sinks: [Int32?]
  /// Where the replay stops; what was fetched beyond it moved nothing.
  private let until: EventTime?
  private let state = Mutex(State())

  init(_ ad: Ad, sinks: [Int32?], until: EventTime?) {
    self.until = until
    self.ad = ad
    self.sinks = sinks
    adKey = Array("\(ad.account)/\(ad.campaign)/\(ad.ad)".utf8)
    campaignKey = Array("\(ad.account)/\(ad.campaign)".utf8)
  }

  var current: State { state.withLock { $0 } }

  func observe(_ log: any PartitionLog) -> any PartitionLog {
    ObservedLog(
      log, input: { self.take($0, $1) }, output: { self.take(sink: $0, key: $1, value: $2) })
  }

  // MARK: What comes out

  private func take(sink: Int32, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    guard let place = sinks.firstIndex(of: sink) else { return }
    let stream = AdHistory.streams[place]
    guard key.elementsEqual(stream == .paces ? campaignKey : adKey) else { return }
    let record = JSONRecord(value)
    state.withLock { state in
      switch stream {
      case .estimates: AdHistory.take(estimate: record, &state)
      case .paces: AdHistory.take(pace: record, &state)
      case .proposals: state.proposal = record
      default:
        state.parameters = record
        state.publications += 1
      }
    }
  }

  private static func take(estimate record: JSONRecord, _ state: inout State) {
    let kinds = [
      ("impressions", "impression"), ("clicks", "click"), ("conversions", "credited conversion"),
    ]
    for (count, what) in kinds {
      let before = state.estimate?["evidence", count] ?? "0"
      if record["evidence", count] != before { note(what, record, &state) }
    }
    state.estimate = record
  }

  private static func take(pace record: JSONRecord, _ state: inout State) {
    if record["state"] != state.pace?["state"] ?? "running" { note("budget", record, &state) }
    state.pace = record
  }

  private static func note(_ what: String, _ record: JSONRecord, _ state: inout State) {
    guard let time = record.integer("time") else { return }
    state.moves[what] = Move(
      what: what, source: record["source"] ?? "", time: EventTime(milliseconds: time))
  }

  // MARK: What goes in

  /// The catalogue and orders speak for whole campaigns and accounts, so they are looked for where
  /// they come in.
  private func take(_ input: LogInput, _ record: LogRecord) {
    guard AdHistory.mayConcern(record.value) else { return }
    let batch = EventBatch(capacity: 1)
    var decoder = EventDecoder()
    guard decoder.decode(record.value, into: batch) == nil, batch.count == 1 else { return }
    let event = batch[0].pointee
    if let until, event.time >= until { return }
    guard event.account.string == ad.account,
      event.campaign.isAbsent || event.campaign.string == ad.campaign,
      event.ad.isAbsent || event.ad.string == ad.ad
    else { return }
    let place = input.isFile ? "line" : "offset"
    let name = input.isFile ? "file" : "topic"
    let source =
      #"{"\#(name)":"\#(input.topic)","partition":\#(input.partition),"\#(place)":\#(record.offset)}"#
    let text = String(decoding: record.value, as: UTF8.self)
    let what = event.type == .campaign ? "catalogue" : "order"
    state.withLock {
      $0.moves[what] = Move(what: what, source: source, time: event.time, record: text)
    }
  }

  /// Whether it might be of the catalogue or an order: decoding every record twice would cost as
  /// much as the replay.
  private static func mayConcern(_ record: UnsafeRawBufferPointer) -> Bool {
    for member in JSONMembers(record) where member.isNamed("type") {
      return member.text == "campaign" || member.text == "control"
    }
    return false
  }
}
