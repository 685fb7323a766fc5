import Events
import KafkaLog
import LocalLog
import Service
import Streaming

/// The HTTP service of a live run: what the service does not know of logs.
struct RunService: Sendable {
  let service: HTTPService

  /// Listens; the run itself is told of later.
  ///
  /// - Returns: nil where no service is wanted.
  static func start(_ options: ServiceOptions, isQuiet: Bool) throws -> RunService? {
    guard let configuration = try options.configuration() else { return nil }
    let service = HTTPService(configuration)
    try service.start()
    if let port = service.port, !isQuiet {
      var address = configuration.address
      address.port = port
      Terminal.error("answering on http://\(address)")
    }
    return RunService(service: service)
  }

  /// Not ready from now on; no more events are taken.
  func beginStopping() { service.beginStopping() }

  /// Ends, once what is under way is answered.
  func stop() { service.stop() }

  func attach(
    _ topology: CheckedTopology, _ engine: Engine, _ home: any LiveHome,
    _ retention: RetentionWatch
  ) {
    let partitionCount = home.partitionCount
    var run = RunningTopology(topology: topology, partitionCount: partitionCount) {
      engine.statuses
    }
    run.version = Bidmill.version
    run.recordsLeft = { home.knownLeft(of: $0) }
    run.retentionHeadroom = { partition in
      retention.current.lazy.filter { $0.partition == partition }.map(\.records).min()
    }
    run.isSettled = { home.isSettled }
    run.rebalances = { home.rebalances }
    switch topology.topology.sources.first?.transport {
    case .log(let log):
      run.intake = LocalIntake(log.directory, options: topology.localLogOptions)
      run.partition = RunService.murmur2(partitionCount)
    case .kafka(let kafka):
      // Where accounts are by another hash is their producers' business.
      if kafka.partitioner == .murmur2 {
        run.partition = RunService.murmur2(partitionCount)
        run.intake = KafkaIntake(
          KafkaSettings(
            brokers: kafka.brokers, group: topology.group, properties: kafka.properties),
          topics: topology.topology.sources.flatMap(\.kafkaTopics), partitionCount: partitionCount)
      }
      run.clientMetrics = { KafkaMetrics.write(KafkaStatistics.current, to: &$0) }
    case .files, nil: break
    }
    service.attach(run)
  }

  private static func murmur2(_ partitions: Int) -> @Sendable (String) -> Int? {
    { account in
      var account = account
      return account.withUTF8 {
        Partitioner.murmur2(UnsafeRawBufferPointer($0), partitions: partitions)
      }
    }
  }
}

extension Topology.Source {
  fileprivate var kafkaTopics: [String] {
    if case .kafka(let kafka) = transport { kafka.topics } else { [] }
  }
}

extension CheckedTopology {
  /// How a local log of this topology is written.
  var localLogOptions: LocalLogOptions {
    switch topology.commit.fsync {
    case .always: LocalLogOptions(fsync: .always)
    case .never: LocalLogOptions(fsync: .never)
    case .every(let span): LocalLogOptions(fsync: .interval(milliseconds: span.milliseconds))
    }
  }
}
