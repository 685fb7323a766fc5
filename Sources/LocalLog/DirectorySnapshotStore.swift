public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Snapshots as files: `<directory>/<name>/<partition>/<number>.snapshot`.
///
/// Written as zstd frames of about a mebibyte at the fastest level: a third of the bytes for the
/// disk, for less time than the disk would have taken. Plain files read as well.
///
/// One process writes a partition's snapshots at a time (it holds the partition's log).
public final class DirectorySnapshotStore: SnapshotStore {
  private static let suffix = ".snapshot"
  private static let unfinishedSuffix = ".snapshot.part"
  /// Bytes compressed into one frame, at least, and given to readers at once, at most.
  fileprivate static let pieceBytes = 1 << 20

  /// Where the snapshots stand.
  public let path: String
  private let faults: WriteFaults?

  /// Creates the directory where it does not exist and removes what a crash left unfinished.
  public convenience init(
    directory: String, name: String, partition: Int32
  ) throws(LogError) {
    try self.init(directory: directory, name: name, partition: partition, faults: nil)
  }

  package init(
    directory: String, name: String, partition: Int32, faults: WriteFaults?
  ) throws(LogError) {
    self.path = "\(directory)/\(try FileName.encode(name))/\(partition)"
    self.faults = faults
    try FileSystem.makeDirectory(path, faults: faults)
    for name in try FileSystem.list(path)
    where name.hasSuffix(DirectorySnapshotStore.unfinishedSuffix) {
      try FileSystem.remove("\(path)/\(name)", faults: faults)
    }
  }

  private func file(_ number: Int64) -> String {
    path + "/" + FileName.padded(number) + DirectorySnapshotStore.suffix
  }

  public func list() throws(LogError) -> [Int64] {
    try FileSystem.list(path)
      .compactMap { FileName.number($0, suffix: DirectorySnapshotStore.suffix) }
      .sorted(by: >)
  }

  /// Replaces a snapshot of the same number when it is finished.
  public func create(_ number: Int64) throws(LogError) -> any SnapshotSink {
    precondition(number >= 0, "a snapshot's number is a journal number")
    return try SnapshotFile(
      "\(path)/\(FileName.padded(number))\(DirectorySnapshotStore.unfinishedSuffix)",
      finished: file(number), directory: path, faults: faults)
  }

  /// - Throws: `.missing` where there is no such snapshot, `.badData` where it does not decompress.
  public func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try DirectorySnapshotStore.read(path: file(number), body)
  }

  /// Reads one snapshot's file, wherever it stands, in pieces of any size, in order.
  ///
  /// - Throws: `.missing` where there is no such file, `.badData` where it does not decompress.
  public static func read(
    path: String, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let source = try ByteSource(path)
    try withUnsafeTemporary(DirectorySnapshotStore.pieceBytes) { buffer throws(LogError) in
      while true {
        let count = try source.read(into: buffer)
        if count == 0 { return }
        try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      }
    }
  }

  public func remove(_ number: Int64) throws(LogError) {
    try FileSystem.remove(file(number), faults: faults)
  }
}

/// A snapshot that is being written.
private final class SnapshotFile: SnapshotSink, @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  private var file: FileDescriptor?
  private let unfinished: String
  private let finished: String
  private let directory: String
  private let faults: WriteFaults?
  private var position: Int64 = 0
  private let compressor = ZstdCompressor(level: 1)
  /// What was written but does not fill a frame yet.
  private var pending: [UInt8] = []
  private var compressed = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

  init(
    _ unfinished: String, finished: String, directory: String, faults: WriteFaults?
  ) throws(LogError) {
    self.unfinished = unfinished
    self.finished = finished
    self.directory = directory
    self.faults = faults
    file = try FileDescriptor(open: unfinished, O_RDWR | O_CREAT | O_TRUNC, faults: faults)
  }

  deinit {
    abandon()
    compressed.deallocate()
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
    precondition(file != nil, "nothing is written to a finished snapshot")
    if pending.isEmpty, bytes.count >= DirectorySnapshotStore.pieceBytes {
      return try writeFrame(bytes)
    }
    pending.append(contentsOf: bytes)
    if pending.count >= DirectorySnapshotStore.pieceBytes { try writePending() }
  }

  private func writePending() throws(LogError) {
    // `withUnsafeBytes` cannot carry a typed error; hand it out as a value.
    let result: Result<Void, LogError> = pending.withUnsafeBytes { bytes in
      do throws(LogError) {
        try writeFrame(bytes)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
    pending.removeAll(keepingCapacity: true)
  }

  private func writeFrame(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
    let room = ZstdCompressor.bound(bytes.count)
    if compressed.count < room {
      compressed.deallocate()
      compressed = .allocate(byteCount: room, alignment: 64)
    }
    let count = compressor.compress(bytes, into: compressed)
    try file?.write(UnsafeRawBufferPointer(rebasing: compressed[..<count]), at: position)
    position += Int64(count)
  }

  func finish() throws(LogError) {
    precondition(file != nil, "a snapshot is finished once")
    // An empty snapshot is one frame, too.
    if !pending.isEmpty || position == 0 { try writePending() }
    try file?.sync()
    try FileSystem.rename(unfinished, to: finished, faults: faults)
    file = nil
    try FileSystem.syncDirectory(directory, faults: faults)
  }

  func abandon() {
    guard file != nil else { return }
    file = nil
    try? FileSystem.remove(unfinished)
  }
}
