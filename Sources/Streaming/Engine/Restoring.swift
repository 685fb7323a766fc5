import Events

extension PartitionCore {
  /// Fills this fresh core from a snapshot.
  ///
  /// - Throws: `.badData` when the snapshot does not read, `.configuration` when it is one of
  ///   another partition, partition count or tick.
  func restore(
    _ number: Int64, from source: any SnapshotStore, inputs: [LogInput], partition: Int,
    partitionCount: Int
  ) throws(LogError) -> SnapshotHeader {
    var parser = SnapshotParser()
    var restoring: StateStore.Restoring?
    var header: SnapshotHeader?
    try source.read(number) { (piece) throws(LogError) in
      do throws(SnapshotDamage) {
        try parser.feed(piece) { (item) throws(SnapshotDamage) in
          switch item {
          case .header(let found):
            header = found
            let isSame = found.epoch.topologyHash == topology.hash
            restoring = StateStore.Restoring(store, strict: isSame)
            try restoring?.prepare(found)
          case .page(let region, let page, let rows):
            restoring?.fill(region: region, page: page, rows)
          }
        }
      } catch { throw LogError(.badData, "snapshot \(number): \(error.description)") }
    }
    guard let header, parser.isComplete else {
      throw LogError(.badData, "snapshot \(number) ends too early: it was cut")
    }
    guard header.partitionCount == partitionCount else {
      throw LogError(
        .configuration,
        "snapshot \(number) is one of \(header.partitionCount) partitions and there are "
          + "\(partitionCount) now; a changed partition count cannot be restored")
    }
    guard header.partition == partition else {
      throw LogError(
        .configuration,
        "snapshot \(number) is that of partition \(header.partition), not \(partition): "
          + "the snapshots' places were mixed up")
    }
    try header.epoch.checkTick(topology)
    store.didRestore()
    adoptInputs(header, inputs)
    adoptTimers(header)
    return header
  }

  /// Input states by topic: inputs that are new begin at their first record, those that are gone
  /// are dropped.
  private func adoptInputs(_ header: SnapshotHeader, _ inputs: [LogInput]) {
    let old = (0..<Int32(inputStates.count)).map { inputStates[$0] }
    inputStates.removeAll()
    for input in inputs {
      let known = header.inputs.firstIndex {
        $0.topic == input.topic && $0.partition == input.partition
      }
      if let known, known < old.count {
        inputStates.append(old[known])
      } else {
        inputStates.append(InputState(nextOffset: input.isFile ? 1 : 0))
      }
    }
  }

  /// Timers belong to operators by place; after a changed topology the places have moved.
  private func adoptTimers(_ header: SnapshotHeader) {
    let new = topology.operators
    guard !header.operators.elementsEqual(new, by: { $0.isSame(as: $1) }) else { return }
    reassignTimers { owner in
      guard header.operators.indices.contains(Int(owner)) else { return nil }
      let old = header.operators[Int(owner)]
      return new.firstIndex { old.isSame(as: $0) }.map { Int32($0) }
    }
  }
}

extension SnapshotHeader.Operator {
  /// The same step of the topology, whatever its settings: timers stay its own.
  fileprivate func isSame(as plan: CheckedTopology.Operator) -> Bool {
    name == plan.name && kind == plan.description.name
  }
}

extension Epoch {
  /// Ticks are numbers of clock entries; with another length they would be other times.
  func checkTick(_ topology: CheckedTopology) throws(LogError) {
    let now = topology.topology.time.tick.milliseconds
    guard tickMilliseconds == now else {
      throw LogError(
        .configuration,
        "time.tick was \(tickMilliseconds) ms when state was kept and is \(now) ms now; it cannot "
          + "change over kept state. Set it back, or start a new group with a state of its own.")
    }
  }
}
