import Events
import Streaming

/// Impressions whose clicks may still come: a log in the order in which they came, for each slot of
/// time its own, from which they are read once, one after the other, when the slot's time is over.
///
/// An impression is one piece of 8-byte words: 40 bytes, what models said (24 a model), the values of
/// its numbers, the rows of its features (4 each) and its id. Pieces stand in chunks of 4 KiB, which
/// are used again, the last one first: most are still in the processor's caches then.
struct ShownImpressions {
  struct Impression: BitwiseCopyable {
    var account: Int32
    var ad: Int32
    var time: Int64
    /// What it is found by.
    var key: UInt64
    /// The same of the click id that it was given; 0 for none.
    var otherKey: UInt64 = 0
    /// Where it went when it was clicked; -1 before that.
    var clicked: Int32 = -1
    var words: UInt8 = 0
    var numbers: UInt8 = 0
    var textLength: UInt8 = 0
    private var unused: UInt8 = 0

    init(account: Int32, ad: Int32, time: Int64, key: UInt64) {
      (self.account, self.ad, self.time, self.key) = (account, ad, time, key)
    }

    /// Words of the features, and of what stands behind the predictions.
    @inline(__always)
    fileprivate var featureWords: Int {
      ExampleFeatures.storedWords(words: Int(words), numbers: Int(numbers))
    }
    @inline(__always)
    fileprivate var restWords: Int { featureWords &+ (Int(textLength) &+ 7) / 8 }
  }

  /// Impressions of a slot of time.
  private struct Slot: BitwiseCopyable {
    var start: Int64
    /// The first chunk, or the next free slot; -1 for none.
    var first: Int32 = -1
    var last: Int32 = -1
  }

  private struct Chunk: BitwiseCopyable {
    /// The slot's next one, or the next free one; -1 for none.
    var next: Int32 = -1
    /// Words that are used.
    var used: Int32 = 0
  }

  /// The slot that impressions of a time are added to.
  private struct Open: BitwiseCopyable {
    var start = Int64.min
    var slot: Int32 = -1
    private var unused: Int32 = 0
  }

  private struct Free: BitwiseCopyable {
    var chunk: Int32 = -1
    var slot: Int32 = -1
    /// Chunks that records of the entry at hand still point into.
    var releasedChunk: Int32 = -1
  }

  private let length: Int64
  private let words: Table<UInt64>
  private let chunks: Table<Chunk>
  private let slots: Table<Slot>
  /// By the number of their slot, turned round at `openMax`.
  private let opens: Table<Open>
  private let free: Table<Free>
  private let modelWords: Int

  private static let chunkWords: Int32 = 512
  private static let headerWords = MemoryLayout<Impression>.stride / 8
  private static let openMax: Int64 = 16

  /// - Parameters:
  ///   - models: Predictions of an impression.
  ///   - length: How long a slot is, in ms.
  ///   - layout: Of what is kept of models, which differs from that of other models.
  init(models: Int, length: Int64, layout: Int = 1, in store: StateStore) {
    modelWords = ImpressionPrediction.words * models
    self.length = length
    words = store.table("shown", of: UInt64.self, version: layout)
    chunks = store.table("shown.chunks", of: Chunk.self)
    slots = store.table("shown.slots", of: Slot.self)
    opens = store.table("shown.open", of: Open.self, capacity: Int(ShownImpressions.openMax))
    opens.fill(to: Int(ShownImpressions.openMax), with: Open())
    free = store.table("shown.free", of: Free.self, capacity: 1)
    free.fill(to: 1, with: Free())
    let wordsMax = ShownImpressions.headerWords + modelWords + FeaturePlan.featuresMax * 3 / 2 + 16
    precondition(
      wordsMax <= ShownImpressions.chunkWords,
      "an impression with the most features and the longest id fits into a chunk")
  }

  // MARK: Pieces

  @inline(__always)
  private func address(_ position: Int32) -> UnsafeMutablePointer<UInt64> {
    words.address(position)
  }

  /// By the position that `add` returned.
  @inline(__always)
  subscript(position: Int32) -> Impression { piece(position).pointee }

  @inline(__always)
  private func piece(_ position: Int32) -> UnsafeMutablePointer<Impression> {
    UnsafeMutableRawPointer(words.address(position)).assumingMemoryBound(to: Impression.self)
  }

  /// One to change; its key, its other key and where it went.
  @inline(__always)
  func update(_ position: Int32) -> UnsafeMutablePointer<Impression> {
    let word = words.update(position)
    // The header may lie on the border of a snapshot's page.
    _ = words.update(position &+ Int32(ShownImpressions.headerWords) &- 1)
    return UnsafeMutableRawPointer(word).assumingMemoryBound(to: Impression.self)
  }

  /// Adds an impression with the features of `example`; its predictions are still to be set.
  ///
  /// - Returns: Where it stands, and the slot if it is new and needs a timer.
  @inline(__always)
  func add(
    _ impression: Impression, _ id: Identifier, _ example: ExampleFeatures
  ) -> (position: Int32, newSlot: Int32?) {
    var impression = impression
    impression.words = UInt8(truncatingIfNeeded: example.words)
    impression.numbers = UInt8(truncatingIfNeeded: example.numberCount)
    impression.textLength = UInt8(truncatingIfNeeded: id.length)
    let length = Int32(
      truncatingIfNeeded: ShownImpressions.headerWords &+ modelWords &+ impression.restWords)
    let (slot, isNew) = slot(of: impression.time)
    let position = allocate(length, in: slot)
    let start = words.update(position..<position &+ length)
    var place = UnsafeMutableRawPointer(start)
    place.storeBytes(of: impression, as: Impression.self)
    place += (ShownImpressions.headerWords &+ modelWords) &* 8
    example.store(at: place)
    place += impression.featureWords &* 8
    if let bytes = id.start { place.copyMemory(from: bytes, byteCount: Int(id.length)) }
    return (position, isNew ? slot : nil)
  }

  /// What models said; `add` has just returned the position.
  @inline(__always)
  func set(_ prediction: ImpressionPrediction, of position: Int32, model: Int) {
    predictions(position)[model] = prediction
  }

  @inline(__always)
  func prediction(of position: Int32, model: Int) -> ImpressionPrediction {
    predictions(position)[model]
  }

  @inline(__always)
  private func predictions(_ position: Int32) -> UnsafeMutablePointer<ImpressionPrediction> {
    UnsafeMutableRawPointer(address(position) + ShownImpressions.headerWords)
      .assumingMemoryBound(to: ImpressionPrediction.self)
  }

  /// Its features as they were.
  @inline(__always)
  func load(_ position: Int32, into example: ExampleFeatures) {
    let impression = piece(position)
    example.set(
      words: Int(impression.pointee.words), numbers: Int(impression.pointee.numbers),
      from: UnsafeRawPointer(address(position) + ShownImpressions.headerWords + modelWords))
  }

  /// Its id; valid until an impression is added, through the entry in which its slot is taken.
  @inline(__always)
  func id(_ position: Int32) -> Identifier {
    let impression = piece(position)
    let place = ShownImpressions.headerWords &+ modelWords &+ impression.pointee.featureWords
    let bytes = UnsafeRawPointer(address(position) + place).assumingMemoryBound(to: UInt8.self)
    return Identifier(hash: 0, start: bytes, length: UInt32(impression.pointee.textLength))
  }

  // MARK: Slots

  /// The slot of a time, and whether it has just begun. Where times come in great disorder another
  /// one of the same time may begin, whose waiting ends with it.
  @inline(__always)
  private func slot(of time: Int64) -> (Int32, isNew: Bool) {
    let number = time / length
    let start = number &* length
    let index = Int32(truncatingIfNeeded: number & (ShownImpressions.openMax &- 1))
    let open = opens.address(index)
    if open.pointee.start == start { return (open.pointee.slot, false) }
    return (begin(start, index), true)
  }

  @inline(never)
  private func begin(_ start: Int64, _ index: Int32) -> Int32 {
    let chunk = makeChunk()
    let made = Slot(start: start, first: chunk, last: chunk)
    var slot = free[0].slot
    if slot >= 0 {
      free.update(0).pointee.slot = slots[slot].first
      slots.update(slot).pointee = made
    } else {
      slot = slots.append(made)
    }
    let open = opens.update(index)
    (open.pointee.start, open.pointee.slot) = (start, slot)
    return slot
  }

  private func makeChunk() -> Int32 {
    let chunk = free[0].chunk
    guard chunk < 0 else {
      free.update(0).pointee.chunk = chunks[chunk].next
      chunks.update(chunk).pointee = Chunk()
      return chunk
    }
    words.extend(by: Int(ShownImpressions.chunkWords))
    return chunks.append(Chunk())
  }

  @inline(__always)
  private func allocate(_ length: Int32, in slot: Int32) -> Int32 {
    var chunk = slots[slot].last
    if chunks[chunk].used &+ length > ShownImpressions.chunkWords {
      let next = makeChunk()
      chunks.update(chunk).pointee.next = next
      slots.update(slot).pointee.last = next
      chunk = next
    }
    let state = chunks.update(chunk)
    let position = chunk &* ShownImpressions.chunkWords &+ state.pointee.used
    state.pointee.used &+= length
    return position
  }

  /// Impressions of a slot that was taken, those that came first before the others.
  struct Reader {
    fileprivate var chunk: Int32
    fileprivate let last: Int32
    fileprivate var position: Int32
    fileprivate var end: Int32
  }

  /// Takes a slot out and gives it back. What stands there can be read until the entry's end;
  /// nothing may be added before it was read.
  func take(_ slot: Int32) -> Reader {
    let taken = slots[slot]
    let index = Int32(truncatingIfNeeded: taken.start / length & (ShownImpressions.openMax &- 1))
    if opens[index].slot == slot { opens.update(index).pointee = Open() }
    // The chunks wait, all of them, until nothing points into them any more.
    chunks.update(taken.last).pointee.next = free[0].releasedChunk
    free.update(0).pointee.releasedChunk = taken.first
    slots.update(slot).pointee = Slot(start: Int64.min, first: free[0].slot)
    free.update(0).pointee.slot = slot
    return reader(taken)
  }

  private func reader(_ slot: Slot) -> Reader {
    let position = slot.first &* ShownImpressions.chunkWords
    return Reader(
      chunk: slot.first, last: slot.last, position: position,
      end: position &+ chunks[slot.first].used)
  }

  /// The position of the next one; -1 at the end.
  @inline(__always)
  func next(_ reader: inout Reader) -> Int32 {
    if reader.position == reader.end {
      guard reader.chunk != reader.last else { return -1 }
      reader.chunk = chunks[reader.chunk].next
      reader.position = reader.chunk &* ShownImpressions.chunkWords
      reader.end = reader.position &+ chunks[reader.chunk].used
    }
    let position = reader.position
    let length = ShownImpressions.headerWords &+ modelWords &+ piece(position).pointee.restWords
    reader.position = position &+ Int32(truncatingIfNeeded: length)
    return position
  }

  /// Calls with every impression that waits, in no order that means anything.
  func visit(_ body: (_ position: Int32) -> Void) {
    for slot in 0..<Int32(slots.count) where slots[slot].last >= 0 {
      var reader = reader(slots[slot])
      while case let position = next(&reader), position >= 0 { body(position) }
    }
  }

  /// Gives back what records of the last entry pointed to. Before anything else of an entry.
  @inline(__always)
  func beginEntry() {
    if free[0].releasedChunk >= 0 { recycle() }
  }

  @inline(never)
  private func recycle() {
    var chunk = free[0].releasedChunk
    while chunk >= 0 {
      let next = chunks[chunk].next
      chunks.update(chunk).pointee = Chunk(next: free[0].chunk)
      free.update(0).pointee.chunk = chunk
      chunk = next
    }
    free.update(0).pointee.releasedChunk = -1
  }
}

/// What a model said when an impression was shown.
struct ImpressionPrediction: BitwiseCopyable {
  var click: Double
  var conversion: Double
  /// Of a conversion, in micros.
  var value: Double

  /// Of 8 bytes.
  static let words = 3
}
