import Events
import LocalLog
import Streaming

/// Decides which partition a record belongs to: its account's, as Kafka's default partitioner
/// puts it.
///
/// Records without an account that can be read go to partition 0. Heartbeats, and priors without an
/// account from whom they are accepted, go to every partition. Used by one thread.
final class AccountRoute: @unchecked Sendable {
  // Only the thread that reads the input calls it.
  private var decoder = EventDecoder()
  private let partitions: Int
  private let acceptsPriors: Bool

  /// - Parameter acceptsPriors: whether the input may carry `prior` events.
  init(partitions: Int, acceptsPriors: Bool) {
    self.partitions = partitions
    self.acceptsPriors = acceptsPriors
  }

  struct Decision {
    /// `FileReplay.everyPartition` for all of them.
    var partition: Int
    /// Absent where the record has none; valid until the next call.
    var account: Identifier
    /// Nil where the record is refused.
    var time: EventTime?
  }

  func decide(_ record: UnsafeRawBufferPointer) -> Decision {
    guard let routing = decoder.routing(of: record) else {
      let account = decoder.refused.account
      return Decision(partition: partition(of: account), account: account, time: nil)
    }
    let isForAll =
      routing.type == .heartbeat
      || (routing.type == .prior && routing.account.isAbsent && acceptsPriors)
    return Decision(
      partition: isForAll ? FileReplay.everyPartition : partition(of: routing.account),
      account: routing.account, time: routing.time)
  }

  private func partition(of account: Identifier) -> Int {
    guard !account.isAbsent else { return 0 }
    return Partitioner.murmur2(UnsafeRawBufferPointer(account.bytes), partitions: partitions)
  }
}
