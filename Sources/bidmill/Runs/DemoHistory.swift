import Events
import Simulation
import Streaming

/// A demo's history, and the exact truth about it.
struct DemoHistory {
  var records: Int64
  var duplicates: Int64
  /// Refused records by reason.
  var refused: [(name: String, count: Int)]
  /// Per account, campaign and ad that something happened to.
  var ads: [String: AdTotals]

  /// Writes the history as JSON Lines.
  ///
  /// Its events stand 600 ms apart. It ends in the middle of a minute with a heartbeat, which
  /// takes every partition to the same time: a live run then has published what a replay has.
  static func write(
    _ events: Int, seed: UInt64, to path: String, isQuiet: Bool
  ) throws -> DemoHistory {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = events
    let minutes = Int64(events) * 600 / 60_000
    settings.duration = .seconds(minutes * 60 + 30)
    let file = try LineFile(path, overwrite: true)
    var generator = HistoryGenerator(settings)
    let progress = ProgressLine(isQuiet: isQuiet)
    var bytes: [UInt8] = []
    while generator.next(into: &bytes) != nil {
      try bytes.withUnsafeBytes { try file.add($0) }
      if generator.counts.records % 4096 == 0 {
        let done = generator.counts.records
        progress.show(Double(done) / Double(events)) { "making a history" }
      }
    }
    let end = (settings.start + settings.duration).milliseconds
    try Array(#"{"type":"heartbeat","time":\#(end)}"#.utf8).withUnsafeBytes { try file.add($0) }
    try file.finish()
    progress.end()
    return DemoHistory(
      records: Int64(generator.counts.records) + 1, duplicates: Int64(generator.counts.duplicates),
      refused: generator.counts.rejectedByReason, ads: totals(generator))
  }

  private static func totals(_ generator: borrowing HistoryGenerator) -> [String: AdTotals] {
    let settings = generator.settings
    var ads: [String: AdTotals] = [:]
    for account in 0..<settings.accounts {
      for campaign in 0..<settings.campaignsPerAccount {
        for ad in 0..<settings.adsPerCampaign {
          let totals = generator.totals(account: account, campaign: campaign, ad: ad)
          guard totals != AdTotals() else { continue }
          let names = [
            generator.accountName(account),
            generator.campaignName(account: account, campaign: campaign),
            generator.adName(account: account, campaign: campaign, ad: ad),
          ]
          ads[names.joined(separator: "/")] = totals
        }
      }
    }
    return ads
  }
}
