import Events
import FuzzKit
import LocalLog
import Streaming

// One file of JSON Lines, plain or compressed: however it is fetched, the same lines come with
// the same numbers; a plain file's are those that a slow, simple reading finds.

/// What one reading of the file gave.
private struct Reading: Equatable {
  var lines: [Line] = []
  var truncated: [TruncatedRecord] = []
  var failed = false
}

private struct Line: Equatable {
  var number: Int64
  var bytes: [UInt8]
}

private let path = Files.scratch() + "/lines"
/// A compressed file may hold far more than fuzzing has time for.
private let bytesMax = 48 << 20

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  let texts = ["a\nb\n", "\u{FEFF}{}\r\n\r\n \t\n{\"x\":1}", "", "\n\n\nlast", "a\r\r\nb"]
  var seeds = texts.map { Array($0.utf8) }
  for text in texts.map({ String(repeating: $0, count: 50) }) + texts {
    seeds.append(compressed(Array(text.utf8)))
  }
  seeds.append(compressed(Array("a\n".utf8)) + compressed(Array("b\n".utf8)))
  Seeds.write(seeds)
  return 0
}

/// As a replay's output would be.
private func compressed(_ bytes: [UInt8]) -> [UInt8] {
  do {
    let folder = path + ".out"
    let replay = try FileReplay.open(
      files: ["/dev/null"], source: "",
      outputs: [LogOutput(sink: "s", topic: "s", compacted: false)],
      to: .init(directory: folder, overwrite: true, compress: true))
    let transaction = Transaction()
    transaction.number = 1
    transaction.outputs.append(sink: 0, time: .earliest) {
      $0.unframed(String(decoding: bytes, as: UTF8.self))
      return 0
    }
    try replay.partitions[0].commit(transaction)
    try replay.finish()
    return Files.read(folder + "/s.jsonl.zst")
  } catch { found("seeds can be made: \(error)") }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func run(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  Files.write(path, bytes)
  let whole = read(maxRecords: 4096)
  for maxRecords in [1, 7] {
    let other = read(maxRecords: maxRecords)
    require(whole.failed == other.failed, "damage is damage however a file is read")
    // How much of a damaged frame comes before the error depends on how much is asked for.
    require(
      whole == other || whole.failed && isBeginning(whole.lines, other.lines),
      "lines by \(maxRecords) are the same lines")
  }
  let isCompressed = bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD])
  let isSkippable =
    count >= 4 && bytes[0] & 0xF0 == 0x50 && bytes[1...3].elementsEqual([0x2A, 0x4D, 0x18])
  if !isCompressed, !isSkippable {
    require(!whole.failed, "a plain file always reads")
    require(whole.lines == simple(Array(bytes)), "lines are what stands between line ends")
  }
  if let middle = whole.lines.dropFirst(whole.lines.count / 2).first {
    let rest = read(maxRecords: 4096, from: middle.number)
    let expected = whole.lines.filter { $0.number >= middle.number }
    require(
      rest.failed == whole.failed
        && (rest.lines == expected || rest.failed && isBeginning(rest.lines, expected)),
      "a reader that begins at line \(middle.number) finds the same lines")
  }
  return 0
}

/// One of the two begins the other.
private func isBeginning(_ one: [Line], _ other: [Line]) -> Bool {
  one.starts(with: other) || other.starts(with: one)
}

private func read(maxRecords: Int, from first: Int64? = nil) -> Reading {
  var reading = Reading()
  var total = 0
  let chunk = RecordChunk()
  do throws(LogError) {
    let input = try FileInput(path: path)
    if let first { try input.seek(to: first) }
    var next: Int64 = 0
    while try input.fetch(into: chunk, maxRecords: maxRecords) == .records {
      require(!chunk.records.isEmpty, "records means at least one")
      require(chunk.records.count <= maxRecords, "no more records than asked for")
      for record in chunk.records {
        require(record.offset > next, "line numbers rise")
        next = record.offset
        reading.lines.append(Line(number: record.offset, bytes: Array(record.value)))
        total += record.value.count
      }
      require(chunk.nextOffset > next, "the next line comes after the last")
      reading.truncated += chunk.truncated
      // Where a reading is given up does not depend on how it was cut.
      if total > bytesMax { found("a reading that is too long to compare: \(total) bytes") }
    }
  } catch {
    require(error.kind == .badData, "damage is bad data: \(error)")
    reading.failed = true
  }
  return reading
}

private func simple(_ bytes: [UInt8]) -> [Line] {
  var lines: [Line] = []
  var pieces = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
  if pieces.last?.isEmpty == true { pieces.removeLast() }
  for (index, piece) in pieces.enumerated() {
    var line = Array(piece)
    if line.last == 0x0D { line.removeLast() }
    if index == 0, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
    lines.append(Line(number: Int64(index + 1), bytes: line))
  }
  return lines
}
