/// Adaptive windowing (Bifet and Gavaldà 2007): keeps the longest window whose two parts, cut
/// anywhere, do not differ in mean by more than chance allows.
///
/// The window is a list of buckets of 1, 2, 4, … observations, at most `buckets` of each size, so
/// 2¹⁰ observations or 2³⁰ take the same 4 KiB. After a drift the observations before the change
/// are gone from the window and the rest is kept, as in the paper: `mean` is the new level at once.
/// O(1) amortised per observation; every `clock` observations O(buckets · log window).
///
/// Any bounded values; the bound assumes that they lie within an interval of length 1.
@frozen
public struct ADWIN: DriftDetector, Equatable {
  /// How sure, how often, how fine.
  @frozen
  public struct Settings: BitwiseCopyable, Sendable {
    /// Bound on the probability of a false alarm at one check. In (0, 1).
    public var delta: Double
    /// Observations between two checks, at least 1.
    public var clock: Int64
    /// Most buckets of one size: 1...6.
    public var buckets: Int
    /// Fewest observations on either side of a cut, at least 1.
    public var part: Double
    /// Observations before the first check.
    public var grace: Double
    /// Means that differ by less count as equal, however sure the difference is; not negative.
    public var least: Double

    @inlinable
    public init(
      delta: Double = 0.002, clock: Int64 = 32, buckets: Int = 5, part: Double = 5,
      grace: Double = 10, least: Double = 0
    ) {
      precondition(
        delta > 0 && delta < 1 && clock >= 1 && buckets >= 1 && buckets <= 6 && part >= 1
          && least >= 0,
        "ADWIN has 0 < delta < 1, a clock from 1 on, 1 to 6 buckets a size, parts of at least 1, "
          + "and a least difference that is not negative")
      self.delta = delta
      self.clock = clock
      self.buckets = buckets
      self.part = part
      self.grace = grace
      self.least = least
    }
  }

  /// Sums and squared deviations of buckets: row r, of 2ʳ observations each, in the places from
  /// 8 r on, oldest first; the last place of a row of `sums` is the number of its buckets.
  private var sums = Block256()
  private var deviations = Block256()
  private var rows: Int64 = 1
  private var tick: Int64 = 0

  /// Observations in the window.
  public private(set) var width = 0.0
  /// Their sum.
  public private(set) var total = 0.0
  /// Their squared deviations from the mean.
  public private(set) var squaredDeviations = 0.0
  /// Mean of the older and of the newer part at the cut that the last drift was noticed by.
  public private(set) var meanBefore = 0.0
  public private(set) var meanAfter = 0.0

  private static var rowsMax: Int { 32 }

  public init() {}

  /// Mean of the window; 0 when it is empty.
  public var mean: Double { width > 0 ? total / width : 0 }

  /// Variance in the window, of the population.
  public var variance: Double { width > 0 ? max(squaredDeviations, 0) / width : 0 }

  public mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal {
    guard value.isFinite else { return .stable }
    append(value, 0, row: 0)
    width += 1
    if width > 1 {
      let distance = value - total / (width - 1)
      squaredDeviations += (width - 1) * distance * distance / width
    }
    total += value
    compress(settings.buckets)
    tick &+= 1
    guard tick % settings.clock == 0, width > settings.grace else { return .stable }
    var isDrift = false
    while cutAndDrop(settings, isFirst: !isDrift) { isDrift = true }
    return isDrift ? .drift : .stable
  }

  // MARK: Buckets

  private mutating func append(_ sum: Double, _ deviation: Double, row: Int) {
    let place = sums.withMutableElements { sums in
      let place = Int(sums[8 * row + 7])
      sums[8 * row + place] = sum
      sums[8 * row + 7] = Double(place + 1)
      return place
    }
    deviations.withMutableElements { $0[8 * row + place] = deviation }
  }

  /// Removes the oldest buckets of a row; returns how many are left.
  private mutating func remove(_ number: Int, row: Int) -> Int {
    let left = sums.withMutableElements { sums in
      let left = Int(sums[8 * row + 7]) - number
      for place in 0..<7 {
        sums[8 * row + place] = place < left ? sums[8 * row + place + number] : 0
      }
      sums[8 * row + 7] = Double(left)
      return left
    }
    deviations.withMutableElements { deviations in
      for place in 0..<7 {
        deviations[8 * row + place] = place < left ? deviations[8 * row + place + number] : 0
      }
    }
    return left
  }

  /// The sums of a row's two oldest buckets where it has more than `buckets`.
  private mutating func surplus(_ buckets: Int, row: Int) -> (first: Double, second: Double)? {
    sums.withMutableElements { sums in
      Int(sums[8 * row + 7]) > buckets ? (sums[8 * row], sums[8 * row + 1]) : nil
    }
  }

  /// Merges the two oldest buckets of a row that has one too many, and so on up the rows.
  private mutating func compress(_ buckets: Int) {
    var row = 0
    while row < Int(rows), let (first, second) = surplus(buckets, row: row) {
      guard row + 1 < ADWIN.rowsMax else {
        dropOldest()
        return
      }
      if row + 1 == Int(rows) { rows += 1 }
      let size = Elementary.power(Int64(row))
      let distance = (first - second) / size
      let within = deviations.withMutableElements { $0[8 * row] + $0[8 * row + 1] }
      append(first + second, within + size * distance * distance / 2, row: row + 1)
      _ = remove(2, row: row)
      row += 1
    }
  }

  /// Takes the oldest bucket out of the window.
  private mutating func dropOldest() {
    let row = Int(rows) - 1
    let size = Elementary.power(Int64(row))
    let sum = sums.withMutableElements { $0[8 * row] }
    let deviation = deviations.withMutableElements { $0[8 * row] }
    if remove(1, row: row) == 0, rows > 1 { rows -= 1 }
    width -= size
    total -= sum
    guard width > 0 else {
      self = ADWIN(meansOf: self)
      return
    }
    let distance = sum / size - total / width
    squaredDeviations -= deviation + size * width * distance * distance / (size + width)
  }

  private init(meansOf other: ADWIN) {
    tick = other.tick
    meanBefore = other.meanBefore
    meanAfter = other.meanAfter
  }

  // MARK: Cuts

  /// Looks for a cut from the oldest bucket on; where the parts differ, drops the oldest bucket.
  private mutating func cutAndDrop(_ settings: Settings, isFirst: Bool) -> Bool {
    guard width > settings.grace,
      let (before, after) = firstCut(settings)
    else { return false }
    if isFirst { (meanBefore, meanAfter) = (before, after) }
    dropOldest()
    return true
  }

  private mutating func firstCut(_ settings: Settings) -> (before: Double, after: Double)? {
    let (width, total, rows) = (self.width, self.total, Int(self.rows))
    let confidence = Elementary.log(2 * Elementary.log(width) / settings.delta)
    let variance = max(squaredDeviations, 0) / width
    return sums.withMutableElements { sums in
      var (oldSize, oldSum) = (0.0, 0.0)
      for row in stride(from: rows - 1, through: 0, by: -1) {
        let size = Elementary.power(Int64(row))
        for place in 0..<Int(sums[8 * row + 7]) {
          oldSize += size
          oldSum += sums[8 * row + place]
          let newSize = width - oldSize
          guard newSize >= settings.part else { return nil }
          guard oldSize >= settings.part else { continue }
          let (before, after) = (oldSum / oldSize, (total - oldSum) / newSize)
          let m = 1 / (oldSize - settings.part + 1) + 1 / (newSize - settings.part + 1)
          let bound =
            (2 * m * variance * confidence).squareRoot() + 2.0 / 3 * confidence * m
          let difference = (before - after).magnitude
          if difference > bound, difference >= settings.least { return (before, after) }
        }
      }
      return nil
    }
  }
}
