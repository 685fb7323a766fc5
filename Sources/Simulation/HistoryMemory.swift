import Events

// What a history remembers of itself, so that later records can refer to earlier ones. Every
// part is bounded: a history of any length needs the same memory.

/// The last touches of a kind, in a ring.
struct RecentTouches {
  struct Touch {
    /// The record's slot: what its identifiers are made from.
    var slot: UInt64
    var time: EventTime
    var account: UInt32
    var campaign: UInt32
    var ad: UInt32
    var user: UInt32
    var appeal: UInt32

    /// The same person's next step.
    func followed(by number: Int, at time: EventTime) -> Touch {
      var next = self
      next.slot = UInt64(number)
      next.time = time
      return next
    }
  }

  private var touches: [Touch] = []
  private var oldest = 0
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
    touches.reserveCapacity(capacity)
  }

  mutating func append(_ touch: Touch) {
    if touches.count < capacity {
      touches.append(touch)
    } else {
      touches[oldest] = touch
      oldest = (oldest + 1) % capacity
    }
  }

  /// One of them, by 64 even bits; nil while there is none.
  func any(_ bits: UInt64) -> Touch? {
    touches.isEmpty ? nil : touches[Chance.below(touches.count, bits)]
  }
}

/// Deals under way. Each record moves one deal on by one stage, so a deal's stages are in order.
struct OpenDeals {
  /// One stage of one deal.
  struct Step {
    var click: RecentTouches.Touch
    /// Slot of the deal's first record.
    var deal: UInt64
    /// 0 is the first of `stages`.
    var stage: Int
    var isWon: Bool
    /// No earlier than the stage before it.
    var earliest: EventTime
    fileprivate var place: Int
  }

  /// Stages on the way; after them a deal is won or lost.
  static let stages: [StaticString] = ["lead", "qualified", "proposal", "negotiation"]

  private var open: [Step] = []
  private let capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  /// A new deal of the click's person while there is room and chance wants it, else the next
  /// stage of an open one.
  func step(_ draws: Chance.Draws, startedBy click: RecentTouches.Touch, number: Int) -> Step {
    let isNew = open.count < capacity && (open.isEmpty || draws.happens(300_000, .stage))
    if isNew {
      return Step(
        click: click, deal: UInt64(number), stage: 0, isWon: false, earliest: click.time,
        place: open.count)
    }
    let place = Chance.below(open.count, draws.bits(.stage, 1))
    var step = open[place]
    step.place = place
    step.stage += 1
    step.isWon = draws.happens(350_000, .form)
    return step
  }

  mutating func stepped(_ step: Step, at time: EventTime) {
    var step = step
    step.earliest = time
    if step.stage >= Self.stages.count {
      open.swapAt(step.place, open.count - 1)
      open.removeLast()
    } else if step.place == open.count {
      open.append(step)
    } else {
      open[step.place] = step
    }
  }
}

/// Records that will be sent again. A few tens at a time, so they are searched in line.
struct Resends {
  struct Resend {
    var record: HistoryRecord
    var bytes: [UInt8]
    var dueAt: Int
  }

  private var planned: [Resend] = []
  private var nextDue = Int.max

  mutating func plan(_ record: HistoryRecord, bytes: UnsafeBufferPointer<UInt8>, dueAt: Int) {
    planned.append(Resend(record: record, bytes: Array(bytes), dueAt: dueAt))
    nextDue = min(nextDue, dueAt)
  }

  /// The longest overdue of those that are due; ties in the order of planning.
  mutating func take(dueAt index: Int) -> Resend? {
    guard nextDue <= index else { return nil }
    guard let place = planned.indices.min(by: { planned[$0].dueAt < planned[$1].dueAt }) else {
      return nil
    }
    let resend = planned.remove(at: place)
    nextDue = planned.map(\.dueAt).min() ?? Int.max
    return resend
  }
}

/// Draws a type by its share.
struct TypeTable {
  private let types: [EventType]
  private let limits: [Int]

  init(_ shares: HistorySettings.Shares) {
    let weights: [(EventType, Int)] = [
      (.impression, shares.impression), (.auction, shares.auction), (.click, shares.click),
      (.conversion, shares.conversion), (.dealStage, shares.dealStage),
      (.adjustment, shares.adjustment), (.heartbeat, shares.heartbeat),
      (.control, shares.control),
    ]
    precondition(
      weights.allSatisfy { (0...1_000_000).contains($0.1) } && weights.contains { $0.1 > 0 },
      "shares are weights of 0…1,000,000, at least one above 0")
    types = weights.map(\.0)
    var sum = 0
    limits = weights.map {
      sum += $0.1
      return sum
    }
  }

  func type(_ bits: UInt64) -> EventType {
    let value = Chance.below(limits[limits.count - 1], bits)
    var i = 0
    while value >= limits[i] { i += 1 }
    return types[i]
  }
}
