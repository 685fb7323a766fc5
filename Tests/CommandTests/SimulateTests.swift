import Events
import Learning
import Simulation
import Testing

@testable import bidmill

/// A day, two campaigns, some ten thousand events.
private let smallWorld = """
  world: small
  seed: 3
  days: 1
  log: { heartbeat: 1m, lost_auctions: 0.05, duplicates: 0.01, bad_records: 0.002 }
  accounts:
    - name: one
      users: 500
      campaigns:
        - { name: boots, budget: 12, opportunities: 0.3, ads: 3, bid: { default: 0.008 } }
        - name: leads
          budget: 8
          opportunities: 0.2
          ads: 2
          bid: { default: 0.008 }
          click_rate: { mean: 0.05 }
          conversion_rate: { mean: 0.2 }
          deals: { stages: [{ name: won, chance: 0.5, after: 1h }] }

  """

private var live: String { Workplace.repository + "/" + ShippedTopology.livePath }
private var market: String { Workplace.repository + "/" + ShippedTopology.marketPath }

@Suite struct SimulateTests {
  let work = Workplace()

  init() { work.write("small.yaml", smallWorld) }

  @Test func aClosedLoopCanBeReplayed() throws {
    let run = work.run(
      "simulate", "small.yaml", "--topology", live, "--out", "market", "--verify", "-q")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("one/boots"))
    #expect(run.output.contains("to the last byte"))
    for name in ["events.jsonl.zst", "truth.json", "summary.json"] {
      #expect(work.exists("market/\(name)"), "\(name)")
    }
    let bids = work.run("log", "cat", "market/log", "bid-parameters", "--limit", "1")
    #expect(bids.output.contains("\"valid_until\":"))
    // The events as a file give the same state as the log.
    let replay = work.run(
      "replay", live, "--from", "market/events.jsonl.zst", "--out", "replayed", "--json", "-q")
    #expect(replay.status == 0, "\(replay.errors)")
    let digest = try #require(replay.member("digest"))
    #expect(work.text("market/summary.json").contains(digest))
  }

  @Test func theSameWorldGivesTheSame() {
    for (name, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
      let run = work.run(
        "simulate", "small.yaml", "--topology", live, "--out", name, "--seed", seed, "-q")
      #expect(run.status == 0, "\(run.errors)")
    }
    #expect(work.read("a/events.jsonl.zst") == work.read("b/events.jsonl.zst"))
    #expect(work.text("a/truth.json") == work.text("b/truth.json"))
    #expect(work.read("a/events.jsonl.zst") != work.read("c/events.jsonl.zst"))
  }

  @Test func eventsAloneNeedNoTopology() {
    let run = work.run("simulate", "small.yaml", "--out", "e", "--events-only", "--json", "-q")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.member("days") == "1")
    #expect(run.member("digest") == nil)
    let check = work.run("validate", "e/events.jsonl.zst", "--limit", "1")
    // Some of them are broken on purpose.
    #expect(check.status == 65)
    #expect(check.output.contains("missing_field") || check.errors.contains("missing_field"))
  }

  @Test func nothingIsReplacedUnasked() {
    let arguments = ["simulate", "small.yaml", "--out", "e", "--events-only", "-q"]
    #expect(work.run(arguments).status == 0)
    let second = work.run(arguments)
    #expect(second.status == 78)
    #expect(second.errors.contains("--overwrite"))
    #expect(work.run(arguments + ["--overwrite"]).status == 0)
    work.makeDirectory("mine")
    work.write("mine/precious", "x")
    let foreign = work.run(
      "simulate", "small.yaml", "--out", "mine", "--events-only", "--overwrite")
    #expect(foreign.status == 78)
    #expect(work.text("mine/precious") == "x")
  }

  @Test func optionsThatDoNotFitAreRefused() {
    #expect(work.run("simulate", "small.yaml").status == 64)
    #expect(work.run("simulate", "small.yaml", "--out", "o", "--seeds", "2").status == 64)
    #expect(work.run("simulate", "small.yaml", "--seeds", "2", "--events-only").status == 64)
    #expect(work.run("simulate", "small.yaml", "--out", "o", "--days", "0").status == 64)
    #expect(work.run("simulate", "none.yaml", "--out", "o", "--events-only").status == 66)
    // A topology that publishes no bids cannot bid.
    let tally = work.run("simulate", "small.yaml", "--topology", Workplace.tally, "--out", "o")
    #expect(tally.status == 78)
    #expect(tally.errors.contains("bid_parameters"))
  }

  @Test func seedsAreComparedWithConfidence() {
    // Without a topology it is the shipped one's copy.
    let run = work.run("simulate", "small.yaml", "--seeds", "3", "--json", "-q")
    #expect(run.status == 0, "\(run.errors)")
    for member in ["\"gain\"", "\"deviation\"", "\"beyond_bound\": 0", "\"seed\": 5"] {
      #expect(run.output.contains(member), "\(member)")
    }
  }

  @Test func everyProblemOfAWorldHasItsPlace() {
    let wrong = [
      ("days: 0\n", "bad.yaml:1:7:"),
      ("dayz: 3\n", "did you mean `days`"),
      ("start: soon\n", "bad.yaml:1:"),
      ("accounts: []\n", "at least one account"),
      ("accounts:\n  - name: a b\n", "bad.yaml:2:"),
      ("accounts: [{ name: a }, { name: a }]\n", "another account"),
      ("accounts:\n  - campaigns:\n      - timezone: Mars/Base\n", "bad.yaml:3:9:"),
      ("accounts: [{ campaigns: [{ hours: [1, 2] }] }]\n", "24"),
      ("accounts: [{ campaigns: [{ click_rate: { mean: 0.9 } }] }]\n", "bad.yaml:1:"),
      ("accounts: [{ campaigns: [{ budget: 0 }] }]\n", "`accounts[0].campaigns[0].budget`"),
      (
        "accounts: [{ campaigns: [{ deals: { stages: [{ name: \"a b\" }] } }] }]\n",
        "deals.stages[0].name"
      ),
      ("days: [1\n", "bad.yaml:"),
    ]
    for (text, expected) in wrong {
      work.write("bad.yaml", text)
      let run = work.run("simulate", "bad.yaml", "--out", "o", "--events-only")
      #expect(run.status == 78, "\(text)")
      #expect(run.errors.contains(expected), "\(text): \(run.errors)")
      #expect(!work.exists("o"), "\(text): nothing is begun")
    }
  }
}

@Suite struct WorldFileTests {
  @Test func whatAFileLeavesOutIsTheDefault() throws {
    var expected = MarketWorld()
    expected.accounts[0].name = "account-1"
    expected.accounts[0].campaigns[0].name = "campaign-1"
    var world = try WorldFile.parse("world: nothing", name: "test")
    // The zone of a file knows its changes, the default none.
    world.accounts[0].campaigns[0].zone = .utc
    #expect(world == expected)
  }

  @Test func theShippedWorldIsAsItSays() throws {
    let world = try WorldFile.load(market)
    #expect(world.accounts.map(\.name) == ["aurora", "borealis"])
    let campaigns = world.accounts.flatMap(\.campaigns)
    #expect(campaigns.map(\.zone.name).contains("America/New_York"))
    #expect(campaigns.count { $0.deals != nil } == 1)
    // New York's clocks go forward while it lasts.
    #expect(Set(campaigns.map(\.zone.changes.count)) == [1, 2])
  }
}

@Suite struct MarketExperimentTests {
  /// scipy 1.17.1: `exp(t.interval(0.95, 4, 0.3, sem([0.1, 0.2, 0.3, 0.4, 0.5])))`.
  @Test func gainIsAMeanOfRatiosWithItsInterval() throws {
    let runs = [0.1, 0.2, 0.3, 0.4, 0.5].map { gain in
      MarketExperiment.Run(
        seed: 1, spend: 1, roas: Elementary.exp(gain), baselineSpend: 1, baselineROAS: 1,
        events: 1, deviations: [], overspends: [])
    }
    let gain = try #require(ExperimentReport(runs: runs, days: 1, seconds: 1).gain)
    #expect(abs(gain.low - 1.1092406519186107) < 1e-9)
    #expect(abs(gain.mean - 1.3498588075760032) < 1e-9)
    #expect(abs(gain.high - 1.6426722165644223) < 1e-9)
    #expect(ExperimentReport(runs: [runs[0]], days: 1, seconds: 1).gain == nil)
  }
}

@Suite struct DemoTests {
  let work = Workplace()

  @Test func showsThatEverythingAgrees() {
    let outcome = work.run("demo", "--days", "1", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("aurora/sneakers"))
    #expect(outcome.output.contains("to the last byte"))
    #expect(outcome.output.contains("log cat demo/log"))
    // Away from the repository its own copies are run, and left there.
    #expect(work.text("demo/live.yaml") == ShippedTopology.live)
    #expect(work.text("demo/market.yaml") == ShippedTopology.market)
  }

  @Test func replacesNothingThatIsNotItsOwn() {
    work.makeDirectory("demo")
    work.write("demo/precious", "x")
    let outcome = work.run("demo", "--days", "1", "-q")
    #expect(outcome.status == 78)
    #expect(outcome.errors.contains("precious"))
    #expect(work.text("demo/precious") == "x")
    #expect(work.run("demo", "--days", "0").status == 64)
  }

  @Test func theBuiltInFilesAreTheShippedOnes() {
    #expect(Array(ShippedTopology.live.utf8) == Workplace.read(live))
    #expect(Array(ShippedTopology.market.utf8) == Workplace.read(market))
  }
}
