import Events
import Learning
import Streaming

/// Impressions whose labels are not known yet, each with its features and predictions as they were
/// when it was shown: until their clicks may no longer come in `ShownImpressions`, and those that were
/// clicked here.
///
/// Clicked ones wait in slots: those of one account whose waiting ends together, in the order in
/// which they came; one slot after the other, until their last label is known. 60 bytes each, 4 a
/// feature (12 with a value), 24 a model (28 where conversions are learned before their labels are
/// final), and its id.
struct PendingImpressions {
  /// One that was clicked.
  struct Impression: BitwiseCopyable {
    var account: Int32
    var ad: Int32
    var time: Int64
    /// What it is found by.
    var key: UInt64
    /// The same of its click.
    var clickKey: UInt64
    /// How long after it the click came, in ms.
    var clickAfter: Int32
    /// Of conversions, in millionths; not below 0.
    var credit: Int32 = 0
    /// First word of its predictions, behind which its features stand.
    var parts: Int32 = -1
    var text: Int32 = -1
    var textLength: UInt8 = 0
    var words: UInt8 = 0
    var numbers: UInt8 = 0
    /// The last wait behind which it was counted as not converted, 0 to begin with; `closed` once it
    /// was counted as converted; `unused` where the row is free.
    var followed: UInt8 = 0

    static let closed = UInt8.max - 1
    static let unused = UInt8.max

    /// Its row is taken.
    var isUsed: Bool { followed != Impression.unused }

    /// When it was clicked.
    var clickTime: Int64 { time &+ Int64(clickAfter) }
  }

  /// Impressions that wait for the same thing.
  struct Slot: BitwiseCopyable {
    var account: Int32
    var first: Int32 = -1
    var last: Int32 = -1
    /// The number of the wait.
    var stage: Int32
  }

  /// A wait: for the click; then, of clicked ones, for what is looked at until their conversion's
  /// label is final.
  struct Stage: BitwiseCopyable {
    /// How long the slots are, in ms, and how long after a slot's end its waiting ends.
    var slot: Int64
    var wait: Int64
  }

  /// Free rows or pieces, that which was freed first to be used first: what comes together then
  /// stands together, and is found by the processor before it is asked for. -1 for none.
  private struct FreeList: BitwiseCopyable {
    var first: Int32 = -1
    var last: Int32 = -1
  }

  private struct ReleasedText: BitwiseCopyable {
    var start: Int32
    var length: UInt8
  }

  /// The slot that an account fills at the moment.
  private struct Open: BitwiseCopyable {
    var start = Int64.min
    var slot: Int32 = -1
    private var unused: Int32 = 0
  }

  /// Those that may still be clicked.
  let shown: ShownImpressions
  private let impressions: Table<Impression>
  /// By impression: the next of its slot, or the next free row; -1 at the end. Apart from the rest, so
  /// that a slot is walked without waiting for each impression's memory.
  private let links: Table<Int32>
  private let slots: Table<Slot>
  /// By account times stages plus stage.
  private let opens: Table<Open>
  /// What is free of `impressions` and `slots`, then of pieces of `parts` by their number of words.
  private let free: Table<FreeList>
  /// Predictions and features, one after the other.
  private let parts: Table<UInt32>
  private let texts: TextStore
  /// Ids of removed impressions that records of the entry at hand still point to.
  private let released: Table<ReleasedText>
  /// By their keys, and their clicks' or click ids' keys: those that are in `shown` by twice their
  /// position, clicked ones by twice their row and one. Not stored.
  private let index: UnsafeMutablePointer<RowIndex>
  private let modelCount: Int
  /// Words that are kept of each model.
  private let modelWords: Int
  private let stages: UnsafeMutableBufferPointer<Stage>

  /// - Parameters:
  ///   - isTold: Models keep what they were told of each clicked impression so far.
  ///   - stages: The first is the wait for a click, of all impressions.
  ///   - layout: Of what is kept of models, which differs from that of other models.
  init(
    models: Int, isTold: Bool, stages: [Stage], layout: Int, in store: StateStore
  ) {
    shown = ShownImpressions(
      models: models, length: stages[0].slot, layout: layout, in: store)
    modelCount = models
    modelWords =
      PendingImpressions.predictionWords + (isTold ? 1 : 0)
    self.stages = .allocate(capacity: stages.count)
    _ = self.stages.initialize(from: stages)
    impressions = store.table("pending", of: Impression.self)
    links = store.table("pending.links", of: Int32.self)
    slots = store.table("pending.slots", of: Slot.self)
    opens = store.table("pending.open", of: Open.self)
    let wordsMax = 4 * FeaturePlan.featuresMax + modelWords * models
    free = store.table("pending.free", of: FreeList.self, capacity: wordsMax + 3)
    free.fill(to: wordsMax + 3, with: FreeList())
    parts = store.table("pending.parts", of: UInt32.self)
    texts = TextStore("pending.ids", in: store)
    released = store.table("pending.released", of: ReleasedText.self)
    index = .allocate(capacity: 1)
    index.initialize(to: RowIndex())
    let pending = self
    store.afterRestore { pending.rebuild() }
  }

  func deallocate() {
    stages.deallocate()
    index.pointee.deallocate()
    index.deallocate()
  }

  private func rebuild() {
    index.pointee.removeAll()
    for row in 0..<Int32(impressions.count) where impressions[row].isUsed {
      let impression = impressions[row]
      for key in [impression.key, impression.clickKey] {
        index.pointee.insert(key, row: Place.clicked(row).code)
      }
    }
    shown.visit { position in
      let impression = shown[position]
      guard impression.clicked < 0 else { return }
      index.pointee.insert(impression.key, row: Place.shown(position).code)
      if impression.otherKey != 0 {
        index.pointee.insert(impression.otherKey, row: Place.shown(position).code)
      }
    }
  }

  private static let predictionWords = 2 * ImpressionPrediction.words

  private func wordCount(_ words: Int, _ numbers: Int) -> Int {
    2 * ExampleFeatures.storedWords(words: words, numbers: numbers) + modelWords * modelCount
  }

  subscript(row: Int32) -> Impression { impressions[row] }

  func update(_ row: Int32) -> UnsafeMutablePointer<Impression> { impressions.update(row) }

  /// Where an impression stands.
  enum Place: Equatable {
    /// A position in `shown`.
    case shown(Int32)
    /// A row of those that were clicked.
    case clicked(Int32)

    @inline(__always)
    fileprivate init(code: Int32) {
      self = code & 1 == 0 ? .shown(code &>> 1) : .clicked(code &>> 1)
    }

    @inline(__always)
    fileprivate var code: Int32 {
      switch self {
      case .shown(let position): position &<< 1
      case .clicked(let row): row &<< 1 | 1
      }
    }
  }

  /// The impression with this key, or whose click or click id has it.
  @inline(__always)
  func find(_ key: UInt64) -> Place? {
    let code = index.pointee.find(key) {
      switch Place(code: $0) {
      case .shown(let position):
        let impression = shown[position]
        return impression.key == key || impression.otherKey == key
      case .clicked(let row):
        let impression = impressions.address(row)
        return impression.pointee.key == key || impression.pointee.clickKey == key
      }
    }
    return code.map(Place.init(code:))
  }

  /// Loads what a search for a key begins with; returns something of it.
  @inline(__always)
  func touch(_ key: UInt64) -> UInt32 { index.pointee.touch(key) }

  // MARK: Shown

  /// Adds an impression with the features of `example`; its predictions are still to be set in
  /// `shown`.
  ///
  /// - Parameter clickID: The key of the click id that it was given; 0 for none. It is found by that
  ///   too, unless another one is.
  /// - Returns: Where it stands, and the slot if it is new and needs a timer.
  @inline(__always)
  func add(
    _ impression: ShownImpressions.Impression, _ id: Identifier, _ example: ExampleFeatures,
    clickID: UInt64
  ) -> (position: Int32, newSlot: Int32?) {
    var impression = impression
    if clickID != 0, find(clickID) == nil { impression.otherKey = clickID }
    let added = shown.add(impression, id, example)
    precondition(added.position < 1 << 30, "impressions that wait for clicks take at most 8 GiB")
    let code = Place.shown(added.position).code
    index.pointee.insert(impression.key, row: code)
    if impression.otherKey != 0 { index.pointee.insert(impression.otherKey, row: code) }
    return added
  }

  /// Loads what is needed to forget shown impressions, side by side instead of one after the other;
  /// returns something of it.
  @inline(__always)
  func touch(shown positions: UnsafePointer<Int32>, count: Int) -> UInt32 {
    var seen: UInt32 = 0
    for i in 0..<count {
      let impression = shown[positions[i]]
      seen ^= index.pointee.touch(impression.key)
      if impression.otherKey != 0 { seen ^= index.pointee.touch(impression.otherKey) }
    }
    return seen
  }

  /// An impression is no longer found: its slot was taken.
  @inline(__always)
  func forget(_ impression: ShownImpressions.Impression, at position: Int32) {
    let code = Place.shown(position).code
    index.pointee.remove(impression.key, row: code)
    if impression.otherKey != 0 { index.pointee.remove(impression.otherKey, row: code) }
  }

  /// An impression's click has come: it goes where clicked ones are, and is found by the click
  /// instead of a click id, which has no other click. Its label waits for its time in `shown`.
  ///
  /// - Parameters:
  ///   - example: Memory to use.
  ///   - after: How long after the impression, in ms.
  /// - Returns: Its row.
  func click(
    _ position: Int32, _ key: UInt64, after: Int64, _ example: ExampleFeatures
  ) -> Int32 {
    let from = shown[position]
    forget(from, at: position)
    var impression = Impression(
      account: from.account, ad: from.ad, time: from.time, key: from.key, clickKey: key,
      clickAfter: Int32(clamping: after))
    (impression.words, impression.numbers) = (from.words, from.numbers)
    impression.text = texts.add(shown.id(position))
    impression.textLength = from.textLength
    let count = wordCount(Int(from.words), Int(from.numbers))
    impression.parts = allocate(count)
    let parts = UnsafeMutableRawPointer(change(impression.parts, count))
    shown.load(position, into: example)
    example.store(at: parts + modelWords &* modelCount &* 4)
    for model in 0..<modelCount {
      let place = parts + model &* modelWords &* 4
      place.storeBytes(
        of: shown.prediction(of: position, model: model), as: ImpressionPrediction.self)
      if modelWords > PendingImpressions.predictionWords {
        place.storeBytes(
          of: 0, toByteOffset: 4 &* PendingImpressions.predictionWords, as: UInt32.self)
      }
    }
    let row = place(impression)
    precondition(row < 1 << 30, "at most 2^30 clicked impressions wait")
    index.pointee.insert(impression.key, row: Place.clicked(row).code)
    index.pointee.insert(key, row: Place.clicked(row).code)
    shown.update(position).pointee.clicked = row
    return row
  }

  // MARK: Rows

  private func place(_ impression: Impression) -> Int32 {
    let row = free[0].first
    guard row >= 0 else {
      links.append(-1)
      return impressions.append(impression)
    }
    shift(0, to: links[row])
    impressions.update(row).pointee = impression
    return row
  }

  /// Takes the first of a free list; the next one is its first now.
  private func shift(_ list: Int32, to next: Int32) {
    free.update(list).pointee.first = next
    if next < 0 { free.update(list).pointee.last = -1 }
  }

  /// Adds to the end of a free list; returns what stood there, whose next it is, or -1.
  private func push(_ list: Int32, _ freed: Int32) -> Int32 {
    let ends = free.update(list)
    let last = ends.pointee.last
    if last < 0 { ends.pointee.first = freed }
    ends.pointee.last = freed
    return last
  }

  private func allocate(_ words: Int) -> Int32 {
    let list = Int32(words + 2)
    let start = free[list].first
    if start >= 0 {
      shift(list, to: Int32(bitPattern: parts[start]))
      return start
    }
    let end = Int32(parts.count)
    parts.fill(to: parts.count + words, with: 0)
    return end
  }

  /// Words to change.
  private func change(_ start: Int32, _ count: Int) -> UnsafeMutablePointer<UInt32> {
    parts.update(start..<start + Int32(count))
  }

  private func prediction(_ impression: Impression, _ model: Int) -> Int32 {
    impression.parts &+ Int32(truncatingIfNeeded: modelWords &* model)
  }

  /// What a model was told of an impression; only where that is kept.
  func told(of row: Int32, model: Int) -> DelayedConversions.Told {
    let words = parts.address(prediction(impressions[row], model))
    return DelayedConversions.Told(bitPattern: words[PendingImpressions.predictionWords])
  }

  func set(_ told: DelayedConversions.Told, of row: Int32, model: Int) {
    let words = change(prediction(impressions[row], model), modelWords)
    words[PendingImpressions.predictionWords] = told.bitPattern
  }

  func prediction(of row: Int32, model: Int) -> ImpressionPrediction {
    UnsafeRawPointer(parts.address(prediction(impressions[row], model)))
      .loadUnaligned(as: ImpressionPrediction.self)
  }

  /// Its features as they were.
  func load(_ row: Int32, into example: ExampleFeatures) {
    let impression = impressions.address(row)
    example.set(
      words: Int(impression.pointee.words), numbers: Int(impression.pointee.numbers),
      from: UnsafeRawPointer(parts.address(prediction(impression.pointee, modelCount))))
  }

  /// The next of its slot; -1 at the end.
  @inline(__always)
  func next(_ row: Int32) -> Int32 { links[row] }

  /// Loads what is needed of impressions whose labels become known, side by side instead of one
  /// after the other; returns something of it.
  @inline(__always)
  func touch(_ rows: UnsafePointer<Int32>, count: Int) -> UInt32 {
    var seen: UInt32 = 0
    for i in 0..<count { seen ^= UInt32(bitPattern: impressions.address(rows[i]).pointee.text) }
    for i in 0..<count {
      let impression = impressions.address(rows[i])
      let length = wordCount(Int(impression.pointee.words), Int(impression.pointee.numbers))
      let words = parts.address(impression.pointee.parts)
      // Lines of 16 words.
      for word in stride(from: 0, to: length, by: 16) { seen ^= words[word] }
      seen ^= words[length - 1] ^ index.pointee.touch(impression.pointee.key)
      seen ^= index.pointee.touch(impression.pointee.clickKey)
    }
    return seen
  }

  /// Its id; valid until an impression is added, through the entry in which it is removed.
  func id(_ row: Int32) -> Identifier {
    texts.text(impressions[row].text, length: impressions[row].textLength)
  }

  /// Gives back what records of the last entry pointed to. Before anything else of an entry.
  @inline(__always)
  func beginEntry() {
    shown.beginEntry()
    if released.count > 0 { recycle() }
  }

  @inline(never)
  private func recycle() {
    for i in 0..<Int32(released.count) {
      texts.remove(released[i].start, length: released[i].length)
    }
    released.removeAll()
  }

  /// Its id stays readable until the next entry.
  func remove(_ row: Int32) {
    let impression = impressions[row]
    index.pointee.remove(impression.key, row: Place.clicked(row).code)
    index.pointee.remove(impression.clickKey, row: Place.clicked(row).code)
    released.append(ReleasedText(start: impression.text, length: impression.textLength))
    let count = wordCount(Int(impression.words), Int(impression.numbers))
    parts.update(impression.parts).pointee = UInt32(bitPattern: -1)
    let lastPiece = push(Int32(count + 2), impression.parts)
    if lastPiece >= 0 {
      parts.update(lastPiece).pointee = UInt32(bitPattern: impression.parts)
    }
    impressions.update(row).pointee.followed = Impression.unused
    links.update(row).pointee = -1
    let lastRow = push(0, row)
    if lastRow >= 0 { links.update(lastRow).pointee = row }
  }

  // MARK: Slots

  /// When an impression that begins to wait at a time has waited.
  @inline(__always)
  func due(_ stage: Int, from time: Int64) -> Int64 {
    let length = stages[stage].slot
    return time / length &* length &+ length &+ stages[stage].wait
  }

  /// Puts an impression into its account's slot of a time. Returns the slot where it is new and
  /// needs a timer.
  @inline(__always)
  func wait(_ row: Int32, of account: Int32, from time: Int64, stage: Int) -> Int32? {
    let number = account &* Int32(truncatingIfNeeded: stages.count) &+ Int32(stage)
    if Int(number) >= opens.count {
      opens.fill(to: (Int(account) + 1) * stages.count, with: Open())
    }
    let start = time / stages[stage].slot &* stages[stage].slot
    let open = opens.update(number)
    if open.pointee.start == start {
      append(row, to: open.pointee.slot)
      return nil
    }
    let slot = makeSlot(Slot(account: account, stage: Int32(stage)))
    (open.pointee.start, open.pointee.slot) = (start, slot)
    append(row, to: slot)
    return slot
  }

  private func append(_ row: Int32, to slot: Int32) {
    let list = slots.update(slot)
    links.update(row).pointee = -1
    if list.pointee.last >= 0 {
      links.update(list.pointee.last).pointee = row
    } else {
      list.pointee.first = row
    }
    list.pointee.last = row
  }

  private func makeSlot(_ slot: Slot) -> Int32 {
    let row = free[1].first
    guard row >= 0 else { return slots.append(slot) }
    shift(1, to: slots[row].first)
    slots.update(row).pointee = slot
    return row
  }

  /// Takes a slot out: what it holds is the caller's, from `first` on.
  func take(_ slot: Int32) -> Slot {
    let taken = slots[slot]
    let open = opens.update(taken.account * Int32(stages.count) + taken.stage)
    if open.pointee.slot == slot { open.pointee = Open() }
    slots.update(slot).pointee = Slot(account: -1, stage: 0)
    let last = push(1, slot)
    if last >= 0 { slots.update(last).pointee.first = slot }
    return taken
  }

  func digest(
    into digest: inout StateDigest, _ directory: Directory, _ rows: FeatureRows,
    _ example: ExampleFeatures
  ) {
    for row in 0..<Int32(impressions.count) where impressions[row].isUsed {
      let impression = impressions[row]
      let owner = Hash.combine(directory.accounts.hash(impression.account), impression.key)
      digest.add(
        owner: owner, impression.time, Int64(impression.clickAfter), Int64(impression.credit),
        Int64(bitPattern: directory.ads.hash(impression.ad)),
        Int64(bitPattern: impression.clickKey))
      load(row, into: example)
      add(example, rows, owner, to: &digest)
      for model in 0..<modelCount {
        add(prediction(of: row, model: model), model, owner, to: &digest)
        guard modelWords > PendingImpressions.predictionWords else { continue }
        digest.add(
          owner: owner, Int64(model), Int64(told(of: row, model: model).bitPattern))
      }
    }
    shown.visit { position in
      let impression = shown[position]
      guard impression.clicked < 0 else { return }
      let owner = Hash.combine(directory.accounts.hash(impression.account), impression.key)
      digest.add(
        owner: owner, impression.time, Int64(bitPattern: directory.ads.hash(impression.ad)),
        Int64(bitPattern: impression.otherKey))
      shown.load(position, into: example)
      add(example, rows, owner, to: &digest)
      for model in 0..<modelCount {
        add(shown.prediction(of: position, model: model), model, owner, to: &digest)
      }
    }
  }

  private func add(
    _ example: ExampleFeatures, _ rows: FeatureRows, _ owner: UInt64, to digest: inout StateDigest
  ) {
    for i in 0..<example.count {
      digest.add(
        owner: owner, Int64(i), Int64(rows.hash(example.rows[i])), bits(example.values[i]), 0)
    }
  }

  private func add(
    _ prediction: ImpressionPrediction, _ model: Int, _ owner: UInt64, to digest: inout StateDigest
  ) {
    digest.add(
      owner: owner, Int64(model), bits(prediction.click), bits(prediction.conversion),
      bits(prediction.value))
  }
}
