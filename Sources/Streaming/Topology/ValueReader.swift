internal import Events

// Typed values out of a tree: one function per `SettingKind`, which serves the file's own keys as
// well as the operators' settings, so that all of them are refused in the same words.

struct ValueReader {
  var problems = ProblemList()

  /// The value as `kind` says, or nil and a problem.
  mutating func value(
    _ tree: TopologyTree, as kind: SettingKind, path: String
  ) -> SettingValue? {
    if case .refused = tree.content { return nil }
    switch kind {
    case .list(let element): return list(tree, of: element, kind, path)
    case .mapping(let keys, let element): return mapping(tree, keys, of: element, kind, path)
    case .structure(let settings):
      guard fields(tree, path, keys: settings.map(\.name), expected: kind.expectation) else {
        return nil
      }
      return structure(tree, settings, path).map { .mapping($0) }
    case .either(let kinds): return either(tree, kinds, kind, path)
    default:
      guard case .scalar(let text, _) = tree.content else {
        refuse(tree, kind, path)
        return nil
      }
      guard let value = kind.scalar(text) else {
        refuse(tree, kind, path)
        return nil
      }
      return value
    }
  }

  /// Every described setting: what the tree gives, else the default.
  mutating func structure(
    _ tree: TopologyTree?, _ settings: [SettingDescription], _ path: String
  ) -> [(name: String, value: SettingValue)]? {
    var result: [(name: String, value: SettingValue)] = []
    for setting in settings {
      if let given = tree?[setting.name] {
        let inner = path.isEmpty ? setting.name : "\(path).\(setting.name)"
        if let value = value(given, as: setting.kind, path: inner) {
          result.append((setting.name, value))
        }
      } else {
        result.append((setting.name, setting.defaultValue))
      }
    }
    return result.count == settings.count ? result : nil
  }

  /// Whether `tree` is a mapping; keys that are not among `keys` are reported.
  mutating func fields(
    _ tree: TopologyTree, _ path: String, keys: [String], expected: String
  ) -> Bool {
    guard case .mapping(let entries) = tree.content else {
      if case .refused = tree.content { return false }
      problems.add(tree.place, "\(subject(path)) is \(found(tree)); expected \(expected)")
      return false
    }
    for entry in entries where !keys.contains(entry.key) {
      let place = path.isEmpty ? "" : " in \(quoted(path))"
      problems.add(
        entry.keyPlace,
        "unknown key \(quoted(entry.key))\(place)"
          + suggestion(for: entry.key, among: keys, expecting: expected))
    }
    return true
  }

  mutating func missing(_ key: String, in path: String, at place: Place, expected: String) {
    problems.add(place, "\(subject(path)) lacks \(quoted(key)); expected \(expected)")
  }

  mutating func refuse(_ tree: TopologyTree, _ expected: String, path: String) {
    if case .refused = tree.content { return }
    problems.add(tree.place, "\(subject(path)) is \(found(tree)); expected \(expected)")
  }

  private mutating func refuse(_ tree: TopologyTree, _ kind: SettingKind, _ path: String) {
    var hint = ""
    switch (kind, tree.content) {
    case (.choice(let words), .scalar(let text, _)):
      hint = nearest(to: text, among: words).map { "; did you mean \(quoted($0))?" } ?? ""
    case (.duration, .scalar(let text, _)) where TimeSpan.parse(text) == .failure(.form):
      hint = ", written like `250ms`, `5s`, `30m`, `24h` or `7d`"
    default: break
    }
    problems.add(
      tree.place, "\(subject(path)) is \(found(tree)); expected \(kind.expectation)\(hint)")
  }

  private func subject(_ path: String) -> String { path.isEmpty ? "the file" : quoted(path) }

  /// What a message says was found. A variable that looks like a secret is named, not printed.
  private func found(_ tree: TopologyTree) -> String {
    switch tree.content {
    case .refused: "unreadable"
    case .list(let items): items.isEmpty ? "an empty list" : "a list"
    case .mapping: "a mapping"
    case .scalar(let text, nil): text.isEmpty ? "empty" : quoted(shortened(text))
    case .scalar(let text, let written?):
      Secret.isNamed(written)
        ? "the value of \(quoted(shortened(written)))"
        : "\(text.isEmpty ? "empty" : quoted(shortened(text))) (\(quoted(shortened(written))))"
    }
  }

  private func shortened(_ text: String) -> String {
    text.count > 60 ? text.prefix(60) + "…" : text
  }

  // MARK: - Kinds with parts

  private mutating func list(
    _ tree: TopologyTree, of element: SettingKind, _ kind: SettingKind, _ path: String
  ) -> SettingValue? {
    guard case .list(let items) = tree.content else {
      refuse(tree, kind, path)
      return nil
    }
    var values: [SettingValue] = []
    for (index, item) in items.enumerated() {
      if let value = value(item, as: element, path: "\(path)[\(index)]") { values.append(value) }
    }
    return values.count == items.count ? .list(values) : nil
  }

  private mutating func mapping(
    _ tree: TopologyTree, _ keys: [String]?, of element: SettingKind, _ kind: SettingKind,
    _ path: String
  ) -> SettingValue? {
    guard case .mapping(let entries) = tree.content else {
      refuse(tree, kind, path)
      return nil
    }
    if let keys { _ = fields(tree, path, keys: keys, expected: kind.expectation) }
    var values: [(name: String, value: SettingValue)] = []
    for entry in entries where keys?.contains(entry.key) ?? true {
      if let value = value(entry.value, as: element, path: "\(path).\(entry.key)") {
        values.append((entry.key, value))
      }
    }
    return values.count == entries.count ? .mapping(values) : nil
  }

  /// The first kind that fits; where only one has the value's shape, its problems are the ones
  /// to report.
  private mutating func either(
    _ tree: TopologyTree, _ kinds: [SettingKind], _ whole: SettingKind, _ path: String
  ) -> SettingValue? {
    let shaped = kinds.filter { $0.hasShape(of: tree) }
    for kind in shaped {
      var trial = ValueReader()
      if let value = trial.value(tree, as: kind, path: path) { return value }
    }
    if shaped.count == 1 { return value(tree, as: shaped[0], path: path) }
    refuse(tree, whole, path)
    return nil
  }
}

extension SettingDescription {
  /// - Precondition: the default is of the setting's kind.
  var defaultValue: SettingValue {
    var reader = ValueReader()
    let tree = TopologyTree.overrideValue(
      defaultText, at: Place("default of \(name)"), &reader.problems)
    guard let tree, let value = reader.value(tree, as: kind, path: name), reader.problems.isEmpty
    else {
      preconditionFailure(
        "the default of setting \(name) is not of its kind: \(reader.problems.sorted)")
    }
    return value
  }
}

extension SettingKind {
  fileprivate func hasShape(of tree: TopologyTree) -> Bool {
    switch (self, tree.content) {
    case (.either(let kinds), _): kinds.contains { $0.hasShape(of: tree) }
    case (.list, .list), (.mapping, .mapping), (.structure, .mapping): true
    case (.list, _), (.mapping, _), (.structure, _): false
    case (_, .scalar): true
    default: false
    }
  }

  /// A scalar's value, where this kind is one for scalars and the text fits it.
  fileprivate func scalar(_ text: String) -> SettingValue? {
    switch self {
    case .duration(let range):
      guard case .success(let span) = TimeSpan.parse(text), range.contains(span) else {
        return nil
      }
      return .duration(span)
    case .integer(let range):
      guard text.first != "+", let value = Int64(text), range.contains(value) else { return nil }
      return .integer(value)
    case .number(let range):
      let isDecimal = text.utf8.allSatisfy { "0123456789.eE+-".utf8.contains($0) }
      guard isDecimal, text.first != "+", let value = Double(text), value.isFinite,
        range.contains(value)
      else { return nil }
      return .number(value)
    case .boolean: return text == "true" ? .boolean(true) : text == "false" ? .boolean(false) : nil
    case .text: return .text(text)
    case .secret: return .secret(SecretText(text))
    case .choice(let words): return words.contains(text) ? .text(text) : nil
    case .list, .mapping, .structure, .either: return nil
    }
  }

  /// What a message says was expected.
  var expectation: String { words(inFull: false) }

  /// What the settings' reference calls the kind: all names that are accepted.
  var reference: String { words(inFull: true) }

  private func words(inFull: Bool) -> String {
    switch self {
    case .duration(let range):
      "a duration from \(range.lowerBound.text) to \(range.upperBound.text)"
    case .integer(let range):
      switch (range.lowerBound == .min, range.upperBound == .max) {
      case (true, true): "an integer"
      case (false, true): "an integer of at least \(range.lowerBound)"
      case (true, false): "an integer of at most \(range.upperBound)"
      case (false, false): "an integer from \(range.lowerBound) to \(range.upperBound)"
      }
    case .number(let range):
      switch (range.lowerBound.isFinite, range.upperBound.isFinite) {
      case (false, false): "a number"
      case (true, false): "a number of at least \(Self.text(range.lowerBound))"
      case (false, true): "a number of at most \(Self.text(range.upperBound))"
      case (true, true):
        "a number from \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))"
      }
    case .boolean: "`true` or `false`"
    case .text: "text"
    case .secret: "a secret text"
    case .choice(let words): alternatives(words)
    case .list(let element): "a list of \(element.plural(inFull: inFull))"
    case .mapping(let keys?, let element):
      inFull || keys.count <= 8
        ? "a mapping from \(alternatives(keys)) to \(element.words(inFull: inFull))"
        : "a mapping from \(keys.prefix(3).map(quoted).joined(separator: ", ")) and "
          + "\(keys.count - 3) more to \(element.words(inFull: inFull))"
    case .mapping(nil, let element): "a mapping from names to \(element.words(inFull: inFull))"
    case .structure(let settings): "a mapping with \(alternatives(settings.map(\.name), "and"))"
    case .either(let kinds):
      kinds.map { $0.words(inFull: inFull) }.joined(separator: ", or ")
    }
  }

  private func plural(inFull: Bool) -> String {
    switch self {
    case .text: "texts"
    default: "values, each \(words(inFull: inFull))"
    }
  }

  /// Whole numbers without their `.0`.
  static func text(_ number: Double) -> String {
    Int64(exactly: number).map(String.init) ?? String(number)
  }
}
