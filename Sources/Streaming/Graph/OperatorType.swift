/// An operator that topologies may use: its description and how to make it.
public struct OperatorType: Sendable {
  public let description: OperatorDescription
  package let make: @Sendable (OperatorSetup) throws(SettingProblem) -> GraphNode

  public init<O: Operator>(_ type: O.Type) {
    description = O.description
    make = { (setup) throws(SettingProblem) in OperatorNode(try O(setup)) }
  }
}
