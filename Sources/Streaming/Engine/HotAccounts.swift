import Events

/// Which accounts most of a partition's events come from, over the last minute.
///
/// Six sketches of ten seconds each, by the space-saving algorithm (Metwally, Agrawal, El Abbadi
/// 2005): whoever has more than a 32nd part of a sketch's events is in it. Of each window of
/// events at most 16 are looked at, evenly spread, each for those around it, so that the cost per
/// event is a few instructions. It is no part of state and nothing is decided by it.
final class HotAccounts {
  private struct Place {
    /// The directory's row of the account; -1 is free.
    var row: Int32 = -1
    var count: Int64 = 0
    /// What may be too much in `count`: it was another account's.
    var error: Int64 = 0
  }

  static let placesPerSketch = 32
  static let sketches = 6
  static let sketchMilliseconds: Int64 = 10_000
  static let samplesPerWindow = 16

  private let places: UnsafeMutablePointer<Place>
  private var period = Int64.min

  init() {
    let count = HotAccounts.placesPerSketch * HotAccounts.sketches
    places = .allocate(capacity: count)
    places.initialize(repeating: Place(), count: count)
  }

  deinit { places.deallocate() }

  /// Counts the events of a window that has been walked; `now` in monotonic ms.
  func observe(_ batch: EventBatch, now: Int64) {
    let count = batch.count
    guard count > 0 else { return }
    move(to: now)
    let sketch = self.sketch(of: period)
    let step = (count &+ HotAccounts.samplesPerWindow &- 1) / HotAccounts.samplesPerWindow
    var i = 0
    while i < count {
      let row = batch[i].pointee.account.row
      if row >= 0 { HotAccounts.add(row, Int64(min(step, count &- i)), to: sketch) }
      i &+= step
    }
  }

  private func sketch(of period: Int64) -> UnsafeMutablePointer<Place> {
    let index = Int(period % Int64(HotAccounts.sketches))
    return places + index * HotAccounts.placesPerSketch
  }

  /// Empties the sketches of the time that has passed.
  private func move(to now: Int64) {
    let next = max(0, now / HotAccounts.sketchMilliseconds)
    guard next > period else { return }
    for passed in max(period &+ 1, next - Int64(HotAccounts.sketches) + 1)...next {
      sketch(of: max(0, passed)).update(repeating: Place(), count: HotAccounts.placesPerSketch)
    }
    period = next
  }

  private static func add(_ row: Int32, _ count: Int64, to sketch: UnsafeMutablePointer<Place>) {
    var least = 0
    for i in 0..<placesPerSketch {
      if sketch[i].row == row {
        sketch[i].count &+= count
        return
      }
      if sketch[i].count < sketch[least].count { least = i }
    }
    let replaced = sketch[least].count
    sketch[least] = Place(row: row, count: replaced &+ count, error: replaced)
  }

  /// The accounts with the most events, and how many of theirs are certain.
  func top(_ limit: Int, now: Int64) -> [(row: Int32, events: Int64)] {
    move(to: now)
    var sums: [(row: Int32, events: Int64)] = []
    for i in 0..<HotAccounts.placesPerSketch * HotAccounts.sketches where places[i].row >= 0 {
      let certain = places[i].count - places[i].error
      if let known = sums.firstIndex(where: { $0.row == places[i].row }) {
        sums[known].events += certain
      } else {
        sums.append((places[i].row, certain))
      }
    }
    sums.sort { ($1.events, $0.row) < ($0.events, $1.row) }
    return Array(sums.prefix(limit))
  }
}
