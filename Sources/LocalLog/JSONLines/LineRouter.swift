import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Reads files on one thread and hands each line to its partition.
///
/// Each partition sees its lines of a file in the file's order and with the file's line numbers.
/// About `queueBytes` a partition and file are read ahead. A partition that waits for a file's
/// next line is served even if others have more than that of the file: they may be waiting for
/// another file, and nobody would ever move on. `heldBytesMax` bounds that.
final class LineRouter: @unchecked Sendable {
  // Everything below `monitor` is touched under it; the files by the reading thread alone.
  static let queueBytes = 4 << 20
  static let heldBytesMax = 2 << 30
  /// Lines read at once: few enough that their bytes are still in the cache when they are copied.
  static let readLines = 2048
  /// Batches kept for reuse, per partition.
  static let spareMax = 16

  private let files: [FileInput]
  private let partitions: Int
  private let route: @Sendable (UnsafeRawBufferPointer) -> Int
  private let heldBytesMax: Int
  private let monitor = Monitor()
  /// By partition, then file.
  private var queues: [LineQueue]
  private var isFinished: [Bool]
  private var failures: [LogError?]
  private var held = 0
  private var spare: [LineBatch] = []
  private var hasStarted = false
  private var openInputs: Int
  private var isStopped = false
  /// Per file, the numbers of the lines that every partition got, ascending.
  private var everywhere: [[Int64]]

  init(
    _ files: [FileInput], partitions: Int, heldBytesMax: Int = LineRouter.heldBytesMax,
    route: @escaping @Sendable (UnsafeRawBufferPointer) -> Int
  ) {
    self.files = files
    self.partitions = partitions
    self.route = route
    self.heldBytesMax = heldBytesMax
    queues = Array(repeating: LineQueue(), count: partitions * files.count)
    isFinished = Array(repeating: false, count: files.count)
    failures = Array(repeating: nil, count: files.count)
    openInputs = partitions * files.count
    everywhere = Array(repeating: [], count: files.count)
  }

  /// How many lines before `end` every partition got.
  func copies(file: Int, before end: Int64) -> Int64 {
    monitor.lock()
    defer { monitor.unlock() }
    let lines = everywhere[file]
    var (low, high) = (0, lines.count)
    while low < high {
      let middle = (low + high) / 2
      if lines[middle] < end { low = middle + 1 } else { high = middle }
    }
    return Int64(low)
  }

  // MARK: The partitions' side

  /// The next lines of a file for a partition; waits for them. Nil at the file's end.
  func next(partition: Int, file: Int) throws(LogError) -> LineBatch? {
    monitor.lock()
    defer { monitor.unlock() }
    if !hasStarted {
      hasStarted = true
      startReading()
    }
    let place = partition * files.count + file
    while true {
      if let batch = queues[place].popFirst() {
        held -= batch.used
        batch.loans = 1
        monitor.wake()
        return batch
      }
      if let failure = failures[file] { throw failure }
      if isFinished[file] || isStopped { return nil }
      queues[place].isAwaited = true
      monitor.wake()
      monitor.wait()
      queues[place].isAwaited = false
    }
  }

  func retain(_ batch: LineBatch) {
    monitor.lock()
    batch.loans += 1
    monitor.unlock()
  }

  /// Gives lent memory back; the last one to do so frees it for other lines.
  func release(_ batch: LineBatch) {
    monitor.lock()
    batch.loans -= 1
    if batch.loans == 0, spare.count < LineRouter.spareMax * partitions { spare.append(batch) }
    monitor.unlock()
  }

  /// One partition will ask for a file no more; with the last one the thread ends.
  func closeInput(partition: Int, file: Int) {
    monitor.lock()
    let place = partition * files.count + file
    if !queues[place].isClosed {
      queues[place].isClosed = true
      while let batch = queues[place].popFirst() { held -= batch.used }
      openInputs -= 1
      if openInputs == 0 { isStopped = true }
    }
    monitor.wake()
    monitor.unlock()
  }

  // MARK: The reading thread

  private func startReading() {
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    let this = Unmanaged.passRetained(self).toOpaque()
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<LineRouter>.fromOpaque(argument).takeRetainedValue().readAll()
        return nil
      }, this)
    if result != 0 {
      Unmanaged<LineRouter>.fromOpaque(this).release()
      let error = LogError.system("start a thread to read", files.first?.path ?? "", result)
      for file in failures.indices { failures[file] = error }
    }
  }

  private func readAll() {
    let chunk = RecordChunk()
    var open: [LineBatch?] = Array(repeating: nil, count: partitions)
    while let file = choose() {
      var failure: LogError?
      var isEnd = false
      do throws(LogError) {
        isEnd = try files[file].fetch(into: chunk, maxRecords: LineRouter.readLines) == .end
      } catch {
        failure = error
      }
      if failure == nil, !isEnd { distribute(chunk, file, &open) }
      publish(&open, file, isEnd: isEnd, failure)
    }
  }

  /// The file to read next; waits while everybody has enough, nil when all is read.
  private func choose() -> Int? {
    monitor.lock()
    defer { monitor.unlock() }
    while !isStopped {
      let unread = files.indices.filter { !isFinished[$0] && failures[$0] == nil }
      if unread.isEmpty { return nil }
      if let file = unread.first(where: { isAwaited($0) }) { return file }
      if let file = unread.min(by: { fullest($0) < fullest($1) }),
        fullest(file) < LineRouter.queueBytes
      {
        return file
      }
      monitor.wait()
    }
    return nil
  }

  private func isAwaited(_ file: Int) -> Bool {
    (0..<partitions).contains { partition in
      let queue = queues[partition * files.count + file]
      return queue.isAwaited && queue.isEmpty
    }
  }

  private func fullest(_ file: Int) -> Int {
    (0..<partitions).map { queues[$0 * files.count + file].bytes }.max() ?? 0
  }

  private func distribute(_ chunk: RecordChunk, _ file: Int, _ open: inout [LineBatch?]) {
    var truncated = chunk.truncated.makeIterator()
    var nextTruncated = truncated.next()
    for record in chunk.records {
      var cut: TruncatedRecord?
      if let known = nextTruncated, known.offset == record.offset {
        cut = known
        nextTruncated = truncated.next()
      }
      let partition = route(record.value)
      if partition == FileReplay.everyPartition {
        monitor.lock()
        everywhere[file].append(record.offset)
        monitor.unlock()
        for partition in open.indices { add(record, cut, to: partition, &open) }
      } else {
        precondition(
          partition >= 0 && partition < partitions,
          "a route names one of the \(partitions) partitions, not \(partition)")
        add(record, cut, to: partition, &open)
      }
    }
  }

  @inline(__always)
  private func add(
    _ record: LogRecord, _ cut: TruncatedRecord?, to partition: Int, _ open: inout [LineBatch?]
  ) {
    if open[partition] == nil { open[partition] = takeBatch() }
    open[partition]?.add(record)
    if let cut { open[partition]?.truncated.append(cut) }
  }

  private func takeBatch() -> LineBatch {
    monitor.lock()
    defer { monitor.unlock() }
    guard let batch = spare.popLast() else { return LineBatch() }
    batch.removeAll()
    return batch
  }

  private func publish(
    _ open: inout [LineBatch?], _ file: Int, isEnd: Bool, _ failure: LogError?
  ) {
    monitor.lock()
    for partition in open.indices {
      guard let batch = open[partition] else { continue }
      open[partition] = nil
      let place = partition * files.count + file
      if queues[place].isClosed { continue }
      queues[place].append(batch)
      held += batch.used
    }
    if isEnd { isFinished[file] = true }
    failures[file] = failure
    if held > heldBytesMax {
      let error = LogError(
        .configuration,
        "more than \(heldBytesMax >> 20) MiB of lines wait for partitions that are not ready for"
          + " them: the files' times lie too far apart; replay fewer files at once, or with one"
          + " partition")
      for file in failures.indices where failures[file] == nil { failures[file] = error }
    }
    monitor.wake()
    monitor.unlock()
  }
}

/// Lines of one file for one partition, in memory of their own.
final class LineBatch: @unchecked Sendable {
  // Written by the reading thread, then read by one partition; `loans` under the router's lock.
  fileprivate(set) var used = 0
  fileprivate var loans = 0
  fileprivate(set) var truncated: [TruncatedRecord] = []
  /// Values are places in `bytes` until the batch is read.
  fileprivate(set) var lines: ContiguousArray<(offset: Int64, start: Int, length: Int)> = []
  private(set) var bytes: UnsafeMutableRawBufferPointer

  init() { bytes = .allocate(byteCount: 64 << 10, alignment: 64) }

  deinit { bytes.deallocate() }

  fileprivate func removeAll() {
    used = 0
    lines.removeAll(keepingCapacity: true)
    truncated.removeAll()
  }

  fileprivate func add(_ record: LogRecord) {
    let count = record.value.count
    let needed = used + count + FileInput.readableSlack
    if needed > bytes.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(needed, bytes.count * 2), alignment: 64)
      larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<used]))
      bytes.deallocate()
      bytes = larger
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[used...]).copyMemory(from: record.value)
    lines.append((record.offset, used, count))
    used += count
  }
}

/// Batches that wait for a partition.
private struct LineQueue {
  private var batches: [LineBatch] = []
  private var first = 0
  private(set) var bytes = 0
  var isAwaited = false
  var isClosed = false

  var isEmpty: Bool { first == batches.count }

  mutating func append(_ batch: LineBatch) {
    batches.append(batch)
    bytes += batch.used
  }

  mutating func popFirst() -> LineBatch? {
    guard first < batches.count else { return nil }
    let batch = batches[first]
    first += 1
    bytes -= batch.used
    if first == batches.count {
      batches.removeAll(keepingCapacity: true)
      first = 0
    } else if first >= 64 {
      batches.removeFirst(first)
      first = 0
    }
    return batch
  }
}

/// A partition's share of a file.
final class RoutedInput: ReplayInput {
  private let router: LineRouter
  private let partition: Int
  private let file: Int
  private var batch: LineBatch?
  private var index = 0
  private var nextLine: Int64 = 1
  private var firstLine: Int64 = 1

  init(_ router: LineRouter, partition: Int, file: Int) {
    self.router = router
    self.partition = partition
    self.file = file
  }

  deinit { close() }

  func close() {
    if let batch { router.release(batch) }
    batch = nil
    router.closeInput(partition: partition, file: file)
  }

  func firstOffset() throws(LogError) -> Int64 { 1 }

  func seek(to offset: Int64) throws(LogError) {
    guard offset >= nextLine else {
      throw LogError(
        .configuration,
        "a replay in several partitions cannot go back to line \(offset) from \(nextLine)")
    }
    firstLine = offset
  }

  func fetch(into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus {
    chunk.removeAll()
    chunk.nextOffset = max(nextLine, firstLine)
    while chunk.records.isEmpty {
      if let batch, index == batch.lines.count {
        router.release(batch)
        self.batch = nil
      }
      if batch == nil {
        batch = try router.next(partition: partition, file: file)
        index = 0
      }
      guard let batch else { return .end }
      serve(batch, chunk, maxRecords)
    }
    return .records
  }

  /// Lends the chunk the batch's memory.
  private func serve(_ batch: LineBatch, _ chunk: RecordChunk, _ maxRecords: Int) {
    guard let bytes = batch.bytes.baseAddress else { return }
    var records = ContiguousArray<LogRecord>()
    swap(&records, &chunk.records)
    while index < batch.lines.count, records.count < maxRecords {
      let line = batch.lines[index]
      index += 1
      nextLine = line.offset + 1
      if line.offset < firstLine { continue }
      records.append(
        LogRecord(
          offset: line.offset, appendTime: LogRecord.noAppendTime,
          key: UnsafeRawBufferPointer(start: nil, count: 0),
          value: UnsafeRawBufferPointer(start: bytes + line.start, count: line.length)))
    }
    if let first = records.first, let last = records.last {
      for known in batch.truncated where known.offset >= first.offset && known.offset <= last.offset
      {
        chunk.truncated.append(known)
      }
      router.retain(batch)
      let router = router
      chunk.onRelease = { router.release(batch) }
    }
    chunk.nextOffset = max(nextLine, firstLine)
    swap(&records, &chunk.records)
  }
}
