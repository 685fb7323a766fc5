import Synchronization

/// Commits one transaction while the next one is filled.
///
/// State is never touched: whatever a commit answers, the outputs are still right (law 1), so they
/// are sent again until the log has them or says that it never will.
struct CommitPipeline {
  /// What a background job has to say.
  private final class Answer: Sendable {
    enum Outcome: Sendable {
      case committed
      /// The log's last commit, looked up after an answer was lost.
      case lookedUp(CommitPoint?)
      case failed(LogError)
    }
    let outcome = Mutex<Outcome?>(nil)
  }

  /// Between notices about the same commit.
  private static let noticeEvery: Int64 = 10_000
  private static let firstBackoff: Int64 = 10
  private static let longestBackoff: Int64 = 2_000

  private let log: any PartitionLog
  private let queue: any WorkQueue
  /// The transaction that outputs go to.
  private(set) var current = Transaction()
  private var spare: Transaction? = Transaction()
  private var inFlight: Transaction?
  private var answer: Answer?
  private var retryAt: Int64?
  private var backoff = firstBackoff
  private var retryLookup = false
  /// When the transaction under way was sealed, in monotonic ms.
  private(set) var sealedAt: Int64 = 0
  private(set) var lastSealed: Int64 = 0
  private(set) var lastCommitted: Int64 = 0
  private var lastPoint: CommitPoint?
  /// Since when the transaction under way is tried, in monotonic ms.
  private var triedSince: Int64 = 0

  private let options: RunnerOptions
  private var noticedAt: Int64?

  init(log: any PartitionLog, queue: any WorkQueue, options: RunnerOptions) {
    self.log = log
    self.queue = queue
    self.options = options
  }

  /// A transaction is under way.
  var isBusy: Bool { inFlight != nil }

  /// When the transaction under way is tried again, in monotonic ms; nil while it is.
  var triesAgainAt: Int64? { retryAt }

  mutating func start(at point: CommitPoint?) {
    lastPoint = point
    lastSealed = point?.number ?? 0
    lastCommitted = lastSealed
  }

  /// Goes on after the log may have been another process's, whose last commit is `point`. False
  /// where that is none of this one's: then what was done since cannot be committed any more.
  mutating func resume(at point: CommitPoint?, now: Int64) -> Bool {
    answer = nil
    retryLookup = false
    noticedAt = nil
    guard let transaction = inFlight else { return isLast(point) }
    if let point, point.isSame(as: transaction.point) {
      acknowledge(transaction)
      return true
    }
    guard isLast(point) else { return false }
    triedSince = now
    backoff = CommitPipeline.firstBackoff
    retryAt = now
    return true
  }

  private func isLast(_ point: CommitPoint?) -> Bool {
    guard let point, let lastPoint else { return point == nil && lastPoint == nil }
    return point.isSame(as: lastPoint)
  }

  /// Closes the current transaction and sends it.
  mutating func seal(journal: [UInt8], nextOffsets: [Int64], now: Int64) {
    guard inFlight == nil, let next = spare else {
      preconditionFailure("one transaction is committed at a time")
    }
    lastSealed += 1
    current.number = lastSealed
    current.nextOffsets = nextOffsets
    current.journal = journal
    inFlight = current
    spare = nil
    current = next
    sealedAt = now
    triedSince = now
    backoff = CommitPipeline.firstBackoff
    send()
  }

  private mutating func send() {
    guard let transaction = inFlight else { return }
    let (log, answer, wake) = (log, Answer(), options.wake)
    self.answer = answer
    queue.submit {
      defer { wake() }
      do throws(LogError) {
        try log.commit(transaction)
        answer.outcome.withLock { $0 = .committed }
      } catch {
        answer.outcome.withLock { $0 = .failed(error) }
      }
    }
  }

  private mutating func lookUp() {
    let (log, answer, wake) = (log, Answer(), options.wake)
    self.answer = answer
    queue.submit {
      defer { wake() }
      do throws(LogError) {
        let point = try log.committed()
        answer.outcome.withLock { $0 = .lookedUp(point) }
      } catch {
        answer.outcome.withLock { $0 = .failed(error) }
      }
    }
  }

  /// Takes note of what the log answered.
  mutating func poll(now: Int64) throws(LogError) {
    guard let transaction = inFlight else { return }
    if let at = retryAt {
      guard now >= at else { return }
      retryAt = nil
      if retryLookup { lookUp() } else { send() }
      return
    }
    guard let outcome = answer?.outcome.withLock({ $0 }) else { return }
    answer = nil
    switch outcome {
    case .committed: acknowledge(transaction)
    case .lookedUp(let point): try decide(transaction, by: point, now: now)
    case .failed(let error):
      switch error.recovery {
      case .retry:
        if options.mutant == .abortDropsOutputs { transaction.outputs.removeAll() }
        try retry(after: error, now: now)
      case .rewind:
        if options.mutant == .blindResend {
          transaction.number += 1
          lastSealed += 1
          return try retry(after: error, now: now)
        }
        retryLookup = true
        try retry(after: error, now: now)
      case .recreate, .stop: throw error
      }
    }
  }

  /// Whether a commit whose answer was lost has happened.
  private mutating func decide(_ transaction: Transaction, by point: CommitPoint?, now: Int64)
    throws(LogError)
  {
    let number = point?.number ?? 0
    if number < transaction.number {
      retryLookup = false
      return try retry(after: nil, now: now)
    }
    guard let point, point.isSame(as: transaction.point) else {
      throw LogError(
        .unavailable, recovery: .recreate,
        "another process has taken over the partition: commit \(transaction.number) is not ours, "
          + "the log stands at \(number)")
    }
    acknowledge(transaction)
  }

  private mutating func retry(after error: LogError?, now: Int64) throws(LogError) {
    if let error {
      let patience = options.commitPatience
      guard patience > 0 else { throw error }
      guard now - triedSince <= patience else {
        throw LogError(
          error.kind, recovery: .stop,
          "commit \(lastSealed) did not go through in \(patience / 1000) s: \(error.message)")
      }
      if now - (noticedAt ?? Int64.min / 2) >= CommitPipeline.noticeEvery {
        noticedAt = now
        options.notify(
          Notice(
            .warning, partition: options.partition,
            "commit \(lastSealed) is tried again: \(error.message)"))
      }
    }
    retryAt = now + backoff
    backoff = min(backoff * 2, CommitPipeline.longestBackoff)
  }

  private mutating func acknowledge(_ transaction: Transaction) {
    lastCommitted = transaction.number
    lastPoint = transaction.point
    noticedAt = nil
    transaction.removeAll()
    spare = transaction
    inFlight = nil
    retryLookup = false
  }
}
