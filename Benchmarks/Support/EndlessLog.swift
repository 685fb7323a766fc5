import Events
import Simulation
public import Streaming
import Synchronization

/// A live log in memory whose records never repeat: those of a short history over and over, each
/// time with new ids and later times.
///
/// Serving a record costs a copy and the digits of its id and time; so state can be made as large
/// as is wanted, without a file of that size.
public final class EndlessLog: PartitionLog {
  public let inputs = [LogInput(source: "events", topic: "events")]
  private let templates: RecordBlock
  /// Where the sixteen digits of the id and the thirteen of the time begin, per template.
  private let places: [(id: Int, time: Int)]
  private let firstTime: Int64
  private let start: CommitPoint?
  private let next = Mutex<Int64>(0)
  /// When the first record was asked for, in monotonic nanoseconds; 0 until then.
  let firstFetchAt = Atomic<UInt64>(0)
  private let last = Mutex<CommitPoint?>(nil)

  /// - Parameters:
  ///   - firstTime: of the record at offset 0; each is a millisecond after the one before.
  ///   - start: what is committed already, for a restart.
  public init(firstTime: Int64, start: CommitPoint? = nil) {
    var settings = Histories.settings(records: 12_000)
    settings.badPerMillion = 0
    settings.duplicatesPerMillion = 0
    settings.shares.conversion = 0
    settings.shares.dealStage = 0
    settings.shares.adjustment = 0
    settings.shares.heartbeat = 0
    settings.shares.control = 0
    var places: [(id: Int, time: Int)] = []
    var usable: Set<Int> = []
    Histories.forEach(settings) { line, record in
      guard record.type != .campaign, let place = EndlessLog.places(copy line) else { return }
      places.append(place)
      usable.insert(record.index)
    }
    let known = usable
    templates = RecordBlock(settings) { known.contains($0.index) }
    self.places = places
    self.firstTime = firstTime
    self.start = start
    last.withLock { $0 = start }
  }

  private static func places(_ line: [UInt8]) -> (id: Int, time: Int)? {
    func after(_ text: String) -> Int? { line.firstRange(of: Array(text.utf8))?.upperBound }
    guard let id = after(#""id":""#), let time = after(#""time":"#),
      line[(id + 1)..<(id + 17)].allSatisfy({ $0 != UInt8(ascii: "\"") }),
      line[time..<(time + 13)].allSatisfy({ (48...57).contains($0) }),
      line[time + 13] == UInt8(ascii: ",")
    else { return nil }
    return (id + 1, time)
  }

  /// The average length of a record.
  public var bytesPerRecord: Double { Double(templates.byteCount) / Double(templates.count) }

  public func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    if firstFetchAt.load(ordering: .relaxed) == 0 {
      firstFetchAt.store(System.nanoseconds(), ordering: .relaxed)
    }
    chunk.removeAll()
    let offset = next.withLock { next in
      defer { next += Int64(maxRecords) }
      return next
    }
    let count = templates.count
    chunk.reserve(maxRecords * 512 + 64)
    var used = 0
    for number in offset..<(offset + Int64(maxRecords)) {
      let index = Int(number % Int64(count))
      let source = templates[index]
      if used + source.count + 64 > chunk.storage.count {
        next.withLock { $0 = number }
        break
      }
      let place = UnsafeMutableRawBufferPointer(
        rebasing: chunk.storage[used..<used + source.count])
      place.copyMemory(from: source)
      EndlessLog.write(UInt64(number), base: 16, digits: 16, place, at: places[index].id)
      EndlessLog.write(
        UInt64(firstTime + number), base: 10, digits: 13, place, at: places[index].time)
      used += source.count
      chunk.records.append(
        LogRecord(
          offset: number, appendTime: LogRecord.noAppendTime,
          key: UnsafeRawBufferPointer(start: nil, count: 0),
          value: UnsafeRawBufferPointer(place)))
    }
    chunk.nextOffset = (chunk.records.last?.offset ?? offset - 1) + 1
    return .records
  }

  @inline(__always)
  private static func write(
    _ value: UInt64, base: UInt64, digits: Int, _ bytes: UnsafeMutableRawBufferPointer, at: Int
  ) {
    var rest = value
    var place = at + digits
    while place > at {
      place -= 1
      let digit = UInt8(truncatingIfNeeded: rest % base)
      bytes[place] = digit < 10 ? 48 + digit : 87 + digit
      rest /= base
    }
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) {
    next.withLock { $0 = offset }
  }

  public func firstOffsets() throws(LogError) -> [Int64] { [0] }
  public func committed() throws(LogError) -> CommitPoint? { last.withLock { $0 } }
  public func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {}

  public func commit(_ transaction: Transaction) throws(LogError) {
    let point = CommitPoint(number: transaction.number, nextOffsets: transaction.nextOffsets)
    last.withLock { $0 = point }
  }

  public func close() {}
}
