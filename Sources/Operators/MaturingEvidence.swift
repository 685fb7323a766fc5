import Events
import Streaming

/// Evidence that is too young to be believed, in buckets: by ad and slot until clicks had time to
/// come, then by ad and hour until conversions had.
///
/// A bucket has one timer, at its end plus the time to mature. An ad's buckets hang together, the
/// newest first, and the one that was used last is at hand, so that an event costs an addition.
/// Where an ad has very many, because its events come out of order by days, another bucket of the
/// same slot or hour may be opened, which changes no sum. Rows of matured buckets are used again.
struct MaturingEvidence {
  static let minute = TimeSpan.minutes(1).milliseconds
  static let hour = TimeSpan.hours(1).milliseconds

  /// A bucket of an ad: counts, and credits in millionths.
  struct Bucket: BitwiseCopyable {
    /// Row of the ad; -1 when nobody's.
    var ad: Int32
    /// The ad's next older bucket, or the next row to use again; -1 at the end.
    var next: Int32 = -1
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

  /// The buckets of an ad.
  struct Open: BitwiseCopyable {
    /// The one that was used last, by its number; -1 for none.
    var number: Int64 = -1
    var row: Int32 = -1
    /// The first of all; -1 for none.
    var first: Int32 = -1
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

    /// The bucket of an ad for a time (ms), and whether it is new and needs its timer. O(1) where
    /// events are nearly in order.
    @inline(__always)
    func bucket(of ad: Int32, at time: Int64) -> (row: Int32, isNew: Bool) {
      if Int(ad) >= opens.count { opens.fill(to: Int(ad) + 1, with: Open()) }
      let number = time / length
      let open = opens.address(ad)
      if open.pointee.number == number { return (open.pointee.row, false) }
      return find(ad, number)
    }

    /// How many buckets of an ad are looked at before another one is opened.
    private static let searchMax = 64

    @inline(never)
    private func find(_ ad: Int32, _ number: Int64) -> (row: Int32, isNew: Bool) {
      let open = opens.update(ad)
      open.pointee.number = number
      var row = open.pointee.first
      var steps = 0
      while row >= 0, steps < Self.searchMax {
        if buckets.address(row).pointee.start == number &* length {
          open.pointee.row = row
          return (row, false)
        }
        row = buckets.address(row).pointee.next
        steps += 1
      }
      open.pointee.row = add(Bucket(ad: ad, next: open.pointee.first, start: number &* length))
      open.pointee.first = open.pointee.row
      return (open.pointee.row, true)
    }

    private func add(_ bucket: Bucket) -> Int32 {
      let row = free[0]
      guard row >= 0 else { return buckets.append(bucket) }
      free.update(0).pointee = buckets[row].next
      buckets.update(row).pointee = bucket
      return row
    }

    /// Takes a bucket out. O(its ad's buckets).
    func take(_ row: Int32) -> Bucket {
      let bucket = buckets[row]
      let open = opens.update(bucket.ad)
      if open.pointee.row == row { (open.pointee.number, open.pointee.row) = (-1, -1) }
      if open.pointee.first == row {
        open.pointee.first = bucket.next
      } else {
        var before = open.pointee.first
        while buckets.address(before).pointee.next != row {
          before = buckets.address(before).pointee.next
        }
        buckets.update(before).pointee.next = bucket.next
      }
      buckets.update(row).pointee = Bucket(ad: -1, next: free[0], start: 0)
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
