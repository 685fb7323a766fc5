import Events
import Synchronization
import TestKit
import Testing

@testable import Streaming

/// What the pipeline makes of each answer that a log can give to a commit.
@Suite struct CommitPipelineTests {
  /// A log that answers as it is told, and notes what it was asked.
  final class ScriptedLog: PartitionLog {
    enum Answer: Sendable {
      case committed
      case error(LogError.Recovery)
    }

    struct State {
      var commits: [Answer] = []
      var lookups: [Result<CommitPoint?, LogError>] = []
      /// `commit 3: a,b` or `look up`.
      var calls: [String] = []
      var records: [ScriptedInputs.Record] = []
      var first: Int64 = 0
    }

    let state: Mutex<State>
    let inputs = [LogInput(source: "", topic: "events")]

    init(
      commits: [Answer] = [], lookups: [Result<CommitPoint?, LogError>] = [], first: Int64 = 0
    ) {
      state = Mutex(State(commits: commits, lookups: lookups, first: first))
    }

    var calls: [String] { state.withLock { $0.calls } }

    func commit(_ transaction: Transaction) throws(LogError) {
      let values = transaction.outputs.records.map {
        String(decoding: transaction.outputs.value(of: $0), as: UTF8.self)
      }
      let answer = state.withLock {
        $0.calls.append("commit \(transaction.number): \(values.joined(separator: ","))")
        return $0.commits.isEmpty ? .committed : $0.commits.removeFirst()
      }
      if case .error(let recovery) = answer {
        throw LogError(.unavailable, recovery: recovery, "scripted \(recovery)")
      }
    }

    func committed() throws(LogError) -> CommitPoint? {
      let answer = state.withLock { state -> Result<CommitPoint?, LogError> in
        state.calls.append("look up")
        return state.lookups.isEmpty ? .success(nil) : state.lookups.removeFirst()
      }
      return try answer.get()
    }

    /// What the next fetch brings.
    var records: [ScriptedInputs.Record] {
      get { state.withLock { $0.records } }
      set { state.withLock { $0.records = newValue } }
    }

    func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
      -> FetchStatus
    {
      let script = [ScriptedInputs.Fetch.records(records)]
      guard !records.isEmpty else { return .end }
      records = []
      return try ScriptedInputs(inputs: inputs, [script])
        .fetch(0, into: chunk, maxRecords: maxRecords)
    }

    func seek(_ input: Int, to offset: Int64) throws(LogError) {}
    func firstOffsets() throws(LogError) -> [Int64] { [state.withLock { $0.first }] }
    func journal(
      after number: Int64, _ body: (Int64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) {}
    func close() { state.withLock { $0.calls.append("close") } }
  }

  /// A pipeline whose jobs run at once, with transaction 8 of outputs `a` and `b` under way.
  struct Subject {
    let log: ScriptedLog
    var pipeline: CommitPipeline
    var now: Int64 = 1_000

    init(_ log: ScriptedLog) {
      self.log = log
      pipeline = CommitPipeline(
        log: log, queue: ImmediateQueue(), options: RunnerOptions(mode: .live))
      pipeline.start(at: CommitPoint(number: 7, nextOffsets: [4]))
      output("a")
      output("b")
      pipeline.seal(journal: [1], nextOffsets: [5], now: now)
    }

    mutating func output(_ text: StaticString) {
      pipeline.current.outputs.append(sink: 0, time: .earliest) {
        $0.unframed(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        return 0
      }
    }

    /// Polls for a while, as steps of a partition do.
    mutating func poll(forMilliseconds time: Int64) throws(LogError) {
      let end = now + time
      while now < end, pipeline.isBusy {
        now += 1
        try pipeline.poll(now: now)
      }
    }
  }

  @Test func aCommitIsAcknowledged() throws {
    var subject = Subject(ScriptedLog())
    #expect(subject.pipeline.isBusy && subject.pipeline.lastSealed == 8)
    #expect(subject.pipeline.lastCommitted == 7)
    try subject.poll(forMilliseconds: 10)
    #expect(!subject.pipeline.isBusy && subject.pipeline.lastCommitted == 8)
    #expect(subject.log.calls == ["commit 8: a,b"])
    // The next one is filled meanwhile and has only what is its own.
    subject.output("c")
    subject.pipeline.seal(journal: [1], nextOffsets: [6], now: subject.now)
    try subject.poll(forMilliseconds: 10)
    #expect(subject.log.calls.last == "commit 9: c")
  }

  @Test func whatWasRefusedIsSentAgainUnchanged() throws {
    var subject = Subject(ScriptedLog(commits: [.error(.retry), .error(.retry), .committed]))
    try subject.poll(forMilliseconds: 1_000)
    #expect(subject.log.calls == Array(repeating: "commit 8: a,b", count: 3))
    #expect(subject.pipeline.lastCommitted == 8)
  }

  @Test func aLostAnswerThatWasACommitIsNotSentAgain() throws {
    var subject = Subject(
      ScriptedLog(
        commits: [.error(.rewind)],
        lookups: [.success(CommitPoint(number: 8, nextOffsets: [5]))]))
    try subject.poll(forMilliseconds: 1_000)
    #expect(subject.log.calls == ["commit 8: a,b", "look up"])
    #expect(subject.pipeline.lastCommitted == 8 && !subject.pipeline.isBusy)
  }

  @Test func aLostAnswerThatWasNoneIsSentAgain() throws {
    var subject = Subject(
      ScriptedLog(
        commits: [.error(.rewind)],
        lookups: [
          .failure(LogError(.unavailable, recovery: .retry, "busy")),
          .failure(LogError(.unavailable, recovery: .rewind, "no answer")),
          .success(CommitPoint(number: 7, nextOffsets: [4])),
        ]))
    try subject.poll(forMilliseconds: 5_000)
    #expect(
      subject.log.calls == ["commit 8: a,b", "look up", "look up", "look up", "commit 8: a,b"])
    #expect(subject.pipeline.lastCommitted == 8)
  }

  @Test func anotherProcessWasFaster() {
    // Its commits beyond ours, or another one under our number: either way ours did not happen.
    for other in [
      CommitPoint(number: 9, nextOffsets: [5]), CommitPoint(number: 8, nextOffsets: [6]),
      // The same records, but time was moved otherwise.
      CommitPoint(number: 8, nextOffsets: [5], journalSum: 0),
    ] {
      var subject = Subject(ScriptedLog(commits: [.error(.rewind)], lookups: [.success(other)]))
      do throws(LogError) {
        try subject.poll(forMilliseconds: 1_000)
        Issue.record("a foreign commit \(other) passes for ours")
      } catch { #expect(error.recovery == .recreate) }
      #expect(subject.pipeline.lastCommitted == 7)
    }
  }

  @Test(arguments: [LogError.Recovery.stop, .recreate])
  func whatEndsThePartition(_ recovery: LogError.Recovery) {
    var subject = Subject(ScriptedLog(commits: [.error(recovery)]))
    do throws(LogError) {
      try subject.poll(forMilliseconds: 10)
      Issue.record("\(recovery) does not end it")
    } catch { #expect(error.recovery == recovery) }
    #expect(subject.log.calls == ["commit 8: a,b"])
  }

  @Test func patienceEnds() {
    let refusals = Array(repeating: ScriptedLog.Answer.error(.retry), count: 1_000)
    var subject = Subject(ScriptedLog(commits: refusals))
    do throws(LogError) {
      try subject.poll(forMilliseconds: RunnerOptions(mode: .live).commitPatience * 2)
      Issue.record("it is tried for ever")
    } catch {
      #expect(error.recovery == .stop && error.kind == .unavailable)
      #expect(error.message.contains("scripted retry"))
    }
    // It waits longer and longer between, up to two seconds.
    let calls = subject.log.calls.count
    #expect(calls > 60 && calls < 80, "\(calls) calls")
  }

  @Test func lookingUpHasAnEndToo() {
    let refusals = Array(repeating: ScriptedLog.Answer.error(.rewind), count: 1_000)
    var subject = Subject(ScriptedLog(commits: refusals))
    do throws(LogError) {
      try subject.poll(forMilliseconds: RunnerOptions(mode: .live).commitPatience * 2)
      Issue.record("it is tried for ever")
    } catch { #expect(error.recovery == .stop) }
  }
}
