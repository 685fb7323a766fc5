import Events

extension PartitionCore {
  /// Fills this fresh core from a snapshot.
  ///
  /// - Throws: `.badData` when the snapshot does not read, `.configuration` when it is one of
  ///   another partition count.
  func restore(
    _ number: Int64, from source: any SnapshotStore, inputs: [LogInput], partitionCount: Int
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
    let names = topology.operators.map(\.name)
    guard header.operators.map(\.name) != names else { return }
    reassignTimers { owner in
      guard header.operators.indices.contains(Int(owner)) else { return nil }
      return names.firstIndex(of: header.operators[Int(owner)].name).map { Int32($0) }
    }
  }
}
