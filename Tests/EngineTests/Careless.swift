import Events
import Streaming
import TestKit

/// Counts impressions per ad, with one flaw of choice: the contract suite has to notice each.
struct Careless: Operator {
  enum Flaw: String, CaseIterable, Sendable {
    case none
    /// A count beside the tables.
    case unsaved
    /// A count that all accounts share.
    case shared
    /// A row for every event, for ever.
    case growing
    /// A digest that leaves the counts out.
    case blindDigest
    /// A digest over row numbers.
    case rowDigest
    /// Published again at every end.
    case repeatedEnd
    case silentEnd

    /// The law that the flaw breaks.
    var breaks: OperatorContract.Law? {
      switch self {
      case .none: nil
      case .unsaved: .snapshotRoundTrip
      case .shared, .rowDigest: .neighbourIndependence
      case .growing: .boundedState
      case .blindDigest: .digestSensitivity
      case .repeatedEnd, .silentEnd: .finish
      }
    }
  }

  static let description = OperatorDescription(
    name: "careless", version: 1, summary: "Counts impressions, carelessly.",
    inputs: [.init(.events)], outputs: [CountRecord.stream],
    settings: [
      SettingDescription(
        "flaw", .choice(Flaw.allCases.map(\.rawValue)), default: "none",
        meaning: "What is wrong with it.")
    ])

  private let events: EventInput
  private let output: Stream<CountRecord>
  private let directory: Directory
  private let counts: Table<Int64>
  private let seen: Table<Int64>
  private let flaw: Flaw
  /// Not in a table, so in no snapshot.
  private var unsaved: Int64 = 0

  init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    output = setup.output(CountRecord.self)
    directory = setup.directory
    counts = setup.store.table("counts", of: Int64.self)
    seen = setup.store.table("seen", of: Int64.self)
    flaw = Flaw(rawValue: setup.settings.text("flaw")) ?? .none
  }

  func deallocate() { events.deallocate() }

  mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer, event.pointee.type == .impression else { return }
    let ad = flaw == .shared ? 0 : event.pointee.ad.row
    counts.fill(to: max(counts.count, Int(ad) + 1, Int(event.pointee.ad.row) + 1), with: 0)
    counts.update(ad).pointee += 1
    unsaved += 1
    if flaw == .growing { seen.append(1) }
    let count = flaw == .unsaved ? unsaved : counts[ad]
    // Every other count is held back.
    let record = CountRecord(ad: event.pointee.ad.row, count: count)
    if count % 2 == 0 { output.append(record) }
  }

  mutating func finish(_ entry: borrowing Entry) {
    guard flaw != .silentEnd else { return }
    for ad in 0..<Int32(counts.count) where counts[ad] % 2 == 1 {
      output.append(CountRecord(ad: ad, count: counts[ad]))
      if flaw != .repeatedEnd { counts.update(ad).pointee += 1 }
    }
  }

  func digest(into digest: inout StateDigest) {
    guard flaw != .blindDigest else { return }
    for ad in 0..<Int32(counts.count) where counts[ad] > 0 {
      digest.add(
        owner: flaw == .rowDigest ? UInt64(ad) : directory.ads.hash(ad), counts[ad])
    }
  }
}

/// One ad's count so far.
struct CountRecord: StreamRecord {
  static let stream = StreamType("counted")

  var ad: Int32
  var count: Int64

  func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let account = directory.accounts.name(
      directory.campaigns.parent(directory.ads.parent(ad)))
    let keyLength = json.writeKey(account)
    json.beginObject()
    json.member("account", account)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("count", count)
    json.endObject()
    return keyLength
  }
}
