import Events
import LocalLog
import Service
import Streaming
import Synchronization

/// Events that come in over HTTP, into the topics of a local log.
///
/// A topic's partition has one writer at a time: it is held while events come, and given back when
/// none has come for a while, so that an import finds it free.
final class LocalIntake: EventIntake {
  private struct Place: Hashable {
    var topic: String
    var partition: Int32
  }

  private struct State {
    var appenders: [Place: TopicAppender] = [:]
    var partitions: [String: Int] = [:]
    var usedAt: Int64 = 0
  }

  private static let restMilliseconds: Int64 = 1_000

  private let directory: String
  private let options: LocalLogOptions
  private let clock = SystemClock()
  private let state = Mutex(State())

  init(_ directory: String, options: LocalLogOptions) {
    self.directory = directory
    self.options = options
  }

  func append(_ records: [IncomingRecord]) throws(LogError) {
    var failure: LogError?
    state.withLock { state in
      state.usedAt = clock.now()
      do throws(LogError) { try append(records, &state) } catch {
        // What is left in their buffers must not be written later.
        state.appenders = [:]
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func append(_ records: [IncomingRecord], _ state: inout State) throws(LogError) {
    let store = try LocalLogStore.open(directory, options: options)
    var touched: [Place] = []
    for record in records {
      let count = try partitions(of: record.topic, store, &state)
      let own = record.key.withUnsafeBytes { Partitioner.murmur2($0, partitions: count) }
      for partition in record.isForAll ? 0..<count : own..<own + 1 {
        let place = Place(topic: record.topic, partition: Int32(partition))
        let appender = try appender(place, store, &state)
        if !touched.contains(place) { touched.append(place) }
        try LocalIntake.append(record, to: appender)
      }
    }
    for place in touched { try state.appenders[place]?.flush() }
  }

  private static func append(
    _ record: IncomingRecord, to appender: TopicAppender
  ) throws(LogError) {
    let failure: LogError? = record.key.withUnsafeBytes { key in
      record.value.withUnsafeBytes { value in
        do throws(LogError) {
          try appender.append(
            key: key, value: value, appendTime: record.receivedAt, eventTime: record.time)
          return nil
        } catch { return error }
      }
    }
    if let failure { throw failure }
  }

  private func partitions(
    of topic: String, _ store: LocalLogStore, _ state: inout State
  ) throws(LogError) -> Int {
    if let known = state.partitions[topic] { return known }
    guard let info = try store.info(topic) else {
      throw LogError(.missing, "there is no topic \(topic) in \(directory).")
    }
    state.partitions[topic] = info.partitions
    return info.partitions
  }

  private func appender(
    _ place: Place, _ store: LocalLogStore, _ state: inout State
  ) throws(LogError) -> TopicAppender {
    if let known = state.appenders[place] { return known }
    let appender = try store.appender(place.topic, partition: place.partition)
    state.appenders[place] = appender
    return appender
  }

  func rest() {
    state.withLock { state in
      guard !state.appenders.isEmpty,
        clock.now() - state.usedAt >= LocalIntake.restMilliseconds
      else { return }
      // What is there is written, and acknowledged as `fsync` has it; here the rest of that comes.
      for appender in state.appenders.values { try? appender.close() }
      state.appenders = [:]
    }
  }
}
