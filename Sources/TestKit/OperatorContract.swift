public import Events
public import Streaming

/// What every operator owes the engine, checked over seeded histories.
///
/// One call in the operator's test:
///
/// ```swift
/// let contract = OperatorContract(
///   of: Tally.self, named: "totals", topology: topology, registry: OperatorRegistry.all
/// ) { seed in history(seed) }
/// #expect(try contract.violations() == [])
/// ```
///
/// The topology should hold little beside the operator and give all its streams sinks. Time may go
/// back in the history by what the topology calls out of order, and records may be bad; where a
/// law asks for a log in time order, the suite sorts it.
public struct OperatorContract {
  /// The laws that are checked.
  public enum Law: String, CaseIterable, Sendable {
    /// The same history gives the same bytes.
    case seedIdempotence
    /// Where batches are cut changes nothing.
    case batchCuts
    /// State that was written and read back goes on as if nothing had happened.
    case snapshotRoundTrip
    /// An account's outputs and its part of the digest are its own.
    case neighbourIndependence
    /// The same keys again and again do not grow the state.
    case boundedState
    /// Outputs are JSON, without NaN and infinities.
    case finiteNumbers
    /// What an event changed shows in the digest.
    case digestSensitivity
    /// The end of a replay publishes what is held back, once.
    case finish
  }

  /// A law that does not hold.
  public struct Violation: Equatable, Sendable, CustomStringConvertible {
    public var law: Law
    public var seed: UInt64
    public var detail: String

    public var description: String { "\(law.rawValue), seed \(seed): \(detail)" }
  }

  /// The operator's name in the topology.
  public let name: String
  public var topology: CheckedTopology
  public var registry: [OperatorType]
  /// Records for a seed; a few hundred of a few accounts are enough.
  public var history: (UInt64) -> [[UInt8]]
  /// Types of events that the operator keeps something of.
  public var eventTypes: Set<EventType> = Set(EventType.allCases)
  /// Time after which state of keys that do not come back is gone.
  public var stateExpiresAfter: TimeSpan = .days(2)
  /// It publishes at the end of a replay what it holds back until then.
  public var holdsBack = false
  /// Tests of the suite itself: a law that the engine breaks on purpose.
  public var mutant: String?

  public init<O: Operator>(
    of type: O.Type, named name: String, topology: CheckedTopology, registry: [OperatorType],
    history: @escaping (UInt64) -> [[UInt8]]
  ) {
    precondition(
      topology.operators.contains {
        $0.name == name && $0.description.name == O.description.name
      }, "the topology has no \(O.description.name) named \(name)")
    self.name = name
    self.topology = topology
    self.registry = registry
    self.history = history
  }

  /// Checks every law for every seed; empty where all hold.
  public func violations(seeds: ClosedRange<UInt64> = 1...5) throws -> [Violation] {
    var found: [Violation] = []
    var published = false
    for seed in seeds {
      let records = history(seed)
      var choice = SeededChoice(seed: seed)
      func note(_ law: Law, _ detail: String?) {
        if let detail { found.append(Violation(law: law, seed: seed, detail: detail)) }
      }
      let whole = try outcome(records)
      note(.seedIdempotence, whole.difference(from: try outcome(records)))
      note(.batchCuts, try checkBatchCuts(records, whole, &choice))
      note(.snapshotRoundTrip, try checkSnapshots(records, &choice))
      note(.neighbourIndependence, try checkNeighbours(records, &choice))
      note(.boundedState, try checkBounds(records))
      note(.finiteNumbers, whole.outputs.lazy.compactMap(OperatorContract.notJSON).first)
      note(.digestSensitivity, try checkSensitivity(records, &choice))
      let (failure, isMore) = try checkFinish(records)
      note(.finish, failure)
      published = published || isMore
    }
    if holdsBack, !published {
      found.append(
        Violation(law: .finish, seed: seeds.lowerBound, detail: "no replay published at its end"))
    }
    return found
  }

  // MARK: Runs

  struct Outcome {
    var outputs: [String]
    var digest: StateDigest

    func difference(from other: Outcome) -> String? {
      if let place = zip(outputs, other.outputs).enumerated().first(where: { $1.0 != $1.1 }) {
        return "output \(place.offset) is \(place.element.0) and \(place.element.1)"
      }
      if outputs.count != other.outputs.count {
        return "\(outputs.count) outputs and \(other.outputs.count)"
      }
      return digest == other.digest ? nil : "digests \(digest) and \(other.digest)"
    }
  }

  private func driver(fetchLimit: @escaping @Sendable () -> Int = { Int.max }) throws
    -> PartitionDriver
  {
    try PartitionDriver(topology, registry: registry, mutant: mutant, fetchLimit: fetchLimit)
  }

  private func outcome(
    _ records: [[UInt8]], fetchLimit: @escaping @Sendable () -> Int = { Int.max }
  ) throws -> Outcome {
    let driver = try driver(fetchLimit: fetchLimit)
    try driver.send(records)
    let digest = driver.digest
    driver.finish()
    return Outcome(outputs: try driver.outputs, digest: digest)
  }

  // MARK: Laws

  private func checkBatchCuts(
    _ records: [[UInt8]], _ whole: Outcome, _ choice: inout SeededChoice
  ) throws -> String? {
    for limit in [1, choice.inside(2...20), choice.inside(21...300)] {
      if let detail = whole.difference(from: try outcome(records) { limit }) {
        return "fetches of \(limit): \(detail)"
      }
    }
    return nil
  }

  private func checkSnapshots(_ records: [[UInt8]], _ choice: inout SeededChoice) throws -> String?
  {
    let inputs = [topology.anySource]
    let whole = try PartitionDriver(
      resuming: SimulatedBroker(inputs: inputs), topology, registry: registry, mutant: mutant)
    try whole.send(records)
    let expected = Outcome(outputs: try whole.outputs, digest: whole.digest)
    let broker = SimulatedBroker(inputs: inputs)
    var rest = records[...]
    var cuts: [Int] = []
    var last = try PartitionDriver(resuming: broker, topology, registry: registry, mutant: mutant)
    while !rest.isEmpty {
      let count = choice.inside(1...max(records.count / 3, 1))
      try last.send(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
      cuts.append(records.count - rest.count)
      try last.commit(snapshot: true)
      let digest = last.digest
      last = try PartitionDriver(resuming: broker, topology, registry: registry, mutant: mutant)
      guard last.digest == digest else {
        return "digest \(digest) before and \(last.digest) after a snapshot behind record "
          + "\(records.count - rest.count)"
      }
    }
    let found = Outcome(outputs: try last.outputs, digest: last.digest)
    return expected.difference(from: found).map { "snapshots behind records \(cuts): \($0)" }
  }

  /// A record of the history and whose it is.
  private struct Owned {
    var bytes: [UInt8]
    /// nil where it is everybody's (heartbeats, priors).
    var account: String?
    var type: EventType
    var time: Int64
  }

  /// The history's good records by time; at equal time those of one account keep their order.
  private func sorted(_ records: [[UInt8]]) -> [Owned] {
    var decoder = EventDecoder()
    var owned: [Owned] = []
    for record in records {
      record.withUnsafeBytes { raw in
        guard let routing = decoder.routing(of: raw) else { return }
        owned.append(
          Owned(
            bytes: record, account: routing.account.isAbsent ? nil : routing.account.string,
            type: routing.type, time: routing.time.milliseconds))
      }
    }
    return OperatorContract.inTime(owned)
  }

  private static func inTime(_ records: [Owned], reversed: Bool = false) -> [Owned] {
    records.enumerated().sorted { a, b in
      if a.element.time != b.element.time { return a.element.time < b.element.time }
      let (x, y) = (a.element.account ?? "", b.element.account ?? "")
      if reversed, x != y { return x > y }
      return a.offset < b.offset
    }.map(\.element)
  }

  private func checkNeighbours(_ records: [[UInt8]], _ choice: inout SeededChoice) throws -> String?
  {
    let all = sorted(records)
    guard let last = all.last?.time else { return nil }
    let accounts = Set(all.compactMap(\.account)).sorted()
    // Everybody walks to the same time.
    let end = Array(#"{"type":"heartbeat","time":\#(last + 1)}"#.utf8)
    func run(_ chosen: [Owned]) throws -> Outcome { try outcome(chosen.map(\.bytes) + [end]) }
    let together = try run(all)
    let shuffled = try run(OperatorContract.inTime(all, reversed: true))
    let some = Set(accounts.filter { _ in choice.once(in: 2) })
    var sum = StateDigest()
    for account in accounts {
      let alone = try run(all.filter { $0.account == nil || $0.account == account })
      sum.add(alone.digest)
      let own = OperatorContract.outputs(alone.outputs, of: account)
      let fewer = try run(
        all.filter { record in
          record.account.map { $0 == account || some.contains($0) } ?? true
        })
      for (others, name) in [
        (together, "all others"), (shuffled, "all others otherwise interleaved"),
        (fewer, "some others"),
      ] {
        let beside = OperatorContract.outputs(others.outputs, of: account)
        if let place = zip(own, beside).enumerated().first(where: { $1.0 != $1.1 }) {
          return "output \(place.offset) of \(account) is \(place.element.0) alone and "
            + "\(place.element.1) beside \(name)"
        }
        if own.count != beside.count {
          return "\(own.count) outputs of \(account) alone, \(beside.count) beside \(name)"
        }
      }
    }
    if together.digest != shuffled.digest { return "the digest depends on who comes first" }
    return together.digest == sum
      ? nil : "the digest of all is not the sum of each account's alone"
  }

  /// An account's outputs, in their order, without the place of the event that caused them.
  public static func outputs(_ outputs: [String], of account: String) -> [String] {
    let mark = "{\"account\":\"\(account)\","
    return outputs.filter { $0.contains(mark) }.map(withoutSource)
  }

  /// A record's text without its `source`.
  public static func withoutSource(_ text: String) -> String {
    guard let start = text.firstRange(of: "\"source\":{"),
      let end = text[start.upperBound...].firstIndex(of: "}")
    else { return text }
    return String(text[..<start.lowerBound] + text[text.index(after: end)...])
  }

  private func checkBounds(_ records: [[UInt8]]) throws -> String? {
    let all = sorted(records)
    guard let first = all.first?.time, let last = all.last?.time else { return nil }
    let driver = try driver()
    var sizes: [Int] = []
    for round in 0..<7 as Range<Int64> {
      let shift = round * (last - first + stateExpiresAfter.milliseconds)
      try driver.send(all.map { OperatorContract.shifted($0.bytes, at: $0.time, by: shift) })
      sizes.append(driver.stateBytes(of: name))
      try driver.commit()
    }
    let early = sizes.prefix(3).max() ?? 0
    let late = sizes.suffix(3).max() ?? 0
    return late <= early + early / 4 ? nil : "the same keys seven times take \(sizes) bytes"
  }

  /// A record moved in time.
  private static func shifted(_ record: [UInt8], at time: Int64, by shift: Int64) -> [UInt8] {
    let text = String(decoding: record, as: UTF8.self)
    guard let place = text.firstRange(of: "\"time\":") else { return record }
    var end = place.upperBound
    if text[end] == "\"" {
      end =
        text[text.index(after: end)...].firstIndex(of: "\"").map { text.index(after: $0) } ?? end
    } else {
      while end < text.endIndex, text[end].isNumber { end = text.index(after: end) }
    }
    return Array((text[..<place.upperBound] + "\(time + shift)" + text[end...]).utf8)
  }

  /// What is not JSON about an output; nil where all is well.
  static func notJSON(_ output: String) -> String? {
    // Past the sink's number and the key.
    guard let start = output.firstIndex(of: "{") else { return nil }
    var rest = output[start...].utf8[...]
    var isText = false
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\\") where isText: _ = rest.popFirst()
      case UInt8(ascii: "\""): isText.toggle()
      case _ where isText: break
      case UInt8(ascii: "a")...UInt8(ascii: "z"):
        let word = [byte] + rest.prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        let isExponent = word == [UInt8(ascii: "e")]
        guard
          isExponent || ["true", "false", "null"].contains(String(decoding: word, as: UTF8.self))
        else { return "an output that is not JSON: \(output)" }
        rest = rest.dropFirst(word.count - 1)
      default:
        guard "{}[],:-+.0123456789E".utf8.contains(byte) else {
          return "an output that is not JSON: \(output)"
        }
      }
    }
    return isText ? "an output that ends in a string: \(output)" : nil
  }

  private func checkSensitivity(_ records: [[UInt8]], _ choice: inout SeededChoice) throws
    -> String?
  {
    let all = sorted(records)
    // Of an event that came twice, the second one is still there without the first.
    var times: [[UInt8]: Int] = [:]
    for record in all { times[record.bytes, default: 0] += 1 }
    let candidates = all.indices.filter { place in
      eventTypes.contains(all[place].type) && times[all[place].bytes] == 1
        && all[place].account != nil
    }
    guard !candidates.isEmpty else { return nil }
    let whole = try outcome(all.map(\.bytes)).digest
    for _ in 0..<4 {
      let left = choice.pick(candidates)
      var fewer = all
      // In its place only time moves.
      fewer[left].bytes = Array(#"{"type":"heartbeat","time":\#(all[left].time)}"#.utf8)
      if try outcome(fewer.map(\.bytes)).digest == whole {
        return "the digest is the same without \(String(decoding: all[left].bytes, as: UTF8.self))"
      }
    }
    return nil
  }

  private func checkFinish(_ records: [[UInt8]]) throws -> (failure: String?, isMore: Bool) {
    let driver = try driver()
    try driver.send(records)
    let before = try driver.outputs.count
    driver.finish()
    let once = try driver.outputs.count
    driver.finish()
    let twice = try driver.outputs.count
    let failure =
      once == twice ? nil : "the end of a replay publishes \(twice - once) records a second time"
    return (failure, once > before)
  }
}
