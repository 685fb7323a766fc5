// `describe --settings`: what can be set, made from the same descriptions that check it.

/// The settings of operators as text.
public enum SettingsReference {
  /// Every setting of `operators`, with kind, default and meaning; ends with a line break.
  public static func text(for operators: [OperatorDescription]) -> String {
    var blocks: [String] = []
    for description in operators {
      var lines = ["\(description.name)  \(description.summary)"]
      lines.append("  reads \(ports(description)); gives \(outputs(description))")
      if description.settings.isEmpty { lines.append("  no settings") }
      for setting in description.settings { append(setting, indent: 2, to: &lines) }
      blocks.append(lines.map { $0 + "\n" }.joined())
    }
    return blocks.joined(separator: "\n")
  }

  private static func ports(_ description: OperatorDescription) -> String {
    description.inputs.isEmpty
      ? "nothing"
      : description.inputs.map { $0.stream.name + ($0.required ? "" : " (optional)") }
        .joined(separator: ", ")
  }

  private static func outputs(_ description: OperatorDescription) -> String {
    description.outputs.isEmpty
      ? "alerts only" : description.outputs.map(\.name).joined(separator: ", ")
  }

  private static func append(
    _ setting: SettingDescription, indent: Int, to lines: inout [String]
  ) {
    let inner = parts(of: setting.kind)
    var words = setting.kind.reference
    if case .structure = setting.kind { words = "a mapping" }
    switch setting.defaultText {
    case "{}" where !inner.isEmpty && words == "a mapping": break
    case "", "\"\"": words += "; default empty"
    default: words += "; default \(setting.defaultText)"
    }
    lines += wrapped("\(setting.name)  (\(words))", indent: indent, hanging: 4)
    lines += wrapped(setting.meaning, indent: indent + 2)
    for part in inner { append(part, indent: indent + 2, to: &lines) }
  }

  /// The settings inside a setting: its own, or those of each of its values.
  private static func parts(of kind: SettingKind) -> [SettingDescription] {
    switch kind {
    case .structure(let settings): settings
    case .list(let element), .mapping(_, let element): parts(of: element)
    case .either(let kinds): kinds.flatMap(parts)
    default: []
    }
  }

  /// Lines of at most 96 characters, broken at spaces.
  private static func wrapped(_ text: String, indent: Int, hanging: Int = 0) -> [String] {
    var lines: [String] = []
    var line = String(repeating: " ", count: indent)
    var isEmpty = true
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      if !isEmpty, line.count + word.count + 1 > 96 {
        lines.append(line)
        line = String(repeating: " ", count: indent + hanging)
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    return lines + [line]
  }
}

extension CheckedTopology {
  /// The settings of this topology's operators, each operator once, in the order of the run.
  public var settingsReference: String {
    var seen: Set<String> = []
    return SettingsReference.text(
      for: operators.map(\.description).filter { seen.insert($0.name).inserted })
  }
}
