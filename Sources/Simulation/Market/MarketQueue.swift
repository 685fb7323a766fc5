import Events

/// Something that will happen.
struct Pending {
  enum Kind: UInt8 {
    case campaign, click, conversion, dealStage, resend
  }

  var time: EventTime
  /// When it was planned, in order: what tells equal times apart.
  var order: UInt64 = 0
  var kind: Kind
  var campaign: Int32
  var ad: Int32 = 0
  /// -1 for somebody who came once.
  var user: Int32 = -1
  /// A deal's next stage; the place of a resend.
  var step: Int32 = 0
  /// The opportunity that it follows from.
  var number: UInt64 = 0
  /// Micros: a conversion's value, a deal's amount, a campaign's budget.
  var value: Int64 = 0

  init(time: EventTime, kind: Kind, campaign: Int, value: Int64 = 0) {
    self.time = time
    self.kind = kind
    self.campaign = Int32(truncatingIfNeeded: campaign)
    self.value = value
  }

  @inline(__always)
  func isBefore(_ other: Pending) -> Bool {
    time.milliseconds != other.time.milliseconds ? time < other.time : order < other.order
  }
}

/// What will happen, soonest first: a binary heap.
///
/// `order` must not depend on how time is cut into steps. It does not: pushes are made by what
/// happens, in its order.
struct MarketQueue {
  private var items: ContiguousArray<Pending> = []
  private var orders: UInt64 = 0

  var count: Int { items.count }

  var first: Pending? {
    @inline(__always) get { items.isEmpty ? nil : items[0] }
  }

  mutating func push(_ item: Pending) {
    var item = item
    item.order = orders
    orders += 1
    items.append(item)
    var place = items.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard items[place].isBefore(items[parent]) else { break }
      items.swapAt(place, parent)
      place = parent
    }
  }

  mutating func removeFirst() {
    let last = items.removeLast()
    guard !items.isEmpty else { return }
    items[0] = last
    var place = 0
    while true {
      var least = 2 * place + 1
      guard least < items.count else { break }
      if least + 1 < items.count, items[least + 1].isBefore(items[least]) { least += 1 }
      guard items[least].isBefore(items[place]) else { break }
      items.swapAt(least, place)
      place = least
    }
  }
}
