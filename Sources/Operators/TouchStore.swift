import Events
import Streaming

/// What is kept of an impression or a click: 24 bytes beside the text of its id.
struct Touch: BitwiseCopyable {
  var time: Int64
  /// Rows in the directory.
  var campaign: Int32
  var ad: Int32
  /// The id, in the text store.
  var text: Int32
  var textLength: UInt8
  var isClick: Bool
  var isViewable: Bool
}

/// Where a person's touches stand: consecutive rows of the store, in order of time.
struct TouchList: BitwiseCopyable {
  /// First row of its block; -1 while it has none.
  var block: Int32 = -1
  /// Rows of the block that are no longer used: the oldest go by moving the start.
  var start: UInt16 = 0
  var count: UInt16 = 0
  /// The block has 2 << `sizeClass` rows.
  var sizeClass: UInt8 = 0

  @inline(__always) var capacity: Int { 2 << Int(sizeClass) }
}

/// Lists of touches in one table: blocks of 2, 4, 8 … 2048 rows from a buddy allocator.
///
/// A block stands at a multiple of its size. A free one is split for smaller lists, and joined with
/// its other half as soon as both are free, so nothing is left behind when lists grow. A list fills
/// more than half of its block on the way up and at least a quarter on the way down: 24–48 bytes a
/// touch, and one for two rows.
struct TouchStore {
  private let rows: Table<Touch>
  /// First free block by size class; they are chained both ways through their first rows.
  private let free: Table<Int32>
  /// Per two rows: 1 + the size class of the free block that begins there, else 0.
  private let marks: Table<UInt8>
  let texts: TextStore

  static let sizeClasses = 11
  /// The most touches that a list may have: the largest block with room to move in.
  static let touchesMax = 1024

  init(in store: StateStore) {
    rows = store.table("touches", of: Touch.self)
    free = store.table("touches.free", of: Int32.self, capacity: TouchStore.sizeClasses)
    free.fill(to: TouchStore.sizeClasses, with: -1)
    marks = store.table("touches.marks", of: UInt8.self)
    texts = TextStore("touches.ids", in: store)
  }

  /// The touches of a list, oldest first; valid until a touch is added anywhere.
  @inline(__always)
  func touches(_ list: TouchList) -> UnsafeBufferPointer<Touch> {
    guard list.count > 0 else { return UnsafeBufferPointer(start: nil, count: 0) }
    return UnsafeBufferPointer(
      start: rows.address(list.block + Int32(list.start)), count: Int(list.count))
  }

  /// Loads what a list's next touch is compared with and comes behind; returns something of it.
  @inline(__always)
  func touch(_ list: TouchList) -> Int64 {
    let touches = touches(list)
    return touches.isEmpty ? 0 : touches[0].time ^ touches[touches.count - 1].time
  }

  // MARK: Blocks

  private static func size(_ sizeClass: Int32) -> Int32 { 2 << sizeClass }

  private func allocate(_ sizeClass: UInt8) -> Int32 {
    let wanted = Int32(sizeClass)
    var found = wanted
    while found < Int32(TouchStore.sizeClasses), free[found] < 0 { found += 1 }
    guard found < Int32(TouchStore.sizeClasses) else { return append(wanted) }
    let block = free[found]
    unlist(block, found)
    while found > wanted {
      found -= 1
      list(block + TouchStore.size(found), found)
    }
    return block
  }

  /// A new block at the table's end; what is skipped to get to a multiple of its size is free.
  private func append(_ sizeClass: Int32) -> Int32 {
    while rows.count % Int(TouchStore.size(sizeClass)) != 0 {
      let gap = Int32(rows.count.trailingZeroBitCount - 1)
      release(extend(gap), UInt8(gap))
    }
    return extend(sizeClass)
  }

  private func extend(_ sizeClass: Int32) -> Int32 {
    let block = Int32(rows.count)
    let empty = Touch(
      time: 0, campaign: -1, ad: -1, text: -1, textLength: 0, isClick: false, isViewable: false)
    for _ in 0..<TouchStore.size(sizeClass) { rows.append(empty) }
    marks.fill(to: rows.count / 2, with: 0)
    return block
  }

  private func release(_ released: Int32, _ sizeClass: UInt8) {
    var (block, sizeClass) = (released, Int32(sizeClass))
    while sizeClass + 1 < Int32(TouchStore.sizeClasses) {
      let buddy = block ^ TouchStore.size(sizeClass)
      guard Int(buddy) < rows.count, Int32(marks[buddy / 2]) == sizeClass + 1 else { break }
      unlist(buddy, sizeClass)
      block = min(block, buddy)
      sizeClass += 1
    }
    list(block, sizeClass)
  }

  /// Free blocks are chained through `text` (next) and `ad` (previous).
  private func list(_ block: Int32, _ sizeClass: Int32) {
    let head = free[sizeClass]
    let row = rows.update(block)
    row.pointee.text = head
    row.pointee.ad = -1
    if head >= 0 { rows.update(head).pointee.ad = block }
    free.update(sizeClass).pointee = block
    marks.update(block / 2).pointee = UInt8(truncatingIfNeeded: sizeClass + 1)
  }

  private func unlist(_ block: Int32, _ sizeClass: Int32) {
    let (next, previous) = (rows[block].text, rows[block].ad)
    if previous >= 0 {
      rows.update(previous).pointee.text = next
    } else {
      free.update(sizeClass).pointee = next
    }
    if next >= 0 { rows.update(next).pointee.ad = previous }
    marks.update(block / 2).pointee = 0
  }

  // MARK: Touches

  /// Adds a touch behind all that are not newer. O(1) when it is the newest, amortised.
  func insert(_ touch: Touch, into list: inout TouchList) {
    if list.block < 0 {
      list = TouchList(block: allocate(0))
    } else if Int(list.start) + Int(list.count) == list.capacity {
      makeRoom(&list)
    }
    let first = list.block + Int32(list.start)
    var place = first + Int32(list.count)
    while place > first, rows[place - 1].time > touch.time {
      rows.update(place).pointee = rows[place - 1]
      place -= 1
    }
    rows.update(place).pointee = touch
    list.count += 1
  }

  /// Copies touches between or within blocks. The rows of a table stand one after the other; what
  /// has to be done for each is to tell a snapshot under way which pages change.
  private func copy(_ count: Int32, from source: Int32, to target: Int32) {
    guard count > 0 else { return }
    var row = target
    while row < target + count {
      _ = rows.update(row)
      row += TouchStore.rowsPerUpdate
    }
    _ = rows.update(target + count - 1)
    rows.address(target).update(from: rows.address(source), count: Int(count))
  }

  /// Fewer than stand on one page of a snapshot (16 KiB).
  private static let rowsPerUpdate: Int32 = 512

  /// Moves a list that ends where its block ends: to the block's beginning, when at least an eighth
  /// of it is unused, or to a larger block.
  private func makeRoom(_ list: inout TouchList) {
    if Int(list.start) * 8 >= list.capacity {
      copy(Int32(list.count), from: list.block + Int32(list.start), to: list.block)
      list.start = 0
    } else {
      move(&list, to: list.sizeClass + 1)
    }
  }

  private func move(_ list: inout TouchList, to sizeClass: UInt8) {
    let block = allocate(sizeClass)
    copy(Int32(list.count), from: list.block + Int32(list.start), to: block)
    release(list.block, list.sizeClass)
    list.block = block
    list.start = 0
    list.sizeClass = sizeClass
  }

  /// Drops touches from the oldest on while they are older than `time`; gives back what the list no
  /// longer needs.
  func removeOlder(than time: Int64, from list: inout TouchList) {
    let touches = touches(list)
    var old = 0
    while old < touches.count, touches[old].time < time {
      texts.remove(touches[old].text, length: touches[old].textLength)
      old += 1
    }
    list.start += UInt16(old)
    list.count -= UInt16(old)
    if list.count == 0 {
      removeAll(from: &list)
    } else if Int(list.count) * 4 <= list.capacity, list.sizeClass > 0 {
      move(&list, to: list.sizeClass - 1)
    }
  }

  /// Drops the oldest impression, or the oldest click where there are only clicks.
  func removeLeastValuable(from list: inout TouchList) {
    let touches = touches(list)
    guard !touches.isEmpty else { return }
    var place = 0
    while place < touches.count, touches[place].isClick { place += 1 }
    if place == touches.count { place = 0 }
    texts.remove(touches[place].text, length: touches[place].textLength)
    let first = list.block + Int32(list.start)
    copy(Int32(place), from: first, to: first + 1)
    list.start += 1
    list.count -= 1
  }

  func removeAll(from list: inout TouchList) {
    guard list.block >= 0 else { return }
    for touch in touches(list) { texts.remove(touch.text, length: touch.textLength) }
    release(list.block, list.sizeClass)
    list = TouchList()
  }

  /// Moves all touches of `other` into `list`, in order of time; of equal times those of `list`
  /// come first.
  func merge(_ other: inout TouchList, into list: inout TouchList) {
    guard other.count > 0 else {
      removeAll(from: &other)
      return
    }
    guard list.count > 0 else {
      removeAll(from: &list)
      swap(&list, &other)
      return
    }
    var sizeClass = max(list.sizeClass, other.sizeClass)
    while 2 << Int(sizeClass) < Int(list.count) + Int(other.count) { sizeClass += 1 }
    let block = allocate(sizeClass)
    var (i, j, k): (Int32, Int32, Int32) = (0, 0, 0)
    let (a, b) = (list.block + Int32(list.start), other.block + Int32(other.start))
    while i < Int32(list.count) || j < Int32(other.count) {
      let takesFirst =
        j == Int32(other.count) || (i < Int32(list.count) && rows[a + i].time <= rows[b + j].time)
      rows.update(block + k).pointee = takesFirst ? rows[a + i] : rows[b + j]
      if takesFirst { i += 1 } else { j += 1 }
      k += 1
    }
    release(list.block, list.sizeClass)
    release(other.block, other.sizeClass)
    other = TouchList()
    list = TouchList(block: block, start: 0, count: UInt16(k), sizeClass: sizeClass)
  }
}
