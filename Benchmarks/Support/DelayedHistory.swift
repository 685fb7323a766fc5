public import Events
import Learning

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Impressions of one account, whose rates and delays are known, with ads that come and go.
///
/// The log-odds of a click and of a conversion are sums of effects of the ad, the placement and the
/// device. Of the conversions 3 in 10 come within the session, the others after days, by a Weibull
/// distribution whose scale depends on ad and device; all come within the window. So delays are
/// neither exponential nor the same for all features. Every slot's ad is replaced each `adDays`.
public struct DelayedHistory {
  public var seed: UInt64 = 1
  public var days = 90
  public var impressionsPerDay = 3_000
  public var adSlots = 6
  public var adDays = 30
  /// How long after its click a conversion may come.
  public var window = TimeSpan.days(30)

  public init() {}

  /// What is true of an impression, by its number: event ids are `i` and the number.
  public struct Impression {
    public var day: Int
    public var isClicked: Bool
    /// Probability that a click converts.
    public var conversionRate: Double
  }

  public static let start: Int64 = 1_700_006_400_000
  private static let day = TimeSpan.days(1).milliseconds

  private func effect(_ kind: UInt64, _ number: Int, _ deviation: Double) -> Double {
    var random = SplitMix64(
      seed: Hash.mix(seed) ^ Hash.mix(kind << 32 | UInt64(truncatingIfNeeded: number)))
    return deviation * Elementary.normalQuantile(random.nextUnit() * 0.998 + 0.001)
  }

  /// Milliseconds, within the window.
  private func delay(_ ad: Int, _ device: Int, _ random: inout SplitMix64) -> Int64 {
    while true {
      let exponential = -Elementary.log(1 - random.nextUnit())
      let isSoon = random.nextUnit() < 0.3
      let scale = 3 * Elementary.exp(effect(5, ad, 0.5) + effect(6, device, 0.4))
      let days =
        isSoon
        ? exponential / 72 : scale * Elementary.exp(Elementary.log(exponential) / 0.75)
      let delay = days * Double(DelayedHistory.day)
      if delay < Double(window.milliseconds) - 1 { return Int64(delay) }
    }
  }

  private struct Record {
    var time: Int64
    var text: String
  }

  /// Writes the history as JSON Lines, in order of time; returns the truth.
  ///
  /// - Parameter isForetold: Conversions come a second after their click.
  public func write(to path: String, isForetold: Bool = false) throws -> [Impression] {
    var random = SplitMix64(seed: seed)
    var records: [Record] = []
    var truth: [Impression] = []
    func add(_ type: String, _ id: String, _ time: Int64, _ rest: String) {
      let text = #"{"type":"\#(type)","id":"\#(id)","time":\#(time),"account":"acme","# + rest + "}"
      records.append(Record(time: time, text: text))
    }
    for number in 0..<days * impressionsPerDay {
      let day = number / impressionsPerDay
      let time =
        DelayedHistory.start + Int64(number) * DelayedHistory.day / Int64(impressionsPerDay)
      let slot = Int(random.next() % UInt64(adSlots))
      let ad = slot + adSlots * ((day + slot * adDays / adSlots) / adDays)
      let place = Int(random.next() % 12)
      let device = Int(random.next() % 3)
      let click = -2.2 + effect(1, ad, 0.4) + effect(2, place, 0.5)
      let conversion =
        -2 + effect(3, ad, 0.5) + effect(4, place, 0.5) + effect(7, device, 0.3)
      let isClicked = random.nextUnit() < Rate.sigmoid(click)
      let rate = Rate.sigmoid(conversion)
      truth.append(Impression(day: day, isClicked: isClicked, conversionRate: rate))
      let whom = #""user":"u\#(number)""#
      let what = whom + #","campaign":"c","ad":"a\#(ad)""#
      add(
        "impression", "i\(number)", time,
        what + #","price":0.001,"placement":"p\#(place)","features":{"device":"d\#(device)"}"#)
      let after = 5_000 + Int64(random.next() % 60_000)
      let isConverted = random.nextUnit() < rate
      let delay = delay(ad, device, &random)
      guard isClicked else { continue }
      add("click", "c\(number)", time + after, what + #","impression":"i\#(number)""#)
      guard isConverted else { continue }
      add(
        "conversion", "v\(number)", time + after + (isForetold ? 1_000 : max(delay, 1)),
        whom + #","value":1"#)
    }
    let end = DelayedHistory.start + Int64(days) * DelayedHistory.day
    try DelayedHistory.write(records.filter { $0.time < end }.sorted { $0.time < $1.time }, path)
    return truth
  }

  private static func write(_ records: [Record], _ path: String) throws {
    guard let file = fopen(path, "wb") else { throw BenchmarkFailure("no \(path)") }
    for record in records {
      fputs(record.text, file)
      putc(10, file)
    }
    guard fclose(file) == 0 else { throw BenchmarkFailure("\(path) cannot be written") }
  }
}
