import Events
import Simulation
import Streaming

@testable import bidmill

/// A generated history in a file, and what is known of it.
struct MadeHistory {
  var duplicates: Int

  /// Writes the history as JSON Lines.
  ///
  /// Its events stand 600 ms apart. It ends in the middle of a minute with a heartbeat, which
  /// takes every partition to the same time: a live run then has published what a replay has.
  init(_ events: Int, seed: UInt64, to path: String) throws {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = events
    let minutes = Int64(events) * 600 / 60_000
    settings.duration = .seconds(minutes * 60 + 30)
    let file = try LineFile(path, overwrite: true)
    var generator = HistoryGenerator(settings)
    var bytes: [UInt8] = []
    while generator.next(into: &bytes) != nil {
      try bytes.withUnsafeBytes { try file.add($0) }
    }
    let end = (settings.start + settings.duration).milliseconds
    try Array(#"{"type":"heartbeat","time":\#(end)}"#.utf8).withUnsafeBytes { try file.add($0) }
    try file.finish()
    duplicates = generator.counts.duplicates
  }
}
