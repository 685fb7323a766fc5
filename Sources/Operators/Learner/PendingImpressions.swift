import Events
import Learning
import Streaming

/// Impressions whose labels are not known yet: each with its features and predictions as they were
/// when it was shown.
///
/// They wait in slots: those of one account whose waiting ends together, in the order in which they
/// came. About 90 bytes an impression, 4 a feature (12 with a value), 24 a model, and its id.
struct PendingImpressions {
  struct Impression: BitwiseCopyable {
    var account: Int32
    var ad: Int32
    var time: Int64
    /// What it is found by.
    var key: UInt64
    /// The same of the click id that it was given, and of its click; 0 while there is none.
    var clickIDKey: UInt64 = 0
    var clickKey: UInt64 = 0
    var clickTime: Int64 = -1
    /// Of conversions, in millionths.
    var credit: Int64 = 0
    /// The next of its slot, or the next free row; -1 at the end.
    var next: Int32 = -1
    /// First word of its features.
    var features: Int32 = -1
    var text: Int32 = -1
    var textLength: UInt8 = 0
    var words: UInt8 = 0
    var numbers: UInt8 = 0
    /// Its row is taken.
    var isUsed = true
  }

  /// What a model said when the impression was shown.
  struct Prediction: BitwiseCopyable {
    var click: Double
    var conversion: Double
    /// Of a conversion, in micros.
    var value: Double
  }

  /// Impressions that wait for the same thing.
  struct Slot: BitwiseCopyable {
    var account: Int32
    var first: Int32 = -1
    var last: Int32 = -1
    /// For a conversion, else for a click.
    var waitsForConversion: Bool
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

  /// The slots that an account fills at the moment.
  private struct Open: BitwiseCopyable {
    var clickStart = Int64.min
    var conversionStart = Int64.min
    var click: Int32 = -1
    var conversion: Int32 = -1
  }

  private let impressions: Table<Impression>
  private let slots: Table<Slot>
  /// By account.
  private let opens: Table<Open>
  /// What is free of `impressions` and `slots`, then of pieces of `parts` by their number of words.
  private let free: Table<FreeList>
  /// Features and predictions: rows, values and predictions one after the other.
  private let parts: Table<UInt32>
  private let texts: TextStore
  /// Ids of removed impressions that records of the entry at hand still point to.
  private let released: Table<ReleasedText>
  /// Of impressions by their keys and their clicks' keys; not stored.
  private let index: UnsafeMutablePointer<RowIndex>
  private let modelCount: Int
  let clickSlot: Int64
  static let conversionSlot = TimeSpan.hours(1).milliseconds

  init(models: Int, clickWindow: Int64, in store: StateStore) {
    modelCount = models
    clickSlot = MaturingEvidence.slot(clickWindow)
    impressions = store.table("pending", of: Impression.self)
    slots = store.table("pending.slots", of: Slot.self)
    opens = store.table("pending.open", of: Open.self)
    let wordsMax = PendingImpressions.wordCount(
      FeaturePlan.featuresMax, FeaturePlan.featuresMax, models)
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
    index.pointee.deallocate()
    index.deallocate()
  }

  private func rebuild() {
    index.pointee.removeAll()
    for row in 0..<Int32(impressions.count) where impressions[row].isUsed {
      let impression = impressions[row]
      for key in [impression.key, impression.clickIDKey, impression.clickKey] where key != 0 {
        index.pointee.insert(key, row: row)
      }
    }
  }

  private static func wordCount(_ words: Int, _ numbers: Int, _ models: Int) -> Int {
    words + 3 * numbers + 6 * models
  }

  subscript(row: Int32) -> Impression { impressions[row] }

  func update(_ row: Int32) -> UnsafeMutablePointer<Impression> { impressions.update(row) }

  /// The impression with this key, or whose click or click id has it; -1 when there is none.
  func find(_ key: UInt64) -> Int32 {
    index.pointee.find(key) {
      let impression = impressions.address($0)
      return impression.pointee.key == key || impression.pointee.clickKey == key
        || impression.pointee.clickIDKey == key
    } ?? -1
  }

  /// Loads what a search for a key begins with; returns something of it.
  @inline(__always)
  func touch(_ key: UInt64) -> UInt32 { index.pointee.touch(key) }

  // MARK: Rows

  /// Adds an impression with the features of `example`; its predictions are still to be set.
  func add(_ impression: Impression, _ id: Identifier, _ example: ExampleFeatures) -> Int32 {
    var impression = impression
    impression.words = UInt8(truncatingIfNeeded: example.words)
    impression.numbers = UInt8(truncatingIfNeeded: example.numberCount)
    impression.text = texts.add(id)
    impression.textLength = UInt8(truncatingIfNeeded: id.length)
    let count = PendingImpressions.wordCount(example.words, example.numberCount, modelCount)
    impression.features = allocate(count)
    let words = change(impression.features, count)
    for i in 0..<example.count { words[i] = UInt32(bitPattern: example.rows[i]) }
    for i in 0..<example.numberCount {
      PendingImpressions.store(
        example.values[example.words + i], at: words + example.count + 2 * i)
    }
    let row = place(impression)
    index.pointee.insert(impression.key, row: row)
    return row
  }

  private func place(_ impression: Impression) -> Int32 {
    let row = free[0].first
    guard row >= 0 else { return impressions.append(impression) }
    shift(0, to: impressions[row].next)
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

  private static func store(_ value: Double, at words: UnsafeMutablePointer<UInt32>) {
    words[0] = UInt32(truncatingIfNeeded: value.bitPattern)
    words[1] = UInt32(truncatingIfNeeded: value.bitPattern >> 32)
  }

  private static func value(at words: UnsafeMutablePointer<UInt32>) -> Double {
    Double(bitPattern: UInt64(words[0]) | UInt64(words[1]) << 32)
  }

  private func prediction(_ impression: Impression, _ model: Int) -> Int32 {
    impression.features
      + Int32(Int(impression.words) + 3 * Int(impression.numbers) + 6 * model)
  }

  func set(_ prediction: Prediction, of row: Int32, model: Int) {
    let words = change(self.prediction(impressions[row], model), 6)
    PendingImpressions.store(prediction.click, at: words)
    PendingImpressions.store(prediction.conversion, at: words + 2)
    PendingImpressions.store(prediction.value, at: words + 4)
  }

  func prediction(of row: Int32, model: Int) -> Prediction {
    let words = parts.address(prediction(impressions[row], model))
    return Prediction(
      click: PendingImpressions.value(at: words),
      conversion: PendingImpressions.value(at: words + 2),
      value: PendingImpressions.value(at: words + 4))
  }

  /// Its features as they were.
  func load(_ row: Int32, into example: ExampleFeatures) {
    let impression = impressions.address(row)
    let (words, numbers) = (Int(impression.pointee.words), Int(impression.pointee.numbers))
    example.set(words: words, numbers: numbers)
    guard words + numbers > 0 else { return }
    let stored = parts.address(impression.pointee.features)
    for i in 0..<words + numbers { example.rows[i] = Int32(bitPattern: stored[i]) }
    for i in 0..<numbers {
      example.values[words + i] = PendingImpressions.value(at: stored + words + numbers + 2 * i)
    }
  }

  /// Loads what maturing begins with; returns something of it.
  @inline(__always)
  func touchParts(_ row: Int32) -> UInt32 { parts[impressions.address(row).pointee.features] }

  /// Its id; valid until an impression is added, through the entry in which it is removed.
  func id(_ row: Int32) -> Identifier {
    texts.text(impressions[row].text, length: impressions[row].textLength)
  }

  /// It is found by a click id too, unless another one is.
  func name(_ row: Int32, _ key: UInt64) {
    guard find(key) < 0 else { return }
    impressions.update(row).pointee.clickIDKey = key
    index.pointee.insert(key, row: row)
  }

  /// Its click has come: it is found by that too.
  func click(_ row: Int32, _ key: UInt64, at time: Int64) {
    let impression = impressions.update(row)
    impression.pointee.clickKey = key
    impression.pointee.clickTime = time
    index.pointee.insert(key, row: row)
  }

  /// Gives back what records of the last entry pointed to. Before anything else of an entry.
  @inline(__always)
  func beginEntry() {
    guard released.count > 0 else { return }
    for i in 0..<Int32(released.count) {
      texts.remove(released[i].start, length: released[i].length)
    }
    released.removeAll()
  }

  /// Its id stays readable until the next entry.
  func remove(_ row: Int32) {
    let impression = impressions[row]
    index.pointee.remove(impression.key, row: row)
    if impression.clickKey != 0 { index.pointee.remove(impression.clickKey, row: row) }
    if impression.clickIDKey != 0 { index.pointee.remove(impression.clickIDKey, row: row) }
    released.append(ReleasedText(start: impression.text, length: impression.textLength))
    let count = PendingImpressions.wordCount(
      Int(impression.words), Int(impression.numbers), modelCount)
    parts.update(impression.features).pointee = UInt32(bitPattern: -1)
    let lastPiece = push(Int32(count + 2), impression.features)
    if lastPiece >= 0 {
      parts.update(lastPiece).pointee = UInt32(bitPattern: impression.features)
    }
    let freed = impressions.update(row)
    freed.pointee.isUsed = false
    freed.pointee.next = -1
    let lastRow = push(0, row)
    if lastRow >= 0 { impressions.update(lastRow).pointee.next = row }
  }

  // MARK: Slots

  /// Puts an impression into its account's slot of a time. Returns the slot and when it ends where
  /// it is new and needs a timer.
  @inline(__always)
  func wait(
    _ row: Int32, of account: Int32, from time: Int64, forConversion: Bool
  ) -> (slot: Int32, end: Int64)? {
    if Int(account) >= opens.count { opens.fill(to: Int(account) + 1, with: Open()) }
    let length = forConversion ? PendingImpressions.conversionSlot : clickSlot
    let start = time / length &* length
    let open = opens.update(account)
    if (forConversion ? open.pointee.conversionStart : open.pointee.clickStart) == start {
      append(row, to: forConversion ? open.pointee.conversion : open.pointee.click)
      return nil
    }
    let slot = makeSlot(Slot(account: account, waitsForConversion: forConversion))
    if forConversion {
      (open.pointee.conversionStart, open.pointee.conversion) = (start, slot)
    } else {
      (open.pointee.clickStart, open.pointee.click) = (start, slot)
    }
    append(row, to: slot)
    return (slot, start &+ length)
  }

  private func append(_ row: Int32, to slot: Int32) {
    let list = slots.update(slot)
    impressions.update(row).pointee.next = -1
    if list.pointee.last >= 0 {
      impressions.update(list.pointee.last).pointee.next = row
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
    let open = opens.update(taken.account)
    if taken.waitsForConversion, open.pointee.conversion == slot {
      (open.pointee.conversionStart, open.pointee.conversion) = (Int64.min, -1)
    }
    if !taken.waitsForConversion, open.pointee.click == slot {
      (open.pointee.clickStart, open.pointee.click) = (Int64.min, -1)
    }
    slots.update(slot).pointee = Slot(account: -1, waitsForConversion: false)
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
        owner: owner, impression.time, impression.clickTime, impression.credit,
        Int64(bitPattern: directory.ads.hash(impression.ad)),
        Int64(bitPattern: impression.clickKey))
      load(row, into: example)
      for i in 0..<example.count {
        digest.add(
          owner: owner, Int64(i), Int64(rows.hash(example.rows[i])), bits(example.values[i]), 0)
      }
      for model in 0..<modelCount {
        let prediction = prediction(of: row, model: model)
        digest.add(
          owner: owner, Int64(model), bits(prediction.click), bits(prediction.conversion),
          bits(prediction.value))
      }
    }
  }
}
