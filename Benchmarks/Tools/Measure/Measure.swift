import LocalLog
import Simulation
import Streaming
import Support

#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  @preconcurrency import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// What bidmill does on this machine, in one run beside what the machine does: numbers that can be
// compared although the machine is shared, because what they are compared with was measured in
// the same minutes. Nothing passes or fails here; `measure count` is the part that can.

@main
enum Measure {
  static func main() {
    do {
      var arguments = Array(CommandLine.arguments.dropFirst())
      switch arguments.first {
      case "work": try Work.run(Array(arguments.dropFirst()))
      case "--help", "-h": print(usage)
      case "delay": try DelayReport.run(Array(arguments.dropFirst()))
      case "count": try Counting.run(Array(arguments.dropFirst()))
      default: try report(&arguments)
      }
    } catch {
      fputs("measure: \(error)\n", stderr)
      exit(1)
    }
  }

  static let usage = """
    usage: measure [--events N] [--rounds N] [--state MIB] [--directory DIR] [--only PART]
           measure count [--update]
           measure delay [--seeds N] [--days N] [--impressions PER-DAY] [--directory DIR]
      PART: reading, learner, latency, cores, snapshot
    """

  private static func report(_ arguments: inout [String]) throws {
    var settings = Report.Settings()
    while !arguments.isEmpty {
      let option = arguments.removeFirst()
      guard !arguments.isEmpty else { throw BenchmarkFailure(usage) }
      let value = arguments.removeFirst()
      switch (option, Int(value)) {
      case ("--events", let count?): settings.events = count
      case ("--rounds", let count?): settings.rounds = max(count, 1)
      case ("--state", let count?): settings.stateMebibytes = count
      case ("--directory", _): settings.directory = value
      case ("--only", _): settings.only = value
      default: throw BenchmarkFailure(usage)
      }
    }
    let report = Report(settings)
    report.machine()
    if settings.only ?? "reading" == "reading" { try report.reading() }
    if settings.only ?? "learner" == "learner" { try LearnerCost.report(settings) }
    if settings.only ?? "latency" == "latency" { try Latency.report(settings) }
    if settings.only ?? "cores" == "cores" { try report.cores() }
    if settings.only ?? "snapshot" == "snapshot" { try report.snapshot() }
  }
}
