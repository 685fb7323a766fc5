import CZstd
import LocalLog
import Streaming
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

func compressed(_ bytes: [UInt8]) -> [UInt8] {
  var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
  let count = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
  return Array(output[..<count])
}

/// Line numbers and lines as `FileInput` should give them, found the slow way.
func expectedLines(_ bytes: [UInt8]) -> [(Int64, [UInt8])] {
  var parts = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
  if parts.last == [] { parts.removeLast() }
  var found: [(Int64, [UInt8])] = []
  for (index, part) in parts.enumerated() {
    var line = part
    if line.last == 0x0D { line.removeLast() }
    if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
    found.append((Int64(index + 1), line))
  }
  return found
}

func readLines(
  _ input: some ReplayInput, maxRecords: Int = 4096
) throws -> [(Int64, [UInt8])] {
  let chunk = RecordChunk()
  var found: [(Int64, [UInt8])] = []
  while try input.fetch(into: chunk, maxRecords: maxRecords) == .records {
    #expect(!chunk.records.isEmpty && chunk.records.count <= maxRecords)
    for record in chunk.records { found.append((record.offset, Array(record.value))) }
    #expect(chunk.nextOffset > chunk.records[chunk.records.count - 1].offset)
  }
  return found
}

func expectEqual(_ a: [(Int64, [UInt8])], _ b: [(Int64, [UInt8])], _ note: String = "") {
  #expect(a.count == b.count, "\(note)")
  let same = zip(a, b).allSatisfy { $0.0 == $1.0 && $0.1 == $1.1 }
  #expect(same, "\(note)")
}

@Suite("Lines of files")
struct FileInputTests {
  private func lines(_ bytes: [UInt8], maxRecords: Int = 4096) throws -> [(Int64, [UInt8])] {
    let scratch = Scratch()
    let path = scratch.path + "/in.jsonl"
    Scratch.write(path, bytes)
    return try readLines(FileInput(path: path), maxRecords: maxRecords)
  }

  @Test(
    "Small files",
    arguments: [
      "", "\n", "a", "a\n", "a\r\n", "a\r", "\r\n\r\n", "a\n\nb", "a\n \t\nb\n", "\n\n\na\r\n\r\nb",
      " a \n", "a\rb\n", "{}\n{}\n{}",
    ])
  func small(text: String) throws {
    let bytes = Array(text.utf8)
    expectEqual(try lines(bytes), expectedLines(bytes), text)
    expectEqual(try lines(bytes, maxRecords: 1), expectedLines(bytes), text)
    expectEqual(try lines(compressed(bytes)), expectedLines(bytes), text)
  }

  @Test("A byte order mark is not part of the first line")
  func byteOrderMark() throws {
    expectEqual(
      try lines([0xEF, 0xBB, 0xBF] + Array("{}\n{}".utf8)),
      [(1, Array("{}".utf8)), (2, Array("{}".utf8))])
  }

  @Test("Lines of every length around the sizes of reads", arguments: [11, 12, 13] as [UInt64])
  func randomLines(seed: UInt64) throws {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var bytes: [UInt8] = []
    while bytes.count < 4 << 20 {
      var length = Int.random(in: 0...600, using: &random)
      if Int.random(in: 0..<40, using: &random) == 0 {
        let edge = [65_536, 131_072, 262_144, 1 << 20][Int.random(in: 0..<4, using: &random)]
        length = edge - bytes.count % edge + Int.random(in: -2...2, using: &random)
      }
      bytes += [UInt8](
        repeating: UInt8.random(in: 0x61...0x7A, using: &random), count: max(0, length))
      if Bool.random(using: &random) { bytes.append(0x0D) }
      bytes.append(0x0A)
    }
    if seed % 2 == 1 { bytes.removeLast() }
    let expected = expectedLines(bytes)
    let scratch = Scratch()
    let plain = scratch.path + "/in.jsonl"
    Scratch.write(plain, bytes)
    let packed = scratch.path + "/in"
    let half = bytes.count / 2
    Scratch.write(packed, compressed(Array(bytes[..<half])) + compressed(Array(bytes[half...])))
    for path in [plain, packed] {
      for maxRecords in [3, 1000, 1 << 20] {
        expectEqual(
          try readLines(FileInput(path: path), maxRecords: maxRecords), expected,
          "\(path) by \(maxRecords)")
      }
    }
  }

  @Test("Seeking goes to a line, forward and back")
  func seek() throws {
    let scratch = Scratch()
    let path = scratch.path + "/in.jsonl"
    Scratch.write(path, (1...5000).map { "line \($0)\n" }.joined())
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    for target in [4000, 17, 18, 5000, 1] as [Int64] {
      try input.seek(to: target)
      #expect(try input.fetch(into: chunk, maxRecords: 10) == .records)
      #expect(chunk.records.first?.offset == target)
      #expect(String(decoding: chunk.records[0].value, as: UTF8.self) == "line \(target)")
    }
    try input.seek(to: 6000)
    #expect(try input.fetch(into: chunk, maxRecords: 10) == .end)
  }

  @Test("A line up to 16 MiB is whole; a longer one is its beginning and its length")
  func longLines() throws {
    let scratch = Scratch()
    let path = scratch.path + "/in.jsonl"
    let whole = [UInt8](repeating: 0x61, count: 5 << 20)
    let long = [UInt8](repeating: 0x62, count: 40 << 20)
    Scratch.write(path, [0x78, 0x0A] + whole + [0x0A] + long + [0x0D, 0x0A, 0x79, 0x0A] + long)
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    var seen: [(Int64, Int, UInt8)] = []
    var truncated: [TruncatedRecord] = []
    while try input.fetch(into: chunk, maxRecords: 100) == .records {
      for record in chunk.records {
        seen.append((record.offset, record.value.count, record.value[0]))
      }
      truncated += chunk.truncated
      #expect(chunk.storage.count <= 64 << 20)
    }
    let prefix = FileInput.truncatedBytes
    let expected: [(Int64, Int, UInt8)] = [
      (1, 1, 0x78), (2, 5 << 20, 0x61), (3, prefix, 0x62), (4, 1, 0x79), (5, prefix, 0x62),
    ]
    #expect(seen.elementsEqual(expected, by: ==))
    #expect(
      truncated == [
        TruncatedRecord(offset: 3, length: 40 << 20), TruncatedRecord(offset: 5, length: 40 << 20),
      ])
  }

  @Test("A cut or damaged zstd file gives the lines before and then says where it broke")
  func brokenZstd() throws {
    let scratch = Scratch()
    let path = scratch.path + "/in.jsonl.zst"
    let bytes = Array(
      (1...50_000).map { "{\"id\":\($0),\"x\":\($0 * 7919 % 10_007)}\n" }.joined().utf8)
    let whole = compressed(bytes)
    let expected = expectedLines(bytes)
    for cut in [5, whole.count / 2, whole.count - 1] {
      Scratch.write(path, Array(whole[..<cut]))
      let input = try FileInput(path: path)
      let chunk = RecordChunk()
      var count = 0
      let error = #expect(throws: LogError.self) {
        while try input.fetch(into: chunk, maxRecords: 1000) == .records {
          for record in chunk.records {
            #expect(Array(record.value) == expected[count].1)
            count += 1
          }
        }
      }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("byte \(cut)") == true, "\(error?.message ?? "")")
      #expect(cut < 100 || count > 0)
      // It stays broken.
      #expect(throws: LogError.self) { try input.fetch(into: chunk, maxRecords: 10) }
    }
    Scratch.write(path, whole + Array("garbage".utf8))
    let input = try FileInput(path: path)
    var count = 0
    let chunk = RecordChunk()
    let error = #expect(throws: LogError.self) {
      while try input.fetch(into: chunk, maxRecords: 1000) == .records {
        count += chunk.records.count
      }
    }
    #expect(count == expected.count)
    #expect(error?.kind == .badData)
  }

  @Test("Missing files and directories say what to do")
  func wrongPaths() throws {
    let scratch = Scratch()
    let missing = #expect(throws: LogError.self) { try FileInput(path: scratch.path + "/no.jsonl") }
    #expect(missing?.kind == .missing)
    let directory = #expect(throws: LogError.self) { try FileInput(path: scratch.path) }
    #expect(directory?.kind == .configuration)
    #expect(directory?.message.contains("*.jsonl") == true)
  }

  @Test(
    "Random bytes and damaged zstd never crash and never invent a line", arguments: [21] as [UInt64]
  )
  func fuzz(seed: UInt64) throws {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let scratch = Scratch()
    let path = scratch.path + "/in"
    let good = Array((1...300).map { "{\"id\":\($0)}\n" }.joined().utf8)
    let lines = expectedLines(good).map(\.1)
    for _ in 0..<300 {
      var bytes = compressed(good)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 4..<bytes.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      Scratch.write(path, bytes)
      let input = try FileInput(path: path)
      let chunk = RecordChunk()
      do {
        var count = 0
        while try input.fetch(into: chunk, maxRecords: 50) == .records {
          count += chunk.records.count
        }
        #expect(count <= lines.count * 1000)
      } catch {
        #expect(error.kind == .badData)
      }
    }
  }
}
