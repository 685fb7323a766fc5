import Events
import Simulation
import Streaming
import Support

/// Jobs that are counted from outside: `measure work NAME TIMES` does the same thing so many times.
/// Counting one run and another of twice as much, the difference is the job's alone.
enum Work {
  static let names = [
    "decode-impressions", "decode-clicks", "decode-mixed", "encode-tally", "encode-dead-letter",
    "replay", "replay-attribution", "replay-lean", "replay-live",
  ]
  /// Records per time.
  static let unit = 2_000

  static func run(_ arguments: [String]) throws {
    guard arguments.count == 2, let times = Int(arguments[1]) else {
      throw BenchmarkFailure(Measure.usage)
    }
    switch arguments[0] {
    case "decode-impressions": decode(times) { $0.type == .impression && $0.rejection == nil }
    case "decode-clicks": decode(times) { $0.type == .click && $0.rejection == nil }
    case "decode-mixed": decode(times) { $0.rejection == nil }
    case "encode-tally": encode(times) { Records.tally(&$0, $1) }
    case "encode-dead-letter": encode(times) { Records.deadLetter(&$0, $1) }
    case "replay": try replay(times, Jobs.tally(), replayFile(times))
    case "replay-attribution": try replay(times, Jobs.attribution(), replayFile(times))
    case "replay-lean": try replay(times, Jobs.lean(), marketFile(times))
    case "replay-live": try replay(times, Jobs.live(), marketFile(times))
    default: throw BenchmarkFailure("there is no work \(arguments[0])")
    }
  }

  private static func decode(_ times: Int, _ isWanted: (HistoryRecord) -> Bool) {
    var taken = 0
    let block = RecordBlock(Histories.settings(records: 60_000)) {
      guard taken < unit, isWanted($0) else { return false }
      taken += 1
      return true
    }
    precondition(block.count == unit, "the history has enough of every kind")
    var decoder = EventDecoder()
    let batch = EventBatch(capacity: 256)
    for _ in 0..<times {
      precondition(Jobs.decode(block, &decoder, batch) == 0, "good records are accepted")
    }
  }

  private static func encode(_ times: Int, _ write: (inout JSONWriter, Int) -> Void) {
    var json = JSONWriter(capacity: 1 << 16)
    for _ in 0..<times {
      for number in 0..<unit {
        write(&json, number)
        if json.count > 60_000 { json.removeAll() }
      }
      json.removeAll()
    }
  }

  /// The file that a replay of so many times reads; made beforehand, not to be counted.
  static func replayFile(_ times: Int) -> String {
    "/tmp/bidmill-measure/good-\(times * unit).jsonl"
  }

  static func makeReplayFile(_ times: Int) throws {
    System.makeDirectory("/tmp/bidmill-measure")
    var settings = Histories.settings(records: times * unit)
    settings.badPerMillion = 0
    try Histories.write(settings, to: replayFile(times))
    try Histories.writeMarket(records: times * unit, to: marketFile(times))
  }

  private static func marketFile(_ times: Int) -> String {
    "/tmp/bidmill-measure/market-\(times * unit).jsonl"
  }

  private static func replay(
    _ times: Int, _ topology: CheckedTopology, _ file: String
  ) throws {
    let result = try Jobs.replay(
      topology, file: file, to: "/tmp/bidmill-measure/out-\(times)")
    precondition(result.records == Int64(times * unit), "every record is taken")
  }
}
