public import Events

/// What a topology file may say about an operator, as data: the checker, the reader, `describe`
/// and the documentation are all made from it.
public struct OperatorDescription: Sendable {
  /// One of an operator's inputs: `from` entries are matched to ports by stream type.
  public struct Port: Sendable, Hashable {
    public var stream: StreamType
    public var required: Bool

    public init(_ stream: StreamType, required: Bool = true) {
      self.stream = stream
      self.required = required
    }
  }

  /// As in topology files: `operator: deduplicate`.
  public var name: String
  /// Rises when the same input gives other state or outputs; part of the epoch.
  public var version: Int
  /// One sentence for `describe`.
  public var summary: String
  public var inputs: [Port]
  public var outputs: [StreamType]
  public var settings: [SettingDescription]
  /// Data from elsewhere that is compiled in and that results depend on, with their releases
  /// (`tz 2026a`); part of the epoch.
  public var data: [String]

  public init(
    name: String, version: Int, summary: String, inputs: [Port], outputs: [StreamType],
    settings: [SettingDescription], data: [String] = []
  ) {
    self.name = name
    self.version = version
    self.summary = summary
    self.inputs = inputs
    self.outputs = outputs
    self.settings = settings
    self.data = data
  }
}

/// One setting of an operator.
public struct SettingDescription: Sendable {
  public var name: String
  public var kind: SettingKind
  /// The default as it would stand in a topology file.
  public var defaultText: String
  /// What it does, in one or two sentences.
  public var meaning: String

  public init(_ name: String, _ kind: SettingKind, default defaultText: String, meaning: String) {
    self.name = name
    self.kind = kind
    self.defaultText = defaultText
    self.meaning = meaning
  }
}

/// What a setting may hold.
public indirect enum SettingKind: Sendable {
  /// `250ms`, `5s`, `30m`, `24h`, `7d`, within bounds.
  case duration(ClosedRange<TimeSpan>)
  case integer(ClosedRange<Int64>)
  case number(ClosedRange<Double>)
  case boolean
  case text
  /// A text that is never printed and stands in no state: only its id does.
  case secret
  /// One of these words.
  case choice([String])
  case list(SettingKind)
  /// Names to values; where `keys` is given, only those names.
  case mapping(keys: [String]?, SettingKind)
  /// A block with settings of its own.
  case structure([SettingDescription])
  /// The first kind that fits.
  case either([SettingKind])
}

/// A setting's value, checked against its kind.
public indirect enum SettingValue: Sendable, Equatable {
  case duration(TimeSpan)
  case integer(Int64)
  case number(Double)
  case boolean(Bool)
  case text(String)
  case secret(SecretText)
  case list([SettingValue])
  /// In the file's order.
  case mapping([(name: String, value: SettingValue)])

  public static func == (a: SettingValue, b: SettingValue) -> Bool {
    switch (a, b) {
    case (.duration(let a), .duration(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.boolean(let a), .boolean(let b)): a == b
    case (.text(let a), .text(let b)): a == b
    case (.secret(let a), .secret(let b)): a == b
    case (.list(let a), .list(let b)): a == b
    case (.mapping(let a), .mapping(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.name == $1.name && $0.value == $1.value }
    default: false
    }
  }
}

/// An operator's settings after the file, the environment, `--set` and the defaults: every
/// described setting has a value of its kind, so reading one cannot fail.
public struct Settings: Sendable, Equatable {
  public private(set) var values: [String: SettingValue]

  public init(_ values: [String: SettingValue]) { self.values = values }

  /// - Precondition: the operator describes a setting of this name.
  public subscript(name: String) -> SettingValue {
    guard let value = values[name] else {
      preconditionFailure("the operator reads a setting that it does not describe: \(name)")
    }
    return value
  }

  public func duration(_ name: String) -> TimeSpan {
    guard case .duration(let value) = self[name] else { mismatch(name, "a duration") }
    return value
  }

  public func integer(_ name: String) -> Int64 {
    guard case .integer(let value) = self[name] else { mismatch(name, "an integer") }
    return value
  }

  public func number(_ name: String) -> Double {
    guard case .number(let value) = self[name] else { mismatch(name, "a number") }
    return value
  }

  public func boolean(_ name: String) -> Bool {
    guard case .boolean(let value) = self[name] else { mismatch(name, "a boolean") }
    return value
  }

  public func text(_ name: String) -> String {
    guard case .text(let value) = self[name] else { mismatch(name, "a text") }
    return value
  }

  public func secret(_ name: String) -> SecretText {
    guard case .secret(let value) = self[name] else { mismatch(name, "a secret") }
    return value
  }

  /// A mapping's entries by name, as a setting of kind `structure` gives them.
  public func structure(_ name: String) -> Settings {
    guard case .mapping(let entries) = self[name] else { mismatch(name, "a mapping") }
    return Settings(Dictionary(entries.map { ($0.name, $0.value) }) { $1 })
  }

  private func mismatch(_ name: String, _ expected: String) -> Never {
    preconditionFailure(
      "the operator reads setting \(name) as \(expected); it is described otherwise")
  }
}

/// A text that prints as `***`.
public struct SecretText: Sendable, Equatable, CustomStringConvertible {
  public let value: String

  public init(_ value: String) { self.value = value }

  public var description: String { Secret.mask }

  /// Changes with the text and does not give it away: what canonical topologies hold.
  public var id: UInt64 { KeyedHash(secret: value).id }
}

/// Settings that fit their kinds but not each other.
public struct SettingProblem: Error, Sendable {
  /// Path below the operator: `windows.view`.
  public var setting: String
  public var message: String

  public init(setting: String, message: String) {
    self.setting = setting
    self.message = message
  }
}
