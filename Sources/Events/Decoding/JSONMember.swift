/// What kind of value stands in JSON text that is known to be valid.
enum JSONKind {
  case string, number, `true`, `false`, null, object, array

  init(firstByte: UInt8) {
    switch firstByte {
    case UInt8(ascii: "\""): self = .string
    case UInt8(ascii: "t"): self = .true
    case UInt8(ascii: "f"): self = .false
    case UInt8(ascii: "n"): self = .null
    case UInt8(ascii: "{"): self = .object
    case UInt8(ascii: "["): self = .array
    default: self = .number
    }
  }
}

/// A value by its place in the record: offsets of its first byte and of the one after its last.
struct JSONValue {
  var kind: JSONKind
  var start: Int
  var end: Int
}

/// A key and its value.
struct JSONMember {
  /// Unescaped; absent for the empty key.
  var key: Identifier
  var keyStart: Int
  var value: JSONValue
}

/// The members of an object in JSON text that is known to be valid.
struct JSONMembers {
  let base: UnsafePointer<UInt8>
  private var position: Int

  /// `start` is the offset of the object's brace.
  init(_ base: UnsafePointer<UInt8>, object start: Int) {
    self.base = base
    position = start + 1
  }

  mutating func next(arena: inout TextArena) -> JSONMember? {
    skipWhitespace()
    if base[position] == UInt8(ascii: ",") {
      position &+= 1
      skipWhitespace()
    }
    if base[position] == UInt8(ascii: "}") { return nil }
    let keyStart = position
    skipString()
    let key = JSONString.text(base, from: keyStart, to: position, arena: &arena)
    skipWhitespace()
    precondition(base[position] == UInt8(ascii: ":"), "members are read from valid text only")
    position &+= 1
    skipWhitespace()
    let start = position
    skipValue()
    let value = JSONValue(
      kind: JSONKind(firstByte: base[start]), start: start, end: position)
    return JSONMember(key: key, keyStart: keyStart, value: value)
  }

  private mutating func skipWhitespace() {
    while JSONGrammar.isWhitespace(base[position]) { position &+= 1 }
  }

  private mutating func skipString() {
    position &+= 1
    while base[position] != UInt8(ascii: "\"") {
      position &+= base[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    position &+= 1
  }

  private mutating func skipValue() {
    var depth = 0
    repeat {
      switch base[position] {
      case UInt8(ascii: "\""): skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth &+= 1
        position &+= 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth &-= 1
        position &+= 1
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0A, 0x0D, 0x09: position &+= 1
      default: skipBareWord()
      }
    } while depth > 0
  }

  /// Numbers and literals.
  private mutating func skipBareWord() {
    while true {
      switch base[position] {
      case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), 0x20, 0x0A, 0x0D, 0x09:
        return
      default: position &+= 1
      }
    }
  }
}

extension ContiguousArray<JSONMember> {
  /// The index of the first member whose key an earlier one has too; `count` where there is none.
  ///
  /// Few members are compared in pairs. Many are sorted, because a table of public hashes could be
  /// flooded with keys that collide: n log n comparisons whatever the keys are.
  func firstRepeated() -> Int {
    if count <= 64 {
      for later in 0..<count {
        for earlier in 0..<later where isRepeated(earlier, later) { return later }
      }
      return count
    }
    let order = indices.sorted { a, b in
      let (first, second) = (self[a].key, self[b].key)
      if first.hash != second.hash { return first.hash < second.hash }
      if Text.equal(first.bytes, second.bytes) { return a < b }
      return Text.precedes(first.bytes, second.bytes)
    }
    var repeated = count
    for place in 1..<order.count where isRepeated(order[place - 1], order[place]) {
      repeated = Swift.min(repeated, order[place])
    }
    return repeated
  }

  private func isRepeated(_ a: Int, _ b: Int) -> Bool {
    self[a].key.hash == self[b].key.hash && Text.equal(self[a].key.bytes, self[b].key.bytes)
  }
}
