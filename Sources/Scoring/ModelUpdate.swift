import Learning

/// What is wrong with a record of `models`.
public struct ModelProblem: Error, Equatable, Sendable, CustomStringConvertible {
  public var description: String

  init(_ description: String) { self.description = description }
}

/// A record of `models`, read.
public struct ModelUpdate: Sendable, Equatable {
  /// How features get their numbers, as the learner's settings say.
  public struct Hashing: Sendable, Equatable {
    /// The lowest bits of a hash that count, 1...32.
    public var bits = 0
    public var features: [String] = []
    public var numeric: [String: String] = [:]
  }

  /// What is expected before anything is known of an impression.
  struct Base: Sendable, Equatable {
    /// Log-odds; of `probit` the sums' means before features.
    var click = 0.0
    var conversion = 0.0
    /// Precision or variance of a feature that has no weight.
    var unknown = 1.0
    /// `probit`: variances of the sums before features, and of the noise.
    var clickSpread = 0.0
    var conversionSpread = 0.0
    var noise = 0.0
    /// `probit`: the sums are those of one deviation.
    var isUnplaced = false
    /// Of a conversion's value: its logarithm, and what its scatter adds; nil while none is known.
    var value: Double?
    var scatter = 0.0
  }

  /// Sums of numbers below it, times the values of features, are numbers.
  static let limit = 1e200

  struct Weight {
    var feature: UInt32
    var heads: Heads
    var value: Double
    var spreads: Heads

    /// Sums of such weights are numbers.
    var isSane: Bool {
      let limit = ModelUpdate.limit
      return heads.x.magnitude < limit && heads.y.magnitude < limit && value.magnitude < limit
        && spreads.x > 0 && spreads.x < limit && spreads.y > 0 && spreads.y < limit
    }
  }

  public private(set) var account = ""
  /// What the learner calls the model.
  public private(set) var name = ""
  /// Predictions of this version are scored by the same weights.
  public private(set) var version: Int64 = 0
  /// Its number among the account's records, and that of the one before; 0: readers begin anew.
  public private(set) var sequence: Int64 = 0
  public private(set) var after: Int64 = 0
  /// Its place in its publication, from 1.
  public private(set) var chunk: Int64 = 0
  public private(set) var chunks: Int64 = 0
  /// The publication begins a sweep, or ends one.
  public private(set) var begins = false
  public private(set) var ends = false
  public private(set) var hashing: Hashing?
  /// Those of a sweep, as `hashing`.
  private(set) var click = RateLink.logistic
  private(set) var conversion = RateLink.logistic
  private(set) var calibration = CalibrationKind.none
  private(set) var base: Base?
  /// A part of the maps' bytes; they may go on in the next chunk.
  private(set) var maps: [UInt8] = []
  /// Whole weights.
  private(set) var weights: [UInt8] = []

  /// Reads a record: one JSON object. Members that it does not know are passed over.
  public init(json: UnsafeBufferPointer<UInt8>) throws(ModelProblem) {
    var reader = JSONReader(json)
    try reader.object { (key, value) throws(ModelProblem) in
      switch key {
      case "account": account = try value.string()
      case "model": name = try value.string()
      case "version": version = try value.integer()
      case "seq": sequence = try value.integer()
      case "after": after = try value.integer()
      case "chunk": chunk = try value.integer()
      case "chunks": chunks = try value.integer()
      case "begins": begins = try value.boolean()
      case "ends": ends = try value.boolean()
      case "hashing": hashing = try ModelUpdate.hashing(&value)
      case "rates": (click, conversion) = try ModelUpdate.rates(&value)
      case "calibration":
        let name = try value.string()
        guard let kind = CalibrationKind(rawValue: name) else {
          throw ModelUpdate.unknown("the calibration `\(name)`")
        }
        calibration = kind
      case "base": base = try ModelUpdate.base(&value)
      case "maps": maps = try value.base64()
      case "weights": weights = try value.base64()
      default: try value.skip()
      }
    }
    try reader.end()
    try check()
  }

  /// Reads a record: a line of `models.jsonl`.
  public init(json: String) throws(ModelProblem) {
    self = try Array(json.utf8).withUnsafeBufferPointer { (bytes) throws(ModelProblem) in
      try ModelUpdate(json: bytes)
    }
  }

  private func check() throws(ModelProblem) {
    guard sequence > 0, after >= 0, after < sequence, chunk >= 1, chunk <= chunks else {
      throw ModelProblem(
        "no record of `models`: seq \(sequence) after \(after), chunk \(chunk) of \(chunks)")
    }
    guard chunk > 1 || base != nil, !begins || hashing != nil else {
      throw ModelProblem("the first record of a publication has no `base` or no `hashing`")
    }
    guard weights.count % 28 == 0 || weights.count % 44 == 0 else {
      throw ModelProblem("`weights` are \(weights.count) bytes, which is no multiple of 28 or 44")
    }
  }

  private static func unknown(_ what: String) -> ModelProblem {
    ModelProblem("\(what) is not known here: this bidder is older than the model")
  }

  private static func rates(
    _ reader: inout JSONReader
  ) throws(ModelProblem) -> (RateLink, RateLink) {
    var links = (RateLink.logistic, RateLink.logistic)
    func link(_ value: inout JSONReader) throws(ModelProblem) -> RateLink {
      let name = try value.string()
      guard let link = RateLink(rawValue: name) else { throw unknown("a rate by `\(name)`") }
      return link
    }
    try reader.object { (key, value) throws(ModelProblem) in
      switch key {
      case "click": links.0 = try link(&value)
      case "conversion": links.1 = try link(&value)
      default: try value.skip()
      }
    }
    return links
  }

  private static func hashing(_ reader: inout JSONReader) throws(ModelProblem) -> Hashing {
    var hashing = Hashing()
    try reader.object { (key, value) throws(ModelProblem) in
      switch key {
      case "function":
        let name = try value.string()
        guard name == "murmur3_x86_32" else {
          throw ModelProblem("features are hashed by `\(name)`, which is not known here")
        }
      case "bits": hashing.bits = Int(try value.integer())
      case "features":
        try value.array { (name) throws(ModelProblem) in
          hashing.features.append(try name.string())
        }
      case "numeric":
        try value.object { (name, form) throws(ModelProblem) in
          hashing.numeric[name] = try form.string()
        }
      default: try value.skip()
      }
    }
    return hashing
  }

  private static func base(_ reader: inout JSONReader) throws(ModelProblem) -> Base {
    var base = Base()
    try reader.object { (key, value) throws(ModelProblem) in
      switch key {
      case "click": base.click = try value.bits()
      case "conversion": base.conversion = try value.bits()
      case "value": base.value = try value.bits()
      case "scatter": base.scatter = try value.bits()
      case "unknown": base.unknown = try value.bits()
      case "click_spread": base.clickSpread = try value.bits()
      case "conversion_spread": base.conversionSpread = try value.bits()
      case "noise": base.noise = try value.bits()
      case "unplaced": base.isUnplaced = try value.boolean()
      default: try value.skip()
      }
    }
    let isSane =
      base.click.magnitude < limit && base.conversion.magnitude < limit
      && (base.value ?? 0).magnitude < limit && base.scatter.magnitude < limit
      && (Double.leastNormalMagnitude..<limit).contains(base.unknown)
      && (0..<limit).contains(base.clickSpread) && (0..<limit).contains(base.conversionSpread)
      && (0..<limit).contains(base.noise)
    guard isSane else { throw ModelProblem("`base` has a number that none can be added to") }
    return base
  }

  /// Reads the weight that stands at a place.
  @inline(__always)
  static func weight(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, hasSpreads: Bool
  ) -> Weight {
    func double(_ offset: Int) -> Double {
      let bits = bytes.loadUnaligned(fromByteOffset: start + offset, as: UInt64.self)
      return Double(bitPattern: UInt64(littleEndian: bits))
    }
    let feature = bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)
    return Weight(
      feature: UInt32(littleEndian: feature), heads: Heads(double(4), double(12)),
      value: double(20), spreads: hasSpreads ? Heads(double(28), double(36)) : .one)
  }
}
