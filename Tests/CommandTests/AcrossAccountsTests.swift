import Testing

/// The shipped topologies of learning across accounts, from events to new accounts' predictions.
@Suite struct AcrossAccountsTests {
  private let work = Workplace()
  private let environment = [
    "IDENTITY_KEY": "k", "FEDERATION_KEY": "f", "LEARNING_LOG": "data",
  ]

  private static let source = (
    off: """
      # priors:
      #   log: { directory: "${LEARNING_LOG:-data}", topics: [priors] }
      #   trusted: true
    """,
    on: """
      priors:
        log: { directory: "${LEARNING_LOG:-data}", topics: [priors] }
        trusted: true
    """
  )
  private static let from = (
    off: "from: [journeys, credits]", on: "from: [journeys, credits, priors]"
  )
  private static let sink = (
    off: "  # updates:\n  #   from: learner\n  #   log: { topic: updates }",
    on: "  updates:\n    from: learner\n    log: { topic: updates }"
  )
  private static let enabled = (
    off: "federate: { enabled: false,", on: "federate: { enabled: true,"
  )

  /// `learning.yaml` as its comments say it is turned on.
  private func turnedOn(_ name: String, _ changes: [(off: String, on: String)]) throws -> String {
    var text = String(
      decoding: Workplace.read(Workplace.repository + "/Topologies/learning.yaml"), as: UTF8.self)
    for change in changes {
      try #require(text.contains(change.off), "\(change.off)")
      text = text.replacing(change.off, with: change.on)
    }
    work.write(name, text)
    return name
  }

  private func generate(
    _ name: String, accounts: Int, each: Int = 500, seed: Int, start: String
  ) {
    let made = work.run(
      "generate", "--out", name, "-q", "--events", "\(accounts * each)", "--accounts",
      "\(accounts)", "--seed", "\(seed)", "--start", start, "--duration", "8d")
    #expect(made.status == 0, "\(made.errors)")
  }

  private func replay(_ topology: String, from files: [String], out: String, _ more: String...) {
    let outcome = work.run(
      ["replay", topology, "--from"] + files + ["--out", out, "-q"] + more,
      environment: environment)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  /// First predictions of accounts by number, without their place in the log.
  private func predictions(_ out: String) -> [String: [Substring]] {
    var found: [String: [Substring]] = [:]
    for line in work.lines("\(out)/predictions.jsonl") where !line.contains(#""click":"#) {
      guard let account = line.firstRange(of: #"{"account":""#),
        let rates = line.firstRange(of: #""pctr":"#)
      else { continue }
      let name = line[account.upperBound...].prefix { $0 != "\"" }
      found[String(name), default: []].append(line[rates.lowerBound...])
    }
    return found
  }

  @Test func newAccountsBeginWithWhatOthersLearned() throws {
    let learning = try turnedOn("on.yaml", [Self.source, Self.from, Self.sink, Self.enabled])
    let federate = Workplace.repository + "/Topologies/federate.yaml"
    let settings = ["operators.common.accounts_min=4", "operators.common.noise=0"]
    // Few of these clicks name an impression: an account has some seven positive labels.
    generate("old.jsonl", accounts: 6, each: 1_500, seed: 1, start: "2026-01-01T00:00:00Z")
    replay(learning, from: ["old.jsonl"], out: "first")
    #expect(work.lines("first/updates.jsonl").count == 6)
    for partitions in ["1", "3"] {
      replay(
        federate, from: ["first/updates.jsonl"], out: "common\(partitions)", "--partitions",
        partitions, "--set", settings[0], "--set", settings[1])
    }
    let priors = work.lines("common1/priors.jsonl")
    try #require(priors.count == 1)
    #expect(priors[0].contains(#""kind":"prior""#) && priors[0].contains(#""accounts":6,"#))
    // A group's updates are together, whatever the number of partitions.
    #expect(work.lines("common3/priors.jsonl") == priors)

    generate("new.jsonl", accounts: 8, seed: 2, start: "2026-01-10T00:00:00Z")
    let files = ["old.jsonl", "new.jsonl"]
    replay(learning, from: files, out: "without")
    for partitions in ["1", "3"] {
      replay(
        learning, from: files + ["common1/priors.jsonl"], out: "with\(partitions)", "--partitions",
        partitions)
    }
    let (without, with) = (predictions("without"), predictions("with1"))
    #expect(without.count == 8 && with.count == 8)
    #expect(predictions("with3") == with)
    var changed = 0
    for (account, rates) in without {
      if with[account] != rates {
        changed += 1
        #expect(with[account]?.first != rates.first)
      }
    }
    #expect(changed == 2)
  }

  /// In a local log, one topology after the other makes the topic that the next one reads.
  @Test(arguments: [1, 2]) func runsGoRoundInALocalLog(_ partitions: Int) throws {
    generate("old.jsonl", accounts: 8, seed: 1, start: "2026-01-01T00:00:00Z")
    let first = try turnedOn("first.yaml", [Self.sink, Self.enabled])
    let second = try turnedOn("second.yaml", [Self.source, Self.from, Self.sink, Self.enabled])
    let imported = work.run(
      "log", "import", "data", "--topic", "events", "--partitions", "\(partitions)", "old.jsonl",
      "-q")
    #expect(imported.status == 0, "\(imported.errors)")
    func run(_ topology: String, _ more: String...) -> Outcome {
      let outcome = work.run(
        ["run", topology, "-q", "--json", "--exit-when-idle", "200ms"] + more,
        environment: environment)
      #expect(outcome.status == 0, "\(outcome.errors)")
      return outcome
    }
    #expect(run(first).member("updates") == "8")
    let common = run(
      Workplace.repository + "/Topologies/federate.yaml", "--set",
      "operators.common.accounts_min=\(partitions == 1 ? 8 : 2)", "--set",
      "operators.common.wait=1s", "--set", "operators.common.noise=0")
    if partitions == 1 {
      #expect(common.member("events") == "8" && common.member("dead_letters") == "0")
    } else {
      // Where they do not come together, those of other partitions are refused.
      let refused = Int(common.member("dead_letters") ?? "") ?? 0
      #expect(refused > 0 && refused < 8, "\(common.output)")
    }
    #expect(run(second).member("predictions") == "0")
  }

  /// Not from whoever likes.
  @Test func priorsNeedATrustedSource() {
    work.write(
      "prior.jsonl",
      #"{"type":"prior","id":"p","time":1767225600000,"kind":"prior","payload":{}}"# + "\n")
    replay(
      Workplace.repository + "/Topologies/learning.yaml", from: ["prior.jsonl"], out: "refused")
    let refused = work.lines("refused/dead_letters.jsonl")
    #expect(refused.count == 1 && refused[0].contains("trusted: true"))
  }
}
