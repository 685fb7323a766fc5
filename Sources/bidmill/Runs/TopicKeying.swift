import Streaming

// Where records stand by contract: an account's in the partition that its hash names.

extension CheckedTopology {
  /// Inputs of Kafka's sources, with the partitions that their records must be in.
  func keyed(_ inputs: [LogInput], partitions: Int) -> [LogInput] {
    inputs.map { input in
      var input = input
      input.keying = keying(of: input.source, partitions)
      return input
    }
  }

  private func keying(of name: String, _ partitions: Int) -> Keying? {
    let source = topology.sources.first { $0.name == name }
    guard case .kafka(let kafka)? = source?.transport, let hash = kafka.partitioner.hash else {
      return nil
    }
    return Keying(hash: hash, partitions: partitions)
  }

  /// Outputs, with the partitions that their records go to where the sink has a `partitioner`.
  func keyed(_ outputs: [LogOutput], partitions: Int) -> [LogOutput] {
    zip(outputs, sinks).map { output, sink in
      var output = output
      if case .kafka(let kafka) = sink.transport, let hash = kafka.partitioner?.hash {
        output.keying = Keying(hash: hash, partitions: partitions)
        output.isForAll = sink.stream == .priors
      }
      return output
    }
  }
}
