import Support

#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  @preconcurrency import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Instructions and allocations per event against the committed baseline.
///
/// Both are counted by valgrind, from outside: instructions by cachegrind without its caches, which
/// gives the same number on every run and needs no performance counters, which virtual machines
/// often lack; allocations by memcheck without its checks, which sees those of every kind and
/// thread. Where valgrind is not installed nothing is counted, and the run says so. Each number is
/// the difference of two runs, one of twice as many events, so what a process costs before its
/// first event is not in it.
///
/// The baseline, `Benchmarks/Baselines/per-event.txt`, belongs to a compiler's version and an
/// instruction set; wall time is not in it. When a number has changed on purpose:
///
///     make baseline       # writes it anew; commit it with the change that explains it
enum Counting {
  static let timesFew = 10
  /// A replay's tables grow, less and less often: enough events that it hardly shows.
  static let replayTimesFew = 50
  /// More than noise: another layout of the same code moves it by less.
  static let instructionsTolerance = 0.03
  /// Tables grow now and then: a handful of allocations in as many thousand events.
  static let allocationsTolerance = 0.002

  struct Count {
    var instructions: Double?
    var allocations: Double?
  }

  static func run(_ arguments: [String]) throws {
    let isUpdate = arguments == ["--update"]
    guard isUpdate || arguments.isEmpty else { throw BenchmarkFailure(Measure.usage) }
    setvbuf(stdout, nil, _IOLBF, 0)
    guard System.shell("command -v valgrind > /dev/null 2>&1") == 0 else {
      return print("nothing is counted: valgrind is not installed (apt-get install valgrind)")
    }
    // Valgrind gives up on some compilers' debugging information.
    defer { unlink(strippedProgram) }
    let isStripped = System.shell("strip -o \(strippedProgram) \(program) 2> /dev/null") == 0
    let counted = isStripped ? strippedProgram : program
    let baseline = readBaseline()
    var counts: [(name: String, count: Count)] = []
    var worse: [String] = []
    print("per event".padding(to: 22) + "instructions".padding(to: 28) + "allocations")
    for name in Work.names {
      let count = try measure(name, by: counted)
      counts.append((name, count))
      let known = baseline[name]
      print(
        name.padding(to: 22)
          + text(count.instructions, known?.instructions, digits: 1).padding(to: 28)
          + text(count.allocations, known?.allocations, digits: 4))
      worse += regressions(name, count, known)
    }
    if isUpdate { return try write(counts, baseline) }
    guard worse.isEmpty else {
      throw BenchmarkFailure(
        "worse than \(baselinePath):\n  " + worse.joined(separator: "\n  ")
          + "\nmake it better, or run `make baseline` and say in the commit why it is worth it")
    }
  }

  private static func regressions(_ name: String, _ count: Count, _ known: Count?) -> [String] {
    var found: [String] = []
    if let now = count.instructions, let before = known?.instructions,
      now > before * (1 + instructionsTolerance)
    {
      found.append("\(name): \(now.text(1)) instructions an event, \(before.text(1)) before")
    }
    if let now = count.allocations, let before = known?.allocations,
      now > before + allocationsTolerance
    {
      found.append("\(name): \(now.text(4)) allocations an event, \(before.text(4)) before")
    }
    return found
  }

  private static func text(_ now: Double?, _ before: Double?, digits: Int) -> String {
    guard let now else { return "-" }
    guard let before else { return now.text(digits) }
    return "\(now.text(digits)) (before: \(before.text(digits)))"
  }

  // MARK: Counting

  private static func measure(_ name: String, by program: String) throws -> Count {
    let isReplay = name.hasPrefix("replay")
    let few = isReplay ? replayTimesFew : timesFew
    if isReplay {
      try Work.makeReplayFile(few)
      try Work.makeReplayFile(2 * few)
    }
    let events = Double(few * Work.unit)
    func difference(_ count: (String) throws -> Double) rethrows -> Double {
      let one = try count("\(program) work \(name) \(few)")
      let two = try count("\(program) work \(name) \(2 * few)")
      return max(0, two - one) / events
    }
    return Count(
      instructions: try difference(instructions), allocations: try difference(allocations))
  }

  private static var program: String { "'\(CommandLine.arguments[0])'" }
  private static var strippedProgram: String { "/tmp/bidmill-measure-\(getpid())" }
  private static var outputPath: String { "/tmp/bidmill-measure-\(getpid()).txt" }

  private static func instructions(of command: String) throws -> Double {
    try number(
      after: "refs:",
      "valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "
        + command)
  }

  private static func allocations(of command: String) throws -> Double {
    try number(
      after: "total heap usage:",
      "valgrind --tool=memcheck --leak-check=no --undef-value-errors=no " + command)
  }

  /// The number behind a word of what a command writes to its error output.
  private static func number(after word: String, _ command: String) throws -> Double {
    defer { unlink(outputPath) }
    let status = System.shell("\(command) > /dev/null 2> \(outputPath)")
    let output = text(of: outputPath)
    let line = output.split(separator: "\n").first { $0.contains(word) } ?? ""
    let rest = line[(line.firstRange(of: word)?.upperBound ?? line.endIndex)...]
    let digits = rest.drop { $0 == " " }.prefix { $0.isNumber || $0 == "," }
    guard status == 0, let number = Double(String(digits.filter { $0 != "," })) else {
      throw BenchmarkFailure("counting failed: \(command)\n\(output.suffix(2_000))")
    }
    return number
  }

  private static func text(of path: String) -> String {
    guard let file = fopen(path, "rb") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
  }

  // MARK: The baseline

  private static let baselinePath =
    #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    + "/Baselines/per-event.txt"

  private static func readBaseline() -> [String: Count] {
    var counts: [String: Count] = [:]
    for line in text(of: baselinePath).split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      guard words.count == 3 else { continue }
      counts[String(words[0])] = Count(
        instructions: Double(words[1]), allocations: Double(words[2]))
    }
    return counts
  }

  /// What could not be counted here stays as it was.
  private static func write(
    _ counts: [(name: String, count: Count)], _ before: [String: Count]
  ) throws {
    guard let file = fopen(baselinePath, "wb") else {
      throw BenchmarkFailure("\(baselinePath) cannot be written")
    }
    defer { fclose(file) }
    fputs(
      """
      # Per event: instructions and allocations, counted by valgrind; x86-64, release build.
      # Checked by `make bench`; written by `make baseline`.

      """, file)
    for (name, count) in counts {
      let instructions = count.instructions ?? before[name]?.instructions
      let allocations = count.allocations ?? before[name]?.allocations
      fputs(
        name.padding(to: 22) + (instructions?.text(1) ?? "-").padding(to: 12)
          + (allocations?.text(4) ?? "-") + "\n", file)
    }
    print("written: \(baselinePath)")
  }
}
