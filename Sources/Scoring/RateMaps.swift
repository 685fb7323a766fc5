import Learning

/// What corrects an account's rates, as records of `models` have it in `maps`: the arithmetic is
/// that of `Learning`, the same as the learner's.
struct RateMaps {
  /// A campaign's lines, one a head.
  struct Lines: BitwiseCopyable {
    var campaign: UInt64
    var click: PlattScaling
    var conversion: PlattScaling
  }

  enum HeadMap {
    case none
    case parameters(BetaCalibration)
    case curve(IsotonicCalibration)
  }

  /// In rising hashes of campaigns.
  private var lines: [Lines] = []
  private var click = HeadMap.none
  private var conversion = HeadMap.none

  mutating func removeAll() { self = RateMaps() }

  // MARK: Rates

  /// The rates that are published where a model says `raw`.
  ///
  /// - Parameter campaign: The hash of the campaign's name.
  @inline(__always)
  func published(_ raw: Heads, _ kind: CalibrationKind, campaign: UInt64) -> Heads {
    switch kind {
    case .none: return raw
    case .platt:
      guard let lines = lines(of: campaign) else { return raw }
      return Heads(lines.click(raw.x), lines.conversion(raw.y))
    case .isotonic, .beta, .temperature:
      return Heads(RateMaps.published(raw.x, click), RateMaps.published(raw.y, conversion))
    }
  }

  private static func published(_ raw: Double, _ map: borrowing HeadMap) -> Double {
    switch map {
    case .none: raw
    case .parameters(let map): map(raw)
    case .curve(let curve): curve(raw)
    }
  }

  /// Where a campaign's lines stand among the first so many, or would.
  @inline(__always)
  private func place(of campaign: UInt64, among count: Int) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if lines[middle].campaign < campaign { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @inline(__always)
  private func lines(of campaign: UInt64) -> Lines? {
    let place = place(of: campaign, among: lines.count)
    guard place < lines.count, lines[place].campaign == campaign else { return nil }
    return lines[place]
  }

  // MARK: Records

  private static let lineByteCount = 40

  /// Takes a publication's maps.
  ///
  /// - Throws: Where they are none; some may have been taken.
  mutating func take(
    _ bytes: UnsafeRawBufferPointer, _ kind: CalibrationKind
  ) throws(ModelProblem) {
    switch kind {
    case .none:
      guard bytes.isEmpty else { throw RateMaps.problem("nothing is calibrated") }
    case .platt: try takeLines(bytes)
    case .isotonic, .beta, .temperature: try takeMaps(bytes)
    }
  }

  private static func problem(_ what: String) -> ModelProblem { ModelProblem("`maps`: \(what)") }

  private static func number(
    _ bytes: UnsafeRawBufferPointer, _ place: Int
  ) throws(ModelProblem) -> Double {
    let number = Double(bitPattern: word(bytes, place))
    guard number.magnitude < ModelUpdate.limit else {
      throw problem("a number is not finite, or as good as not")
    }
    return number
  }

  private static func word(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
  }

  private mutating func takeLines(_ bytes: UnsafeRawBufferPointer) throws(ModelProblem) {
    let size = RateMaps.lineByteCount
    guard bytes.count % size == 0 else {
      throw RateMaps.problem("\(bytes.count) bytes are no multiple of \(size)")
    }
    let known = lines.count
    for start in stride(from: 0, to: bytes.count, by: size) {
      func line(_ place: Int) throws(ModelProblem) -> PlattScaling {
        PlattScaling(
          slope: try RateMaps.number(bytes, start + place),
          intercept: try RateMaps.number(bytes, start + place + 8))
      }
      let next = Lines(
        campaign: RateMaps.word(bytes, start), click: try line(8), conversion: try line(24))
      let place = place(of: next.campaign, among: known)
      if place < known, lines[place].campaign == next.campaign {
        lines[place] = next
      } else {
        lines.append(next)
      }
    }
    if lines.count > known { lines.sort { $0.campaign < $1.campaign } }
  }

  private mutating func takeMaps(_ bytes: UnsafeRawBufferPointer) throws(ModelProblem) {
    var place = 0
    while place < bytes.count {
      guard bytes.count - place >= 8 else { throw RateMaps.problem("the end is missing") }
      let word = RateMaps.word(bytes, place)
      let (head, corners) = (word & 0xFFFF_FFFF, Int(word >> 32))
      guard head < 2, corners <= IsotonicCalibration.cornersMax else {
        throw RateMaps.problem("head \(head), \(corners) corners")
      }
      let end = place + 8 + (corners == 0 ? 24 : 16 * corners)
      guard end <= bytes.count else { throw RateMaps.problem("the end is missing") }
      let map =
        corners == 0
        ? HeadMap.parameters(try RateMaps.parameters(bytes, place + 8))
        : HeadMap.curve(try RateMaps.curve(bytes, place + 8, corners))
      if head == 0 { click = map } else { conversion = map }
      place = end
    }
  }

  private static func parameters(
    _ bytes: UnsafeRawBufferPointer, _ place: Int
  ) throws(ModelProblem) -> BetaCalibration {
    BetaCalibration(
      a: try number(bytes, place), b: try number(bytes, place + 8),
      c: try number(bytes, place + 16))
  }

  private static func curve(
    _ bytes: UnsafeRawBufferPointer, _ place: Int, _ corners: Int
  ) throws(ModelProblem) -> IsotonicCalibration {
    var curve = IsotonicCalibration()
    for i in 0..<corners {
      let isCorner = curve.append(
        score: try number(bytes, place + 16 * i), rate: try number(bytes, place + 16 * i + 8))
      guard isCorner else { throw problem("corner \(i) of a curve does not rise") }
    }
    return curve
  }
}
