import Events
import LocalLog
import Streaming
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// What the tests of this target share: scratch directories, seeded records, damage to files.

/// A directory that is removed with everything in it when the test is over.
final class Scratch {
  let path: String

  init() {
    // In memory where there is such a place: these tests sync a lot.
    let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array((parent + "/bidmill-log-XXXXXX").utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) } != nil
    }
    precondition(made, "a scratch directory can be made")
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Scratch.removeTree(path) }

  static func names(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  static func isDirectory(_ path: String) -> Bool {
    var found = stat()
    return lstat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
  }

  /// Copies of this process's open descriptors of a file.
  static func copyDescriptors(of path: String) -> [Int32] {
    var file = stat()
    guard stat(path, &file) == 0 else { return [] }
    // All of them first: a copy is one of the file's too, and would be copied again.
    let found = (0..<getdtablesize()).filter { descriptor in
      var other = stat()
      return fstat(descriptor, &other) == 0 && other.st_dev == file.st_dev
        && other.st_ino == file.st_ino
    }
    return found.map { dup($0) }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func removeTree(_ path: String) {
    for name in names(path) {
      let child = path + "/" + name
      if isDirectory(child) { removeTree(child) } else { unlink(child) }
    }
    rmdir(path)
  }

  static func read(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  static func write(_ path: String, _ bytes: [UInt8]) {
    let file = fopen(path, "wb")
    precondition(file != nil, "\(path) can be written")
    if let file {
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
    }
  }

  static func write(_ path: String, _ text: String) { write(path, Array(text.utf8)) }

  static func copyTree(_ from: String, _ to: String) {
    mkdir(to, 0o755)
    for name in names(from) {
      let source = from + "/" + name
      if isDirectory(source) {
        copyTree(source, to + "/" + name)
      } else {
        write(to + "/" + name, read(source))
      }
    }
  }

  /// All files below a directory, sorted.
  static func files(_ path: String) -> [String] {
    names(path).flatMap { name -> [String] in
      let child = path + "/" + name
      return isDirectory(child) ? files(child) : [child]
    }
  }
}

/// Sebastiano Vigna's SplitMix64: the tests' only randomness.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z &>> 31)
  }
}

/// A record as the tests keep it.
struct Entry: Equatable, CustomStringConvertible {
  var offset: Int64
  var key: [UInt8]
  var value: [UInt8]
  var time: Int64

  init(_ record: LogRecord) {
    offset = record.offset
    key = Array(record.key)
    value = Array(record.value)
    time = record.appendTime
  }

  init(offset: Int64, key: [UInt8], value: [UInt8], time: Int64) {
    self.offset = offset
    self.key = key
    self.value = value
    self.time = time
  }

  var description: String { "#\(offset) \(key.count)+\(value.count) bytes at \(time)" }
}

func entries(count: Int, seed: UInt64, valueMax: Int = 400) -> [Entry] {
  var random = SplitMix64(seed: seed)
  return (0..<count).map { index in
    let words = ["impression", "click", "conversion", "campaign", "account", "price"]
    var value = Array("{\"id\":\(index)".utf8)
    let length = Int.random(in: 0...valueMax, using: &random)
    while value.count < length {
      value += Array(",\"\(words[Int.random(in: 0..<6, using: &random)])\":\(random.next())".utf8)
    }
    return Entry(
      offset: Int64(index), key: Array("account-\(Int.random(in: 0..<50, using: &random))".utf8),
      value: value, time: 1_700_000_000_000 + Int64(index) * 10)
  }
}

extension TopicAppender {
  func append(_ entry: Entry) throws {
    try entry.key.withUnsafeBytes { key in
      try entry.value.withUnsafeBytes { value in
        _ = try append(
          key: key, value: value, appendTime: entry.time, eventTime: entry.time - 1000)
      }
    }
  }
}

extension LocalLogReader {
  /// Everything that is visible from where the reader stands.
  func all(maxRecords: Int = 1000) throws -> [Entry] {
    let chunk = RecordChunk()
    var found: [Entry] = []
    while try fetch(into: chunk, maxRecords: maxRecords) == .records {
      #expect(!chunk.records.isEmpty && chunk.records.count <= maxRecords)
      found += chunk.records.map(Entry.init)
      #expect(chunk.nextOffset == nextOffset)
    }
    return found
  }
}

extension LocalLogStore {
  /// A log with one topic of one partition that holds `entries`.
  static func filled(
    _ path: String, _ entries: [Entry], options: LocalLogOptions, flushEvery: Int = 100
  ) throws -> LocalLogStore {
    let store = try LocalLogStore.open(path, creating: true, options: options)
    try store.createTopic("events", partitions: 1)
    let appender = try store.appender("events", partition: 0)
    for (index, entry) in entries.enumerated() {
      try appender.append(entry)
      if index % flushEvery == flushEvery - 1 { try appender.flush() }
    }
    try appender.close()
    return store
  }
}

extension Transaction {
  convenience init(
    _ number: Int64, next: [Int64], journal: [UInt8] = [], outputs: [(sink: Int, value: String)]
  ) {
    self.init()
    self.number = number
    self.nextOffsets = next
    self.journal = journal
    for output in outputs {
      self.outputs.append(sink: Int32(output.sink), time: EventTime(milliseconds: number * 1000)) {
        $0.unframed("k\(number)")
        $0.unframed(output.value)
        return "k\(number)".utf8.count
      }
    }
  }
}

func text(_ entries: [Entry]) -> [String] {
  entries.map { String(decoding: $0.value, as: UTF8.self) }
}

/// Runs blocking work on a thread of its own, never on Swift's cooperative pool.
enum OwnThread {
  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  static func run(_ body: @escaping @Sendable () -> Void) {
    let work = Unmanaged.passRetained(Work(body)).toOpaque()
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work)
    pthread_attr_destroy(&attributes)
    precondition(result == 0, "a thread can be made")
  }
}
