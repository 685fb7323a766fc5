// `${NAME}` and `${NAME:-default}` in values, replaced after parsing: what a variable holds can
// never become a key, a list or a mapping. `$${` stands for `${`. Secrets may stand in a file that
// the variable `NAME_FILE` names, as container platforms mount them.

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
    var found = environment[String(name)]
    if found == nil { found = try secret(name, environment) }
    guard let value = found ?? (rest.isEmpty ? nil : String(rest.dropFirst(2))) else {
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

  private static let secretBytesMax = 64 << 10

  /// The file that NAME_FILE leads to, without the line break at its end.
  private static func secret(
    _ name: Substring, _ environment: [String: String]
  ) throws(VariableFault) -> String? {
    guard let path = environment["\(name)_FILE"] else { return nil }
    var bytes: [UInt8]
    do throws(SmallFile.Fault) {
      bytes = try SmallFile.read(path, bytesMax: secretBytesMax)
    } catch {
      throw VariableFault(
        message: "\(quoted(path)), which \(quoted("\(name)_FILE")) names, "
          + error.text(expected: "a value on one line"))
    }
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw VariableFault(
        message: "\(quoted(path)), which \(quoted("\(name)_FILE")) names, is not UTF-8")
    }
    return text
  }
}
