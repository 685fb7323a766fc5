import LocalLog
import Streaming
import Testing

@Suite("Replays of files")
struct FileReplayTests {
  static let outputs = [
    LogOutput(sink: "bids", topic: "", compacted: false),
    LogOutput(sink: "dead_letters", topic: "", compacted: false),
  ]

  @Test("Streams get their names when they are whole", arguments: [false, true])
  func single(compress: Bool) throws {
    let scratch = Scratch()
    Scratch.write(scratch.path + "/a.jsonl", "{\"a\":1}\n{\"a\":2}\n")
    Scratch.write(scratch.path + "/b.jsonl", "{\"b\":1}")
    let out = scratch.path + "/out"
    let replay = try FileReplay.open(
      files: [scratch.path + "/a.jsonl", scratch.path + "/b.jsonl"], source: "events",
      outputs: Self.outputs,
      to: FileReplay.Destination(directory: out, compress: compress))
    let log = replay.partitions[0]
    #expect(log.inputs.map(\.isFile) == [true, true])
    #expect(try log.firstOffsets() == [1, 1])
    let chunk = RecordChunk()
    #expect(try log.fetch(1, into: chunk, maxRecords: 10) == .records)
    #expect(chunk.records.map(Entry.init).map(\.value) == [Array("{\"b\":1}".utf8)])
    #expect(try log.fetch(1, into: chunk, maxRecords: 10) == .end)
    #expect(try log.committed() == nil)
    var expected = ""
    for number in 1...500 as ClosedRange<Int64> {
      let value = "value \(number) " + String(repeating: "x", count: 5000)
      try log.commit(Transaction(number, next: [1, 1], outputs: [(0, value)]))
      try log.commit(Transaction(number, next: [1, 1], outputs: [(0, value)]))
      expected += value + "\n"
    }
    let suffix = compress ? ".jsonl.zst" : ".jsonl"
    #expect(!Scratch.exists(out + "/bids" + suffix))
    try replay.finish()
    #expect(Scratch.names(out) == ["bids" + suffix, "dead_letters" + suffix])
    let lines = try readLines(FileInput(path: out + "/bids" + suffix))
    expectEqual(lines, expectedLines(Array(expected.utf8)))
    #expect(try readLines(FileInput(path: out + "/dead_letters" + suffix)).isEmpty)
  }

  @Test("Streams of an earlier replay are not overwritten unless asked, inputs never")
  func overwriting() throws {
    let scratch = Scratch()
    let input = scratch.path + "/in.jsonl"
    Scratch.write(input, "{}\n")
    let out = scratch.path + "/out"
    func open(_ files: [String], overwrite: Bool) throws -> FileReplay {
      try FileReplay.open(
        files: files, source: "events", outputs: Self.outputs,
        to: FileReplay.Destination(directory: out, overwrite: overwrite))
    }
    // Broken off: what it left is no obstacle.
    _ = try open([input], overwrite: false)
    #expect(Scratch.names(out).allSatisfy { $0.contains(".part-") })
    try open([input], overwrite: false).finish()
    let notOurs = ["notes.txt", "bids.jsonl.bak", "bids.jsonl.gz", "dead_letters.jsonl.zst.old"]
    for name in notOurs { Scratch.write("\(out)/\(name)", "mine") }
    let refused = #expect(throws: LogError.self) { try open([input], overwrite: false) }
    #expect(refused?.kind == .configuration)
    _ = try open([input], overwrite: true)
    #expect(!Scratch.exists(out + "/bids.jsonl"), "a broken-off replay never looks complete")
    for name in notOurs { #expect(Scratch.exists("\(out)/\(name)"), "\(name)") }
    try open([input], overwrite: true).finish()
    let own = #expect(throws: LogError.self) { try open([out + "/bids.jsonl"], overwrite: true) }
    #expect(own?.message.contains("is an input") == true)
    #expect(Scratch.exists(out + "/bids.jsonl"))
  }

  @Test("A full disk delays a commit and writes nothing twice")
  func fullDisk() throws {
    for budget in stride(from: 100, to: 4_000_000, by: 517_001) {
      let scratch = Scratch()
      Scratch.write(scratch.path + "/in.jsonl", "{}\n")
      var destination = FileReplay.Destination(directory: scratch.path + "/out")
      destination.faults = WriteFaults(budget: budget, mode: .fail(times: 2))
      let replay = try FileReplay.open(
        files: [scratch.path + "/in.jsonl"], source: "events", outputs: Self.outputs,
        to: destination)
      func retrying(_ body: () throws -> Void) throws {
        for _ in 0..<4 {
          do {
            return try body()
          } catch let error as LogError {
            #expect(error.recovery == .retry)
          }
        }
        Issue.record("it never went on")
      }
      var expected = ""
      for number in 1...40 as ClosedRange<Int64> {
        let value = "value \(number) " + String(repeating: "y", count: 90_000)
        let transaction = Transaction(number, next: [1], outputs: [(0, value)])
        try retrying { try replay.partitions[0].commit(transaction) }
        expected += value + "\n"
      }
      try retrying { try replay.finish() }
      #expect(Scratch.read(scratch.path + "/out/bids.jsonl") == Array(expected.utf8))
    }
  }

  /// Lines `<account> <number>`, the account's number modulo the partitions is the route.
  private static func route(_ partitions: Int) -> @Sendable (UnsafeRawBufferPointer) -> Int {
    { line in
      var account = 0
      for byte in line {
        guard byte != UInt8(ascii: " ") else { break }
        account = account * 10 + Int(byte) - 48
      }
      return account % partitions
    }
  }

  @Test(
    "Partitions see their lines in order, with the file's numbers", arguments: [31, 32] as [UInt64])
  func partitioned(seed: UInt64) async throws {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let scratch = Scratch()
    let partitions = 3
    var files: [String] = []
    var expected: [[[(Int64, [UInt8])]]] = []
    for file in 0..<3 {
      let path = scratch.path + "/in\(file).jsonl"
      let padding = String(repeating: "p", count: 300)
      let lines = (0..<20_000).map {
        // Long runs for one partition, so that others wait.
        let account = seed == 31 ? Int.random(in: 0..<50, using: &random) : $0 / 7000 + file
        return "\(account) \($0) \(padding)"
      }
      let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
      Scratch.write(path, bytes)
      files.append(path)
      let route = Self.route(partitions)
      expected.append(
        (0..<partitions).map { partition in
          expectedLines(bytes).filter { line in line.1.withUnsafeBytes { route($0) } == partition }
        })
    }
    let replay = try FileReplay.open(
      files: files, source: "events", outputs: Self.outputs,
      to: FileReplay.Destination(directory: scratch.path + "/out"), partitions: partitions,
      route: Self.route(partitions))
    let fileCount = files.count
    let found = try await withThrowingTaskGroup(of: (Int, [[(Int64, [UInt8])]]).self) { group in
      for (partition, log) in replay.partitions.enumerated() {
        group.addTask { (partition, try await Self.drain(log, fileCount, partition)) }
      }
      var found = [[[(Int64, [UInt8])]]](repeating: [], count: partitions)
      for try await (partition, lines) in group { found[partition] = lines }
      return found
    }
    for partition in 0..<partitions {
      for file in 0..<3 {
        expectEqual(
          found[partition][file], expected[file][partition], "partition \(partition) file \(file)")
      }
      let log = replay.partitions[partition]
      try log.commit(Transaction(1, next: [1, 1, 1], outputs: [(0, "from \(partition)")]))
      log.close()
    }
    try replay.finish()
    #expect(Scratch.names(scratch.path + "/out") == ["bids.jsonl", "dead_letters.jsonl"])
    #expect(
      Scratch.read(scratch.path + "/out/bids.jsonl") == Array("from 0\nfrom 1\nfrom 2\n".utf8))
  }

  /// Reads the files in another order in each partition, one after the other: the hardest case
  /// for a bounded router.
  private static func drain(
    _ log: FileReplayLog, _ files: Int, _ partition: Int
  ) async throws -> [[(Int64, [UInt8])]] {
    try await withCheckedThrowingContinuation { continuation in
      OwnThread.run {
        continuation.resume(
          with: Result {
            var found = [[(Int64, [UInt8])]](repeating: [], count: files)
            // Two chunks by turns: what one holds must outlive the other's refill.
            let chunks = [RecordChunk(), RecordChunk()]
            var turn = 0
            for step in 0..<files {
              let file = (partition + step) % files
              while try log.fetch(file, into: chunks[turn], maxRecords: 100) == .records {
                let other = chunks[1 - turn]
                for record in chunks[turn].records {
                  found[file].append((record.offset, Array(record.value)))
                }
                turn = 1 - turn
                _ = other
              }
            }
            return found
          })
      }
    }
  }

  @Test("An unreadable file fails every partition after the lines before the damage")
  func partitionedDamage() async throws {
    let scratch = Scratch()
    let path = scratch.path + "/in.zst"
    let whole = compressed(Array((0..<20_000).map { "\($0) \($0 * 7919)\n" }.joined().utf8))
    Scratch.write(path, Array(whole[..<(whole.count - 10)]))
    let replay = try FileReplay.open(
      files: [path], source: "events", outputs: Self.outputs,
      to: FileReplay.Destination(directory: scratch.path + "/out"), partitions: 2,
      route: Self.route(2))
    for (partition, log) in replay.partitions.enumerated() {
      await #expect(throws: LogError.self) { try await Self.drain(log, 1, partition) }
      log.close()
    }
  }

  @Test("A local log replays into files")
  func fromLocalLog() throws {
    let scratch = Scratch()
    let written = entries(count: 100, seed: 33)
    let store = try LocalLogStore.filled(
      scratch.path + "/log", written, options: LocalLogOptions(fsync: .never))
    let replay = try FileReplay.open(
      log: store, inputs: [LogInput(source: "events", topic: "events")], outputs: Self.outputs,
      to: FileReplay.Destination(directory: scratch.path + "/out"))
    let chunk = RecordChunk()
    let log = replay.partitions[0]
    #expect(try log.firstOffsets() == [0])
    try log.seek(0, to: 40)
    #expect(try log.fetch(0, into: chunk, maxRecords: 1000) == .records)
    #expect(chunk.records.map(Entry.init) == Array(written[40...]))
    log.close()
    try replay.finish()
  }
}
