import Events
import FuzzKit
import LocalLog
import Streaming

// A local log's directory with damaged files. An input is a list of damages to a good log; what
// is read from it afterwards is what was written, or an error says that it is not there. Never
// anything else, and never a crash. The good log has several segments of a plain topic and of a
// group's output and commits.

/// A log whose files are known, in memory, with what was written into it.
private struct Original {
  var files: [(path: String, bytes: [UInt8])]
  var events: [[UInt8]]
  var bids: [[UInt8]]
  var journals: [[UInt8]]
}

private let root = Files.scratch() + "/log"
private let options = LocalLogOptions(
  fsync: .never, segmentBytes: 1500, blockBytes: 300, commitSegmentBytes: 500, now: { 1_000 })
private let inputs = [LogInput(source: "events", topic: "events")]
private let outputs = [LogOutput(sink: "bids", topic: "bids", compacted: false)]
private let eventCount = 60
private let commitCount = 8
private let original = makeOriginal()

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  var seeds: [[UInt8]] = [[]]
  for file in original.files.indices {
    for operation in 0..<UInt8(Damage.operations) {
      seeds.append([UInt8(file), operation, 3, 0, 0, 1, 2, 3])
      seeds.append([UInt8(file), operation, 100, 0, 0, 9, 2, 3, UInt8(file), operation, 9, 0, 0, 1])
    }
  }
  Seeds.write(seeds)
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func run(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var decisions = Decisions(UnsafeRawBufferPointer(start: start, count: count))
  var files = original.files
  for _ in 0..<4 where !decisions.isUsedUp { Damage.apply(&decisions, to: &files) }
  place(files)
  guard let store = try? LocalLogStore.open(root, options: options) else { return 0 }
  let seen = readAll(store, "events", original.events)
  _ = readAll(store, "bids", original.bids)
  _ = try? store.verify()
  _ = try? store.topics()
  seek(store)
  appendAndRead(store, seen)
  commitAndRead(store)
  return 0
}

// MARK: The good log

private func value(_ number: Int) -> [UInt8] {
  Array("{\"id\":\(number),\"text\":\"\(String(repeating: "\(number * 7919)", count: 5))\"}".utf8)
}

private func makeOriginal() -> Original {
  do {
    let store = try LocalLogStore.open(root, creating: true, options: options)
    try store.createTopic("events", partitions: 1)
    let events = (0..<eventCount).map(value)
    let appender = try store.appender("events", partition: 0)
    for (number, event) in events.enumerated() { try append(appender, event, Int64(number)) }
    try appender.close()
    let log = try store.partitionLog(group: "live", partition: 0, inputs: inputs, outputs: outputs)
    var bids: [[UInt8]] = []
    var journals: [[UInt8]] = []
    for number in 1...Int64(commitCount) {
      let (transaction, made) = transaction(number)
      try log.commit(transaction)
      bids += made
      journals.append(transaction.journal)
    }
    log.close()
    let files = Files.all(below: root).map { ($0, Files.read("\(root)/\($0)")) }
    return Original(files: files, events: events, bids: bids, journals: journals)
  } catch { found("the good log can be written: \(error)") }
}

private func append(_ appender: TopicAppender, _ value: [UInt8], _ time: Int64) throws(LogError) {
  let result: Result<Void, LogError> = value.withUnsafeBytes { bytes in
    do throws(LogError) {
      try appender.append(
        key: UnsafeRawBufferPointer(rebasing: bytes[..<2]),
        value: UnsafeRawBufferPointer(rebasing: bytes[2...]), appendTime: time, eventTime: time)
      return .success(())
    } catch { return .failure(error) }
  }
  try result.get()
}

private func transaction(_ number: Int64) -> (Transaction, [[UInt8]]) {
  let transaction = Transaction()
  transaction.number = number
  transaction.nextOffsets = [number * 3]
  transaction.journal = [UInt8](repeating: UInt8(number), count: Int(number) * 9)
  var made: [[UInt8]] = []
  for index in 0..<6 {
    let text = "k\(number)" + String(repeating: "bid \(number * 31 + Int64(index)) ", count: 9)
    made.append(Array(text.utf8))
    transaction.outputs.append(sink: 0, time: EventTime(milliseconds: number * 1000)) {
      $0.unframed(text)
      return 2
    }
  }
  return (transaction, made)
}

private func place(_ files: [(path: String, bytes: [UInt8])]) {
  Files.removeAll(below: root)
  for file in files {
    let path = "\(root)/\(file.path)"
    Files.makeDirectories(path.split(separator: "/").dropLast().joined(separator: "/"))
    Files.write(path, file.bytes)
  }
}

// MARK: Damage

private enum Damage {
  static let operations = 9

  static func apply(
    _ decisions: inout Decisions, to files: inout [(path: String, bytes: [UInt8])]
  ) {
    guard !files.isEmpty else { return }
    let index = Int(decisions.byte()) % files.count
    let operation = Int(decisions.byte()) % operations
    let length = files[index].bytes.count
    let at = decisions.number() % (length + 1)
    let size = Int(decisions.byte())
    // Blocks do not say which topic they are of: a file is confused with those beside it only.
    let beside = files.filter { folder($0.path) == folder(files[index].path) }
    let other = beside[size % beside.count].bytes
    switch operation {
    case 0: if at < length { files[index].bytes[at] ^= UInt8(max(size, 1)) }
    case 1: files[index].bytes.removeSubrange(at...)
    case 2: files[index].bytes.insert(contentsOf: decisions.bytes(size), at: at)
    case 3: files[index].bytes.removeSubrange(at..<min(length, at + size))
    case 4:
      let bytes = decisions.bytes(min(size, length - at))
      files[index].bytes.replaceSubrange(at..<at + bytes.count, with: bytes)
    case 5: files.remove(at: index)
    case 6: files[index].bytes = other
    case 7:
      files[index].bytes.replaceSubrange(at..., with: other[min(at, other.count)...])
    default:
      // A good stretch of another file, or of the same, in a wrong place.
      let from = decisions.number() % (other.count + 1)
      files[index].bytes.insert(contentsOf: other[from...], at: at)
    }
  }
}

private func folder(_ path: String) -> Substring {
  path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
}

// MARK: What must hold

/// Everything that a topic gives; each record as it was written, in order, none left out.
private func readAll(
  _ store: LocalLogStore, _ topic: String, _ expected: [[UInt8]], maxRecords: Int = 7
) -> Int64? {
  let chunk = RecordChunk()
  var next: Int64?
  do throws(LogError) {
    let reader = try store.reader(topic, partition: 0)
    let first = try reader.firstOffset()
    while try reader.fetch(into: chunk, maxRecords: maxRecords) == .records {
      for record in chunk.records {
        require(record.offset == next ?? first, "\(topic): offsets have no gap")
        require(
          record.offset < Int64(expected.count)
            && expected[Int(record.offset)].elementsEqual(Array(record.key) + Array(record.value)),
          "\(topic): record \(record.offset) is what was written")
        next = record.offset + 1
      }
    }
    return next ?? first
  } catch {
    require(!error.message.isEmpty, "an error says what is wrong")
    return nil
  }
}

private func seek(_ store: LocalLogStore) {
  let chunk = RecordChunk()
  for time in [Int64(0), 30, 59, 100] {
    do throws(LogError) {
      let reader = try store.reader("events", partition: 0)
      let offset = try reader.offset(ofTime: time, by: .append)
      require(offset >= 0, "an offset is found, or the end")
      try reader.seek(to: offset)
      guard try reader.fetch(into: chunk, maxRecords: 3) == .records else { continue }
      for record in chunk.records {
        require(
          original.events[Int(record.offset)].elementsEqual(
            Array(record.key) + Array(record.value)), "a found record is what was written")
      }
    } catch { continue }
  }
}

/// Whoever appends to a damaged log either is refused or goes on behind what is whole.
private func appendAndRead(_ store: LocalLogStore, _ seen: Int64?) {
  let new = value(4711)
  var offset: Int64 = 0
  do throws(LogError) {
    let appender = try store.appender("events", partition: 0)
    offset = appender.nextOffset
    try append(appender, new, 5000)
    try appender.close()
  } catch { return }
  if let seen { require(offset >= seen, "nothing that was readable is overwritten") }
  guard offset <= Int64(original.events.count) else { found("offsets that nobody wrote") }
  _ = readAll(store, "events", Array(original.events[..<Int(offset)]) + [new])
}

private func commitAndRead(_ store: LocalLogStore) {
  do throws(LogError) {
    let log = try store.partitionLog(group: "live", partition: 0, inputs: inputs, outputs: outputs)
    let last = try log.committed()?.number ?? 0
    require(last >= 0 && last <= Int64(commitCount), "commits are those that were made")
    if let point = try log.committed() {
      require(point.nextOffsets == [last * 3], "a commit's offsets are those that were committed")
    }
    do throws(LogError) {
      try log.journal(after: 0) { number, bytes in
        require(
          number <= last && bytes.elementsEqual(original.journals[Int(number) - 1]),
          "a journal record is what was committed")
      }
    } catch { require(!error.message.isEmpty, "an error says what is wrong") }
    let (next, made) = transaction(last + 1)
    try log.commit(next)
    log.close()
    _ = readAll(store, "bids", Array(original.bids[..<(Int(last) * 6)]) + made, maxRecords: 100)
    let again = try store.partitionLog(
      group: "live", partition: 0, inputs: inputs, outputs: outputs)
    require(try again.committed()?.number == last + 1, "what was committed is there")
    again.close()
  } catch { require(!error.message.isEmpty, "an error says what is wrong") }
}
