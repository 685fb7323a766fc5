// `${NAME}` and `${NAME:-default}` in values, replaced after parsing: what a variable holds can
// never become a key, a list or a mapping. `$${` stands for `${`.

extension TopologyTree {
  /// Replaces variables in every scalar value; keys are left alone.
  func replacingVariables(
    from environment: [String: String], _ problems: inout ProblemList
  ) -> TopologyTree {
    var result = self
    switch content {
    case .refused: break
    case .scalar(let text, _):
      guard text.utf8.contains(UInt8(ascii: "$")) else { return self }
      do {
        let value = try Self.replaceVariables(in: text, from: environment)
        if value != text { result.content = .scalar(value, written: text) }
      } catch {
        problems.add(place, error.message)
        result.content = .refused
      }
    case .list(let items):
      result.content = .list(items.map { $0.replacingVariables(from: environment, &problems) })
    case .mapping(let entries):
      result.content = .mapping(
        entries.map {
          var entry = $0
          entry.value = $0.value.replacingVariables(from: environment, &problems)
          return entry
        })
    }
    return result
  }

  struct VariableFault: Error {
    var message: String
  }

  static func replaceVariables(
    in text: String, from environment: [String: String]
  ) throws(VariableFault) -> String {
    var result = ""
    var rest = Substring(text)
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[dollar...]
      if rest.hasPrefix("$${") {
        result += "${"
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${") {
        guard let end = rest.firstIndex(of: "}") else {
          throw VariableFault(
            message: "`${` without `}`; write `$${` for the characters themselves")
        }
        result += try value(of: rest[rest.index(rest.startIndex, offsetBy: 2)..<end], environment)
        rest = rest[rest.index(after: end)...]
      } else {
        result += "$"
        rest = rest.dropFirst()
      }
    }
    return result + rest
  }

  private static func value(
    of reference: Substring, _ environment: [String: String]
  ) throws(VariableFault) -> String {
    let name = reference.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    let rest = reference.dropFirst(name.count)
    guard let first = name.first, !first.isNumber, rest.isEmpty || rest.hasPrefix(":-") else {
      throw VariableFault(
        message: "\(quoted("${\(reference)}") ) names no variable; "
          + "expected `${NAME}` or `${NAME:-default}`")
    }
    guard let value = environment[String(name)] ?? (rest.isEmpty ? nil : String(rest.dropFirst(2)))
    else {
      throw VariableFault(
        message: "the environment has no \(quoted(String(name))); set it, "
          + "or give a default: `${\(name):-default}`")
    }
    guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
      throw VariableFault(
        message: "the variable \(quoted(String(name))) holds a control character; "
          + "expected text on one line")
    }
    return value
  }
}
