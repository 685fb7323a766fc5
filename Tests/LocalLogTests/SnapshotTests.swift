import LocalLog
import Streaming
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Snapshots in a directory")
struct SnapshotTests {
  private func write(_ store: DirectorySnapshotStore, _ number: Int64, _ parts: [[UInt8]]) throws {
    let sink = try store.create(number)
    for part in parts { try part.withUnsafeBytes { try sink.write($0) } }
    try sink.finish()
  }

  private func read(_ store: DirectorySnapshotStore, _ number: Int64) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try store.read(number) { bytes += Array($0) }
    return bytes
  }

  @Test("Snapshots are listed newest first and read back")
  func roundTrip() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live/x", partition: 3)
    let large = [UInt8](repeating: 9, count: 3_000_000)
    try write(store, 9, [[1, 2], [], [3]])
    try write(store, 100, [large, [4]])
    try write(store, 20, [])
    #expect(try store.list() == [100, 20, 9])
    #expect(try read(store, 9) == [1, 2, 3])
    #expect(try read(store, 100) == large + [4])
    #expect(try read(store, 20) == [])
    try store.remove(20)
    #expect(try store.list() == [100, 9])
  }

  @Test("An unfinished snapshot is not listed and is removed on the next open")
  func unfinished() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    try write(store, 1, [[1]])
    let sink = try store.create(2)
    try [UInt8]([1, 2]).withUnsafeBytes { try sink.write($0) }
    #expect(try store.list() == [1])
    // As after a crash: the file is there and nobody removes it.
    let copy = scratch.path + "/copy"
    Scratch.copyTree(scratch.path + "/live", copy)
    #expect(Scratch.names(copy + "/0").count == 2)
    mkdir(scratch.path + "/again", 0o755)
    rename(copy, scratch.path + "/again/live")
    let again = try DirectorySnapshotStore(
      directory: scratch.path + "/again", name: "live", partition: 0)
    #expect(try again.list() == [1])
    #expect(Scratch.names(again.path).count == 1)
    sink.abandon()
    #expect(Scratch.names(store.path).count == 1)
  }

  @Test("A full disk is reported and leaves nothing that counts")
  func fullDisk() throws {
    let scratch = Scratch()
    let faults = WriteFaults(budget: 10_000, mode: .crash)
    let store = try DirectorySnapshotStore(
      directory: scratch.path, name: "live", partition: 0, faults: faults)
    let error = #expect(throws: LogError.self) {
      try write(store, 1, [[UInt8](repeating: 0, count: 20_000)])
    }
    #expect(error?.message.contains("No space left") == true)
    #expect(try store.list() == [])
  }

  @Test("A snapshot that is not there is reported as missing")
  func missing() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    let error = #expect(throws: LogError.self) { try read(store, 5) }
    #expect(error?.kind == .missing)
  }
}
