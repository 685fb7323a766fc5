import Testing

@testable import bidmill

// Commands that only look: describe, validate, inspect, help; and generate.

@Suite struct DescribeTests {
  let work = Workplace()

  @Test func describesInThreeForms() {
    let text = work.run("describe", Workplace.tally)
    #expect(text.status == 0, "\(text.errors)")
    #expect(text.output.hasPrefix("topology   tally\n"))
    #expect(text.output.contains("unique"))
    #expect(
      work.run("describe", Workplace.tally, "--format", "mermaid").output.hasPrefix(
        "flowchart LR\n"))
    #expect(
      work.run("describe", Workplace.tally, "--format", "dot").output.hasPrefix(
        "digraph \"tally\" {\n"))
    let changed = work.run("describe", Workplace.tally, "--set", "operators.totals.every=7s")
    #expect(changed.output.contains("every: 7s"))
  }

  @Test func explainsSettings() {
    let all = work.run("describe", "--settings")
    #expect(all.status == 0)
    #expect(all.output.contains("deduplicate") && all.output.contains("every"))
    let own = work.run("describe", "--settings", Workplace.tally)
    #expect(own.status == 0)
    #expect(own.output.contains("within"))
  }

  @Test func saysWhatIsWrong() {
    work.write("bad.yaml", "topology: tally\nsources: {}\noperators: []\n")
    let cases: [([String], Int32, String)] = [
      (["describe"], 64, "--settings"),
      (["describe", "none.yaml"], 66, "none.yaml"),
      (["describe", "bad.yaml"], 78, "bad.yaml:2:"),
      (["describe", Workplace.tally, "--format", "pdf"], 64, "pdf"),
      (["describe", "--settings", "--set", "a=b"], 64, "--set"),
      (["describe", "."], 66, "."),
      (["nothing"], 64, "nothing"),
    ]
    for (arguments, status, message) in cases {
      let outcome = work.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
  }

  @Test func helpTeachesEveryCommand() {
    let root = work.run("--help")
    #expect(root.status == 0)
    for status in ["0", "64", "65", "66", "69", "70", "78"] {
      #expect(root.output.contains("  \(status)  "), "\(status)")
    }
    #expect(work.run().status == 0)
    #expect(work.run("--version").output == "\(Bidmill.version)\n")
    let commands = [
      ["demo"], ["run"], ["replay"], ["simulate"], ["describe"], ["validate"], ["inspect"], ["log"],
      ["generate"], ["log", "info"], ["log", "cat"], ["log", "import"], ["log", "export"],
      ["log", "verify"],
    ]
    for command in commands {
      let help = work.run(command + ["--help"])
      #expect(help.status == 0, "\(command)")
      let example = "  bidmill " + command.joined(separator: " ")
      #expect(help.output.contains(example), "\(command): an example")
    }
  }
}

@Suite struct ValidateTests {
  let work = Workplace()

  @Test func passesWhatIsRight() {
    work.run("generate", "--out", "events.jsonl", "-q", "--events", "500", "--bad", "0")
    let outcome = work.run("validate", "events.jsonl", Workplace.tally)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.lines.first == "events.jsonl: 500 events, ok")
    #expect(outcome.lines.last == "2 files, 0 problems")
  }

  @Test func placesEveryProblemOfEvents() {
    let good = #"{"type":"click","id":"c1","time":1,"account":"a","campaign":"c","ad":"d"}"#
    let lines = [
      good, "{", good, #"{"type":"click","id":"c1","time":1,"account":"a","campaign":"c"}"#, "",
      #"{"type":"clack","id":"c1"}"#,
    ]
    work.write("events.jsonl", lines.joined(separator: "\n"))
    let outcome = work.run("validate", "events.jsonl")
    #expect(outcome.status == 65)
    #expect(outcome.lines.count == 4)
    #expect(outcome.lines[0].hasPrefix("events.jsonl:2: malformed_json: "))
    #expect(outcome.lines[1].hasPrefix("events.jsonl:4: missing_field (ad): "))
    #expect(outcome.lines[2].hasPrefix("events.jsonl:6: unknown_type (type): "))
    #expect(
      outcome.lines[3]
        == "events.jsonl: 5 events, 3 problems (malformed_json 1, missing_field 1, unknown_type 1)")

    let limited = work.run("validate", "--limit", "1", "events.jsonl")
    #expect(limited.status == 65)
    #expect(limited.lines.count == 3)
    #expect(limited.lines[1] == "… and 2 problems more (see --limit)")

    let json = work.run("validate", "--json", "-", input: work.text("events.jsonl"))
    #expect(json.status == 65)
    #expect(json.member("problems") == "3")
    #expect(json.member("reason") == "\"malformed_json\"")
  }

  @Test func placesEveryProblemOfTopologies() {
    work.write(
      "bad.yaml", "topology: tally\nsources:\n  events: { log: { directory: d } }\nwhat: 1\n")
    let outcome = work.run("validate", "bad.yaml")
    #expect(outcome.status == 78)
    #expect(outcome.output.contains("bad.yaml:4:1: error: "))
    #expect(work.run("validate", "none.yaml").status == 66)
    #expect(work.run("validate", "none.jsonl").status == 66)
    // The rest is looked at even so, and the gravest counts.
    work.write("bad.jsonl", "{\n")
    let all = work.run("validate", "bad.jsonl", "bad.yaml", "none.jsonl")
    #expect(all.status == 66)
    #expect(all.output.contains("bad.jsonl:1: "))
    #expect(work.run("validate", "bad.jsonl", "bad.yaml").status == 78)
    #expect(work.run("validate", ".").status == 78)
    #expect(work.run("validate").status == 64)
  }
}

@Suite struct InspectTests {
  let work = Workplace()

  private func snapshot() -> String {
    work.run("generate", "--out", "events.jsonl", "-q", "--events", "2000")
    work.run(
      "replay", Workplace.tally, "--from", "events.jsonl", "--out", "out", "-q",
      "--snapshot-at-end", "snapshots")
    return work.files("snapshots").first ?? ""
  }

  @Test func showsWhatASnapshotHolds() {
    let path = snapshot()
    let text = work.run("inspect", path)
    #expect(text.status == 0, "\(text.errors)")
    #expect(text.output.contains("next offset 2,001"))
    #expect(text.output.contains("deduplicate 1"))
    #expect(text.output.contains("all match"))
    let json = work.run("inspect", "--json", path)
    #expect(json.status == 0)
    #expect(json.member("next_offset") == "2001")
    #expect(json.member("topology") == "\"tally\"")
    #expect(json.member("clock") == "1767830400000")
    #expect(json.member("bytes") == "\(work.read(path).count)")
  }

  @Test func findsDamageAnywhere() {
    let bytes = work.read(snapshot())
    #expect(bytes.count > 1000)
    for place in [0, 9, 40, bytes.count / 2, bytes.count - 1] {
      var damaged = bytes
      damaged[place] ^= 0x10
      work.write("damaged.snapshot", damaged)
      let outcome = work.run("inspect", "damaged.snapshot")
      #expect(outcome.status == 65, "byte \(place)")
      #expect(outcome.errors.contains("damaged.snapshot"), "byte \(place)")
    }
    work.write("cut.snapshot", Array(bytes.dropLast(5)))
    let cut = work.run("inspect", "cut.snapshot")
    #expect(cut.status == 65)
    #expect(cut.errors.contains("cut"))
    work.write("empty.snapshot", "")
    #expect(work.run("inspect", "empty.snapshot").status == 65)
    #expect(work.run("inspect", "none.snapshot").status == 66)
    #expect(work.run("inspect", "snapshots").status == 66)
  }
}

@Suite struct GenerateTests {
  let work = Workplace()

  @Test func isTheSameOnEveryRun() {
    let first = work.run("generate", "--out", "-", "--events", "300", "--seed", "5")
    let second = work.run("generate", "--out", "-", "--events", "300", "--seed", "5")
    #expect(first.status == 0)
    #expect(first.lines.count == 300)
    #expect(first.output == second.output)
    let other = work.run("generate", "--out", "-", "--events", "300", "--seed", "6")
    #expect(other.output != first.output)
  }

  @Test func saysWhatIsWrong() {
    work.write("there.jsonl", "kept\n")
    let cases: [([String], Int32, String)] = [
      (["generate"], 64, "--out"),
      (["generate", "--out", "x.jsonl", "--accounts", "0"], 64, "--accounts"),
      (["generate", "--out", "x.jsonl", "--events", "-1"], 64, "--events"),
      (["generate", "--out", "there.jsonl"], 78, "--overwrite"),
      (["generate", "--out", "none/x.jsonl"], 66, "none/x.jsonl"),
      (["generate", "--out", "."], 78, "directory"),
    ]
    for (arguments, status, message) in cases {
      let outcome = work.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
    #expect(work.text("there.jsonl") == "kept\n")
    #expect(
      work.run("generate", "--out", "there.jsonl", "--overwrite", "--events", "5").status == 0)
    #expect(work.lines("there.jsonl").count == 5)
  }

  #if os(Linux)
    @Test func aFullDiskIsReported() {
      let outcome = work.run("generate", "--out", "/dev/full", "--events", "2000")
      #expect(outcome.status == 69)
      #expect(outcome.errors.contains("No space left"))
    }
  #endif

  @Test func aReaderThatLeavesEndsItQuietly() {
    work.run("generate", "--out", "events.jsonl", "-q", "--events", "5000")
    work.run("log", "import", "data", "events.jsonl", "-q")
    for command in ["generate --out - --events 100000", "log cat data events"] {
      let outcome = work.shell(
        "set -o pipefail; \(Workplace.executable) \(command) 2>errors | head -1 >first; echo $?")
      #expect(outcome.output == "0\n", "\(command)")
      #expect(work.lines("first").count == 1, "\(command)")
      #expect(work.text("errors").isEmpty, "\(command): \(work.text("errors"))")
    }
  }
}
