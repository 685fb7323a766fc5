import Events
import Foundation
import Simulation
import Testing

/// A history, kept whole: records with their bytes.
private struct History {
  var records: [(truth: HistoryRecord, bytes: [UInt8])] = []
  var counts: HistoryCounts
  /// By `account/campaign/ad`.
  var totals: [String: AdTotals] = [:]
  /// FNV-1a (64 bits) over the lines.
  var digest: UInt64 = 0xcbf2_9ce4_8422_2325

  init(_ settings: HistorySettings) {
    var generator = HistoryGenerator(settings)
    var bytes: [UInt8] = []
    while let record = generator.next(into: &bytes) {
      records.append((record, bytes))
      for byte in bytes + [10] { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    counts = generator.counts
    for account in 0..<settings.accounts {
      for campaign in 0..<settings.campaignsPerAccount {
        for ad in 0..<settings.adsPerCampaign {
          let path = [
            generator.accountName(account),
            generator.campaignName(account: account, campaign: campaign),
            generator.adName(account: account, campaign: campaign, ad: ad),
          ].joined(separator: "/")
          totals[path] = generator.totals(account: account, campaign: campaign, ad: ad)
        }
      }
    }
  }

  func good(_ type: EventType) -> [(truth: HistoryRecord, bytes: [UInt8])] {
    records.filter {
      $0.truth.type == type && $0.truth.rejection == nil && !$0.truth.isDuplicate
    }
  }
}

private func parsed(_ bytes: [UInt8]) -> [String: Any]? {
  try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
}

private func micros(_ value: Any?) -> Int64 {
  if let text = value as? String { return Int64(((Double(text) ?? .nan) * 1e6).rounded()) }
  return Int64((((value as? NSNumber)?.doubleValue ?? 0) * 1e6).rounded())
}

private func milliseconds(_ value: Any?) throws -> Int64 {
  if let number = value as? NSNumber { return number.int64Value }
  let text = try #require(value as? String)
  let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
  return Int64((try style.parse(text).timeIntervalSince1970 * 1000).rounded())
}

/// Small, but with enough of everything that the tests look at.
private func small(seed: UInt64 = 7) -> HistorySettings {
  var settings = HistorySettings()
  settings.seed = seed
  settings.records = 20_000
  settings.accounts = 3
  settings.campaignsPerAccount = 2
  settings.adsPerCampaign = 5
  settings.usersPerAccount = 500
  settings.duration = .hours(2)
  settings.badPerMillion = 10_000
  return settings
}

@Suite struct HistoryGeneratorTests {
  @Test func sameSeedGivesTheSameBytes() {
    let history = History(small())
    #expect(history.digest == History(small()).digest)
    #expect(history.digest != History(small(seed: 8)).digest)
  }

  /// The bytes of a seed are the same on every machine and stay so: benchmarks and golden files
  /// build on them. A change here is a new meaning of every seed; say so in the changelog.
  @Test func bytesOfASeedStay() {
    #expect(History(small()).digest == 11_422_225_579_198_594_540)
    #expect(History(HistorySettings(records: 2_000)).digest == 15_051_323_175_507_137_719)
  }

  @Test func recordsAreAsManyAndAsLongAsPlanned() throws {
    let history = History(small())
    #expect(history.records.count == 20_000)
    #expect(history.records.map(\.truth.index) == Array(0..<20_000))
    let sizes = history.good(.impression).map(\.bytes.count)
    let mean = Double(sizes.reduce(0, +)) / Double(sizes.count)
    #expect((300...345).contains(mean), "impressions have \(mean) bytes on average")
    let features = try history.good(.impression).map {
      try #require(parsed($0.bytes)?["features"] as? [String: Any]).count
    }
    #expect(Set(features) == [5, 6])
    #expect(!history.records.contains { $0.bytes.contains(10) }, "a record is one line")
  }

  @Test func goodRecordsAreJSONAndSayWhatTheTruthSays() throws {
    for (truth, bytes) in History(small()).records where truth.rejection == nil {
      let json = try #require(parsed(bytes), "\(String(decoding: bytes, as: UTF8.self))")
      #expect(json["type"] as? String == "\(truth.type.name)")
      #expect(try milliseconds(json["time"]) == truth.time.milliseconds)
      if truth.type == .heartbeat {
        #expect(json.count == 2)
      } else {
        #expect(json["account"] as? String == "acct-000\(truth.account)")
      }
    }
  }

  @Test func theDecoderAgreesWithTheTruth() {
    var settings = small()
    settings.badPerMillion = 100_000
    let batch = EventBatch(capacity: 1)
    var decoder = EventDecoder()
    for (truth, bytes) in History(settings).records {
      batch.removeAll()
      bytes.withUnsafeBytes { record in
        let rejection = decoder.decode(record, into: batch)
        #expect(rejection?.reason == truth.rejection, "\(String(decoding: bytes, as: UTF8.self))")
        if rejection == nil {
          #expect(batch[0].pointee.type == truth.type)
          #expect(batch[0].pointee.time == truth.time)
        }
      }
    }
    #expect(decoder.unknownFieldsCount == 0)
  }

  @Test func sendingIsInOrderAndDisorderIsBounded() {
    var settings = small()
    settings.latenessMax = .seconds(3)
    settings.duplicateDelayMax = .minutes(5)
    let records = History(settings).records.map(\.truth)
    var newest = [EventTime](repeating: .earliest, count: settings.accounts)
    var lateCount = 0
    for (record, next) in zip(records, records.dropFirst()) { #expect(record.sent <= next.sent) }
    for record in records {
      let delay = record.sent - record.time
      if record.isDuplicate {
        #expect(delay <= .seconds(3 + 5 * 60 + 1))
        continue
      }
      #expect(delay >= .milliseconds(0) && delay <= .seconds(3))
      if delay == .milliseconds(0) {
        #expect(record.time >= newest[record.account])
      } else {
        lateCount += 1
      }
      newest[record.account] = max(newest[record.account], record.time)
    }
    #expect((200...600).contains(lateCount), "\(lateCount) of about 400 late records")
    #expect(records.first?.sent == settings.start)
    #expect(records.last?.sent == settings.start + settings.duration)
  }

  @Test func withoutLatenessTimeIsInOrder() {
    var settings = small()
    settings.latePerMillion = 0
    settings.duplicatesPerMillion = 0
    let times = History(settings).records.map(\.truth.time)
    #expect(times == times.sorted())
  }

  @Test func duplicatesAreExactAndFollowTheirOriginals() {
    let history = History(small())
    var seen = Set<[UInt8]>()
    var found = 0
    for (truth, bytes) in history.records where truth.type != .heartbeat {
      let isNew = seen.insert(bytes).inserted
      if truth.isDuplicate {
        found += 1
        #expect(!isNew)
      } else if truth.rejection == nil {
        #expect(isNew)
      }
    }
    #expect(found == history.counts.duplicates)
    #expect((120...280).contains(found), "\(found) of about 200 duplicates")
  }

  @Test func identifiersAreUnique() throws {
    let history = History(small())
    var seen = Set<String>()
    for (truth, bytes) in history.records
    where truth.rejection == nil && !truth.isDuplicate && truth.type != .heartbeat {
      let id = try #require(parsed(bytes)?["id"] as? String)
      #expect(seen.insert("\(truth.account)/\(truth.type.name)/\(id)").inserted)
    }
  }

  @Test func totalsAreWhatTheBytesSay() throws {
    let history = History(small())
    var totals = history.totals.mapValues { _ in AdTotals() }
    var seen = Set<[UInt8]>()
    for (truth, bytes) in history.records
    where truth.rejection == nil && seen.insert(bytes).inserted {
      guard let json = parsed(bytes), let ad = json["ad"] as? String,
        let account = json["account"] as? String, let campaign = json["campaign"] as? String
      else { continue }
      let path = "\(account)/\(campaign)/\(ad)"
      switch json["type"] as? String {
      case "impression":
        totals[path]?.impressions += 1
        totals[path]?.spendMicros += micros(json["price"])
      case "click":
        totals[path]?.clicks += 1
        totals[path]?.spendMicros += micros(json["price"])
      case "auction":
        totals[path]?.auctions += 1
        if json["won"] as? Bool == true { totals[path]?.wins += 1 }
      default: break
      }
    }
    #expect(totals == history.totals)
    #expect(history.totals.values.contains { $0.wins > 0 && $0.clicks > 0 })
  }

  @Test func sharesAreKept() {
    let history = History(small())
    let expected: [(EventType, ClosedRange<Int>)] = [
      (.impression, 16_000...16_900), (.auction, 1_400...1_750), (.click, 850...1_100),
      (.conversion, 230...360), (.dealStage, 60...140), (.adjustment, 45...120),
      (.heartbeat, 45...120), (.control, 15...70), (.campaign, 6...6),
    ]
    for (type, range) in expected {
      let count = history.counts.accepted(type)
      #expect(range.contains(count), "\(count) of type \(type.name)")
      #expect(count == history.good(type).count)
    }
    let all =
      EventType.allCases.map { history.counts.accepted($0) }.reduce(0, +)
      + RejectionReason.allCases.map { history.counts.rejected($0) }.reduce(0, +)
      + history.counts.duplicates
    #expect(all == history.counts.records)
  }

  @Test func clicksFollowImpressionsOfTheSameUser() throws {
    let history = History(small())
    var shown: [String: (user: String, ad: String, time: EventTime)] = [:]
    for (truth, bytes) in history.records where truth.rejection == nil {
      guard let json = parsed(bytes), let id = json["id"] as? String else { continue }
      if truth.type == .impression {
        shown[id] = (
          try #require(json["user"] as? String), try #require(json["ad"] as? String), truth.time
        )
      } else if truth.type == .click {
        let reference = try #require(json["impression"] as? String)
        let impression = try #require(shown[reference])
        #expect(json["user"] as? String == impression.user)
        #expect(json["ad"] as? String == impression.ad)
        #expect(truth.time >= impression.time)
        #expect(json["click_id"] is String)
      }
    }
  }

  @Test func conversionsAndDealsFollowClicks() throws {
    let history = History(small())
    var clickIDs = Set<String>()
    var stages: [String: [String]] = [:]
    for (truth, bytes) in history.records where truth.rejection == nil && !truth.isDuplicate {
      guard let json = parsed(bytes) else { continue }
      let clickID = json["click_id"] as? String
      switch truth.type {
      case .click: clickIDs.insert(try #require(clickID))
      case .conversion: if let clickID { #expect(clickIDs.contains(clickID)) }
      case .dealStage:
        #expect(clickIDs.contains(try #require(clickID)))
        stages[try #require(json["deal"] as? String), default: []].append(
          try #require(json["stage"] as? String))
      default: break
      }
    }
    let way = ["lead", "qualified", "proposal", "negotiation"]
    for (_, passed) in stages {
      #expect(Array(passed.prefix(4)) == Array(way.prefix(passed.count)))
      #expect(passed.count < 5 || ["won", "lost"].contains(passed[4]))
      #expect(passed.count <= 5)
    }
    #expect(stages.values.contains { $0.count > 1 })
  }

  @Test func badRecordsAreOfEveryKind() {
    var settings = small()
    settings.badPerMillion = 200_000
    let history = History(settings)
    // Too large a record would make a history of mostly that; no record knows its partition.
    let left: Set<RejectionReason> = [.tooLarge, .wrongPartition]
    for reason in RejectionReason.allCases where !left.contains(reason) {
      #expect(history.counts.rejected(reason) > 50, "\(reason.code)")
    }
    for (truth, bytes) in history.records {
      if truth.rejection == .malformedJSON { #expect(parsed(bytes) == nil) }
      if truth.rejection == .invalidUTF8 {
        #expect(String(validating: bytes, as: UTF8.self) == nil)
      }
    }
  }

  @Test func theFirstAdIsShownMost() {
    let history = History(small())
    func shown(_ ad: Int) -> Int64 {
      history.totals.filter { $0.key.hasSuffix("-00\(ad)") }.map(\.value.impressions).reduce(0, +)
    }
    // Zipf's law: the first is shown twice as often as the second, five times as the fifth.
    #expect((170...230).contains(shown(0) * 100 / shown(1)))
    #expect((420...580).contains(shown(0) * 100 / shown(4)))
  }

  @Test func emptyAndTinyHistories() {
    #expect(History(HistorySettings(records: 0)).records.isEmpty)
    var settings = HistorySettings(records: 5)
    settings.accounts = 1
    settings.campaignsPerAccount = 1
    settings.adsPerCampaign = 1
    settings.usersPerAccount = 1
    settings.duration = .milliseconds(0)
    let history = History(settings)
    #expect(history.records.count == 5)
    #expect(history.records.allSatisfy { $0.truth.sent == settings.start })
  }
}

extension HistorySettings {
  fileprivate init(records: Int) {
    self.init()
    self.records = records
  }
}
