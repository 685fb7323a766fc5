import Events
import Operators
import Streaming
import Synchronization
import Testing

/// Records that are not where their account belongs.
@Suite struct KeyingTests {
  private static let topology = """
    topology: t
    sources: { events: { files: { paths: [x] } } }
    operators: { totals: { operator: tally, from: events } }
    sinks: { tallies: { from: totals, files: { path: tallies.jsonl } } }
    snapshots: { directory: state }
    """

  @Test func hashesAreThoseOfTheClients() {
    func crc(_ text: String) -> UInt32 {
      Array(text.utf8).withUnsafeBytes { Partitioner.crc32($0) }
    }
    #expect(crc("123456789") == 0xCBF4_3926)
    #expect(crc("") == 0)
    #expect(crc("The quick brown fox jumps over the lazy dog") == 0x414F_A339)
    // What librdkafka's own partitioners say of twelve partitions.
    func place(_ text: String, _ hash: Keying.Hash) -> Int {
      Array(text.utf8).withUnsafeBytes { Keying(hash: hash, partitions: 12).partition(of: $0) }
    }
    #expect(place("123456789", .crc32) == Int(0xCBF4_3926 as UInt32) % 12)
  }

  /// Runs the records, with the account `a` where it belongs, and gives what was committed.
  private func run(
    _ records: [(key: String, value: String)], keying: Keying?, partition: Int32,
    form: DeadLetterForm = .json
  ) throws -> KeyedLog {
    let log = KeyedLog(records, keying: keying, partition: partition, form: form)
    let checked = try CheckedTopology.parse(
      text: KeyingTests.topology, file: "t.yaml", environment: [:],
      registry: OperatorRegistry.all.map(\.description))
    let engine = try Engine(
      topology: checked, registry: OperatorRegistry.all,
      partitions: [.init(log: log, options: RunnerOptions(mode: .replay))], workers: 1)
    try engine.run()
    return log
  }

  private func click(_ account: String, _ id: Int) -> String {
    #"{"type":"click","id":"c\#(id)","time":\#(1_000 + id),"account":"\#(account)","campaign":"k","ad":"x"}"#
  }

  private let keying = Keying(hash: .murmur2, partitions: 4)

  private func home(_ account: String, _ keying: Keying) -> Int32 {
    Int32(Array(account.utf8).withUnsafeBytes { keying.partition(of: $0) })
  }

  @Test(arguments: [Keying.Hash.murmur2, .crc32])
  func theMisplacedAreRefused(_ hash: Keying.Hash) throws {
    let keying = Keying(hash: hash, partitions: 4)
    let here = home("a", keying)
    let stranger = try #require(
      ["b", "c", "d", "e", "f"].first { home($0, keying) != here })
    let records = [
      ("a", click("a", 1)), ("", click("a", 2)), ("b", click("a", 3)),
      (stranger, click(stranger, 4)), ("", #"{"type":"heartbeat","time":5000}"#),
      ("a", click("a", 6)), ("a", "{"),
    ]
    let log = try run(records, keying: keying, partition: here)
    let refused = log.letters.map { $0.value.contains("wrong_partition") }
    #expect(refused == [true, true, true, false])
    #expect(log.letters[0].value.contains("no key"))
    #expect(log.letters[1].value.contains("not its account") || here != home("b", keying))
    #expect(log.letters[2].value.contains("partition \(home(stranger, keying)) of 4"))
    #expect(log.letters.map(\.key) == ["a", "a", stranger, ""])
    #expect(log.tallies.contains { $0.contains(#""clicks":2"#) })
    // Where nothing is known of keys all of them count.
    let all = try run(records, keying: nil, partition: here)
    #expect(all.letters.count == 1)
  }

  @Test func anotherKeyAltogetherEndsTheRun() throws {
    let here = home("a", keying)
    func records(wrong: Int, of count: Int) -> [(String, String)] {
      (0..<count).map { ($0 < wrong ? "user-\($0)" : "a", click("a", $0)) }
    }
    #expect(
      try run(records(wrong: 500, of: 1_200), keying: keying, partition: here).letters.count == 500)
    #expect(
      try run(records(wrong: 999, of: 999), keying: keying, partition: here).letters.count == 999)
    do {
      _ = try run(records(wrong: 501, of: 1_200), keying: keying, partition: here)
      Issue.record("nothing was thrown")
    } catch let error as LogError {
      #expect(error.kind == .configuration && error.message.contains("rekey.yaml"), "\(error)")
      #expect(error.message.contains("501 of the first 1000"))
    }
  }

  @Test func theOriginalBytesComeWithHeaders() throws {
    let here = home("a", keying)
    let log = try run(
      [("a", click("a", 1)), ("b", click("a", 2)), ("x", "\u{0}\u{ff}{")], keying: keying,
      partition: here, form: .original)
    #expect(log.letters.map(\.value) == [click("a", 2), "\u{0}\u{ff}{"])
    let first = log.letters[0].headers
    #expect(
      first.map(\.0) == [
        "reason", "field", "detail", "topic", "partition", "offset", "account", "time",
      ])
    #expect(first[0].1 == "wrong_partition" && first[1].1 == "account")
    #expect(first[3].1 == "events" && first[4].1 == "\(here)" && first[5].1 == "1")
    #expect(first[6].1 == "a")
    #expect(log.letters[1].headers.map(\.0).contains("account") == false)
    #expect(log.letters[1].key == "")
  }
}

/// A partition of a topic in memory, with keys; keeps what is committed.
private final class KeyedLog: PartitionLog {
  struct Letter {
    var key: String
    var value: String
    var headers: [(String, String)]
  }

  private struct State {
    var next = 0
    var letters: [Letter] = []
    var tallies: [String] = []
  }

  let inputs: [LogInput]
  let deadLetterForm: DeadLetterForm
  private let records: [(key: [UInt8], value: [UInt8])]
  private let state = Mutex(State())

  init(
    _ records: [(key: String, value: String)], keying: Keying?, partition: Int32,
    form: DeadLetterForm
  ) {
    inputs = [LogInput(source: "events", topic: "events", partition: partition, keying: keying)]
    deadLetterForm = form
    self.records = records.map { (Array($0.key.utf8), Array($0.value.utf8)) }
  }

  var letters: [Letter] { state.withLock { $0.letters } }
  var tallies: [String] { state.withLock { $0.tallies } }

  func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    chunk.removeAll()
    let (first, last) = state.withLock {
      let first = $0.next
      $0.next = min(first + maxRecords, records.count)
      return (first, $0.next)
    }
    let found = records[first..<last]
    chunk.reserve(found.reduce(64) { $0 + $1.key.count + $1.value.count })
    var used = 0
    func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
      let place = UnsafeMutableRawBufferPointer(
        rebasing: chunk.storage[used..<used + bytes.count])
      place.copyBytes(from: bytes)
      used += bytes.count
      return UnsafeRawBufferPointer(place)
    }
    for (offset, record) in zip(first..., found) {
      chunk.records.append(
        LogRecord(
          offset: Int64(offset), appendTime: LogRecord.noAppendTime, key: keep(record.key),
          value: keep(record.value)))
    }
    chunk.nextOffset = Int64(last)
    return found.isEmpty ? .end : .records
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) {
    state.withLock { $0.next = Int(offset) }
  }

  func firstOffsets() throws(LogError) -> [Int64] { [0] }
  func committed() throws(LogError) -> CommitPoint? { nil }

  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {}

  func commit(_ transaction: Transaction) throws(LogError) {
    let outputs = transaction.outputs
    for record in outputs.records {
      let key = String(decoding: outputs.key(of: record), as: UTF8.self)
      let value = String(decoding: outputs.value(of: record), as: UTF8.self)
      var headers: [(String, String)] = []
      for (name, content) in RecordHeaders(outputs.headers(of: record)) {
        headers.append(
          (String(decoding: name, as: UTF8.self), String(decoding: content, as: UTF8.self)))
      }
      state.withLock {
        if record.sink == 0 {
          $0.tallies.append(value)
        } else {
          $0.letters.append(Letter(key: key, value: value, headers: headers))
        }
      }
    }
  }

  func close() {}
}
