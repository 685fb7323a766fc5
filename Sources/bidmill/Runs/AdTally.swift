import Events
import LocalLog
import Simulation
import Streaming

/// What `tallies` and `dead_letters` say in the end, read back from JSON Lines.
enum Results {
  /// The last totals per account, campaign and ad.
  static func tallies(_ path: String) throws -> [String: AdTotals] {
    var last: [String: AdTotals] = [:]
    try forEachLine(path) { line in
      var key: [String] = ["", "", ""]
      var totals = AdTotals()
      for member in JSONMembers(line) {
        if member.isNamed("account") {
          key[0] = member.text
        } else if member.isNamed("campaign") {
          key[1] = member.text
        } else if member.isNamed("ad") {
          key[2] = member.text
        } else if member.isNamed("impressions") {
          totals.impressions = member.integer ?? 0
        } else if member.isNamed("clicks") {
          totals.clicks = member.integer ?? 0
        } else if member.isNamed("spend") {
          totals.spendMicros = micros(member.text) ?? 0
        } else if member.isNamed("auctions") {
          totals.auctions = member.integer ?? 0
        } else if member.isNamed("wins") {
          totals.wins = member.integer ?? 0
        }
      }
      last[key.joined(separator: "/")] = totals
    }
    return last
  }

  /// Refused records by reason.
  static func deadLetters(_ path: String) throws -> [String: Int] {
    var counts: [String: Int] = [:]
    try forEachLine(path) { line in
      for member in JSONMembers(line) where member.isNamed("reason") {
        counts[member.text, default: 0] += 1
      }
    }
    return counts
  }

  private static func forEachLine(
    _ path: String, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws {
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      for record in chunk.records { body(record.value) }
    }
  }

  /// A decimal of at most six places in millionths.
  static func micros(_ text: String) -> Int64? {
    let isNegative = text.hasPrefix("-")
    let parts = text.drop { $0 == "-" }.split(
      separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first.flatMap({ Int64($0) }) else { return nil }
    let places = parts.count > 1 ? String(parts[1]) : ""
    guard places.count <= 6,
      let fraction = Int64(places + String(repeating: "0", count: 6 - places.count))
    else { return nil }
    let (scaled, overflow) = whole.multipliedReportingOverflow(by: 1_000_000)
    return overflow ? nil : (isNegative ? -1 : 1) * (scaled + fraction)
  }
}
