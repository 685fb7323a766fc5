/// What to do with one field of one event type.
struct FieldPlan: BitwiseCopyable {
  enum Action: UInt8 {
    /// This type does not know the field.
    case unknown
    case type
    case time
    /// `id` and `account`: 1…128 bytes.
    case key
    /// An identifier; an empty string means not given.
    case text
    /// An identifier that may not be empty.
    case requiredText
    /// Money that may not be negative.
    case money
    case signedMoney
    /// One bit of `Event.flags`.
    case flag
    case features
    /// Goes into the details; only the thorough way knows how.
    case detail
  }

  var action = Action.unknown
  /// Where an identifier or money goes: its byte offset in `Event`.
  var slot: UInt16 = 0
  /// The flag that a boolean is, or that says that money was given; 0 for none.
  var flag: UInt16 = 0
}

/// The plans of all types' fields, and how keys are recognised.
struct FieldPlans: ~Copyable {
  static let stride = 64

  /// At `type × stride + field`.
  let plans: UnsafeMutablePointer<FieldPlan>
  /// Per type, the bits of the fields that it requires.
  let required: UnsafeMutablePointer<UInt64>
  /// Per field, what a record's bytes must be for `"name":` to stand there.
  let patterns: UnsafeMutablePointer<KeyPattern>
  /// Open addressing over `Hash.text` of the names; 0xFF for an empty place.
  private let table: UnsafeMutablePointer<UInt8>
  private let hashes: UnsafeMutablePointer<UInt64>
  private static let tableMask = 255
  /// The types' names in quotes, by their numbers.
  let typePatterns: UnsafeMutablePointer<KeyPattern>

  init() {
    let types = EventType.allCases.count
    typePatterns = .allocate(capacity: types)
    for type in EventType.allCases {
      typePatterns[Int(type.rawValue)] = KeyPattern(name: type.name, suffix: "")
    }
    plans = .allocate(capacity: types * Self.stride)
    plans.initialize(repeating: FieldPlan(), count: types * Self.stride)
    required = .allocate(capacity: types)
    for type in EventType.allCases {
      var bits: UInt64 = 0
      for field in Field.required(by: type) { bits |= field.bit }
      required[Int(type.rawValue)] = bits
    }
    patterns = .allocate(capacity: Self.stride)
    patterns.initialize(repeating: KeyPattern(), count: Self.stride)
    table = .allocate(capacity: Self.tableMask + 1)
    table.initialize(repeating: 0xFF, count: Self.tableMask + 1)
    hashes = .allocate(capacity: Self.stride)
    hashes.initialize(repeating: 0, count: Self.stride)
    for field in Field.allCases {
      patterns[Int(field.rawValue)] = KeyPattern(name: field.name, suffix: ":")
      let hash = Hash.text(field.name)
      hashes[Int(field.rawValue)] = hash
      var place = Int(truncatingIfNeeded: hash) & Self.tableMask
      while table[place] != 0xFF { place = (place + 1) & Self.tableMask }
      table[place] = field.rawValue
    }
    fill()
  }

  deinit {
    plans.deallocate()
    required.deallocate()
    patterns.deallocate()
    table.deallocate()
    hashes.deallocate()
    typePatterns.deallocate()
  }

  @inline(__always)
  func plan(_ type: EventType, _ field: Field) -> FieldPlan {
    plans[Int(type.rawValue) &* Self.stride &+ Int(field.rawValue)]
  }

  /// The number of the only field whose name may have this `Hash.text`; nil for none.
  @inline(__always)
  func candidate(_ hash: UInt64) -> Int? {
    var place = Int(truncatingIfNeeded: hash) & Self.tableMask
    while table[place] != 0xFF {
      if hashes[Int(table[place])] == hash { return Int(table[place]) }
      place = (place &+ 1) & Self.tableMask
    }
    return nil
  }

  /// The field with this name; `hash` is the name's `Hash.text`.
  func field(named name: UnsafeBufferPointer<UInt8>, hash: UInt64) -> Field? {
    // Equal hashes are made sure of: a foreign name must not pass for one of ours.
    guard
      let candidate = candidate(hash), let field = Field(rawValue: UInt8(candidate)),
      Text.equal(name, field.name)
    else { return nil }
    return field
  }

  private func fill() {
    for type in EventType.allCases {
      set(type, .type, .type)
      set(type, .time, .time)
      set(type, .id, .key, \.id)
      set(type, .account, .key, \.account)
    }
    impressions()
    clicks()
    conversions()
    dealStages()
    campaigns()
    auctions()
    rareTypes()
  }

  private func impressions() {
    set(.impression, .campaign, .requiredText, \.campaign)
    set(.impression, .ad, .requiredText, \.ad)
    set(.impression, .price, .money, \.price, .hasPrice)
    set(.impression, .advertiser, .text, \.advertiser)
    person(.impression)
    set(.impression, .placement, .text, \.placement)
    set(.impression, .bid, .money, \.bid, .hasBid)
    set(.impression, .viewable, .flag, .viewable)
    set(.impression, .shard, .text, \.shard)
    set(.impression, .features, .features)
  }

  private func clicks() {
    set(.click, .campaign, .requiredText, \.campaign)
    set(.click, .ad, .requiredText, \.ad)
    set(.click, .impression, .text, \.reference)
    person(.click)
    set(.click, .price, .money, \.price, .hasPrice)
    set(.click, .features, .features)
  }

  private func conversions() {
    set(.conversion, .action, .text, \.action)
    set(.conversion, .order, .text, \.reference)
    set(.conversion, .value, .signedMoney, \.value, .hasValue)
    person(.conversion)
    set(.conversion, .signals, .detail)
  }

  private func dealStages() {
    set(.dealStage, .deal, .requiredText, \.reference)
    set(.dealStage, .stage, .requiredText, \.action)
    set(.dealStage, .pipeline, .detail)
    set(.dealStage, .amount, .signedMoney, \.value, .hasValue)
    person(.dealStage)
    set(.dealStage, .signals, .detail)
  }

  private func campaigns() {
    set(.campaign, .campaign, .requiredText, \.campaign)
    set(.campaign, .advertiser, .text, \.advertiser)
    for field: Field in [
      .status, .budget, .schedule, .timezone, .goal, .bid, .mode, .auction,
    ] {
      set(.campaign, field, .detail)
    }
  }

  private func auctions() {
    set(.auction, .campaign, .requiredText, \.campaign)
    set(.auction, .ad, .requiredText, \.ad)
    set(.auction, .bid, .money, \.bid, .hasBid)
    set(.auction, .won, .flag, .won)
    set(.auction, .price, .money, \.price, .hasPrice)
  }

  private func rareTypes() {
    set(.control, .campaign, .text, \.campaign)
    set(.control, .ad, .text, \.ad)
    for field: Field in [.action, .value, .until, .by, .reason] { set(.control, field, .detail) }

    set(.lease, .campaign, .requiredText, \.campaign)
    set(.lease, .shard, .requiredText, \.shard)
    set(.lease, .amount, .money, \.price, .hasPrice)
    set(.lease, .action, .detail)

    set(.actuals, .campaign, .requiredText, \.campaign)
    set(.actuals, .ad, .text, \.ad)
    for field: Field in [.from, .to, .impressions, .clicks, .conversions, .spend, .revenue] {
      set(.actuals, field, .detail)
    }

    set(.adjustment, .target, .requiredText, \.reference)
    set(.adjustment, .value, .signedMoney, \.value, .hasValue)
    set(.adjustment, .targetType, .detail)
    set(.adjustment, .kind, .detail)

    set(.erasure, .user, .text, \.user)
    set(.erasure, .device, .text, \.device)

    set(.prior, .kind, .detail)
    set(.prior, .payload, .detail)
  }

  /// What every interaction may say about the person behind it.
  private func person(_ type: EventType) {
    set(type, .user, .text, \.user)
    set(type, .device, .text, \.device)
    set(type, .clickID, .text, \.clickID)
    set(type, .consent, .flag, .consent)
  }

  private func set(_ type: EventType, _ field: Field, _ action: FieldPlan.Action) {
    plans[Int(type.rawValue) * Self.stride + Int(field.rawValue)].action = action
  }

  private func set(
    _ type: EventType, _ field: Field, _ action: FieldPlan.Action, _ flag: Event.Flags
  ) {
    set(type, field, action)
    plans[Int(type.rawValue) * Self.stride + Int(field.rawValue)].flag = flag.rawValue
  }

  private func set<Value>(
    _ type: EventType, _ field: Field, _ action: FieldPlan.Action,
    _ path: WritableKeyPath<Event, Value>, _ flag: Event.Flags = []
  ) {
    guard let offset = MemoryLayout<Event>.offset(of: path) else {
      preconditionFailure("the fields of Event are stored")
    }
    set(type, field, action, flag)
    plans[Int(type.rawValue) * Self.stride + Int(field.rawValue)].slot = UInt16(offset)
  }
}

/// The bytes of a text of ours, like `"name":`, as two words under masks; a length of 0 matches
/// nothing.
struct KeyPattern: BitwiseCopyable {
  var word0: UInt64 = 0
  var mask0: UInt64 = 0
  var word1: UInt64 = 0
  var mask1: UInt64 = 0
  /// With both quotes and the colon.
  var length = 0
  /// MurmurHash3 of the name; for features.
  var murmur: UInt32 = 0

  /// The longest pattern, with quotes and colon.
  static let lengthMax = 16

  init() {}

  /// The pattern of the `length` bytes at `p`, from where 16 bytes can be read; of more than
  /// `lengthMax`, one that matches nothing.
  init(at p: UnsafePointer<UInt8>, length: Int, murmur: UInt32 = 0) {
    guard length > 0, length <= Self.lengthMax else { return }
    self.length = length
    self.murmur = murmur
    mask0 = length >= 8 ? .max : (1 &<< UInt64(length &* 8)) &- 1
    if length > 8 { mask1 = UInt64.max &>> UInt64((16 &- length) &* 8) }
    word0 = Words.load(p) & mask0
    word1 = Words.load(p + 8) & mask1
  }

  /// The pattern of a name of ours with quotes around it and `suffix` behind; they must fit.
  init(name: StaticString, suffix: StaticString) {
    let text = "\"\(name)\"\(suffix)"
    let length = text.utf8.count
    precondition(length <= Self.lengthMax, "the contract's names fit two words")
    let padded = Array(text.utf8) + [UInt8](repeating: 0, count: Self.lengthMax - length)
    self = padded.withUnsafeBufferPointer { bytes in
      bytes.baseAddress.map { KeyPattern(at: $0, length: length) } ?? KeyPattern()
    }
  }

  /// Whether the pattern stands at `p`, from where 16 bytes can be read.
  @inline(__always)
  func matches(_ p: UnsafePointer<UInt8>) -> Bool {
    matches(Words.load(p), Words.load(p + 8))
  }

  @inline(__always)
  func matches(_ first: UInt64, _ second: UInt64) -> Bool {
    ((first ^ word0) & mask0) | ((second ^ word1) & mask1) == 0 && length != 0
  }
}

/// Comparisons of bytes.
enum Text {
  static func equal(_ bytes: UnsafeBufferPointer<UInt8>, _ literal: StaticString) -> Bool {
    literal.withUTF8Buffer { equal(bytes, $0) }
  }

  static func equal(
    _ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    guard a.count == b.count else { return false }
    for index in 0..<a.count where a[index] != b[index] { return false }
    return true
  }

  /// Whether `a` stands before `b`, byte by byte.
  static func precedes(
    _ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    let common = min(a.count, b.count)
    for index in 0..<common where a[index] != b[index] { return a[index] < b[index] }
    return a.count < b.count
  }
}
