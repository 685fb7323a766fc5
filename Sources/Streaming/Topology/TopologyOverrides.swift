// `--set operators.totals.every=10s`: a path, and a value as YAML flow (`10s`, `[a, b]`,
// `{a: 1}`). An override changes the tree before anything is read from it, so a wrong one is
// reported in the same words as a wrong file, at the place `--set #1`.

extension TopologyTree {
  /// Applies overrides in their order; a later one wins.
  func applying(overrides: [String], _ problems: inout ProblemList) -> TopologyTree {
    var result = self
    for (index, override) in overrides.enumerated() {
      result.apply(override, at: Place("--set #\(index + 1)"), &problems)
    }
    return result
  }

  private mutating func apply(_ override: String, at place: Place, _ problems: inout ProblemList) {
    guard let equals = override.firstIndex(of: "="), equals != override.startIndex else {
      problems.add(place, "\(quoted(override)) is not `path=value`, as in `time.tick=1s`")
      return
    }
    guard let path = Self.path(override[..<equals]), checkName(path, place, &problems) else {
      if Self.path(override[..<equals]) == nil {
        problems.add(
          place, "\(quoted(String(override[..<equals]))) is not a path, as in `time.tick`")
      }
      return
    }
    let text = override[override.index(after: equals)...]
    guard let value = Self.overrideValue(String(text), at: place, &problems) else { return }
    set(path[...], to: value, at: place)
  }

  /// Segments between dots; a segment with dots of its own stands in double quotes, and client
  /// properties, whose names are full of dots, need none.
  static func path(_ text: Substring) -> [String]? {
    var segments: [String] = []
    var rest = text
    while true {
      if segments.last == "properties" {
        segments.append(String(rest))
        rest = ""
      } else if rest.hasPrefix("\"") {
        rest = rest.dropFirst()
        guard let end = rest.firstIndex(of: "\"") else { return nil }
        segments.append(String(rest[..<end]))
        rest = rest[rest.index(after: end)...]
      } else {
        let segment = rest.prefix { $0 != "." }
        segments.append(String(segment))
        rest = rest[segment.endIndex...]
      }
      if segments.last?.isEmpty ?? true || segments.count > 16 { return nil }
      if rest.isEmpty { return segments }
      guard rest.hasPrefix(".") else { return nil }
      rest = rest.dropFirst()
    }
  }

  /// Overrides change what the file names; they add no sources, operators or sinks.
  private func checkName(
    _ path: [String], _ place: Place, _ problems: inout ProblemList
  ) -> Bool {
    let section = path[0]
    guard ["sources", "operators", "sinks"].contains(section), path.count > 1 else { return true }
    let known = self[section]?.keys ?? []
    if known.contains(path[1]) { return true }
    problems.add(
      place,
      "the file has no \(quoted("\(section).\(path[1])"))"
        + suggestion(for: path[1], among: known, expecting: "a name that the file gives"))
    return false
  }

  /// A scalar as it is written, or a quoted text, a list or a mapping as YAML reads it.
  static func overrideValue(
    _ text: String, at place: Place, _ problems: inout ProblemList
  ) -> TopologyTree? {
    let trimmed = text.drop { $0 == " " }
    guard let first = trimmed.first, "[{\"'".contains(first) else {
      let isText = !text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
      if !isText { problems.add(place, "a control character; expected text on one line") }
      return isText
        ? TopologyTree(place: place, content: .scalar(String(trimmed), written: nil)) : nil
    }
    return read(String(trimmed), file: place.file, at: place, problems: &problems)
  }

  private mutating func set(
    _ path: ArraySlice<String>, to value: TopologyTree, at place: Place
  ) {
    guard let key = path.first else {
      self = value
      return
    }
    var entries: [Entry] = []
    if case .mapping(let existing) = content {
      entries = existing
    } else {
      self.place = place
    }
    let rest = path.dropFirst()
    if let index = entries.firstIndex(where: { $0.key == key }) {
      entries[index].value.set(rest, to: value, at: place)
      if rest.isEmpty { entries[index].keyPlace = place }
    } else {
      var inner = TopologyTree(place: place, content: .mapping([]))
      inner.set(rest, to: value, at: place)
      entries.append(Entry(key: key, keyPlace: place, value: inner))
    }
    content = .mapping(entries)
  }
}
