/// Where a person stands on the way to converting. Raw values are stable: they stand in snapshots.
/// States compare by how far they are.
public enum JourneyState: UInt8, CaseIterable, Sendable, BitwiseCopyable, Comparable {
  /// Has seen nothing.
  case unaware = 0
  /// Was somewhere else, and then nothing happened for too long.
  case lapsed = 1
  /// Has seen an ad.
  case aware = 2
  /// Has clicked.
  case interested = 3
  /// Came back to click in a later session, or has a deal under way.
  case considering = 4
  case converted = 5

  public var name: StaticString {
    switch self {
    case .unaware: "unaware"
    case .lapsed: "lapsed"
    case .aware: "aware"
    case .interested: "interested"
    case .considering: "considering"
    case .converted: "converted"
    }
  }

  public static func < (a: JourneyState, b: JourneyState) -> Bool { a.rawValue < b.rawValue }

  /// What a person does that moves the journey on.
  public enum Step: Sendable {
    case view
    /// `isReturn`: in a later session than the click that showed interest.
    case click(isReturn: Bool)
    case dealStage
    case conversion
  }

  /// The state after a step. A journey never moves back but by lapsing.
  public func after(_ step: Step) -> JourneyState {
    switch step {
    case .view: max(self, .aware)
    case .click(let isReturn):
      max(self, self >= .interested && isReturn ? .considering : .interested)
    case .dealStage: max(self, .considering)
    case .conversion: .converted
    }
  }
}
