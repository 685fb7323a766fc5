internal import Yams

/// What stands in a file, with places and without types: the types are known from the keys.
struct TopologyTree {
  indirect enum Content {
    /// `written` is the text before variables were replaced, where there were any.
    case scalar(String, written: String?)
    case list([TopologyTree])
    case mapping([Entry])
    /// Already reported; nothing more is to be said about it.
    case refused
  }

  struct Entry {
    var key: String
    var keyPlace: Place
    var value: TopologyTree
  }

  var place: Place
  var content: Content

  subscript(key: String) -> TopologyTree? {
    guard case .mapping(let entries) = content else { return nil }
    return entries.first { $0.key == key }?.value
  }

  var keys: [String] {
    guard case .mapping(let entries) = content else { return [] }
    return entries.map(\.key)
  }

  /// Every place, by path: `operators.totals.every`, `sources.events.kafka.topics[0]`. An entry's
  /// place is its key's; a scalar's own is that of the list that it may stand for: `from[0]`.
  func places() -> [String: Place] {
    var result: [String: Place] = ["": place]
    collectPlaces(path: "", into: &result)
    return result
  }

  private func collectPlaces(path: String, into result: inout [String: Place]) {
    switch content {
    case .refused: break
    case .scalar: result["\(path)[0]"] = place
    case .list(let items):
      for (index, item) in items.enumerated() {
        result["\(path)[\(index)]"] = item.place
        item.collectPlaces(path: "\(path)[\(index)]", into: &result)
      }
    case .mapping(let entries):
      for entry in entries {
        let inner = path.isEmpty ? entry.key : "\(path).\(entry.key)"
        result[inner] = entry.keyPlace
        entry.value.collectPlaces(path: inner, into: &result)
      }
    }
  }
}

// MARK: - Reading

extension TopologyTree {
  /// Reads one YAML document. Whatever is wrong with it is added to `problems`; nil where nothing
  /// can be said beyond that.
  ///
  /// - Parameter place: where a text without lines of its own stands (an option); nil for files.
  static func read(
    _ text: String, file: String, at place: Place? = nil, problems: inout ProblemList
  ) -> TopologyTree? {
    do {
      try TopologyText.check(text)
    } catch {
      problems.add(place ?? Place(file, error.line, error.column), error.message)
      return nil
    }
    var composer = Composer(text: text, file: file, place: place)
    guard let root = composer.compose(&problems) else { return nil }
    return composer.tree(from: root, &problems)
  }
}

/// Runs the parser and turns its nodes into a tree.
///
/// Yams stops at the first mapping with a key that is given twice, and names the key's first
/// place only. So the first one is renamed, in characters that nobody uses and in equal number,
/// which keeps every place; then the text is read again, and both are found in the tree.
private struct Composer {
  static let renamesMax = 16

  var text: [Unicode.Scalar]
  let file: String
  let place: Place?
  /// The real names of keys that were renamed, by line and column.
  var renamed: [[Int]: String] = [:]

  private let lastLine: Int
  private let lastColumn: Int

  init(text: String, file: String, place: Place?) {
    let scalars = Array(text.unicodeScalars)
    self.text = scalars
    self.file = file
    self.place = place
    lastLine = scalars.count { $0 == "\n" } + 1
    lastColumn = scalars.count - (scalars.lastIndex(of: "\n") ?? -1)
  }

  /// The parser thinks of a line break at the end of every file; where the file has none, what is
  /// wrong behind it is wrong at the end of the last line.
  func place(_ mark: Mark?) -> Place {
    if let place { return place }
    let (line, column) = (max(1, mark?.line ?? 1), max(1, mark?.column ?? 1))
    if line > lastLine { return Place(file, lastLine, lastColumn) }
    return Place(file, line, column)
  }

  mutating func compose(_ problems: inout ProblemList) -> Node? {
    while true {
      var yaml = String.UnicodeScalarView()
      yaml.append(contentsOf: text)
      do {
        let parser = try Parser(
          yaml: String(yaml), resolver: .basic, constructor: .default, encoding: .utf8)
        guard let root = try parser.singleRoot() else {
          problems.add(place ?? Place(file, 1, 1), "the file is empty; expected a topology")
          return nil
        }
        if let anchored = withExtendedLifetime(parser, { Self.firstAnchored(in: root) }) {
          problems.add(place(anchored.mark), Self.anchorSlipped)
          return nil
        }
        return root
      } catch YamlError.duplicatedKeysInMapping(let names, let context) {
        let name = names.first ?? ""
        guard renamed.count < Self.renamesMax, rename(name, at: context.mark) else {
          problems.add(place(context.mark), "\(quoted(name)) is given more than once")
          return nil
        }
      } catch {
        report(error, &problems)
        return nil
      }
    }
  }

  /// `TopologyText` refuses anchors before the parser sees them. Should its idea of a token ever
  /// differ from the parser's, this says so, and no alias is followed: an anchor stands before
  /// its aliases, so the walk ends before it can come to the same node twice.
  static let anchorSlipped = "an anchor in an unexpected place; write the value out"

  private static func firstAnchored(in node: Node) -> Node? {
    if node.anchor != nil { return node }
    switch node {
    case .scalar, .alias: return nil
    case .sequence(let items):
      for item in items {
        if let found = firstAnchored(in: item) { return found }
      }
    case .mapping(let pairs):
      for (key, value) in pairs {
        if let found = firstAnchored(in: key) ?? firstAnchored(in: value) { return found }
      }
    }
    return nil
  }

  private mutating func rename(_ name: String, at mark: Mark) -> Bool {
    guard var index = index(of: mark) else { return false }
    if text[index] == "\"" || text[index] == "'" { index += 1 }
    let scalars = Array(name.unicodeScalars)
    guard !scalars.isEmpty, index + scalars.count <= text.count,
      text[index..<index + scalars.count].elementsEqual(scalars),
      let substitute = Unicode.Scalar(0xE000 + UInt32(renamed.count))
    else { return false }
    for offset in scalars.indices { text[index + offset] = substitute }
    renamed[[mark.line, mark.column]] = name
    return true
  }

  private func index(of mark: Mark) -> Int? {
    var line = 1
    for index in text.indices {
      if line == mark.line {
        let result = index + mark.column - 1
        return result < text.count ? result : nil
      }
      if text[index] == "\n" { line += 1 }
    }
    return nil
  }

  private func report(_ error: any Error, _ problems: inout ProblemList) {
    switch error {
    case YamlError.scanner(let context, let problem, let mark, _),
      YamlError.parser(let context, let problem, let mark, _),
      YamlError.composer(let context, let problem, let mark, _):
      var message = "not YAML: \(problem)"
      if let context {
        message += " \(context.text) that begins in line \(context.mark.line)"
      }
      problems.add(place(mark), message)
    case YamlError.reader(let problem, _, _, _):
      problems.add(place ?? Place(file), "not YAML: \(problem)")
    default:
      problems.add(place ?? Place(file), "not YAML: \(error)")
    }
  }

  func tree(from node: Node, _ problems: inout ProblemList) -> TopologyTree {
    let place = place(node.mark)
    switch node {
    case .scalar(let scalar):
      let isText = !scalar.string.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
      if !isText { problems.add(place, "a control character; expected text on one line") }
      return TopologyTree(
        place: place, content: isText ? .scalar(scalar.string, written: nil) : .refused)
    case .sequence(let items):
      return TopologyTree(place: place, content: .list(items.map { tree(from: $0, &problems) }))
    case .mapping(let pairs):
      return TopologyTree(place: place, content: .mapping(entries(of: pairs, &problems)))
    case .alias:
      problems.add(place, "an alias; topology files have none, write the value out")
      return TopologyTree(place: place, content: .refused)
    }
  }

  private func entries(
    of pairs: Node.Mapping, _ problems: inout ProblemList
  ) -> [TopologyTree.Entry] {
    var entries: [TopologyTree.Entry] = []
    var first: [String: Place] = [:]
    for (key, value) in pairs {
      let keyPlace = place(key.mark)
      guard case .scalar(let scalar) = key else {
        problems.add(keyPlace, "a complex key; expected a name and a colon")
        continue
      }
      let mark = [key.mark?.line ?? 0, key.mark?.column ?? 0]
      let name = renamed[mark] ?? scalar.string
      if let earlier = first[name] {
        let reference = earlier.line > 0 && place == nil ? " (first in line \(earlier.line))" : ""
        problems.add(keyPlace, "\(quoted(name)) is given more than once\(reference)")
        continue
      }
      first[name] = keyPlace
      entries.append(
        TopologyTree.Entry(key: name, keyPlace: keyPlace, value: tree(from: value, &problems)))
    }
    return entries
  }
}
