// Which YAML a topology file may be written in: block and flow mappings and lists, plain and
// quoted scalars, comments. Anchors, aliases, tags, tabs, block scalars, directives, complex keys
// and text that goes on over lines are refused here, before the parser: they have no use in a
// topology, and some of them are how YAML files are made to explode.
//
// The scanner walks the text once and follows YAML's own token rules for this subset, so that an
// `*` inside quotes, a comment or the middle of a word is left alone.

struct TopologyText {
  static let sizeLimit = 1 << 20
  /// Deeper than any topology; shallow enough for every recursion after this.
  static let depthLimit = 24

  struct Fault: Error, Equatable {
    var line: Int
    var column: Int
    var message: String
  }

  private let scalars: [Unicode.Scalar]
  private var next = 0
  private var line = 1
  private var column = 1
  /// Open `[` and `{`.
  private var flowDepth = 0
  /// Columns of the block keys and dashes that enclose this place.
  private var entries: [Int] = []
  /// A value has ended; text that follows would continue it.
  private var hasEnded = false
  private var hasContent = false

  /// - Throws: the first place that is not accepted.
  static func check(_ text: String) throws(Fault) {
    guard text.utf8.count <= sizeLimit else {
      throw Fault(
        line: 0, column: 0,
        message: "the file has \(text.utf8.count) bytes; a topology has at most \(sizeLimit)")
    }
    var scanner = TopologyText(text)
    try scanner.checkCharacters()
    try scanner.checkTokens()
  }

  private init(_ text: String) { scalars = Array(text.unicodeScalars) }

  // MARK: - Characters

  private func checkCharacters() throws(Fault) {
    var (line, column) = (1, 1)
    for (index, scalar) in scalars.enumerated() {
      let isLineEnd = scalar == "\r" && index + 1 < scalars.count && scalars[index + 1] == "\n"
      if !isLineEnd, !Self.isAccepted(scalar) {
        let code = String(scalar.value, radix: 16, uppercase: true)
        let name = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
        throw Fault(
          line: line, column: column,
          message: "the character \(name) is not accepted; write plain UTF-8 text")
      }
      if scalar == "\n" { (line, column) = (line + 1, 1) } else { column += 1 }
    }
  }

  /// What YAML calls printable, without its other line breaks, by which editors count no lines.
  private static func isAccepted(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE,
      0xFF00...0xFFFD, 0x1_0000...0x10_FFFF:
      true
    default: false
    }
  }

  // MARK: - Tokens

  private var current: Unicode.Scalar? { next < scalars.count ? scalars[next] : nil }

  private func isBlank(at index: Int) -> Bool {
    guard index < scalars.count else { return true }
    return scalars[index] == " " || scalars[index] == "\n" || scalars[index] == "\r"
      || scalars[index] == "\t"
  }

  private mutating func advance() {
    if scalars[next] == "\n" { (line, column) = (line + 1, 1) } else { column += 1 }
    next += 1
  }

  private mutating func advance(to index: Int) {
    while next < index { advance() }
  }

  private func fault(_ message: String) -> Fault {
    Fault(line: line, column: column, message: message)
  }

  private mutating func checkTokens() throws(Fault) {
    var isFirst = true
    while let scalar = current {
      switch scalar {
      case "\n":
        isFirst = true
        advance()
      case " ", "\r": advance()
      case "\t": throw fault("a tab; indent and separate with spaces")
      case "#" where next == 0 || isBlank(at: next - 1): skipComment()
      default:
        if isFirst, flowDepth == 0, try beginsLine() {
          isFirst = false
          continue
        }
        isFirst = false
        try flowDepth == 0 ? blockToken() : flowToken()
      }
    }
  }

  private mutating func skipComment() {
    while let scalar = current, scalar != "\n" { advance() }
  }

  /// Document markers, directives, and whether the line continues the text of the one before.
  /// True when it consumed a token.
  private mutating func beginsLine() throws(Fault) -> Bool {
    if column == 1 {
      if current == "%" { throw fault("a YAML directive; topology files have none") }
      if isMarker("---") {
        if hasContent { throw fault("a second document begins; a file holds one topology") }
        hasContent = true
        advance(to: next + 3)
        return true
      }
      if isMarker("...") { throw fault("a document end; a file holds one topology and no more") }
    }
    hasContent = true
    if hasEnded, column > entries.last ?? 0 {
      throw fault(
        "this line continues the value before it; expected a key, or is it indented too far?")
    }
    hasEnded = false
    while let last = entries.last, last > column { entries.removeLast() }
    return false
  }

  private func isMarker(_ text: String) -> Bool {
    let end = next + 3
    return end <= scalars.count && scalars[next..<end].elementsEqual(text.unicodeScalars)
      && isBlank(at: end)
  }

  private mutating func blockToken() throws(Fault) {
    let start = column
    switch scalars[next] {
    case "-" where isBlank(at: next + 1):
      try open(start)
      advance()
    case "?" where isBlank(at: next + 1): throw complexKey()
    case ":" where isBlank(at: next + 1): throw complexKey()
    case "[", "{":
      try enterFlow()
    case "|", ">":
      throw fault("a block of text; write the text in quotes, on one line")
    default:
      try scalar()
      try endBlockScalar(start)
    }
  }

  /// A scalar that a colon follows is a key; any other one is a value.
  private mutating func endBlockScalar(_ start: Int) throws(Fault) {
    var index = next
    while index < scalars.count, scalars[index] == " " { index += 1 }
    if index < scalars.count, scalars[index] == ":", isBlank(at: index + 1) {
      try open(start)
      advance(to: index + 1)
    } else {
      hasEnded = true
    }
  }

  private mutating func flowToken() throws(Fault) {
    switch scalars[next] {
    case "[", "{":
      try enterFlow()
    case "]", "}":
      flowDepth -= 1
      hasEnded = true
      advance()
    case ",", ":":
      hasEnded = false
      advance()
    case "?": throw complexKey()
    default:
      if hasEnded { throw fault("this continues the value before it; expected a comma") }
      try scalar()
      hasEnded = true
    }
  }

  private mutating func scalar() throws(Fault) {
    switch scalars[next] {
    case "&": throw fault("an anchor; topology files have none, write the value out")
    case "*":
      throw fault("an alias; topology files have none, write the value out, or in quotes")
    case "!": throw fault("a tag; topology files have none, types are known from the key")
    case "%", "@", "`": throw fault("a value cannot begin with this; write it in quotes")
    case "\"", "'": try skipQuoted(scalars[next])
    default: try skipPlain()
    }
  }

  private func complexKey() -> Fault { fault("a complex key; expected a name and a colon") }

  private mutating func open(_ column: Int) throws(Fault) {
    if entries.last != column { entries.append(column) }
    hasEnded = false
    try checkDepth()
  }

  private mutating func enterFlow() throws(Fault) {
    flowDepth += 1
    hasEnded = false
    try checkDepth()
    advance()
  }

  private func checkDepth() throws(Fault) {
    if flowDepth + entries.count > Self.depthLimit {
      throw fault("nested more than \(Self.depthLimit) deep")
    }
  }

  private mutating func skipQuoted(_ quote: Unicode.Scalar) throws(Fault) {
    let (line, column) = (line, column)
    advance()
    while let scalar = current {
      if scalar == "\n" { break }
      advance()
      if scalar == "\\", quote == "\"", current != nil, current != "\n" {
        advance()
      } else if scalar == quote {
        if quote == "'", current == "'" { advance() } else { return }
      }
    }
    throw Fault(line: line, column: column, message: "this quote is not closed on its line")
  }

  private mutating func skipPlain() throws(Fault) {
    while let scalar = current {
      switch scalar {
      case "\n": return
      case "\t": throw fault("a tab; indent and separate with spaces")
      case ":" where isBlank(at: next + 1): return
      case "#" where isBlank(at: next - 1): return
      case ",", "[", "]", "{", "}":
        if flowDepth > 0 { return }
        advance()
      default: advance()
      }
    }
  }
}
