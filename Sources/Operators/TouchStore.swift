import Events
import Streaming

/// Where a person's touches stand: consecutive places of a block, in order of time.
struct TouchList: BitwiseCopyable {
  /// First row of its block; -1 while it has none.
  var block: Int32 = -1
  /// Rows of the block that are no longer used: the oldest go by moving the start.
  var start: UInt16 = 0
  var count: UInt16 = 0
  /// The block has 2 << `sizeClass` rows.
  var sizeClass: UInt8 = 0

  @inline(__always) var capacity: Int { 2 << Int(sizeClass) }
  @inline(__always) var isFullToTheEnd: Bool { Int(start) + Int(count) == capacity }
}

/// Lists of touches in blocks of 2, 4, 8 … 2048 rows from a buddy allocator.
///
/// A block stands at a multiple of its size. A free one is split for smaller lists, and joined with
/// its other half as soon as both are free, so nothing is left behind when lists grow. A list fills
/// more than half of its block on the way up and at least a quarter on the way down: 24–48 bytes a
/// touch, and one for two rows.
///
/// A row has three words, but a block holds first all times, then all places, then the rest: what
/// is searched and counted at nearly every event lies close together.
struct TouchStore {
  private let words: Table<UInt64>
  /// First free block by size class; they are chained both ways through their first words.
  private let free: Table<Int32>
  /// Per two rows: 1 + the size class of the free block that begins there, else 0.
  private let marks: Table<UInt8>
  let texts: TextStore

  static let sizeClasses = 11
  /// The most touches that a list may have: the largest block with room to move in.
  static let touchesMax = 1024
  private static let wordsPerRow: Int32 = 3

  init(in store: StateStore) {
    words = store.table("touches", of: UInt64.self, version: 2)
    free = store.table("touches.free", of: Int32.self, capacity: TouchStore.sizeClasses)
    free.fill(to: TouchStore.sizeClasses, with: -1)
    marks = store.table("touches.marks", of: UInt8.self)
    texts = TextStore("touches.ids", in: store)
  }

  /// The touches of a list, oldest first; valid until a touch is added anywhere.
  @inline(__always)
  func touches(_ list: TouchList) -> Touches {
    guard list.count > 0 else { return Touches() }
    return Touches(
      UnsafeRawPointer(words.address(list.block * TouchStore.wordsPerRow)),
      capacity: list.capacity, start: Int(list.start), count: Int(list.count))
  }

  /// Lines of times, and of places, that are fetched ahead; what is older the processor expects by
  /// itself.
  private static let linesAhead = 4

  /// Loads what a list's next touch is compared with and comes behind; returns something of it.
  @inline(__always)
  func prefetch(_ list: TouchList) -> Int64 {
    guard list.count > 0 else { return 0 }
    let touches = touches(list)
    let last = touches.count - 1
    var seen = touches.times[0] ^ Int64(touches.rests[last].text)
    for line in 0..<TouchStore.linesAhead where line &* Touches.timesPerLine <= last {
      let place = last &- line &* Touches.timesPerLine
      seen ^= touches.times[place] ^ Int64(touches.places[place].ad)
    }
    return seen
  }

  // MARK: Blocks

  private static func size(_ sizeClass: Int32) -> Int32 { 2 << sizeClass }

  private var rowCount: Int32 { Int32(words.count) / TouchStore.wordsPerRow }

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
    while rowCount % TouchStore.size(sizeClass) != 0 {
      let gap = Int32(rowCount.trailingZeroBitCount - 1)
      release(extend(gap), UInt8(gap))
    }
    return extend(sizeClass)
  }

  private func extend(_ sizeClass: Int32) -> Int32 {
    let block = rowCount
    words.extend(by: Int(TouchStore.size(sizeClass) * TouchStore.wordsPerRow))
    marks.extend(by: Int(TouchStore.size(sizeClass)) / 2)
    return block
  }

  private func release(_ released: Int32, _ sizeClass: UInt8) {
    var (block, sizeClass) = (released, Int32(sizeClass))
    while sizeClass + 1 < Int32(TouchStore.sizeClasses) {
      let buddy = block ^ TouchStore.size(sizeClass)
      guard buddy < rowCount, Int32(marks[buddy / 2]) == sizeClass + 1 else { break }
      unlist(buddy, sizeClass)
      block = min(block, buddy)
      sizeClass += 1
    }
    list(block, sizeClass)
  }

  /// Neighbours of a free block, in its first word.
  private struct FreeBlock: BitwiseCopyable {
    var next: Int32
    var previous: Int32
  }

  private func freeBlock(_ block: Int32) -> UnsafeMutablePointer<FreeBlock> {
    UnsafeMutableRawPointer(words.update(block * TouchStore.wordsPerRow))
      .assumingMemoryBound(to: FreeBlock.self)
  }

  private func list(_ block: Int32, _ sizeClass: Int32) {
    let head = free[sizeClass]
    freeBlock(block).pointee = FreeBlock(next: head, previous: -1)
    if head >= 0 { freeBlock(head).pointee.previous = block }
    free.update(sizeClass).pointee = block
    marks.update(block / 2).pointee = UInt8(truncatingIfNeeded: sizeClass + 1)
  }

  private func unlist(_ block: Int32, _ sizeClass: Int32) {
    let neighbours = freeBlock(block).pointee
    if neighbours.previous >= 0 {
      freeBlock(neighbours.previous).pointee.next = neighbours.next
    } else {
      free.update(sizeClass).pointee = neighbours.next
    }
    if neighbours.next >= 0 { freeBlock(neighbours.next).pointee.previous = neighbours.previous }
    marks.update(block / 2).pointee = 0
  }

  // MARK: Touches

  /// Adds a touch behind all that are not newer. O(1) when it is the newest, amortised.
  func insert(_ touch: Touch, into list: inout TouchList) {
    if list.block < 0 {
      list = TouchList(block: allocate(0))
    } else if list.isFullToTheEnd {
      makeRoom(&list)
    }
    list.count += 1
    let touches = touches(list)
    var place = touches.count - 1
    while place > 0, touches.times[place - 1] > touch.time { place -= 1 }
    let end = Int32(list.start) + Int32(list.count)
    move(
      list.block, list.sizeClass, Int32(list.start) + Int32(place)..<end - 1, by: 1)
    write(touch, list.block, list.sizeClass, at: Int32(list.start) + Int32(place))
  }

  private func write(_ touch: Touch, _ block: Int32, _ sizeClass: UInt8, at place: Int32) {
    let size = TouchStore.size(Int32(sizeClass))
    let first = block * TouchStore.wordsPerRow + place
    words.update(first).pointee = UInt64(bitPattern: touch.time)
    UnsafeMutableRawPointer(words.update(first + size))
      .storeBytes(of: TouchPlace(touch), as: TouchPlace.self)
    UnsafeMutableRawPointer(words.update(first + 2 * size))
      .storeBytes(of: TouchRest(touch), as: TouchRest.self)
  }

  /// Moves rows within a block.
  private func move(_ block: Int32, _ sizeClass: UInt8, _ places: Range<Int32>, by step: Int32) {
    copy(
      places, of: (block, sizeClass), to: (block, sizeClass), at: places.lowerBound + step)
  }

  /// Copies rows between blocks, or within one.
  private func copy(
    _ places: Range<Int32>, of source: (block: Int32, sizeClass: UInt8),
    to target: (block: Int32, sizeClass: UInt8), at place: Int32
  ) {
    guard !places.isEmpty else { return }
    var from = source.block * TouchStore.wordsPerRow + places.lowerBound
    var to = target.block * TouchStore.wordsPerRow + place
    for _ in 0..<TouchStore.wordsPerRow {
      words.update(to..<to + Int32(places.count))
        .update(from: words.address(from), count: places.count)
      from += TouchStore.size(Int32(source.sizeClass))
      to += TouchStore.size(Int32(target.sizeClass))
    }
  }

  /// Moves a list that ends where its block ends: to the block's beginning, when at least an eighth
  /// of it is unused, or to a larger block.
  private func makeRoom(_ list: inout TouchList) {
    if Int(list.start) * 8 >= list.capacity {
      let places = Int32(list.start)..<Int32(list.start) + Int32(list.count)
      move(list.block, list.sizeClass, places, by: -Int32(list.start))
      list.start = 0
    } else {
      relocate(&list, to: list.sizeClass + 1)
    }
  }

  private func relocate(_ list: inout TouchList, to sizeClass: UInt8) {
    let block = allocate(sizeClass)
    copy(
      Int32(list.start)..<Int32(list.start) + Int32(list.count),
      of: (list.block, list.sizeClass), to: (block, sizeClass), at: 0)
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
    while old < touches.count, touches.times[old] < time {
      texts.remove(touches.rests[old].text, length: touches.rests[old].textLength)
      old += 1
    }
    list.start += UInt16(old)
    list.count -= UInt16(old)
    if list.count == 0 {
      removeAll(from: &list)
    } else if Int(list.count) * 4 <= list.capacity, list.sizeClass > 0 {
      relocate(&list, to: list.sizeClass - 1)
    }
  }

  /// Drops the oldest impression, or the oldest click where there are only clicks.
  func removeLeastValuable(from list: inout TouchList) {
    let touches = touches(list)
    guard touches.count > 0 else { return }
    var place = 0
    while place < touches.count, touches.rests[place].isClick { place += 1 }
    if place == touches.count { place = 0 }
    texts.remove(touches.rests[place].text, length: touches.rests[place].textLength)
    // The shorter side closes the gap.
    let start = Int32(list.start)
    if place * 2 < touches.count {
      move(list.block, list.sizeClass, start..<start + Int32(place), by: 1)
      list.start += 1
    } else {
      move(
        list.block, list.sizeClass, start + Int32(place) + 1..<start + Int32(list.count), by: -1)
    }
    list.count -= 1
  }

  func removeAll(from list: inout TouchList) {
    guard list.block >= 0 else { return }
    let touches = touches(list)
    for i in 0..<touches.count {
      texts.remove(touches.rests[i].text, length: touches.rests[i].textLength)
    }
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
    let (a, b) = (touches(list), touches(other))
    var (i, j, k) = (0, 0, 0)
    while i < a.count || j < b.count {
      let takesFirst = j == b.count || (i < a.count && a.times[i] <= b.times[j])
      write(takesFirst ? a[i] : b[j], block, sizeClass, at: Int32(k))
      if takesFirst { i += 1 } else { j += 1 }
      k += 1
    }
    release(list.block, list.sizeClass)
    release(other.block, other.sizeClass)
    other = TouchList()
    list = TouchList(block: block, start: 0, count: UInt16(k), sizeClass: sizeClass)
  }
}
