import Events
import Simulation
import Streaming
import Support

/// What `learner` costs an impression: replays of what it needs, with it and without it, in turns.
/// Nothing reads its predictions.
enum LearnerCost {
  static func report(_ settings: Report.Settings) throws {
    let file = "\(settings.directory)/learner-\(settings.events).jsonl"
    // Few conversions, or most of the time went to credits: some users of these histories have very
    // many clicks, and each conversion credits all of them.
    var history = Histories.settings(records: settings.events, usersPerAccount: 125_000)
    history.shares.conversion = 15
    try Histories.write(history, to: file)
    var impressions = 0
    Histories.forEach(history) { _, record in
      if record.type == .impression, record.rejection == nil { impressions += 1 }
    }
    let isPinned = System.useCores(1)
    let topologies = try Jobs.LearnerPart.allCases.map {
      (part: $0, topology: try Jobs.learning($0))
    }
    var costs = [[Double]](repeating: [], count: topologies.count)
    for _ in 0..<settings.rounds {
      for (i, each) in topologies.enumerated() {
        let cost = try Jobs.replay(each.topology, file: file, to: settings.directory + "/out").cost
        costs[i].append(cost.cpuSeconds)
      }
    }
    System.useCores(System.coreCount)
    print(
      "\nlearner, \(impressions) impressions of 12 features among \(settings.events) events, "
        + "one core\(isPinned ? "" : " (not pinned)"), CPU ns an impression")
    for (i, each) in topologies.enumerated() {
      // Each beside its neighbour in time.
      let added = zip(costs[i], costs[0]).map { ($0 - $1) / Double(impressions) * 1e9 }
      let best =
        ((costs[i].min() ?? .nan) - (costs[0].min() ?? .nan)) / Double(impressions) * 1e9
      let text =
        i == 0
        ? "\((System.median(costs[0]) / Double(impressions) * 1e9).text(0)) without"
        : "\(System.median(added).text(0)) more (of the best rounds \(best.text(0)))"
      print("  \("\(each.part)".padding(to: 44)) \(text)")
    }
  }
}
