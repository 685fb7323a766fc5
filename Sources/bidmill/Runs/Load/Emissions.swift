import Synchronization

/// Which event stands where in the log: written by who emits, asked by who watches.
///
/// A place is a partition of a topic. An event may stand in several (a heartbeat does); offsets of
/// a place only rise.
final class Emissions: Sendable {
  /// What a place in the log holds.
  enum Found: Equatable {
    /// The event of this number, asked for the first time.
    case event(Int)
    /// An event that was asked for before.
    case again(Int)
    /// Another one's record, or one from before.
    case foreign
    /// Nothing that is known yet.
    case unknown
  }

  /// Events of a place by offset: four bytes each, for there may be a hundred million.
  private struct Place {
    var first: Int64
    var numbers: [UInt32] = []

    /// Offsets before it are settled by `advance`.
    var advanced: Int64
    /// Records of others among them.
    var foreign = 0
    var end: Int64 { first + Int64(numbers.count) }
    var count: Int { numbers.count - foreign }

    init(first: Int64) {
      self.first = first
      advanced = first
    }
  }

  /// More events than this have no number.
  static let countMax = Int(UInt32.max >> 1) - 1
  private static let foreign = UInt32.max
  private static let asked: UInt32 = 1 << 31

  private let places: Mutex<[Place]>

  /// - Parameter first: of each place, the offset that the next record gets.
  init(first: [Int64]) { places = Mutex(first.map { Place(first: $0) }) }

  /// Notes that events stand in a place from an offset on, one behind the other.
  func add(_ numbers: ArraySlice<UInt32>, at offset: Int64, in place: Int) {
    places.withLock { places in
      precondition(offset >= places[place].end, "offsets of a place rise")
      for _ in places[place].end..<offset {
        places[place].numbers.append(Emissions.foreign)
        places[place].foreign += 1
      }
      places[place].numbers.append(contentsOf: numbers)
    }
  }

  /// What a record that names an offset as its source comes from.
  func ask(_ offset: Int64, in place: Int) -> Found {
    places.withLock { places in
      guard offset >= places[place].first else { return .foreign }
      guard offset < places[place].end else { return .unknown }
      let index = Int(offset - places[place].first)
      let found = places[place].numbers[index]
      guard found != Emissions.foreign else { return .foreign }
      places[place].numbers[index] = found | Emissions.asked
      let number = Int(found & ~Emissions.asked)
      return found & Emissions.asked == 0 ? .event(number) : .again(number)
    }
  }

  /// Calls `body` with each event before an offset, once over all calls.
  ///
  /// - Returns: how many there were.
  @discardableResult
  func advance(to offset: Int64, in place: Int, _ body: (Int) -> Void) -> Int {
    places.withLock { places in
      let (start, end) = (places[place].advanced, min(offset, places[place].end))
      guard start < end else { return 0 }
      var count = 0
      for index in Int(start - places[place].first)..<Int(end - places[place].first) {
        let number = places[place].numbers[index]
        if number == Emissions.foreign { continue }
        body(Int(number & ~Emissions.asked))
        count += 1
      }
      places[place].advanced = end
      return count
    }
  }

  /// Records of the load, in all places.
  var count: Int {
    places.withLock { places in
      places.reduce(0) { sum, place in sum + place.count }
    }
  }

  /// Of each place, the offset after the last event that is known to stand there.
  var ends: [Int64] { places.withLock { $0.map(\.end) } }
}
