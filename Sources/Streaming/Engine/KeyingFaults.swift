import Events

// What is said of records that are not where their account belongs.

extension Keying {
  /// Of a record whose key is not its account, or that is not in its key's partition.
  @inline(never)
  func rejection(of key: UnsafeRawBufferPointer, in input: LogInput) -> Rejection {
    let detail: String
    if key.isEmpty {
      detail = "the record has no key; expected its account"
    } else if partition(of: key) == Int(input.partition) {
      detail = "the record's key is not its account"
    } else {
      detail =
        "\(hash) puts the record's key into partition \(partition(of: key)) of \(partitions), "
        + "and it is in \(input.partition)"
    }
    return Rejection(reason: .wrongPartition, field: "account", detail: detail, byteOffset: 0)
  }

  /// Not an exception but the rule: the topic is keyed by something else.
  func mistaken(_ input: LogInput, _ misplaced: Int, of records: Int) -> LogError {
    LogError(
      .configuration,
      "\(misplaced) of the first \(records) records of \(input.topic) partition "
        + "\(input.partition) are not keyed by their account, or not where \(hash) puts it: the "
        + "topic is keyed otherwise. Correct `partitioner`, or key it anew with "
        + "Topologies/rekey.yaml and read what that writes")
  }
}
