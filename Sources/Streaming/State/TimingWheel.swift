/// A timer that came due.
@frozen
public struct Timer: BitwiseCopyable, Sendable {
  /// When it was asked for, in ms of event time.
  public var due: Int64
  /// The operator's own meaning: a row, a kind, or 0.
  public var key: Int64
  /// Order in which timers were made; breaks ties.
  package var sequence: Int64
  /// Index of the operator in topological order.
  package var owner: Int32
}

/// A hierarchical timing wheel over ticks: eight levels of 64 slots.
///
/// Adding a timer is O(1); finding the next tick that has one is a few bit scans, so a quiet year
/// costs nothing to walk. All of it stands in tables, so timers are part of every snapshot.
package struct TimingWheel {
  private static let levelBits = 6
  private static let slotCount = 1 << levelBits
  private static let levels = 8

  private struct Node: BitwiseCopyable {
    var timer: Timer
    /// Next node of the slot, or of the free list; -1 at the end.
    var next: Int32
  }

  /// Wheel-wide numbers, in one stored row.
  private struct Header: BitwiseCopyable {
    /// The tick that was fired last; timers are at later ones.
    var tick: Int64 = -1
    var sequence: Int64 = 0
    var free: Int32 = -1
    var pending: Int32 = 0
  }

  private let tickLength: Int64
  private let nodes: Table<Node>
  /// First node per level and slot; -1 when empty.
  private let heads: Table<Int32>
  private let header: Table<Header>

  /// - Parameter tickLength: Milliseconds between clock entries.
  package init(tickLength: Int64, in store: StateStore) {
    self.tickLength = tickLength
    nodes = store.table("timers", of: Node.self)
    heads = store.table("timers.heads", of: Int32.self, capacity: 512)
    header = store.table("timers.header", of: Header.self, capacity: 1)
    for _ in 0..<(TimingWheel.levels * TimingWheel.slotCount) { heads.append(-1) }
    header.append(Header())
  }

  /// Timers waiting.
  package var count: Int { Int(header[0].pending) }

  /// Tells the wheel where time begins; before the first timer.
  package func start(atTick tick: Int64) {
    precondition(count == 0, "a wheel's time is set before its first timer")
    header.update(0).pointee.tick = tick
  }

  /// Adds a timer that fires at the first tick whose time is at or after `due`, and after the
  /// current one.
  package func add(due: Int64, key: Int64, owner: Int32) {
    let state = header.update(0)
    let timer = Timer(due: due, key: key, sequence: state.pointee.sequence, owner: owner)
    state.pointee.sequence += 1
    state.pointee.pending += 1
    let node: Int32
    if state.pointee.free >= 0 {
      node = state.pointee.free
      state.pointee.free = nodes[node].next
      nodes.update(node).pointee = Node(timer: timer, next: -1)
    } else {
      node = nodes.append(Node(timer: timer, next: -1))
    }
    place(node)
  }

  /// First tick whose time is at or after a moment.
  private func tick(atOrAfter due: Int64) -> Int64 {
    // Euclidean, so that times before 1970 (which no event has) would not round the wrong way.
    let quotient = due / tickLength
    return due % tickLength > 0 ? quotient + 1 : quotient
  }

  private func place(_ node: Int32) {
    let now = header[0].tick
    let target = max(tick(atOrAfter: nodes[node].timer.due), now + 1)
    // The level is that of the highest group of bits in which the target differs from now.
    let differing = UInt64(bitPattern: target ^ now)
    let highest = 63 - differing.leadingZeroBitCount
    let level = min(highest / TimingWheel.levelBits, TimingWheel.levels - 1)
    let slot = Int(target >> Int64(level * TimingWheel.levelBits)) & (TimingWheel.slotCount - 1)
    let head = Int32(level * TimingWheel.slotCount + slot)
    nodes.update(node).pointee.next = heads[head]
    heads.update(head).pointee = node
  }

  /// The next tick at which something is due or has to move to a finer level; nil without timers.
  private func nextStop() -> Int64? {
    guard count > 0 else { return nil }
    let now = header[0].tick
    for level in 0..<TimingWheel.levels {
      let shift = Int64(level * TimingWheel.levelBits)
      let position = Int(now >> shift) & (TimingWheel.slotCount - 1)
      for slot in (position + 1)..<max(TimingWheel.slotCount, position + 1)
      where heads[Int32(level * TimingWheel.slotCount + slot)] >= 0 {
        let base =
          (now >> (shift + Int64(TimingWheel.levelBits))) << (shift + Int64(TimingWheel.levelBits))
        return base + Int64(slot) << shift
      }
    }
    // Beyond the wheel's span (millions of years of seconds): step a whole turn of the top level.
    let top = Int64((TimingWheel.levels - 1) * TimingWheel.levelBits)
    return ((now >> top) + 1) << top
  }

  /// The earliest tick up to `limit` at which a timer fires; time moves to just before it.
  ///
  /// Returns nil when there is none; then time stands at `limit`.
  package func advance(to limit: Int64) -> Int64? {
    while let stop = nextStop(), stop <= limit {
      // Everything of the coarser slots that begin here moves down; then level 0 holds what is due.
      header.update(0).pointee.tick = stop - 1
      var fires = false
      cascade(into: stop)
      let slot = Int32(Int(stop) & (TimingWheel.slotCount - 1))
      if heads[slot] >= 0 { fires = true }
      if fires { return stop }
      header.update(0).pointee.tick = stop
    }
    if header[0].tick < limit { header.update(0).pointee.tick = limit }
    return nil
  }

  /// Moves the timers of every coarser slot that begins at `stop` to their finer places.
  private func cascade(into stop: Int64) {
    for level in stride(from: TimingWheel.levels - 1, to: 0, by: -1) {
      let shift = Int64(level * TimingWheel.levelBits)
      guard stop & ((1 << shift) - 1) == 0 else { continue }
      let slot = Int32(
        level * TimingWheel.slotCount + Int(stop >> shift) & (TimingWheel.slotCount - 1))
      var node = heads[slot]
      guard node >= 0 else { continue }
      heads.update(slot).pointee = -1
      while node >= 0 {
        let next = nodes[node].next
        placeBelow(node, stop: stop, level: level)
        node = next
      }
    }
  }

  /// Places a node of a slot that begins at `stop`: its target lies within that slot's span.
  private func placeBelow(_ node: Int32, stop: Int64, level: Int) {
    let target = max(tick(atOrAfter: nodes[node].timer.due), stop)
    let differing = UInt64(bitPattern: target ^ stop)
    let finest = differing == 0 ? 0 : (63 - differing.leadingZeroBitCount) / TimingWheel.levelBits
    let newLevel = min(finest, TimingWheel.levels - 1)
    let slot = Int(target >> Int64(newLevel * TimingWheel.levelBits)) & (TimingWheel.slotCount - 1)
    let head = Int32(newLevel * TimingWheel.slotCount + slot)
    nodes.update(node).pointee.next = heads[head]
    heads.update(head).pointee = node
  }

  /// Gives each timer a new owner, or drops it; ages keep their order.
  package func reassign(_ newOwner: (Int32) -> Int32?) {
    var timers: [Timer] = []
    for head in 0..<Int32(TimingWheel.levels * TimingWheel.slotCount) {
      var node = heads[head]
      while node >= 0 {
        timers.append(nodes[node].timer)
        node = nodes[node].next
      }
      heads.update(head).pointee = -1
    }
    nodes.removeAll()
    let state = header.update(0)
    state.pointee.free = -1
    state.pointee.pending = 0
    for timer in timers.sorted(by: { $0.sequence < $1.sequence }) {
      if let owner = newOwner(timer.owner) { add(due: timer.due, key: timer.key, owner: owner) }
    }
  }

  /// Takes the timers that fire at a tick that `advance` returned, ordered by operator, due time
  /// and age, and moves time onto that tick.
  package func take(atTick tick: Int64, into due: inout ContiguousArray<Timer>) {
    due.removeAll(keepingCapacity: true)
    let slot = Int32(Int(tick) & (TimingWheel.slotCount - 1))
    var node = heads[slot]
    heads.update(slot).pointee = -1
    let state = header.update(0)
    state.pointee.tick = tick
    while node >= 0 {
      let entry = nodes[node]
      due.append(entry.timer)
      nodes.update(node).pointee.next = state.pointee.free
      state.pointee.free = node
      state.pointee.pending -= 1
      node = entry.next
    }
    due.sort { ($0.owner, $0.due, $0.sequence) < ($1.owner, $1.due, $1.sequence) }
  }
}
