import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// The command line as its users have it: the built executable, run as a process in a scratch
// directory, with its exit status, its output and its files looked at.

/// What a command left behind.
struct Outcome {
  /// The exit status; minus the signal's number where a signal ended it.
  var status: Int32
  var output: String
  var errors: String

  var lines: [Substring] { output.split(separator: "\n") }
}

/// A scratch directory that commands run in; removed when the test is over.
final class Workplace {
  let path: String
  private var commands = 0

  init() {
    var template = Array("/tmp/bidmill-command-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) } != nil
    }
    precondition(made, "a scratch directory can be made")
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Workplace.removeTree(path) }

  /// The executable stands beside the tests' own, wherever that was built.
  static let executable: String = {
    var path = CommandLine.arguments[0]
    #if os(Linux)
      var buffer = [CChar](repeating: 0, count: 4096)
      let count = readlink("/proc/self/exe", &buffer, buffer.count)
      if count > 0 {
        path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }
    #endif
    while let slash = path.lastIndex(of: "/") {
      path = String(path[..<slash])
      if access(path + "/bidmill", X_OK) == 0, !Workplace.isDirectory(path + "/bidmill") {
        return path + "/bidmill"
      }
    }
    preconditionFailure("bidmill is built beside the tests")
  }()

  /// The repository, for the topologies that are shipped.
  static let repository: String = {
    // Tests/CommandTests/Command.swift
    var path = #filePath
    for _ in 0..<3 { path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }
    return path
  }()

  static var tally: String { repository + "/Topologies/tally.yaml" }

  // MARK: Commands

  /// Runs a command to its end.
  @discardableResult
  func run(
    _ arguments: String..., input: String? = nil, environment: [String: String] = [:]
  ) -> Outcome {
    run(arguments, input: input, environment: environment)
  }

  func run(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
  ) -> Outcome {
    start(arguments, input: input, environment: environment).wait()
  }

  /// Runs a line of the shell in the scratch directory.
  func shell(_ line: String) -> Outcome {
    start(["-c", line], program: "/bin/bash").wait()
  }

  /// Starts a command; the caller waits for it.
  func start(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:],
    program: String = Workplace.executable
  ) -> Running {
    commands += 1
    let files = "\(path)/.command-\(commands)"
    if let input { write(".command-\(commands).in", input) }
    return Running(
      program: program, arguments: arguments, directory: path,
      input: input == nil ? "/dev/null" : files + ".in",
      output: files + ".out", errors: files + ".err",
      environment: environment.merging(
        // Tests run side by side, and a port belongs to one process.
        ["TALLY_LOG": path + "/data", "TALLY_STATE": path + "/state", "BIDMILL_HTTP": "off"],
        uniquingKeysWith: { a, _ in a }))
  }

  // MARK: Files

  func read(_ name: String) -> [UInt8] { Workplace.read(path + "/" + name) }

  func text(_ name: String) -> String { String(decoding: read(name), as: UTF8.self) }

  func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }

  func exists(_ name: String) -> Bool { access(path + "/" + name, F_OK) == 0 }

  func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }

  func write(_ name: String, _ bytes: [UInt8]) {
    guard let file = fopen(path + "/" + name, "wb") else {
      preconditionFailure("\(path)/\(name) can be written")
    }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }

  func makeDirectory(_ name: String) { mkdir(path + "/" + name, 0o755) }

  /// Files below a directory, by their path in it.
  func files(_ name: String) -> [String] {
    Workplace.names(path + "/" + name).flatMap { child -> [String] in
      let below = name + "/" + child
      return Workplace.isDirectory(path + "/" + below) ? files(below) : [below]
    }
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

  private static func names(_ path: String) -> [String] {
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

  private static func removeTree(_ path: String) {
    for name in names(path) {
      let child = path + "/" + name
      if isDirectory(child) { removeTree(child) } else { unlink(child) }
    }
    rmdir(path)
  }
}

/// A command at work.
final class Running {
  let pid: pid_t
  private let outputFile: String
  private let errorFile: String
  private var status: Int32?

  /// A command that has not ended by then never will.
  private static let patienceSeconds = 120

  init(
    program: String, arguments: [String], directory: String, input: String, output: String,
    errors: String,
    environment: [String: String]
  ) {
    outputFile = output
    errorFile = errors
    // The system offers no working directory for a new process, so a shell goes there first.
    let words =
      ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory, program]
      + arguments
    var variables = environment.map { "\($0)=\($1)" }
    for name in ["PATH", "LD_LIBRARY_PATH", "HOME"] {
      if let value = getenv(name) { variables.append("\(name)=\(String(cString: value))") }
    }
    var actions = Running.emptyActions()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
    var child = pid_t()
    let code = posix_spawn(&child, "/bin/sh", &actions, nil, &argv, &envp)
    posix_spawn_file_actions_destroy(&actions)
    for pointer in argv + envp { free(pointer) }
    precondition(code == 0, "a process can be started: \(code)")
    pid = child
  }

  #if canImport(Darwin)
    private static func emptyActions() -> posix_spawn_file_actions_t? { nil }
  #else
    private static func emptyActions() -> posix_spawn_file_actions_t {
      posix_spawn_file_actions_t()
    }
  #endif

  deinit {
    if status == nil {
      kill(pid, SIGKILL)
      var ignored: Int32 = 0
      waitpid(pid, &ignored, 0)
    }
  }

  var isRunning: Bool {
    guard status == nil else { return false }
    var word: Int32 = 0
    guard waitpid(pid, &word, WNOHANG) == pid else { return true }
    status = Running.status(word)
    return false
  }

  func send(_ signal: Int32) { if status == nil { kill(pid, signal) } }

  var errors: String { String(decoding: Workplace.read(errorFile), as: UTF8.self) }

  func wait() -> Outcome {
    var waited = 0
    while isRunning {
      usleep(2_000)
      waited += 1
      if waited > Running.patienceSeconds * 500 {
        Issue.record("the command did not end; it is killed. It said: \(errors)")
        kill(pid, SIGKILL)
      }
    }
    return Outcome(
      status: status ?? -1,
      output: String(decoding: Workplace.read(outputFile), as: UTF8.self), errors: errors)
  }

  /// What `waitpid` says, as the exit status or minus the signal.
  private static func status(_ word: Int32) -> Int32 {
    word & 0x7f == 0 ? (word >> 8) & 0xff : -(word & 0x7f)
  }
}

extension Outcome {
  /// A member's value in a JSON output or summary, as it stands there.
  func member(_ name: String) -> String? { bidmillMember(name, in: output) }
}

/// The first value of a member with this name; for numbers, words and plain texts.
func bidmillMember(_ name: String, in json: String) -> String? {
  guard let range = json.firstRange(of: "\"\(name)\": ") else { return nil }
  return String(json[range.upperBound...].prefix { $0 != "," && $0 != "\n" && $0 != "}" })
}
