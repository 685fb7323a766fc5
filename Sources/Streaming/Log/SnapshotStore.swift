/// Where a partition's snapshots are kept. Numbers are the journal numbers that they reflect.
public protocol SnapshotStore: AnyObject, Sendable {
  /// Numbers of the stored snapshots, newest first.
  func list() throws(LogError) -> [Int64]

  /// Opens a snapshot for writing; it counts only after `finish`.
  func create(_ number: Int64) throws(LogError) -> any SnapshotSink

  /// Reads a whole snapshot in pieces of any size, in order.
  func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError)

  func remove(_ number: Int64) throws(LogError)
}

/// A snapshot being written. Dropping it without `finish` leaves nothing behind.
public protocol SnapshotSink: AnyObject, Sendable {
  func write(_ bytes: UnsafeRawBufferPointer) throws(LogError)
  /// Makes it durable and visible.
  func finish() throws(LogError)
  func abandon()
}
