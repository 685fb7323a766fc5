import Events
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

/// The report's parts, each measured in rounds of which the median counts.
struct Report {
  struct Settings {
    var events = 3_000_000
    var rounds = 3
    var stateMebibytes = 1024
    /// Files are kept there: they are the same for the next run.
    var directory = "/tmp/bidmill-measure"
    var only: String?
  }

  let settings: Settings
  private var directory: String { settings.directory }

  init(_ settings: Settings) {
    self.settings = settings
    System.makeDirectory(settings.directory)
    setvbuf(stdout, nil, _IOLBF, 0)
  }

  private func line(_ name: String, _ text: String) {
    print("  \(name.padding(to: 44)) \(text)")
  }

  func machine() {
    print("\(System.coreCount) cores, \(Report.loadText()), medians of \(settings.rounds) rounds")
  }

  /// What else the machine does: its load averages.
  static func loadText() -> String {
    let load = (try? text(of: "/proc/loadavg")) ?? "?"
    return "load \(load.split(separator: " ").prefix(3).joined(separator: " "))"
  }

  /// A small file.
  static func text(of path: String) throws -> String {
    guard let file = fopen(path, "rb") else { throw BenchmarkFailure("no \(path)") }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    return String(decoding: buffer[..<fread(&buffer, 1, buffer.count, file)], as: UTF8.self)
  }

  // MARK: Reading and replaying

  /// One core: a plain read, decompression, decoding, and the whole way of an event.
  func reading() throws {
    let plain = "\(directory)/events-\(settings.events).jsonl"
    let packed = plain + ".zst"
    try Histories.write(Histories.settings(records: settings.events), to: plain)
    if System.fileBytes(packed) == 0 {
      guard System.shell("zstd -q -3 -f '\(plain)' -o '\(packed)'") == 0 else {
        throw BenchmarkFailure("zstd is not installed")
      }
    }
    let many = "\(directory)/events-\(settings.events)-many-users.jsonl"
    try Histories.write(
      Histories.settings(records: settings.events, usersPerAccount: 125_000), to: many)
    let market = "\(directory)/market-\(settings.events).jsonl"
    try Histories.writeMarket(records: settings.events, to: market)
    let topology = try Jobs.tally()
    let attribution = try Jobs.attribution()
    let (live, lean) = (try Jobs.live(), try Jobs.lean())
    let parts: [(String, Jobs.AttributionPart)] = [
      ("unique", .unique), ("people", .people), ("journeys", .journeys), ("credits", .credits),
    ]
    let gigabytes = Double(System.fileBytes(plain)) / 1e9
    let events = Double(settings.events)
    let isPinned = System.useCores(1)
    print(
      "\none core\(isPinned ? "" : " (not pinned)"), \(settings.events) events of "
        + "\(Int(gigabytes * 1e9 / events)) bytes, \(gigabytes.text(2)) GB (\(Int(Double(System.fileBytes(packed)) / 1e6)) MB as .zst)"
    )

    var costs: [String: [System.Cost]] = [:]
    func round(_ name: String, _ job: () throws -> System.Cost) rethrows {
      costs[name, default: []].append(try job())
    }
    for _ in 0..<settings.rounds {
      round("cat") { System.cost { System.shell("cat '\(plain)' > /dev/null") } }
      round("zstd") { System.cost { System.shell("zstd -q -dc '\(packed)' > /dev/null") } }
      try round("decode") { try decode(plain) }
      try round("replay") {
        try Jobs.replay(topology, file: plain, to: directory + "/out").cost
      }
      try round("replay.zst") {
        try Jobs.replay(topology, file: packed, to: directory + "/out").cost
      }
      for (users, file) in [("", plain), (" many", many)] {
        for (name, part) in parts {
          try round(name + users) {
            try Jobs.replay(Jobs.attribution(upTo: part), file: file, to: directory + "/out").cost
          }
        }
        try round("attribution" + users) {
          try Jobs.replay(attribution, file: file, to: directory + "/out").cost
        }
      }
      try round("lean") { try Jobs.replay(lean, file: market, to: directory + "/out").cost }
      try round("live") { try Jobs.replay(live, file: market, to: directory + "/out").cost }
    }
    let elapsed = costs.mapValues { System.median($0.map(\.seconds)) }
    let cpu = costs.mapValues { System.median($0.map(\.cpuSeconds)) }
    let best = costs.mapValues { $0.map(\.seconds).min() ?? .nan }
    print(
      "  ".padding(to: 40)
        + "   wall (best)  CPU s   GB/s  M events/s  CPU ns/event  × zstd -dc (CPU)")
    let historyGigabytes = gigabytes
    func show(_ name: String, _ key: String, gigabytes: Double? = nil) {
      let gigabytes = gigabytes ?? historyGigabytes
      guard let wall = elapsed[key], let best = best[key], let time = cpu[key],
        let zstd = cpu["zstd"]
      else { return }
      print(
        "  \(name.padding(to: 38)) "
          + "\(wall.text(2)) (\(best.text(2)))".left(to: 13) + time.text(2).left(to: 7)
          + (gigabytes / time).text(2).left(to: 7) + (events / time / 1e6).text(2).left(to: 12)
          + (time / events * 1e9).text(0).left(to: 14) + (time / zstd).text(2).left(to: 17))
    }
    show("cat FILE > /dev/null", "cat")
    show("zstd -dc FILE.zst > /dev/null", "zstd")
    show("decode with full validation", "decode")
    show("replay tally.yaml from .jsonl", "replay")
    show("replay tally.yaml from .jsonl.zst", "replay.zst")
    for (title, users) in [("160,000 users", ""), ("1,000,000 users", " many")] {
      show("deduplicate, \(title)", "unique" + users)
      show("and identity", "people" + users)
      show("and journeys", "journeys" + users)
      show("and attribution, nothing published", "credits" + users)
      show("replay attribution.yaml from .jsonl", "attribution" + users)
    }
    // A market's events are shorter: its own bytes, not those of the history above.
    for name in ["lean", "live"] {
      show(
        "replay \(name == "live" ? name : "live-lean").yaml, a market's .jsonl", name,
        gigabytes: Double(System.fileBytes(market)) / 1e9)
    }
    print("  GB/s, events/s and ns/event are of CPU time, all threads together")
  }

  /// Seconds in the decoder alone; fetching lies between, not within.
  private func decode(_ path: String) throws -> System.Cost {
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    let batch = EventBatch(capacity: 256)
    var decoder = EventDecoder()
    var total = System.Cost()
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      let cost = System.cost {
        chunk.records.withUnsafeBufferPointer { records in
          for record in records {
            if batch.isFull { batch.removeAll() }
            _ = decoder.decode(record.value, into: batch)
          }
        }
        batch.removeAll()
      }
      total.seconds += cost.seconds
      total.cpuSeconds += cost.cpuSeconds
    }
    return total
  }

  // MARK: Two cores

  /// Two partitions on two workers against one on one core, from local logs.
  func cores() throws {
    var history = Histories.settings(records: settings.events, accounts: 64)
    history.seed = 2
    let one = "\(directory)/log1-\(settings.events)"
    let two = "\(directory)/log2-\(settings.events)"
    System.useCores(System.coreCount)
    try Jobs.fill(log: one, history, partitions: 1)
    try Jobs.fill(log: two, history, partitions: 2)
    let topology = try Jobs.tally()
    print("\nlocal log, \(settings.events) events of 64 accounts")
    var single: [System.Cost] = []
    var double: [System.Cost] = []
    for _ in 0..<settings.rounds {
      System.useCores(1)
      single.append(try Jobs.replay(topology, log: one, to: directory + "/out", workers: 1).cost)
      System.useCores(2)
      double.append(try Jobs.replay(topology, log: two, to: directory + "/out", workers: 2).cost)
    }
    System.useCores(System.coreCount)
    let events = Double(settings.events)
    func show(_ name: String, _ costs: [System.Cost]) {
      let time = System.median(costs.map(\.seconds))
      line(
        name,
        "\(time.text(2)) s  \((events / time / 1e6).text(2)) M events/s  "
          + "best \((costs.map(\.seconds).min() ?? .nan).text(2)) s  "
          + "CPU \(System.median(costs.map(\.cpuSeconds)).text(2)) s")
    }
    show("one partition, one worker, one core", single)
    show("two partitions, two workers, two cores", double)
    // What the machine does beside it takes from two cores more than from one.
    let best = (single.map(\.seconds).min() ?? .nan) / (double.map(\.seconds).min() ?? .nan)
    let median = System.median(single.map(\.seconds)) / System.median(double.map(\.seconds))
    line("ratio", "\(median.text(2)), of the best rounds \(best.text(2))   (target: at least 1.7)")
  }

  // MARK: Snapshots

  /// A snapshot of much state while events flow, and a restart from it.
  func snapshot() throws {
    // A fingerprint takes 16 bytes; tables are between 7/16 and 7/8 full.
    let events = Int64(settings.stateMebibytes) * 1024 * 1024 / 16 * 15 / 32
    print("\nsnapshot of \(settings.stateMebibytes) MiB, events flowing as fast as they can")
    var results: [SnapshotRun.Result] = []
    for _ in 0..<settings.rounds {
      let result = try SnapshotRun.run(events: events, directory: directory + "/snapshots") {
        print("  \($0)")
      }
      results.append(result)
      line(
        "round \(results.count)",
        "longest \(result.during.longest.text(1)) ms (own \(result.during.longestOwn.text(1))), p99 \(result.during.quantile(0.99).text(2)) ms, "
          + "\(result.snapshotSeconds.text(1)) s; restore \(result.restoreSeconds.text(2)) s cold, "
          + "\(result.restoreWarmSeconds.text(2)) s warm")
    }
    func median(_ value: (SnapshotRun.Result) -> Double) -> Double {
      System.median(results.map(value))
    }
    guard let last = results.last else { return }
    line(
      "state",
      "\(last.stateBytes >> 20) MiB after \(last.records) events; "
        + "\(last.snapshotBytes >> 20) MiB on disk")
    line(
      "a step without a snapshot (median, p99, longest)",
      "\(median { $0.before.quantile(0.5) }.text(2)) ms, \(median { $0.before.quantile(0.99) }.text(2)) ms, "
        + "\(median { $0.before.longest }.text(1)) ms")
    line(
      "a step during the snapshot",
      "\(median { $0.during.quantile(0.5) }.text(2)) ms, \(median { $0.during.quantile(0.99) }.text(2)) ms, "
        + "\(median { $0.during.longest }.text(1)) ms   (target: longest at most 50)")
    line(
      "the longest ones, while they had a processor",
      "\(median { $0.before.longestOwn }.text(1)) ms, \(median { $0.during.longestOwn }.text(1)) ms"
    )
    line(
      "the longest step while the state grew to that",
      "\(median { $0.longestWhileGrowing }.text(1)) ms")
    line("taking it, to its sync", "\(median { $0.snapshotSeconds }.text(2)) s")
    line(
      "restoring it, from the disk",
      "\(median { $0.restoreSeconds }.text(2)) s   (target: at most 5); in memory "
        + "\(median { $0.restoreWarmSeconds }.text(2)) s")
  }
}

extension Double {
  /// With so many digits after the point.
  func text(_ digits: Int) -> String {
    guard isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int64((magnitude * scale).rounded())
    let whole = scaled / Int64(scale)
    let fraction = "\(scaled % Int64(scale))"
    let sign = self < 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(whole)" }
    return "\(sign)\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
  }
}

extension String {
  func padding(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }

  func left(to width: Int) -> String {
    String(repeating: " ", count: max(0, width - count)) + self
  }
}
