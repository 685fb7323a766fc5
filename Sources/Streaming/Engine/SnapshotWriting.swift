import Events
import Synchronization

/// A snapshot of one partition while it is being taken.
///
/// `init` marks the moment; `copySlice` copies some pages and is called between batches until it
/// says that all are copied; writing (and compressing) happens on a background queue. The result
/// counts only after `finish`, which waits for the commit that the snapshot belongs to.
final class SnapshotWriting {
  /// What happened on the background queue.
  final class Outcome: Sendable {
    enum State: Sendable {
      case writing
      case finished
      case failed(LogError)
    }
    let state = Mutex(State.writing)
    /// Frames handed over and not written yet.
    let backlog = Atomic(0)

    var isWriting: Bool { state.withLock { if case .writing = $0 { true } else { false } } }

    func fail(_ error: LogError) {
      state.withLock { if case .writing = $0 { $0 = .failed(error) } }
    }
  }

  /// The memory of one frame. The partition fills it, the queue writes it and gives it back: fresh
  /// memory for each would cost the stream more than the copying.
  private final class Frame: @unchecked Sendable {
    // Belongs to the partition until it is handed over, then to the queue; never to both.
    private let memory = StateMemory(byteCount: SnapshotWriting.frameBytes)
    private(set) var count = SnapshotFormat.frameHeaderBytes

    deinit { memory.deallocate() }

    var isFull: Bool {
      count + SnapshotFormat.pageHeaderBytes + Region.rowBytesMax > SnapshotWriting.frameBytes
    }

    func removeAll() { count = SnapshotFormat.frameHeaderBytes }

    func append(_ bytes: UnsafeRawBufferPointer) {
      guard let start = bytes.baseAddress else { return }
      (memory.base + count).copyMemory(from: start, byteCount: bytes.count)
      count += bytes.count
    }

    /// Completes the frame's header; the frame's bytes are valid until `removeAll`.
    func sealed() -> UnsafeRawBufferPointer {
      let bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: count)
      SnapshotFormat.seal(bytes, kind: .pages)
      return UnsafeRawBufferPointer(bytes)
    }
  }

  /// Frames that were written and can be filled again. Memory is given up by the queue, whose time
  /// it may take.
  private final class FramePool: Sendable {
    private let frames = Mutex<[Frame]>([])

    func take() -> Frame { frames.withLock { $0.popLast() } ?? Frame() }

    func giveBack(_ frame: Frame) {
      frame.removeAll()
      frames.withLock { if $0.count < SnapshotWriting.backlogMax { $0.append(frame) } }
    }

    func removeAll() { frames.withLock { $0.removeAll() } }
  }

  /// The frame being filled, shared with the regions' copy-on-write.
  private final class Filling {
    private var frame: Frame?
    private let pool: FramePool
    private let full: (Frame) -> Void
    var pages = 0
    var bytes = 0

    init(from pool: FramePool, full: @escaping (Frame) -> Void) {
      self.pool = pool
      self.full = full
    }

    func add(region: Int32, page: Int, _ rows: UnsafeRawBufferPointer) {
      let frame = self.frame ?? pool.take()
      self.frame = frame
      withUnsafeBytes(
        of: (region.littleEndian, Int32(page).littleEndian, Int32(rows.count).littleEndian)
      ) {
        frame.append($0)
      }
      frame.append(rows)
      pages += 1
      bytes += rows.count
      if frame.isFull { flush() }
    }

    func flush() {
      guard let frame else { return }
      full(frame)
      self.frame = nil
    }
  }

  /// A huge page.
  static let frameBytes = 2 << 20
  /// While so many frames wait to be written no more pages are copied, so that a slow disk does
  /// not make memory hold the state twice.
  static let backlogMax = 32

  let number: Int64
  let outcome = Outcome()
  private let store: StateStore
  private let sink: any SnapshotSink
  private let queue: any WorkQueue
  private let filling: Filling
  private let pool: FramePool
  private var nextRegion = 0
  private(set) var isCopied = false
  private var isFinishing = false

  /// Marks the state as it is now.
  init(
    header: SnapshotHeader, store: StateStore, sink: any SnapshotSink, queue: any WorkQueue,
    mutant: Mutant? = nil
  ) {
    number = header.number
    self.store = store
    self.sink = sink
    self.queue = queue
    let outcome = outcome
    var first = SnapshotFormat.emptyFrame
    SnapshotFormat.encode(header, to: &first)
    SnapshotFormat.seal(&first, kind: .header)
    let beginning = SnapshotFormat.magic + first
    queue.submit { SnapshotWriting.write(beginning, to: sink, outcome) }
    let pool = FramePool()
    self.pool = pool
    filling = Filling(from: pool) { frame in
      outcome.backlog.add(1, ordering: .relaxed)
      queue.submit {
        SnapshotWriting.write(frame.sealed(), to: sink, outcome)
        pool.giveBack(frame)
        outcome.backlog.subtract(1, ordering: .relaxed)
      }
    }
    let filling = filling
    for (index, entry) in store.entries.enumerated() {
      entry.region.pointee.freeze(id: Int32(index), isTorn: mutant == .tornSnapshot) {
        id, page, rows in
        guard mutant == .forgottenTimers, entry.name == "timers.heads" else {
          return filling.add(region: id, page: page, rows)
        }
        // -1 everywhere: no slot of the wheel has a timer.
        [UInt8](repeating: 0xFF, count: rows.count).withUnsafeBytes {
          filling.add(region: id, page: page, $0)
        }
      }
    }
  }

  private static func write(_ bytes: [UInt8], to sink: any SnapshotSink, _ outcome: Outcome) {
    bytes.withUnsafeBytes { write($0, to: sink, outcome) }
  }

  private static func write(
    _ bytes: UnsafeRawBufferPointer, to sink: any SnapshotSink, _ outcome: Outcome
  ) {
    guard outcome.isWriting else { return }
    do throws(LogError) { try sink.write(bytes) } catch { outcome.fail(error) }
  }

  /// Bytes of rows that were copied so far.
  var stateBytes: Int { filling.bytes }

  /// Copies about `pages` pages, unless writing lags behind; sets `isCopied` when none is left.
  func copySlice(pages: Int) {
    guard !isCopied, outcome.backlog.load(ordering: .relaxed) < SnapshotWriting.backlogMax else {
      return
    }
    var left = pages
    while nextRegion < store.entries.count {
      let region = store.entries[nextRegion].region
      let before = filling.pages
      guard region.pointee.copySlice(pages: left) else { return }
      nextRegion += 1
      left -= max(filling.pages - before, 1)
      if left <= 0, nextRegion < store.entries.count { return }
    }
    filling.flush()
    isCopied = true
  }

  /// Makes it durable, once all pages are copied and its commit is acknowledged.
  func finish() {
    precondition(isCopied, "a snapshot is finished after its last page")
    guard !isFinishing else { return }
    isFinishing = true
    let (sink, outcome, pages, bytes) = (sink, outcome, filling.pages, filling.bytes)
    let pool = pool
    queue.submit {
      pool.removeAll()
      var frame = SnapshotFormat.emptyFrame
      Varint.append(UInt64(pages), to: &frame)
      Varint.append(UInt64(bytes), to: &frame)
      SnapshotFormat.seal(&frame, kind: .end)
      SnapshotWriting.write(frame, to: sink, outcome)
      guard outcome.isWriting else { return sink.abandon() }
      do throws(LogError) {
        try sink.finish()
        outcome.state.withLock { $0 = .finished }
      } catch { outcome.fail(error) }
    }
  }

  /// Gives up; nothing stays behind.
  func abandon() {
    for entry in store.entries { entry.region.pointee.thaw() }
    isCopied = true
    isFinishing = true
    let (sink, outcome, pool) = (sink, outcome, pool)
    queue.submit {
      pool.removeAll()
      outcome.fail(LogError(.ours, "the snapshot was abandoned"))
      sink.abandon()
    }
  }
}
