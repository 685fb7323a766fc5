public import Streaming

// Operators: the steps that topologies are made of, one file each. An operator is a struct with
// its settings, its state in tables, and what an entry does to it; see `Operator`. Adding one is a
// file here, a line below, and a call of the contract suite in its test.

/// Every operator that a topology file may name.
public enum OperatorRegistry {
  public static let all: [OperatorType] = [
    OperatorType(Attribution.self),
    OperatorType(Bids.self),
    OperatorType(Deduplicate.self),
    OperatorType(Federate.self),
    OperatorType(Identity.self),
    OperatorType(Journeys.self),
    OperatorType(Learner.self),
    OperatorType(Pacing.self),
    OperatorType(Posteriors.self),
    OperatorType(Safety.self),
    OperatorType(Tally.self),
  ]
}
