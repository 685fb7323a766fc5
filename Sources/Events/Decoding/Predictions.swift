/// What the fast way expects of the next record, learned from the records before.
///
/// Right or wrong, it never changes a result: a predicted key counts only where its very bytes
/// stand.
struct Predictions: ~Copyable {
  /// Stands for the place before a record's first key.
  static let start = 63
  /// Stands for a key that no type knows.
  static let unknown = 62

  /// The field that followed the last time, at `type × 64 + field`.
  let successors: UnsafeMutablePointer<UInt8>
  /// The names that stood in `features` the last time, by place.
  let features: UnsafeMutablePointer<KeyPattern>
  /// An event of each type with nothing given.
  let blanks: UnsafeMutablePointer<Event>
  /// Hashes of the unknown keys of the record at hand.
  let unknownKeys: UnsafeMutablePointer<UInt64>
  /// More unknown keys than these are the thorough way's.
  static let unknownKeysMax = 16
  /// The type of the last record.
  let lastType: UnsafeMutablePointer<EventType>

  init(defaults: Defaults) {
    let types = EventType.allCases.count
    successors = .allocate(capacity: types * FieldPlans.stride)
    successors.initialize(repeating: Field.type.rawValue, count: types * FieldPlans.stride)
    features = .allocate(capacity: Limits.features)
    features.initialize(repeating: KeyPattern(), count: Limits.features)
    blanks = .allocate(capacity: types)
    for type in EventType.allCases {
      var blank = Event(type: type, time: .earliest)
      if type == .conversion { blank.action = defaults.conversion }
      (blanks + Int(type.rawValue)).initialize(to: blank)
    }
    unknownKeys = .allocate(capacity: Self.unknownKeysMax)
    unknownKeys.initialize(repeating: 0, count: Self.unknownKeysMax)
    lastType = .allocate(capacity: 1)
    lastType.initialize(to: .impression)
  }

  deinit {
    successors.deallocate()
    features.deallocate()
    blanks.deallocate()
    unknownKeys.deallocate()
    lastType.deallocate()
  }
}
