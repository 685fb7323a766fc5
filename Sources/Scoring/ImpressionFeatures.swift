import Events

/// The name of one of an impression's own features, hashed once.
@frozen
public struct FeatureName: BitwiseCopyable, Hashable, Sendable {
  @usableFromInline let hash: UInt32

  public init(_ name: String) { hash = FeatureText.hash(name, seed: 0) }
}

/// Texts as hashes that go on from the field's.
enum FeatureText {
  @inline(__always)
  static func hash(_ text: String, seed: UInt32) -> UInt32 {
    var text = text
    return text.withUTF8 { Hash.murmur3($0, seed: seed) }
  }

  @inline(__always)
  static func key(_ text: String) -> UInt64 {
    var text = text
    return text.withUTF8 { Hash.text($0) }
  }
}

/// What is known of an impression when it is to be scored. Memory that is used again: fill it, score
/// it, `removeAll`.
///
/// Equal to what the learner makes of the event that will report the impression, if both say the
/// same: own features in the same order, texts as texts and numbers as numbers.
public struct ImpressionFeatures {
  /// The most features of its own that an impression may have.
  public static let ownMax = 64

  /// What the journey of the person knew before the impression; as `interactions` tell it.
  public struct Journey: BitwiseCopyable, Sendable, Equatable {
    public enum State: UInt8, CaseIterable, BitwiseCopyable, Sendable {
      case unaware, lapsed, aware, interested, considering, converted
    }

    public var state = State.unaware
    /// Number of the session, from 1; 0 for a stranger.
    public var session: Int32 = 0
    /// Milliseconds since the newest touch; -1 when there is none.
    public var sinceTouchMilliseconds: Int64 = -1
    public var campaignViewsDay: Int32 = 0
    public var campaignViewsWeek: Int32 = 0
    public var adViewsDay: Int32 = 0
    public var adViewsWeek: Int32 = 0

    public init() {}
  }

  /// When it is shown, in milliseconds since 1970.
  public var timeMilliseconds: Int64 = 0
  public var journey = Journey()
  /// Hashes; nil for what is absent.
  private(set) var campaign: UInt32?
  /// What its campaign is found by; 0 without one.
  private(set) var campaignKey: UInt64 = 0
  private(set) var ad: UInt32?
  private(set) var advertiser: UInt32?
  private(set) var placement: UInt32?
  private(set) var own: [Feature] = []

  private static let fields = (
    campaign: ScoringPlan.field("campaign"), ad: ScoringPlan.field("ad"),
    advertiser: ScoringPlan.field("advertiser"), placement: ScoringPlan.field("placement")
  )

  public init() { own.reserveCapacity(ImpressionFeatures.ownMax) }

  /// Forgets everything; keeps the memory.
  public mutating func removeAll() {
    timeMilliseconds = 0
    journey = Journey()
    (campaign, ad, advertiser, placement) = (nil, nil, nil, nil)
    campaignKey = 0
    own.removeAll(keepingCapacity: true)
  }

  private static func hash(_ text: String, _ field: UInt32) -> UInt32? {
    text.isEmpty ? nil : FeatureText.hash(text, seed: field)
  }

  public mutating func setCampaign(_ name: String) {
    campaign = ImpressionFeatures.hash(name, ImpressionFeatures.fields.campaign)
    campaignKey = FeatureText.key(name)
  }

  public mutating func setAd(_ name: String) {
    ad = ImpressionFeatures.hash(name, ImpressionFeatures.fields.ad)
  }

  public mutating func setAdvertiser(_ name: String) {
    advertiser = ImpressionFeatures.hash(name, ImpressionFeatures.fields.advertiser)
  }

  public mutating func setPlacement(_ name: String) {
    placement = ImpressionFeatures.hash(name, ImpressionFeatures.fields.placement)
  }

  /// Adds one of the impression's own features. Beyond `ownMax` nothing is added: the event would
  /// be refused.
  public mutating func add(_ name: FeatureName, text: String) {
    add(
      Feature(
        name: name.hash, hash: FeatureText.hash(text, seed: name.hash), value: 1))
  }

  /// - Parameter number: Finite.
  public mutating func add(_ name: FeatureName, number: Double) {
    add(Feature(name: name.hash, hash: name.hash, value: number.isFinite ? number : 0))
  }

  public mutating func add(_ name: FeatureName, flag: Bool) {
    add(
      Feature(
        name: name.hash,
        hash: flag
          ? Hash.murmur3("true", seed: name.hash) : Hash.murmur3("false", seed: name.hash),
        value: 1))
  }

  private mutating func add(_ feature: Feature) {
    if own.count < ImpressionFeatures.ownMax { own.append(feature) }
  }

  /// Fills in what an impression's event says: ids and own features, as the service takes them. Not
  /// its time, which may be a text, nor the journey.
  public mutating func read(event json: UnsafeBufferPointer<UInt8>) throws(ModelProblem) {
    var reader = JSONReader(json)
    try reader.object { (key, value) throws(ModelProblem) in
      switch key {
      case "campaign": setCampaign(try value.string())
      case "ad": setAd(try value.string())
      case "advertiser": setAdvertiser(try value.string())
      case "placement": setPlacement(try value.string())
      case "features":
        try value.object { (name, value) throws(ModelProblem) in
          let name = FeatureName(name)
          switch value.next() {
          case UInt8(ascii: "\""): add(name, text: try value.string())
          case UInt8(ascii: "t"), UInt8(ascii: "f"): add(name, flag: try value.boolean())
          default: add(name, number: try value.number())
          }
        }
      default: try value.skip()
      }
    }
    try reader.end()
  }
}
