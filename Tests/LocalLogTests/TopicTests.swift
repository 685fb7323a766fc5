import Events
import LocalLog
import Streaming
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Topics of plain appends")
struct TopicTests {
  static let small = LocalLogOptions(fsync: .never, segmentBytes: 20_000, blockBytes: 2_000)
  static let directory = "/topics/events/0"

  private func segments(_ root: String) -> [String] {
    Scratch.files(root + Self.directory).filter { $0.hasSuffix(".log") }
  }

  @Test("What is appended is read back, whatever the fetch size", arguments: [1, 7, 100, 5000])
  func roundTrip(maxRecords: Int) throws {
    let scratch = Scratch()
    let written = entries(count: 2000, seed: 1)
    let store = try LocalLogStore.filled(scratch.path + "/log", written, options: Self.small)
    #expect(segments(store.root).count > 3)
    let reader = try store.reader("events", partition: 0)
    #expect(try reader.all(maxRecords: maxRecords) == written)
    #expect(try reader.endOffset() == 2000)
    #expect(try reader.firstOffset() == 0)
    #expect(try store.verify().problems == [])
  }

  @Test("Empty keys and values, unknown times, large records and times far apart")
  func oddRecords() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: LocalLogOptions(fsync: .never))
    try store.createTopic("events", partitions: 1)
    let large = [UInt8](repeating: 7, count: 3 << 20)
    let times: [Int64] = [
      0, LogRecord.noAppendTime, 1_700_000_000_000, -5, .max / 2, .min + 1, 1_700_000_000_001,
      LogRecord.noAppendTime,
    ]
    let written = times.enumerated().map { index, time in
      Entry(
        offset: Int64(index), key: index % 2 == 0 ? [] : [1, 2],
        value: index == 3 ? large : index % 3 == 0 ? [] : [UInt8(index)], time: time)
    }
    let appender = try store.appender("events", partition: 0)
    for entry in written {
      let offset = try entry.key.withUnsafeBytes { key in
        try entry.value.withUnsafeBytes { value in
          try appender.append(key: key, value: value, appendTime: entry.time)
        }
      }
      #expect(offset == entry.offset)
    }
    try appender.close()
    #expect(try store.reader("events", partition: 0).all() == written)
    #expect(try store.reader("events", partition: 0).all(maxRecords: 1) == written)
    #expect(try store.verify().problems == [])
  }

  @Test("Appending goes on where the last appender stopped")
  func reopen() throws {
    let scratch = Scratch()
    let written = entries(count: 600, seed: 2)
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 1)
    for part in stride(from: 0, to: 600, by: 50) {
      let appender = try store.appender("events", partition: 0)
      #expect(appender.nextOffset == Int64(part))
      for entry in written[part..<part + 50] { try appender.append(entry) }
      try appender.close()
    }
    #expect(try store.reader("events", partition: 0).all() == written)
    #expect(try store.verify().problems == [])
  }

  @Test("A reader follows the end, across segments, also of another store")
  func tailing() throws {
    let scratch = Scratch()
    let written = entries(count: 500, seed: 3)
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 1)
    let reader = try LocalLogStore.open(store.root).reader("events", partition: 0)
    #expect(try reader.all().isEmpty)
    let appender = try store.appender("events", partition: 0)
    var seen: [Entry] = []
    for (index, entry) in written.enumerated() {
      try appender.append(entry)
      if index % 7 == 6 {
        try appender.flush()
        seen += try reader.all()
        #expect(seen.count == index + 1)
      }
    }
    try appender.close()
    seen += try reader.all()
    #expect(seen == written)
  }

  @Test("A reader on another thread sees each record once, in order, while it is written")
  func concurrentTailing() async throws {
    let scratch = Scratch()
    let written = entries(count: 3000, seed: 4, valueMax: 100)
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 1)
    let reader = try store.reader("events", partition: 0)
    let reading = Task { () throws -> [Entry] in
      let chunk = RecordChunk()
      var seen: [Entry] = []
      while seen.count < 3000 {
        if try reader.fetch(into: chunk, maxRecords: 64) == .records {
          seen += chunk.records.map(Entry.init)
        } else {
          await Task.yield()
        }
      }
      return seen
    }
    let appender = try store.appender("events", partition: 0)
    for (index, entry) in written.enumerated() {
      try appender.append(entry)
      if index % 11 == 0 { try appender.flush() }
    }
    try appender.close()
    #expect(try await reading.value == written)
  }

  @Test("The torn end of the last write, at every byte, is ignored by readers and cut by writers")
  func tornTails() throws {
    let scratch = Scratch()
    let written = entries(count: 30, seed: 5, valueMax: 60)
    let options = LocalLogOptions(fsync: .never)
    let store = try LocalLogStore.filled(
      scratch.path + "/log", written, options: options, flushEvery: 10)
    let path = segments(store.root)[0]
    let whole = Scratch.read(path)
    // Where the third block begins: the end of a log of the first two.
    let shorter = try LocalLogStore.filled(
      scratch.path + "/two", Array(written[..<20]), options: options, flushEvery: 10)
    let start = Scratch.read(segments(shorter.root)[0]).count
    #expect(start < whole.count)
    for cut in start..<whole.count {
      for padding in [0, 200] {
        Scratch.write(
          path, Array(whole[..<cut]) + [UInt8](repeating: 0, count: padding))
        let reader = try store.reader("events", partition: 0)
        #expect(try reader.all() == Array(written[..<20]), "cut at \(cut)")
        #expect(try reader.endOffset() == 20)
        let problems = try store.verify().problems.map(\.kind)
        #expect(problems == (cut == start && padding == 0 ? [] : [.tornTail]))
        let appender = try store.appender("events", partition: 0)
        for entry in written[20...] { try appender.append(entry) }
        try appender.close()
        #expect(try reader.all() == Array(written[20...]), "cut at \(cut)")
        #expect(try store.verify().problems == [])
      }
    }
  }

  @Test("A flipped bit anywhere is found, and never gives a wrong record")
  func flippedBits() throws {
    let scratch = Scratch()
    let written = entries(count: 60, seed: 6, valueMax: 120)
    let store = try LocalLogStore.filled(
      scratch.path + "/log", written,
      options: LocalLogOptions(fsync: .never, segmentBytes: 1500, blockBytes: 1_000),
      flushEvery: 10)
    let files = segments(store.root)
    #expect(files.count > 2)
    for (number, path) in files.enumerated() {
      let whole = Scratch.read(path)
      for index in whole.indices {
        var bytes = whole
        bytes[index] ^= 1 << UInt8(index % 8)
        Scratch.write(path, bytes)
        let reader = try store.reader("events", partition: 0)
        var seen: [Entry] = []
        var failure: LogError?
        let chunk = RecordChunk()
        do {
          while try reader.fetch(into: chunk, maxRecords: 7) == .records {
            seen += chunk.records.map(Entry.init)
          }
        } catch {
          failure = error
        }
        #expect(seen == Array(written[..<seen.count]), "\(path) byte \(index)")
        #expect(seen.count < written.count)
        // In the last block it looks like an unfinished write; before it is an error.
        #expect(failure?.kind == .badData || number == files.count - 1)
        if let failure {
          #expect(failure.message.contains(path) && failure.message.contains("byte "))
          #expect(failure.message.contains("bidmill log verify"))
        }
        #expect(try !store.verify().problems.isEmpty, "\(path) byte \(index)")
      }
      Scratch.write(path, whole)
    }
    #expect(try store.verify().problems == [])
  }

  @Test("Damage before the end stops the appender too")
  func damagedBeforeAppend() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.filled(
      scratch.path + "/log", entries(count: 40, seed: 7), options: LocalLogOptions(fsync: .never),
      flushEvery: 10)
    let path = segments(store.root)[0]
    var bytes = Scratch.read(path)
    bytes[150] ^= 1
    Scratch.write(path, bytes)
    let error = #expect(throws: LogError.self) { try store.appender("events", partition: 0) }
    #expect(error?.kind == .badData)
    #expect(Scratch.read(path) == bytes, "nothing was cut")
  }

  @Test("Seeking finds any offset, with the index, without it, and with a wrong one")
  func seek() throws {
    let scratch = Scratch()
    var random = SplitMix64(seed: 8)
    let written = (0..<3000).map { index in
      // Not compressible, so that segments need several index entries.
      Entry(
        offset: Int64(index), key: [],
        value: (0..<800).map { _ in UInt8.random(in: 0...255, using: &random) },
        time: Int64(index))
    }
    let store = try LocalLogStore.filled(
      scratch.path + "/log", written,
      options: LocalLogOptions(fsync: .never, segmentBytes: 1 << 20, blockBytes: 20_000))
    let indexes = Scratch.files(store.root + Self.directory).filter { $0.hasSuffix(".index") }
    #expect(indexes.count >= 2)
    func check(_ note: String) throws {
      let reader = try store.reader("events", partition: 0)
      let chunk = RecordChunk()
      for offset in [0, 1, 24, 25, 26, 999, 1500, 2998, 2999] as [Int64] {
        try reader.seek(to: offset)
        #expect(try reader.fetch(into: chunk, maxRecords: 3) == .records)
        #expect(chunk.records.first.map(Entry.init) == written[Int(offset)], "\(note) \(offset)")
      }
      try reader.seek(to: 3000)
      #expect(try reader.fetch(into: chunk, maxRecords: 3) == .end)
      for time in [-1, 0, 777, 2999] as [Int64] {
        #expect(try reader.offset(ofTime: time, by: .append) == max(0, time), "\(note)")
      }
      #expect(try reader.offset(ofTime: 3000, by: .append) == 3000)
    }
    try check("as written")
    let saved = indexes.map { Scratch.read($0) }
    for path in indexes { unlink(path) }
    try check("missing")
    // A reader saves what it computed for closed segments.
    #expect(Scratch.exists(indexes[0]))
    #expect(Scratch.read(indexes[0]) == saved[0])
    for (path, bytes) in zip(indexes, saved) {
      Scratch.write(path, Array(bytes[..<(bytes.count - 7)]))
    }
    try check("cut")
    for (path, bytes) in zip(indexes.reversed(), saved) { Scratch.write(path, bytes) }
    try check("swapped")
    for path in indexes { Scratch.write(path, "not an index") }
    #expect(try store.verify().problems.allSatisfy { $0.kind == .index })
    try check("garbage")
  }

  @Test("Seeking by time finds the first record at or after it, in any order of times")
  func seekTime() throws {
    let scratch = Scratch()
    var random = SplitMix64(seed: 9)
    let written = (0..<400).map { index in
      Entry(
        offset: Int64(index), key: [], value: [UInt8](repeating: 1, count: 50),
        time: Int64.random(in: 0..<1000, using: &random))
    }
    let store = try LocalLogStore.filled(
      scratch.path + "/log", written,
      options: LocalLogOptions(fsync: .never, segmentBytes: 700, blockBytes: 400), flushEvery: 9)
    let reader = try store.reader("events", partition: 0)
    for time in stride(from: Int64(-10), to: 1010, by: 17) {
      let expected = written.first { $0.time >= time }?.offset ?? 400
      #expect(try reader.offset(ofTime: time, by: .append) == expected)
      // The support's event time is the append time less 1000; known block by block.
      let found = try reader.offset(ofTime: time - 1000, by: .event)
      #expect(found <= expected)
      #expect(written[..<Int(found)].allSatisfy { $0.time < time })
    }
  }

  @Test("Two appenders of one partition: the second names the process that holds it")
  func fencing() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 2)
    let first = try store.appender("events", partition: 0)
    let error = #expect(throws: LogError.self) { try store.appender("events", partition: 0) }
    #expect(error?.kind == .unavailable && error?.recovery == .stop)
    #expect(error?.message.contains("held by this process") == true)
    let other = try store.appender("events", partition: 1)
    try other.close()
    try first.close()
  }

  @Test("A full disk takes nothing away: the same append goes on when there is room")
  func fullDisk() throws {
    let written = entries(count: 300, seed: 10)
    for budget in stride(from: 500, to: 30_000, by: 997) {
      let scratch = Scratch()
      var options = Self.small
      options.fsync = .always
      let faults = WriteFaults(budget: budget, mode: .fail(times: 2))
      options.faults = faults
      let store = try LocalLogStore.open(scratch.path + "/log", creating: true, options: options)
      try store.createTopic("events", partitions: 1)
      let appender = try store.appender("events", partition: 0)
      func retrying(_ body: () throws -> Void) throws {
        for _ in 0..<5 {
          do {
            return try body()
          } catch let error as LogError {
            #expect(error.recovery == .retry)
            #expect(error.message.contains("No space left"))
            #expect(error.message.contains(scratch.path))
          }
        }
        Issue.record("it never went on")
      }
      for entry in written { try retrying { try appender.append(entry) } }
      try retrying { try appender.flush() }
      try retrying { try appender.close() }
      #expect(try store.reader("events", partition: 0).all() == written, "budget \(budget)")
      #expect(try store.verify().problems == [])
    }
  }

  @Test("Retention removes whole old segments, and never what is still needed")
  func retention() throws {
    let scratch = Scratch()
    let written = entries(count: 2000, seed: 11)
    let store = try LocalLogStore.filled(scratch.path + "/log", written, options: Self.small)
    let before = segments(store.root)
    #expect(
      try store.retain("events", partition: 0, keepFrom: 0, maxBytes: 0).segmentsRemoved == 0)
    let reader = try store.reader("events", partition: 0)
    let kept = try store.retain("events", partition: 0, keepFrom: 900, maxBytes: 0)
    #expect(kept.segmentsRemoved > 0 && kept.firstOffset <= 900 && kept.firstOffset > 0)
    #expect(try reader.firstOffset() == kept.firstOffset)
    #expect(try reader.all() == Array(written[Int(kept.firstOffset)...]))
    let cutoff = written[1200].time
    let aged = try store.retain("events", partition: 0, keepFrom: 2000, olderThan: cutoff)
    #expect(aged.firstOffset <= 1200 && aged.firstOffset >= kept.firstOffset)
    let all = try store.retain("events", partition: 0, keepFrom: .max, maxBytes: 0)
    #expect(segments(store.root).count == 1)
    #expect(all.firstOffset < 2000)
    #expect(before.count > 4)
    #expect(try store.verify().problems == [])
    // Appending goes on with the same offsets.
    let appender = try store.appender("events", partition: 0)
    #expect(appender.nextOffset == 2000)
    try appender.close()
  }

  @Test("Retention that overtakes a reader is an error, not a gap")
  func overtaken() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.filled(
      scratch.path + "/log", entries(count: 2000, seed: 12), options: Self.small)
    let reader = try store.reader("events", partition: 0)
    let chunk = RecordChunk()
    #expect(try reader.fetch(into: chunk, maxRecords: 5) == .records)
    try store.retain("events", partition: 0, keepFrom: 1500, maxBytes: 0)
    let error = #expect(throws: LogError.self) { try reader.all() }
    #expect(error?.kind == .missing)
  }

  @Test("Verification finds each planted damage")
  func verification() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.filled(
      scratch.path + "/log", entries(count: 1000, seed: 13), options: Self.small)
    let clean = try store.verify()
    #expect(clean.problems == [])
    #expect(clean.records == 1000 && clean.topics == 1 && clean.partitions == 1)
    let files = segments(store.root)
    let second = Scratch.read(files[1])
    func expect(_ kinds: [LogProblem.Kind], _ note: String) throws {
      let found = try store.verify()
      #expect(found.problems.map(\.kind) == kinds, "\(note): \(found.problems)")
      #expect(found.isIntact == !kinds.contains { $0 == .damage || $0 == .gap })
    }
    unlink(files[1])
    try expect([.gap], "a segment is gone")
    Scratch.write(files[1], Array(second[..<(second.count - 96)]))
    try expect([.gap], "its seal is gone")
    Scratch.write(files[1], Array(second[..<(second.count - 196)]))
    try expect([.damage], "its last block is cut")
    Scratch.write(files[1], second + [1])
    try expect([.damage], "bytes after its end")
    Scratch.write(files[1], second)
    Scratch.write(store.root + Self.directory + "/notes.txt", "hello")
    try expect([.stray], "a foreign file")
    unlink(store.root + Self.directory + "/notes.txt")
    let last = files[files.count - 1]
    let end = Scratch.read(last)
    Scratch.write(last, end + [1, 2, 3])
    try expect([.tornTail], "an unfinished write")
    Scratch.write(last, end)
    let settings = Scratch.read(store.root + "/topics/events/topic.json")
    Scratch.write(store.root + "/topics/events/topic.json", "{")
    #expect(try store.verify().problems.map(\.kind) == [.settings])
    Scratch.write(store.root + "/topics/events/topic.json", settings)
    try expect([], "all repaired")
  }

  @Test("Scanning goes over partitions, offsets and times")
  func scan() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 3)
    let written = entries(count: 300, seed: 14)
    for partition in 0..<3 as Range<Int32> {
      let appender = try store.appender("events", partition: partition)
      for entry in written { try appender.append(entry) }
      try appender.close()
    }
    var seen: [Int32: [Int64]] = [:]
    func add(_ partition: Int32, _ record: LogRecord) -> Bool {
      seen[partition, default: []].append(record.offset)
      return true
    }
    try store.scan("events", add)
    #expect(seen == [0: Array(0..<300), 1: Array(0..<300), 2: Array(0..<300)])
    seen = [:]
    try store.scan("events", partition: 1, offsets: 17..<42, add)
    #expect(seen == [1: Array(17..<42)])
    seen = [:]
    try store.scan("events", times: written[50].time..<written[60].time, add)
    #expect(seen == [0: Array(50..<60), 1: Array(50..<60), 2: Array(50..<60)])
    var count = 0
    try store.scan("events") { _, _ in
      count += 1
      return count < 10
    }
    #expect(count == 10)
  }

  @Test("What is asked for wrongly is refused with what there is")
  func refusals() throws {
    let scratch = Scratch()
    let missing = #expect(throws: LogError.self) {
      try LocalLogStore.open(scratch.path + "/nothing")
    }
    #expect(missing?.kind == .missing)
    Scratch.write(scratch.path + "/file", "x")
    let foreign = #expect(throws: LogError.self) {
      try LocalLogStore.open(scratch.path, creating: true)
    }
    #expect(foreign?.kind == .configuration)
    let store = try LocalLogStore.open(scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("clicks", partitions: 2)
    try store.createTopic("clicks", partitions: 2)
    let other = #expect(throws: LogError.self) { try store.createTopic("clicks", partitions: 3) }
    #expect(other?.kind == .configuration)
    let unknown = #expect(throws: LogError.self) { try store.reader("bids", partition: 0) }
    #expect(unknown?.kind == .missing && unknown?.message.contains("clicks") == true)
    let beyond = #expect(throws: LogError.self) { try store.reader("clicks", partition: 2) }
    #expect(beyond?.kind == .configuration)
    Scratch.write(
      store.root + "/bidmill-log.json", "{\"format\":\"bidmill-log\",\"version\":2}")
    let newer = #expect(throws: LogError.self) { try LocalLogStore.open(store.root) }
    #expect(newer?.kind == .configuration)
  }

  @Test("Many partitions at once")
  func manyPartitions() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(scratch.path + "/log", creating: true, options: Self.small)
    try store.createTopic("events", partitions: 64)
    let written = entries(count: 20, seed: 15)
    for partition in 0..<64 as Range<Int32> {
      let appender = try store.appender("events", partition: partition)
      for entry in written { try appender.append(entry) }
      try appender.close()
    }
    for partition in 0..<64 as Range<Int32> {
      #expect(try store.reader("events", partition: partition).all() == written)
    }
    #expect(try store.topics().map(\.partitions) == [64])
  }

  @Test("A reader beside a writer never takes a write that is under way for damage")
  func readsWhileItIsWritten() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.open(
      scratch.path + "/log", creating: true,
      options: LocalLogOptions(fsync: .never, segmentBytes: 200_000, blockBytes: 100_000))
    try store.createTopic("events", partitions: 1)
    let count: Int64 = 20_000
    let writer = ThreadQueue(name: "writer")
    writer.submit {
      do {
        let appender = try store.appender("events", partition: 0)
        var random = SplitMix64(seed: 3)
        for number in 0..<count {
          // Noise does not compress: blocks take several pages, which a reader may see one by one.
          let value = (0..<(1 + random.next() % 200)).map { _ in random.next() }
          try value.withUnsafeBytes {
            _ = try appender.append(
              key: UnsafeRawBufferPointer(start: nil, count: 0), value: $0, appendTime: number)
          }
          if random.next() % 4 == 0 { try appender.flush() }
        }
        try appender.close()
      } catch {
        Issue.record(error)
      }
    }
    let reader = try store.reader("events", partition: 0)
    let chunk = RecordChunk()
    var next: Int64 = 0
    while next < count {
      guard try reader.fetch(into: chunk, maxRecords: 100) == .records else { continue }
      for record in chunk.records {
        #expect(record.offset == next && record.appendTime == next)
        next += 1
      }
    }
    writer.close()
    #expect(try store.verify().problems == [])
  }
}
