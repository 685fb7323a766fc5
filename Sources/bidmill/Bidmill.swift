import ArgumentParser
import Streaming

// The command line: what a person or a script types, and what they read back. `Commands` has one
// file a command, `Runs` what commands share to open topologies, inputs and runs, `Terminal` how
// text reaches a terminal or a pipe. Nothing here computes results: that is the libraries' work.

@main
struct Bidmill: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "bidmill",
    abstract: "Streams what happens to ads through a topology of operators.",
    discussion: """
      A topology is a YAML file: where events come from, what happens to them, where results go. \
      `run` works on it for good, `replay` takes it over a history as fast as it goes, and both \
      give the same results for the same events.

      Begin with

        bidmill demo
        bidmill describe Topologies/tally.yaml
        bidmill generate --out events.jsonl
        bidmill replay Topologies/tally.yaml --from events.jsonl --out results

      Results go to standard output, progress and messages to standard error. `--json` gives \
      results to programs, `--quiet` leaves progress out.

      EXIT STATUS
         0  done
        64  usage: an option or argument is wrong
        65  bad data: events, a log or a snapshot that break their format
        66  input missing: a file, topic or log that is not there or cannot be read
        69  unavailable: a disk that is full, a log that another process writes, no broker
        70  a bug of bidmill
        78  configuration: a topology or its use that does not fit
      """,
    version: version,
    subcommands: [
      Demo.self, Run.self, Replay.self, Simulate.self, Explain.self, Describe.self, Validate.self,
      Inspect.self, Log.self, Topics.self,
      Generate.self, Load.self,
    ])

  static func main() {
    Terminal.ignoreClosedPipes()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      failure.exit()
    } catch let error as LogError {
      Failure(error).exit()
    } catch let error as TopologyError {
      Failure(error).exit()
    } catch {
      exit(withError: error)
    }
  }
}
