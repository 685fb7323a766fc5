/// Events decoded together, and the memory that they share; made once and used again.
///
/// Events stay at their address until `removeAll`, and so do the bytes of their identifiers, as
/// long as the records they were decoded from do. Not thread-safe: a partition owns it.
public final class EventBatch {
  /// How many events it holds at most.
  public let capacity: Int
  @usableFromInline let events: UnsafeMutablePointer<Event>
  @usableFromInline let state: UnsafeMutablePointer<State>

  /// Behind a pointer, because mutable properties of a class cost an exclusivity check each time.
  @usableFromInline
  struct State: ~Copyable {
    @usableFromInline var count = 0
    @usableFromInline var features: UnsafeMutablePointer<Feature>
    @usableFromInline var featuresCount = 0
    var featuresCapacity: Int
    @usableFromInline var details: ContiguousArray<EventDetails> = []
    var arena = TextArena()

    init(featuresCapacity: Int) {
      features = .allocate(capacity: featuresCapacity)
      self.featuresCapacity = featuresCapacity
    }

    deinit { features.deallocate() }
  }

  public init(capacity: Int = 512) {
    precondition(capacity > 0, "a batch holds at least one event")
    self.capacity = capacity
    events = .allocate(capacity: capacity)
    state = .allocate(capacity: 1)
    state.initialize(to: State(featuresCapacity: max(capacity * 8, 128)))
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
    events.deallocate()
  }

  @inlinable public var count: Int { state.pointee.count }
  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var isFull: Bool { count == capacity }

  /// The event at `index`, in the order of decoding.
  @inlinable
  public subscript(index: Int) -> UnsafeMutablePointer<Event> {
    precondition(index >= 0 && index < state.pointee.count, "no event at this index")
    return events + index
  }

  /// The features of an event of this batch, in the order of its record. Valid until the next
  /// event is decoded into the batch.
  @inlinable
  public func features(of event: borrowing Event) -> UnsafeBufferPointer<Feature> {
    UnsafeBufferPointer(
      start: state.pointee.features + Int(event.featuresStart), count: Int(event.featuresCount))
  }

  /// The rare fields of an event of this batch; nil where its record had none.
  @inlinable
  public func details(of event: borrowing Event) -> EventDetails? {
    event.detail < 0 ? nil : state.pointee.details[Int(event.detail)]
  }

  /// Forgets all events; keeps the memory.
  public func removeAll() {
    state.pointee.count = 0
    state.pointee.featuresCount = 0
    state.pointee.details.removeAll(keepingCapacity: true)
    state.pointee.arena.reset()
  }

  /// Makes room for one more event's features.
  @inline(__always)
  func reserveFeatures() {
    if state.pointee.featuresCapacity &- state.pointee.featuresCount < Limits.features {
      growFeatures()
    }
  }

  @inline(never)
  private func growFeatures() {
    let count = state.pointee.featuresCount
    let capacity = max(state.pointee.featuresCapacity * 2, count + Limits.features)
    let larger = UnsafeMutablePointer<Feature>.allocate(capacity: capacity)
    larger.update(from: state.pointee.features, count: count)
    state.pointee.features.deallocate()
    state.pointee.features = larger
    state.pointee.featuresCapacity = capacity
  }
}

/// What a record may not exceed.
enum Limits {
  static let recordBytes = 1_048_576
  /// Nested containers, the record's own object included.
  static let depth = 8
  static let features = 64
  /// Of `id`, `account` and the names of features.
  static let identifierBytes = 128
}
