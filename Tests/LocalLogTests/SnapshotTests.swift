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

  /// Bytes that no compression makes fewer.
  private func random(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
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
      try write(store, 1, [random(20_000, seed: 3)])
    }
    #expect(error?.message.contains("No space left") == true)
    #expect(try store.list() == [])
  }

  @Test("Files are compressed, whatever the sizes of what is written")
  func compressed() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    let seed: UInt64 = 17
    print("seed \(seed)")
    let parts =
      [1, 900_000, 200_000, 3, 2_500_000, 0, 1_048_576, 5].enumerated().map { index, count in
        index % 2 == 0
          ? random(count, seed: seed + UInt64(index)) : [UInt8](repeating: 7, count: count)
      }
    try write(store, 1, parts)
    #expect(try read(store, 1) == parts.flatMap { $0 })
    let file = Scratch.read(Scratch.files(store.path)[0])
    #expect(file.starts(with: [0x28, 0xB5, 0x2F, 0xFD]))
    try write(store, 2, [[UInt8](repeating: 0, count: 8 << 20)])
    #expect(Scratch.read(Scratch.files(store.path)[1]).count < 10_000)
  }

  @Test("What fills the reader's buffer to its last byte is not taken for cut")
  func wholeBuffers() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    for count in [1 << 20, (1 << 20) - 1, (1 << 20) + 1, 8 << 20] {
      try write(store, 1, [[UInt8](repeating: 0, count: count)])
      #expect(try read(store, 1).count == count)
    }
  }

  @Test("A plain file reads as it is")
  func plain() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    try write(store, 7, [[1, 2, 3]])
    let bytes = Array("bidsnap".utf8) + [UInt8](repeating: 5, count: 1_500_000)
    Scratch.write(Scratch.files(store.path)[0], bytes)
    #expect(try read(store, 7) == bytes)
  }

  @Test("A cut or changed file is bad data, never other bytes")
  func damaged() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    let written = random(300_000, seed: 5) + [UInt8](repeating: 1, count: 2_000_000)
    try write(store, 1, [written, written])
    let path = Scratch.files(store.path)[0]
    let whole = Scratch.read(path)
    for count in [4, 5, whole.count / 3, whole.count - 1] {
      Scratch.write(path, Array(whole[..<count]))
      let error = #expect(throws: LogError.self) { try read(store, 1) }
      #expect(error?.kind == .badData, "cut to \(count) of \(whole.count)")
    }
    Scratch.write(path, whole + [1, 2, 3, 4, 5])
    let error = #expect(throws: LogError.self) { try read(store, 1) }
    #expect(error?.kind == .badData)
  }

  @Test("A snapshot that is not there is reported as missing")
  func missing() throws {
    let scratch = Scratch()
    let store = try DirectorySnapshotStore(directory: scratch.path, name: "live", partition: 0)
    let error = #expect(throws: LogError.self) { try read(store, 5) }
    #expect(error?.kind == .missing)
  }
}
