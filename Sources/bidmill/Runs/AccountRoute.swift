import Events
import LocalLog
import Streaming

/// Decides which partition a record belongs to: its account's, as Kafka's default partitioner
/// puts it.
///
/// Records without an account that can be read go to partition 0. Heartbeats, and priors from
/// whom they are accepted, go to every partition. Used by one thread.
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
      return Decision(partition: 0, account: .absent, time: nil)
    }
    var partition = 0
    if routing.type == .heartbeat || (routing.type == .prior && acceptsPriors) {
      partition = FileReplay.everyPartition
    } else if !routing.account.isAbsent {
      partition = Partitioner.murmur2(
        UnsafeRawBufferPointer(routing.account.bytes), partitions: partitions)
    }
    return Decision(partition: partition, account: routing.account, time: routing.time)
  }
}
