import LocalLog
import Streaming
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Commits of a group")
struct GroupTests {
  static let inputs = [LogInput(source: "events", topic: "events")]
  static let outputs = [
    LogOutput(sink: "bids", topic: "bids", compacted: true),
    LogOutput(sink: "alerts", topic: "alerts", compacted: false),
  ]
  /// Small enough that segments of all kinds are begun often.
  static var small: LocalLogOptions {
    LocalLogOptions(
      fsync: .always, segmentBytes: 600, blockBytes: 200, commitSegmentBytes: 500, now: { 77 })
  }

  static func transaction(_ number: Int64) -> Transaction {
    var outputs: [(sink: Int, value: String)] = []
    for copy in 0..<(number % 4) { outputs.append((0, "bid \(number).\(copy)")) }
    if number % 3 == 0 { outputs.append((1, String(repeating: "alert \(number) ", count: 40))) }
    return Transaction(
      number, next: [number * 2], journal: Array("journal \(number)".utf8), outputs: outputs)
  }

  static func bids(_ count: Int64) -> [String] {
    guard count > 0 else { return [] }
    return (1...count).flatMap { number in (0..<(number % 4)).map { "bid \(number).\($0)" } }
  }

  static func alerts(_ count: Int64) -> [String] {
    guard count > 0 else { return [] }
    return (1...count).filter { $0 % 3 == 0 }.map { String(repeating: "alert \($0) ", count: 40) }
  }

  private func store(_ path: String, _ options: LocalLogOptions = small) throws -> LocalLogStore {
    let store = try LocalLogStore.open(path, creating: true, options: options)
    try store.createTopic("events", partitions: 1)
    return store
  }

  private func open(_ store: LocalLogStore) throws -> LocalPartitionLog {
    try store.partitionLog(
      group: "live", partition: 0, inputs: Self.inputs, outputs: Self.outputs)
  }

  private func expectState(
    _ store: LocalLogStore, _ log: LocalPartitionLog, _ number: Int64, _ note: String
  ) throws {
    let expected = number == 0 ? nil : CommitPoint(number: number, nextOffsets: [number * 2])
    #expect(try log.committed() == expected, "\(note)")
    #expect(text(try store.reader("bids", partition: 0).all()) == Self.bids(number), "\(note)")
    #expect(text(try store.reader("alerts", partition: 0).all()) == Self.alerts(number), "\(note)")
    var journal: [String] = []
    try log.journal(after: 0) { found, bytes in
      #expect(found == Int64(journal.count + 1))
      journal.append(String(decoding: bytes, as: UTF8.self))
    }
    #expect(journal == (0..<number).map { "journal \($0 + 1)" }, "\(note)")
  }

  @Test("Outputs, offsets and journal of commits are there after reopening")
  func commits() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    for number in 1...30 as ClosedRange<Int64> {
      let log = try open(store)
      try expectState(store, log, number - 1, "before \(number)")
      try log.commit(Self.transaction(number))
      try expectState(store, log, number, "after \(number)")
      log.close()
    }
    #expect(Scratch.names(store.root + "/groups/live/0").count > 5)
    #expect(try store.verify().problems == [])
    let log = try open(store)
    var later: [Int64] = []
    try log.journal(after: 28) { number, _ in later.append(number) }
    #expect(later == [29, 30])
  }

  @Test("A transaction that is sent again is not written again")
  func idempotent() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    do {
      let log = try open(store)
      for number in [1, 1, 2, 3, 3, 3] as [Int64] { try log.commit(Self.transaction(number)) }
      try expectState(store, log, 3, "at once")
      log.close()
    }
    let log = try open(store)
    try log.commit(Self.transaction(3))
    try log.commit(Self.transaction(4))
    try expectState(store, log, 4, "after reopening")
  }

  @Test("A reader sees outputs when they are committed, and follows them")
  func visibility() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    let log = try open(store)
    let reader = try LocalLogStore.open(store.root).reader("bids", partition: 0)
    var seen: [String] = []
    for number in 1...40 as ClosedRange<Int64> {
      try log.commit(Self.transaction(number))
      seen += text(try reader.all(maxRecords: 2))
      #expect(seen == Self.bids(number))
    }
  }

  @Test("What a reader read ahead of the commits does not outlive their cutting")
  func staleReadAhead() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log", LocalLogOptions(fsync: .never))
    let path = store.root + "/topics/bids/0/00000000000000000000.log"
    do {
      let log = try open(store)
      for number in 1...3 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
      log.close()
    }
    // Part of a transaction that is never committed stands behind them while the reader looks.
    Scratch.write(path, Scratch.read(path) + [UInt8](repeating: 0x42, count: 300))
    let reader = try store.reader("bids", partition: 0)
    let chunk = RecordChunk()
    var seen: [String] = []
    #expect(try reader.fetch(into: chunk, maxRecords: 1) == .records)
    seen += text(chunk.records.map(Entry.init))
    let log = try open(store)
    for number in 4...7 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
    seen += text(try reader.all(maxRecords: 2))
    #expect(seen == Self.bids(7))
  }

  @Test("A crash at any point of any write leaves exactly what was committed")
  func crashes() throws {
    let last: Int64 = 9
    var total = 0
    do {
      let scratch = Scratch()
      var options = Self.small
      let faults = WriteFaults(budget: .max, mode: .crash)
      options.faults = faults
      let store = try store(scratch.path + "/log", options)
      let log = try open(store)
      for number in 1...last { try log.commit(Self.transaction(number)) }
      log.close()
      total = faults.spent
    }
    #expect(total > 2000)
    // Every point is too many for each run of the tests; another residue each budget of 7 bytes
    // still meets each write many times.
    for budget in stride(from: 0, to: total, by: 7) {
      let scratch = Scratch()
      var options = Self.small
      options.faults = WriteFaults(budget: budget, mode: .crash)
      var acknowledged: Int64 = 0
      do {
        let store = try store(scratch.path + "/log", options)
        let log = try open(store)
        defer { log.close() }
        for number in 1...last {
          try log.commit(Self.transaction(number))
          acknowledged = number
        }
      } catch {
        #expect(error is LogError)
      }
      let after = try self.store(scratch.path + "/log")
      let log = try open(after)
      let found = try log.committed()?.number ?? 0
      #expect(found == acknowledged || found == acknowledged + 1, "budget \(budget)")
      try expectState(after, log, found, "budget \(budget)")
      if found < last {
        for number in (found + 1)...last { try log.commit(Self.transaction(number)) }
      }
      try expectState(after, log, last, "budget \(budget), gone on")
      log.close()
      let problems = try after.verify().problems.filter(\.isSerious)
      #expect(problems == [], "budget \(budget)")
    }
  }

  @Test("A disk that fails for a while delays commits and loses none", arguments: [1, 2, 3])
  func failingDisk(times: Int) throws {
    let last: Int64 = 9
    for budget in stride(from: 700, to: 6000, by: 13) {
      let scratch = Scratch()
      var options = Self.small
      options.faults = WriteFaults(budget: budget, mode: .fail(times: times))
      let store = try store(scratch.path + "/log", options)
      var log: LocalPartitionLog?
      var number: Int64 = 1
      for _ in 0..<40 where number <= last {
        do {
          if log == nil {
            let opened = try open(store)
            log = opened
            number = (try opened.committed()?.number ?? 0) + 1
            if number > last { break }
          }
          try log?.commit(Self.transaction(number))
          number += 1
        } catch let error as LogError {
          #expect(error.recovery == .retry || error.recovery == .recreate, "\(error)")
          if error.recovery == .recreate {
            log?.close()
            log = nil
          }
        }
      }
      #expect(number == last + 1, "budget \(budget)")
      log?.close()
      let again = try open(store)
      try expectState(store, again, last, "budget \(budget)")
      again.close()
      #expect(try store.verify().isIntact)
    }
  }

  @Test("A torn commit at every byte falls back to the one before")
  func tornCommits() throws {
    let scratch = Scratch()
    let options = LocalLogOptions(fsync: .never)
    let store = try store(scratch.path + "/log", options)
    var sizes: [Int] = []
    let commits = store.root + "/groups/live/0/00000000000000000001.commits"
    do {
      let log = try open(store)
      for number in 1...6 as ClosedRange<Int64> {
        try log.commit(Self.transaction(number))
        sizes.append(Scratch.read(commits).count)
      }
      log.close()
    }
    for cut in sizes[4]..<sizes[5] {
      let copy = scratch.path + "/copy-\(cut)"
      Scratch.copyTree(store.root, copy)
      let path = copy + "/groups/live/0/00000000000000000001.commits"
      Scratch.write(path, Array(Scratch.read(path)[..<cut]))
      let torn = try LocalLogStore.open(copy, options: options)
      #expect(try torn.verify().isIntact)
      let log = try open(torn)
      try expectState(torn, log, 5, "cut at \(cut)")
      try log.commit(Self.transaction(6))
      try expectState(torn, log, 6, "cut at \(cut), gone on")
      log.close()
      Scratch.removeTree(copy)
    }
  }

  @Test("A lost end of the commit log is refused instead of cutting outputs away")
  func lostCommits() throws {
    let scratch = Scratch()
    let options = LocalLogOptions(fsync: .never)
    let store = try store(scratch.path + "/log", options)
    let commits = store.root + "/groups/live/0/00000000000000000001.commits"
    var size = 0
    do {
      let log = try open(store)
      for number in 1...6 as ClosedRange<Int64> {
        try log.commit(Self.transaction(number))
        if number == 2 { size = Scratch.read(commits).count }
      }
      log.close()
    }
    let whole = Scratch.read(commits)
    let bids = Scratch.read(store.root + "/topics/bids/0/00000000000000000000.log")
    Scratch.write(commits, Array(whole[..<size]))
    let cut = #expect(throws: LogError.self) { try open(store) }
    #expect(cut?.kind == .badData)
    unlink(commits)
    let gone = #expect(throws: LogError.self) { try open(store) }
    #expect(gone?.kind == .badData)
    #expect(Scratch.read(store.root + "/topics/bids/0/00000000000000000000.log") == bids)
  }

  @Test("Flipped bits in commits are found")
  func flippedCommits() throws {
    let scratch = Scratch()
    let options = LocalLogOptions(fsync: .never)
    let store = try store(scratch.path + "/log", options)
    let commits = store.root + "/groups/live/0/00000000000000000001.commits"
    do {
      let log = try open(store)
      for number in 1...4 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
      log.close()
    }
    let whole = Scratch.read(commits)
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= 4
      Scratch.write(commits, bytes)
      #expect(try !store.verify().problems.isEmpty, "byte \(index)")
    }
  }

  @Test("Cut outputs below the last commit are refused")
  func lostOutputs() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log", LocalLogOptions(fsync: .never))
    do {
      let log = try open(store)
      for number in 1...6 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
      log.close()
    }
    let path = store.root + "/topics/bids/0/00000000000000000000.log"
    let bytes = Scratch.read(path)
    Scratch.write(path, Array(bytes[..<(bytes.count - 1)]))
    #expect(try !store.verify().isIntact)
    let error = #expect(throws: LogError.self) { try open(store) }
    #expect(error?.kind == .badData)
    let reading = #expect(throws: LogError.self) { try store.reader("bids", partition: 0).all() }
    #expect(reading?.kind == .badData)
  }

  @Test("A second holder of a group's partition is told who holds it")
  func fencing() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    let first = try open(store)
    let error = #expect(throws: LogError.self) { try open(store) }
    #expect(error?.kind == .unavailable && error?.recovery == .stop)
    #expect(error?.message.contains("held by") == true)
    first.close()
    let second = try open(store)
    try second.commit(Self.transaction(1))
  }

  @Test("A closed partition is free although a child process still has its descriptors")
  func forkedDescriptors() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    let first = try open(store)
    // What a child has between fork and exec.
    let copies = Scratch.copyDescriptors(of: store.root + "/groups/live/0/lock")
    defer { for copy in copies { close(copy) } }
    #expect(!copies.isEmpty)
    first.close()
    try open(store).commit(Self.transaction(1))
  }

  @Test("Sinks and sources may come and go; committed ends stay")
  func changedTopics() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    try store.createTopic("more", partitions: 1)
    do {
      let log = try open(store)
      for number in 1...6 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
      log.close()
    }
    do {
      let log = try store.partitionLog(
        group: "live", partition: 0,
        inputs: [LogInput(source: "more", topic: "more")] + Self.inputs,
        outputs: [Self.outputs[1], LogOutput(sink: "tallies", topic: "tallies", compacted: true)])
      #expect(try log.committed() == CommitPoint(number: 6, nextOffsets: [0, 12]))
      #expect(text(try store.reader("bids", partition: 0).all()) == Self.bids(6))
      try log.commit(
        Transaction(7, next: [5, 14], outputs: [(0, "seven"), (1, "tally"), (0, "again")]))
      #expect(
        text(try store.reader("alerts", partition: 0).all()) == Self.alerts(6) + ["seven", "again"])
      #expect(text(try store.reader("tallies", partition: 0).all()) == ["tally"])
      log.close()
    }
    let log = try open(store)
    #expect(try log.committed() == CommitPoint(number: 7, nextOffsets: [14]))
    #expect(text(try store.reader("bids", partition: 0).all()) == Self.bids(6))
    try log.commit(Transaction(8, next: [16], outputs: [(0, "eight")]))
    #expect(text(try store.reader("bids", partition: 0).all()) == Self.bids(6) + ["eight"])
    #expect(text(try store.reader("tallies", partition: 0).all()) == ["tally"])
    #expect(try store.verify().problems == [])
  }

  @Test("Old segments of the journal go when a snapshot covers them")
  func journalRetention() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    let log = try open(store)
    for number in 1...30 as ClosedRange<Int64> { try log.commit(Self.transaction(number)) }
    #expect(try log.removeJournal(through: 20) > 0)
    #expect(try log.firstJournalNumber() <= 21)
    #expect(try log.firstJournalNumber() > 1)
    var found: [Int64] = []
    try log.journal(after: 20) { number, _ in found.append(number) }
    #expect(found == Array(21...30))
    let error = #expect(throws: LogError.self) { try log.journal(after: 0) { _, _ in } }
    #expect(error?.kind == .missing)
    try log.removeJournal(through: .max - 1)
    #expect(try log.committed()?.number == 30)
    log.close()
    let again = try open(store)
    #expect(try again.committed() == CommitPoint(number: 30, nextOffsets: [60]))
    try again.commit(Self.transaction(31))
    #expect(text(try store.reader("bids", partition: 0).all()) == Self.bids(31))
    #expect(try store.verify().problems == [])
  }

  @Test("Wrong configurations are refused by name")
  func refusals() throws {
    let scratch = Scratch()
    let store = try store(scratch.path + "/log")
    try store.createTopic("clicks", partitions: 2)
    let unequal = #expect(throws: LogError.self) {
      try store.partitionLog(
        group: "live", partition: 0,
        inputs: Self.inputs + [LogInput(source: "clicks", topic: "clicks")], outputs: [])
    }
    #expect(unequal?.kind == .configuration)
    #expect(unequal?.message.contains("events 1, clicks 2") == true)
    let missing = #expect(throws: LogError.self) {
      try store.partitionLog(
        group: "live", partition: 0, inputs: [LogInput(source: "x", topic: "nope")], outputs: [])
    }
    #expect(missing?.kind == .missing && missing?.message.contains("nope") == true)
    let beyond = #expect(throws: LogError.self) {
      try store.partitionLog(group: "live", partition: 1, inputs: Self.inputs, outputs: [])
    }
    #expect(beyond?.kind == .configuration)
    try store.createTopic("plain", partitions: 1)
    let plain = #expect(throws: LogError.self) {
      try store.partitionLog(
        group: "live", partition: 0, inputs: Self.inputs,
        outputs: [LogOutput(sink: "plain", topic: "plain", compacted: false)])
    }
    #expect(plain?.kind == .configuration)
    let log = try open(store)
    log.close()
    let stolen = #expect(throws: LogError.self) {
      try store.partitionLog(
        group: "other", partition: 0, inputs: Self.inputs, outputs: Self.outputs)
    }
    #expect(stolen?.message.contains("the group live") == true)
    let appender = #expect(throws: LogError.self) { try store.appender("bids", partition: 0) }
    #expect(appender?.kind == .configuration)
  }

  @Test("Several partitions commit beside each other")
  func partitions() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 16)
    var logs: [LocalPartitionLog] = []
    for partition in 0..<16 as Range<Int32> {
      logs.append(
        try store.partitionLog(
          group: "live", partition: partition,
          inputs: [LogInput(source: "events", topic: "events", partition: partition)],
          outputs: Self.outputs))
    }
    for number in 1...5 as ClosedRange<Int64> {
      for log in logs { try log.commit(Self.transaction(number)) }
    }
    for partition in 0..<16 as Range<Int32> {
      #expect(text(try store.reader("bids", partition: partition).all()) == Self.bids(5))
    }
    for log in logs { log.close() }
    #expect(try store.verify().problems == [])
  }
}
