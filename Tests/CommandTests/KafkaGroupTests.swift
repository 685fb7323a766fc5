import Events
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Several processes on a real broker: whatever happens to them and to it, what is published is
/// what a replay publishes, record for record. Run with `KAFKA_BROKERS=localhost:9092`; what takes
/// a broker down also wants `KAFKA_RESTART`, a command that kills the broker and starts it again.
/// `KAFKA_ROUNDS` says how often each thing happens.
@Suite(.serialized, .enabled(if: getenv("KAFKA_BROKERS") != nil))
struct KafkaGroupTests {
  let work = Workplace()

  private func rest(_ range: ClosedRange<UInt32>, _ random: inout SplitMix64) {
    let span = UInt64(range.upperBound - range.lowerBound)
    usleep((range.lowerBound + UInt32(random.next() % (span + 1))) * 1000)
  }

  private func times(_ text: String, in errors: String) -> Int {
    errors.split(separator: "\n").count { $0.contains(text) }
  }

  private func end(_ processes: [Running]) {
    for process in processes {
      process.send(SIGTERM)
      let outcome = process.wait()
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
  }

  @Test func processesComeAndGo() throws {
    let seed: UInt64 = 91
    let rounds = KafkaScene.rounds ?? 10
    let scene = try KafkaScene(work, "moves", partitions: 4)
    let history = try SlicedHistory(
      events: 3_000 * rounds, slices: rounds, seed: 8, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    var processes = [work.start(scene.member)]
    var all = processes
    var (joins, leaves, kills) = (1, 0, 0)
    for round in 0..<rounds {
      scene.append(history.slices[round])
      rest(500...4_000, &random)
      for process in processes {
        #expect(process.isRunning, "seed \(seed), round \(round): \(process.errors)")
      }
      let isMore = random.next() % 2 == 0
      if processes.count == 1 || (processes.count < 3 && isMore) {
        processes.append(work.start(scene.member))
        all.append(processes[processes.count - 1])
        joins += 1
      } else {
        let leaving = processes.remove(at: Int(random.next() % UInt64(processes.count)))
        if random.next() % 3 == 0 {
          leaving.send(SIGKILL)
          _ = leaving.wait()
          kills += 1
        } else {
          end([leaving])
          leaves += 1
        }
      }
    }
    try scene.waitForCommits()
    end(processes)
    let warm = all.reduce(0) { $0 + times("warm state", in: $1.errors) }
    print("seed \(seed): \(joins) joins, \(leaves) leaves, \(kills) kills; \(warm) warm returns")
    try scene.compare(with: history)
  }

  @Test func aPausedProcessPublishesNothingTwice() throws {
    let seed: UInt64 = 92
    let rounds = max(1, (KafkaScene.rounds ?? 5) / 5)
    let scene = try KafkaScene(work, "zombie", partitions: 2)
    let history = try SlicedHistory(
      events: 8_000 * rounds, slices: 3 * rounds, seed: 9, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    let processes = [work.start(scene.member), work.start(scene.member)]
    for round in 0..<rounds {
      scene.append(history.slices[3 * round])
      rest(2_000...6_000, &random)
      let paused = processes[Int(random.next() % 2)]
      paused.send(SIGSTOP)
      scene.append(history.slices[3 * round + 1])
      // The group gives its partitions to the other one after ten seconds.
      try scene.waitForCommits()
      paused.send(SIGCONT)
      scene.append(history.slices[3 * round + 2])
      rest(1_000...6_000, &random)
    }
    try scene.waitForCommits()
    end(processes)
    print("seed \(seed): \(rounds) pauses beyond the session")
    try scene.compare(with: history)
  }

  /// A transaction that is left open for too long is aborted by the cluster, which fences it.
  @Test func abortedByTheCluster() throws {
    let seed: UInt64 = 93
    let rounds = KafkaScene.rounds ?? 4
    let scene = try KafkaScene(
      work, "aborts", partitions: 2,
      properties: "{ transaction.timeout.ms: 1000, session.timeout.ms: 45000 }")
    let history = try SlicedHistory(
      events: 4_000 * rounds, slices: rounds, seed: 10, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    let process = work.start(scene.member)
    // It has joined by then.
    usleep(3_000_000)
    for round in 0..<rounds {
      scene.append(history.slices[round])
      // While it works, so that a transaction is open.
      rest(20...400, &random)
      process.send(SIGSTOP)
      // The cluster looks for such transactions every ten seconds, which is within the session.
      rest(11_000...14_000, &random)
      process.send(SIGCONT)
      #expect(process.isRunning, "seed \(seed), round \(round): \(process.errors)")
    }
    try scene.waitForCommits()
    let taken = times("still this process's", in: process.errors)
    end([process])
    print("seed \(seed): \(rounds) pauses, partitions were fenced and taken back \(taken) times")
    try scene.compare(with: history)
  }

  /// Somebody else opens its partitions' transactions while it works: what was under way is
  /// aborted, and it is fenced, leaves the partition and takes it back.
  @Test func abortedByAnother() throws {
    let seed: UInt64 = 94
    let rounds = 4
    let scene = try KafkaScene(work, "fenced", partitions: 2)
    let history = try SlicedHistory(
      events: 20_000 * rounds, slices: rounds, seed: 13, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    let process = work.start(scene.member)
    usleep(3_000_000)
    for round in 0..<rounds {
      scene.append(history.slices[round])
      rest(20...200, &random)
      try scene.abortTransactions()
      // Before it has the partitions back there is nothing to abort.
      try scene.waitForCommits()
    }
    #expect(process.isRunning, "seed \(seed): \(process.errors)")
    let taken = times("still this process's", in: process.errors)
    end([process])
    let aborted = try scene.aborted("tallies")
    print("seed \(seed): taken back \(taken) times, \(aborted) tallies aborted")
    #expect(taken >= rounds && aborted > 0)
    try scene.compare(with: history)
  }

  @Test func whatWasKilledGoesOnElsewhere() throws {
    let scene = try KafkaScene(work, "takeover", partitions: 2)
    let rounds = max(1, (KafkaScene.rounds ?? 2) / 5)
    let history = try SlicedHistory(
      events: 6_000 * (rounds + 1), slices: rounds + 1, seed: 11, to: work.path + "/events.jsonl")
    var processes = [work.start(scene.member), work.start(scene.member)]
    scene.append(history.slices[0])
    try scene.waitForCommits()
    usleep(3_000_000)
    for round in 1...rounds {
      processes[0].send(SIGKILL)
      let start = clock()
      scene.append(history.slices[round])
      try scene.waitForCommits()
      print("what a killed process had is done \(clock() - start) ms after it was killed")
      _ = processes.removeFirst().wait()
      processes.append(work.start(scene.member))
      usleep(3_000_000)
    }
    end(processes)
    try scene.compare(with: history)
  }

  private func clock() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }

  @Test(.enabled(if: getenv("KAFKA_RESTART") != nil))
  func aBrokerThatDiesIsWaitedFor() throws {
    let seed: UInt64 = 94
    let rounds = KafkaScene.rounds ?? 3
    let restart = getenv("KAFKA_RESTART").map { String(cString: $0) } ?? ""
    let scene = try KafkaScene(work, "broker", partitions: 2, talliesEveryMinutes: 10)
    let history = try SlicedHistory(
      events: 4_000 * rounds, slices: rounds, seed: 12, to: work.path + "/events.jsonl",
      talliesEveryMinutes: 10)
    var random = SplitMix64(seed: seed)
    let processes = [work.start(scene.member), work.start(scene.member)]
    for round in 0..<rounds {
      scene.append(history.slices[round])
      rest(0...3_000, &random)
      let outcome = work.shell(restart)
      #expect(outcome.status == 0, "\(outcome.errors)")
      try scene.waitForCommits(seconds: 120)
      for process in processes {
        #expect(process.isRunning, "seed \(seed), round \(round): \(process.errors)")
      }
    }
    end(processes)
    print("seed \(seed): the broker was killed \(rounds) times")
    try scene.compare(with: history)
  }

  @Test func aDeletedTopicIsSaid() throws {
    let scene = try KafkaScene(work, "deleted", partitions: 2)
    let history = try SlicedHistory(
      events: 1_000, slices: 1, seed: 13, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let process = work.start(scene.member)
    try scene.waitForCommits()
    try scene.deleteSource()
    let outcome = process.wait()
    #expect(outcome.status == 66, "\(outcome.errors)")
    #expect(outcome.errors.contains("is gone"), "\(outcome.errors)")
  }
}
