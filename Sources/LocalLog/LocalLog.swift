// The log on this machine: a durable directory of compressed, checksummed segments that plays
// Kafka's part (`LocalLogStore`), JSON Lines files for replays (`FileReplay`), and snapshots in a
// directory (`DirectorySnapshotStore`).
//
// `Files` wraps the operating system's file calls, `Format` holds what stands in the files,
// `Topics` appends to and reads from topic partitions, `Groups` makes commits atomic,
// `JSONLines` reads and writes plain files. Nothing here knows events, operators or topologies:
// records are a key and a value, both bytes.
//
// How the directory looks (names percent-encoded where a file system would mind):
//
//     <root>/bidmill-log.json                      format and version
//     <root>/topics/<topic>/topic.json             partitions, compression level, owning group
//     <root>/topics/<topic>/<partition>/<offset>.log     blocks of records; the name: first offset
//     <root>/topics/<topic>/<partition>/<offset>.index   offset and time → position; rebuildable
//     <root>/groups/<group>/<partition>/<number>.commits  offsets, journal, ends of the outputs
//     <root>/recordings/<topic>/<partition>.json   how far a topic was recorded from elsewhere

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a local log writes.
public struct LocalLogOptions: Sendable {
  /// When written bytes are forced to the disk. A crash of the process alone loses nothing that
  /// was written, whichever is chosen; this is about power and the kernel. With anything but
  /// `always` a loss of power may take outputs of commits that survive it: such a log is refused
  /// when it is opened, and found by `verify`, never silently shortened.
  public enum Fsync: Sendable, Equatable {
    /// Before every flush or commit returns.
    case always
    /// At the first flush or commit after so many milliseconds, and on close.
    case interval(milliseconds: Int64)
    /// When the operating system likes.
    case never
  }

  public var fsync: Fsync
  /// A segment is closed before it would grow above this many bytes.
  public var segmentBytes: Int64
  /// Uncompressed bytes after which a block is compressed and written.
  public var blockBytes: Int
  /// A segment of commits is closed before it would grow above this many bytes.
  public var commitSegmentBytes: Int64
  /// The append time of outputs, in ms since the epoch.
  public var now: @Sendable () -> Int64
  /// Makes writes fail, for tests.
  package var faults: WriteFaults?

  public init(
    fsync: Fsync = .always, segmentBytes: Int64 = 256 << 20, blockBytes: Int = 256 << 10,
    commitSegmentBytes: Int64 = 16 << 20, now: @escaping @Sendable () -> Int64 = wallClock
  ) {
    precondition(segmentBytes > 0 && commitSegmentBytes > 0, "a segment holds at least a byte")
    precondition(
      blockBytes > 0 && blockBytes <= BlockHeader.rawLengthMax / 2,
      "a block is between 1 byte and \(BlockHeader.rawLengthMax / 2) bytes")
    self.fsync = fsync
    self.segmentBytes = segmentBytes
    self.blockBytes = blockBytes
    self.commitSegmentBytes = commitSegmentBytes
    self.now = now
  }

  /// The system's time of day in ms since the epoch.
  public static let wallClock: @Sendable () -> Int64 = { clockMilliseconds(CLOCK_REALTIME) }
}
