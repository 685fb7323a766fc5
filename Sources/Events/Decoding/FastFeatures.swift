extension EventDecoder {
  /// The object of features at `p`, into the batch's buffer after the last event's; the event
  /// gets their number. nil where the thorough way has to decide.
  @inline(__always)
  func readFeatures(
    _ values: FastValues, _ start: UnsafePointer<UInt8>, _ event: UnsafeMutablePointer<Event>,
    _ batch: EventBatch
  ) -> UnsafePointer<UInt8>? {
    guard start.pointee == UInt8(ascii: "{") else { return nil }
    event.pointee.flags.insert(.hasFeatures)
    let features = batch.state.pointee.features + batch.state.pointee.featuresCount
    var p = values.significant(start + 1)
    if p.pointee == UInt8(ascii: "}") { return p + 1 < values.end ? p + 1 : nil }
    var count = 0
    // Names seen so far, by six bits of their hashes.
    var names: UInt64 = 0
    while true {
      guard count < Limits.features else { return nil }
      let pattern = predictions.features + count
      let name: UInt32
      if values.end - p >= 16, pattern.pointee.matches(p) {
        p += pattern.pointee.length
        name = pattern.pointee.murmur
      } else {
        guard let (found, next) = unpredictedName(values, p, pattern) else { return nil }
        p = next
        name = found
      }
      let bit: UInt64 = 1 &<< UInt64(name & 63)
      if names & bit != 0, Self.contains(name, features, count) { return nil }
      names |= bit
      p = values.significant(p)
      guard let next = readFeature(values, p, name, features + count, batch) else { return nil }
      count &+= 1
      p = values.significant(next)
      if p.pointee == UInt8(ascii: ",") {
        p = values.significant(p + 1)
        continue
      }
      guard p.pointee == UInt8(ascii: "}"), p + 1 < values.end else { return nil }
      event.pointee.featuresCount = Int32(truncatingIfNeeded: count)
      return p + 1
    }
  }

  /// Equal hashes need not be equal names; the thorough way looks.
  @inline(never)
  private static func contains(
    _ name: UInt32, _ features: UnsafeMutablePointer<Feature>, _ count: Int
  ) -> Bool {
    for index in 0..<count where features[index].name == name { return true }
    return false
  }

  @inline(__always)
  private func readFeature(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ name: UInt32,
    _ feature: UnsafeMutablePointer<Feature>, _ batch: EventBatch
  ) -> UnsafePointer<UInt8>? {
    let first = p.pointee
    if first == UInt8(ascii: "\"") {
      var hash: UInt32 = 0
      guard let next = hashedText(values, p, name, &hash, batch) else { return nil }
      feature.pointee = Feature(name: name, hash: hash, value: 1)
      return next
    }
    if first <= UInt8(ascii: "9") {
      var value = 0.0
      guard let next = values.double(p, &value) else { return nil }
      feature.pointee = Feature(name: name, hash: name, value: value)
      return next
    }
    if values.isTrue(p) {
      feature.pointee = Feature(name: name, hash: Hash.murmur3("true", seed: name), value: 1)
      return p + 4
    }
    if values.isFalse(p) {
      feature.pointee = Feature(name: name, hash: Hash.murmur3("false", seed: name), value: 1)
      return p + 5
    }
    return nil
  }

  /// The MurmurHash3 of the string at `p`, going on from `seed`.
  @inline(__always)
  private func hashedText(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ seed: UInt32, _ hash: inout UInt32,
    _ batch: EventBatch
  ) -> UnsafePointer<UInt8>? {
    let start = p + 1
    var q = start
    var state = seed
    var word = values.word(q)
    var marks = Words.interruptions(word)
    while marks == 0 {
      state = Hash.murmurBlock(state, UInt32(truncatingIfNeeded: word))
      state = Hash.murmurBlock(state, UInt32(truncatingIfNeeded: word &>> 32))
      q += 8
      word = values.word(q)
      marks = Words.interruptions(word)
    }
    let count = Words.firstByte(marks)
    guard UInt8(truncatingIfNeeded: word &>> UInt64(count &* 8)) == UInt8(ascii: "\"") else {
      return hashedAnyText(values, p, seed, &hash, batch)
    }
    q += count
    var tail = Words.low(word, count)
    if count >= 4 {
      state = Hash.murmurBlock(state, UInt32(truncatingIfNeeded: tail))
      tail &>>= 32
    }
    hash = Hash.murmurFinish(state, tail: UInt32(truncatingIfNeeded: tail), length: q - start)
    return q + 1
  }

  @inline(never)
  private func hashedAnyText(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ seed: UInt32, _ hash: inout UInt32,
    _ batch: EventBatch
  ) -> UnsafePointer<UInt8>? {
    // The text is needed no longer than its hash is computed.
    let mark = batch.state.pointee.arena.mark
    defer { batch.state.pointee.arena.rewind(to: mark) }
    var text = Identifier.absent
    guard let next = values.text(p, &text, batch) else { return nil }
    hash = Hash.murmur3(text.bytes, seed: seed)
    return next
  }

  /// Reads a feature's name and colon, whatever it is, and expects it at this place from now on.
  @inline(never)
  private func unpredictedName(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ pattern: UnsafeMutablePointer<KeyPattern>
  ) -> (murmur: UInt32, next: UnsafePointer<UInt8>)? {
    var name = Identifier.absent
    guard
      let end = values.plainText(p, &name), (1...Limits.identifierBytes).contains(end - p - 2)
    else { return nil }
    let colon = values.significant(end)
    guard colon.pointee == UInt8(ascii: ":") else { return nil }
    let murmur = Hash.murmur3(name.bytes)
    if colon == end, values.end - p >= 16 {
      pattern.pointee = KeyPattern(at: p, length: colon + 1 - p, murmur: murmur)
    }
    return (murmur, colon + 1)
  }
}
