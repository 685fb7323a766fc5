import Events
import Testing

@testable import bidmill

@Suite struct LogTests {
  let work = Workplace()

  private func fill(_ partitions: Int = 3, bad: Int = 5000) {
    work.run("generate", "--out", "events.jsonl", "-q", "--events", "3000", "--bad", "\(bad)")
    let outcome = work.run(
      "log", "import", "data", "--partitions", "\(partitions)", "events.jsonl", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test func importsEachLineOnceAndHeartbeatsEverywhere() {
    fill()
    let imported = Set(work.run("log", "cat", "data", "events").lines)
    let text = work.text("events.jsonl")
    #expect(imported == Set(text.split(separator: "\n")))
    let beats = text.split(separator: "\n").filter { $0.contains(#""heartbeat""#) }
    #expect(beats.count > 3)
    for partition in ["0", "1", "2"] {
      let lines = work.run("log", "cat", "data", "events", "--partition", partition).lines
      #expect(lines.filter { $0.contains(#""heartbeat""#) } == beats)
    }
    let keys = work.run("log", "cat", "data", "events", "--keys", "--offsets", "--limit", "20")
    #expect(keys.lines.count == 20)
    #expect(keys.lines[0].hasPrefix("0:0\tacct-"))
  }

  @Test func anAccountStandsInOnePartitionInItsOrder() {
    fill(4)
    var seen: [String: Int] = [:]
    for partition in 0..<4 {
      let lines = work.run("log", "cat", "data", "events", "--partition", "\(partition)", "--keys")
      for line in lines.lines {
        let key = String(line.prefix { $0 != "\t" })
        guard !key.isEmpty else { continue }
        #expect(seen[key, default: partition] == partition, "\(key)")
        seen[key] = partition
      }
    }
    #expect(seen.count == 8)
  }

  @Test func catFindsOffsetsAndTimes() {
    fill(1, bad: 0)
    let all = work.run("log", "cat", "data", "events").lines
    let some = work.run(
      "log", "cat", "data", "events", "--from-offset", "100", "--to-offset", "110")
    #expect(some.lines == Array(all[100..<110]))
    let from = work.run(
      "log", "cat", "data", "events", "--from-time", "2026-01-05T00:00:00Z", "--to-time",
      "2026-01-06T00:00:00Z")
    let expected = all.filter { line in
      var time: Int64 = 0
      Array(line.utf8).withUnsafeBytes { bytes in
        for member in JSONMembers(bytes) where member.isNamed("time") {
          time = member.integer ?? EventTime(rfc3339: member.text)?.milliseconds ?? 0
        }
      }
      return time >= 1_767_571_200_000 && time < 1_767_657_600_000
    }
    #expect(expected.count > 300)
    #expect(from.lines == expected)
    #expect(work.run("log", "cat", "data", "events", "--limit", "0").output.isEmpty)
  }

  @Test func exportsInTheOrderOfTime() {
    fill()
    let outcome = work.run("log", "export", "data", "events", "--out", "back.jsonl", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let original = work.text("events.jsonl").split(separator: "\n").sorted()
    #expect(work.text("back.jsonl").split(separator: "\n").sorted() == original)
    // Replayed, it gives what the log gives: nothing went out of its account's order.
    let replay = { (from: String, out: String) in
      work.run("replay", Workplace.tally, "--from", from, "--out", out, "-q", "--json")
        .member("digest")
    }
    #expect(replay("back.jsonl", "a") == replay("data", "b"))
    #expect(
      work.run("log", "export", "data", "events", "--out", "back.jsonl.zst", "-q").status == 0)
    #expect(replay("back.jsonl.zst", "c") == replay("back.jsonl", "d"))
    #expect(work.run("log", "export", "data", "events", "--out", "back.jsonl").status == 78)
    let one = work.run("log", "export", "data", "events", "--out", "-", "--partition", "1")
    #expect(one.lines == work.run("log", "cat", "data", "events", "--partition", "1").lines)
  }

  @Test func appendsToATopicThatIsThere() {
    fill(2)
    let again = work.run("log", "import", "data", "events.jsonl", "-q", "--json")
    #expect(again.status == 0, "\(again.errors)")
    #expect(again.member("lines") == "3000")
    let info = work.run("log", "info", "data", "--json")
    #expect(info.status == 0)
    #expect(info.output.contains("\"first_offset\": 0"))
    let other = work.run("log", "import", "data", "--partitions", "3", "events.jsonl")
    #expect(other.status == 78)
    #expect(other.errors.contains("2 partitions"))
  }

  @Test func surveysTopicsAndGroups() {
    fill(2)
    work.run("run", Workplace.tally, "--exit-when-idle", "100ms", "-q")
    let info = work.run("log", "info", "data")
    #expect(info.status == 0)
    #expect(info.output.contains("tallies: "))
    #expect(info.output.contains("group bidmill-tally"))
    let json = work.run("log", "info", "data", "--json")
    #expect(json.member("lag") == "0")
    let verified = work.run("log", "verify", "data")
    #expect(verified.status == 0)
    #expect(verified.lines.last == "intact")
    #expect(work.run("log", "verify", "data", "--json").member("intact") == "true")
  }

  @Test func findsDamage() {
    fill(1)
    let segment = work.files("data/topics/events").first { $0.hasSuffix(".log") } ?? ""
    var bytes = work.read(segment)
    #expect(bytes.count > 10_000)
    bytes[bytes.count / 2] ^= 1
    work.write(segment, bytes)
    let verified = work.run("log", "verify", "data")
    #expect(verified.status == 65)
    #expect(verified.output.contains(segment))
    #expect(verified.lines.last == "damaged: 1 problem")
    #expect(work.run("log", "cat", "data", "events").status == 65)
    #expect(
      work.run("replay", Workplace.tally, "--from", "data", "--out", "out", "-q").status == 65)
    #expect(!work.exists("out/summary.json"))
    let run = work.run("run", Workplace.tally, "--exit-when-idle", "100ms", "-q")
    #expect(run.status == 65, "\(run.errors)")
  }

  @Test func saysWhatIsWrong() {
    fill(1)
    work.makeDirectory("other")
    work.write("other/file", "x")
    let cases: [([String], Int32, String)] = [
      (["log", "info", "none"], 66, "bidmill log import"),
      (["log", "info", "other"], 66, "no local log"),
      (["log", "cat", "data", "none"], 66, "events"),
      (["log", "cat", "data", "events", "--partition", "7"], 78, "no partition 7"),
      (["log", "cat", "data"], 64, "topic"),
      (["log", "export", "data", "none", "--out", "x"], 66, "none"),
      (["log", "import", "other", "events.jsonl"], 78, "other files"),
      (["log", "import", "data", "none.jsonl"], 66, "none.jsonl"),
      (["log", "import", "data", "data"], 78, "log export"),
      (["log", "import", "data", "--topic", "x", "--partitions", "0", "events.jsonl"], 64, "4096"),
      (["log", "verify", "none"], 66, "none"),
    ]
    for (arguments, status, message) in cases {
      let outcome = work.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
  }
}
