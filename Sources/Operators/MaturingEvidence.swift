import Events
import Streaming

/// Evidence that is too young to be believed, in buckets: by ad and slot until clicks had time to
/// come, then by ad and hour until conversions had.
///
/// A bucket has one timer, at its end plus the time to mature. An ad keeps its two newest buckets
/// of a kind at hand, so that an event costs an addition; events that go back further open another
/// bucket of the same slot or hour, which changes no sum. Rows of matured buckets are used again.
struct MaturingEvidence {
  static let minute = TimeSpan.minutes(1).milliseconds
  static let hour = TimeSpan.hours(1).milliseconds

  /// A bucket of an ad: counts, and credits in millionths.
  struct Bucket: BitwiseCopyable {
    /// Row of the ad; -1 when nobody's, then `start` is the next such row.
    var ad: Int32
    /// Begins at a multiple of a slot or an hour.
    var start: Int64
    var impressions: Int64 = 0
    var clicks: Int64 = 0
    /// Micros.
    var spend: Double = 0
    var clickCredits: Int64 = 0
    var viewCredits: Int64 = 0
    /// Credited value in micros, and its square by the fraction of the conversion.
    var value: Double = 0
    var squares: Double = 0
  }

  /// The newest buckets of an ad, by whether their number is even.
  struct Open: BitwiseCopyable {
    var evenNumber: Int64 = -1
    var oddNumber: Int64 = -1
    var even: Int32 = -1
    var odd: Int32 = -1
  }

  /// Buckets of one kind.
  struct Buckets {
    let length: Int64
    let buckets: Table<Bucket>
    let opens: Table<Open>
    /// One row: the first row to use again, -1 for none.
    let free: Table<Int32>

    init(_ name: String, length: Int64, in store: StateStore) {
      self.length = length
      buckets = store.table("\(name).buckets", of: Bucket.self)
      opens = store.table("\(name).open", of: Open.self)
      free = store.table("\(name).free", of: Int32.self, capacity: 1)
      free.append(-1)
    }

    /// Where the bucket of a time begins.
    @inline(__always)
    func start(_ time: Int64) -> Int64 { time / length &* length }

    /// The bucket of an ad for a time (ms), and whether it is new and needs its timer. O(1).
    @inline(__always)
    func bucket(of ad: Int32, at time: Int64) -> (row: Int32, isNew: Bool) {
      if Int(ad) >= opens.count { opens.fill(to: Int(ad) + 1, with: Open()) }
      let number = time / length
      let open = opens.address(ad)
      if number & 1 == 0 {
        if open.pointee.evenNumber == number { return (open.pointee.even, false) }
      } else {
        if open.pointee.oddNumber == number { return (open.pointee.odd, false) }
      }
      return (add(ad, number), true)
    }

    @inline(never)
    private func add(_ ad: Int32, _ number: Int64) -> Int32 {
      let bucket = Bucket(ad: ad, start: number &* length)
      let row: Int32
      if free[0] >= 0 {
        row = free[0]
        free.update(0).pointee = Int32(truncatingIfNeeded: buckets[row].start)
        buckets.update(row).pointee = bucket
      } else {
        row = buckets.append(bucket)
      }
      let open = opens.update(ad)
      if number & 1 == 0 {
        (open.pointee.evenNumber, open.pointee.even) = (number, row)
      } else {
        (open.pointee.oddNumber, open.pointee.odd) = (number, row)
      }
      return row
    }

    /// Takes a bucket out.
    func take(_ row: Int32) -> Bucket {
      let bucket = buckets[row]
      let open = opens.update(bucket.ad)
      if open.pointee.even == row { (open.pointee.evenNumber, open.pointee.even) = (-1, -1) }
      if open.pointee.odd == row { (open.pointee.oddNumber, open.pointee.odd) = (-1, -1) }
      buckets.update(row).pointee = Bucket(ad: -1, start: Int64(free[0]))
      free.update(0).pointee = row
      return bucket
    }

    func digest(into digest: inout StateDigest, _ directory: Directory) {
      for row in 0..<Int32(buckets.count) where buckets[row].ad >= 0 {
        let bucket = buckets[row]
        digest.add(
          owner: directory.ads.hash(bucket.ad), length, bucket.start, bucket.impressions,
          bucket.clicks, bits(bucket.spend), bucket.clickCredits, bucket.viewCredits,
          bits(bucket.value), bits(bucket.squares))
      }
    }
  }

  /// By the time of the event.
  let slots: Buckets
  /// By the hour of the touch.
  let hours: Buckets

  /// How long a slot is, in ms: short beside the time that clicks have, and not shorter, because a
  /// slot costs two timers and a look at its campaign.
  static func slot(_ clickMaturity: Int64) -> Int64 {
    min(max(clickMaturity / 6 / minute * minute, minute), hour)
  }

  init(clickMaturity: Int64, in store: StateStore) {
    slots = Buckets("slots", length: MaturingEvidence.slot(clickMaturity), in: store)
    hours = Buckets("hours", length: MaturingEvidence.hour, in: store)
  }
}

/// A number as a word of a digest.
func bits(_ value: Double) -> Int64 { Int64(bitPattern: value.bitPattern) }
