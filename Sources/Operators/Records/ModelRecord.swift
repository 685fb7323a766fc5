public import Events
public import Streaming

/// A record of `models`: a part of what the champion knows of an account, from which a bidder scores
/// as the learner does. `Scoring` reads them; its documentation says what each member means.
///
/// Weights stand in `weights`, in base64: for each the feature's hash (4 bytes), then what it adds to
/// the score of a click, of a conversion, and to the logarithm of a conversion's value, and where
/// rates are not `logistic`, how sure the first two are (8 bytes each, IEEE 754), all little-endian.
/// What corrects rates stands in `maps`, likewise. Other numbers that must be exact are 16
/// hexadecimal digits: their bits.
public struct ModelRecord: StreamRecord {
  public static var stream: StreamType { .models }

  /// What all records of an operator have in common; lives as long as it.
  struct Shared {
    /// One a model.
    var forms: [Form]
    /// Maps and weights of all records of the entry at hand.
    var content = PublishedBytes()
  }

  /// What a sweep begins with: how scores follow from weights.
  struct Form {
    var name: String
    var hashing: Hashing
    var click: Link
    var conversion: Link
    /// As the setting is called.
    var calibration: String

    /// Weights have how sure they are beside them.
    var hasSpreads: Bool { click != .logistic || conversion != .logistic }

    /// Of one weight, with its feature's hash.
    var weightByteCount: Int { hasSpreads ? 44 : Form.weightByteCountMin }

    static let weightByteCountMin = 28

    func write(to json: inout JSONWriter) {
      hashing.write(to: &json)
      json.key("rates")
      json.beginObject()
      json.member("click", text: click.rawValue)
      json.member("conversion", text: conversion.rawValue)
      json.endObject()
      json.member("calibration", text: calibration)
    }

    /// Told apart from every other form.
    var hash: UInt64 {
      var json = JSONWriter()
      json.beginObject()
      json.member("model", text: name)
      write(to: &json)
      json.endObject()
      return Array(json.bytes).withUnsafeBufferPointer { Hash.text($0) }
    }
  }

  /// How a rate follows from the weights of an impression's features.
  enum Link: String {
    /// By the logistic function of their sum.
    case logistic
    /// The same, the sum shrunk by how unsure it is: weights have precisions.
    case bayes
    /// By the normal distribution of their sum: weights have variances.
    case probit
  }

  /// What stands before features are added.
  struct Base {
    var click = 0.0
    var conversion = 0.0
    /// Precision or variance of a feature that has no weight yet.
    var unknown: Double?
    /// `probit`: variances of the two sums before features, and of the noise.
    var spread: (click: Double, conversion: Double)?
    var noise: Double?
    /// `probit`: the first example is still to come, and the two sums are to be multiplied by the
    /// deviation.
    var isUnplaced = false
    /// Of the amount's logarithm: what it begins with, and what its scatter adds to it. nil while no
    /// value is known.
    var value: (bias: Double, scatter: Double)?

    func write(to json: inout JSONWriter) {
      json.key("base")
      json.beginObject()
      json.member("click", hexadecimal: click.bitPattern)
      json.member("conversion", hexadecimal: conversion.bitPattern)
      if let unknown { json.member("unknown", hexadecimal: unknown.bitPattern) }
      if let spread {
        json.member("click_spread", hexadecimal: spread.click.bitPattern)
        json.member("conversion_spread", hexadecimal: spread.conversion.bitPattern)
      }
      if let noise { json.member("noise", hexadecimal: noise.bitPattern) }
      if isUnplaced { json.member("unplaced", true) }
      if let value {
        json.member("value", hexadecimal: value.bias.bitPattern)
        json.member("scatter", hexadecimal: value.scatter.bitPattern)
      }
      json.endObject()
    }
  }

  /// How features get their numbers: the settings of the learner.
  struct Hashing {
    var bits: Int64
    var features: [String]
    var numeric: [(name: String, form: String)]

    init(_ settings: Settings) {
      bits = settings.integer("hash_bits")
      guard case .list(let names) = settings["features"],
        case .mapping(let forms) = settings["numeric"]
      else { preconditionFailure("`features` is described as a list, `numeric` as a mapping") }
      features = names.compactMap { if case .text(let name) = $0 { name } else { nil } }
      numeric = forms.compactMap {
        if case .text(let form) = $0.value { ($0.name, form) } else { nil }
      }
    }

    func write(to json: inout JSONWriter) {
      json.key("hashing")
      json.beginObject()
      json.member("function", text: "murmur3_x86_32" as StaticString)
      json.member("bits", bits)
      json.key("features")
      json.beginArray()
      for name in features { json.string(name) }
      json.endArray()
      json.key("numeric")
      json.beginObject()
      for (name, form) in numeric {
        json.key(text: name)
        json.string(form)
      }
      json.endObject()
      json.endObject()
    }
  }

  /// The directory's row of the account.
  public var account: Int32
  let shared: UnsafePointer<Shared>
  /// Which model it is of.
  let model: Int
  /// Of the account's models: as in `predictions`.
  public var version: Int64 = 0
  /// Rises from record to record of the account; and that of the one before this, 0 where readers
  /// begin anew.
  public var sequence: Int64 = 0
  public var after: Int64 = 0
  /// Its place in the publication, from 1.
  public var chunk: Int32 = 1
  public var chunks: Int32 = 0
  /// All weights of the account stand between the publication that begins a sweep and the one that
  /// ends it, these included.
  public var beginsSweep = false
  public var endsSweep = false
  var base: Base
  /// Its part of the maps' and the weights' bytes.
  var maps = PublishedBytes.Part()
  var weights = PublishedBytes.Part()

  init(account: Int32, model: Int, base: Base, shared: UnsafePointer<Shared>) {
    self.account = account
    self.model = model
    self.base = base
    self.shared = shared
  }

  /// The most bytes that a record has beside its maps and weights.
  static func bytesBeside(_ form: Form) -> Int {
    var json = JSONWriter()
    json.beginObject()
    form.write(to: &json)
    // Account, source, and numbers, each as long as it can be.
    return json.count + 6 * form.name.utf8.count + 6 * 128 + 1_536
  }

  private var form: Form { shared.pointee.forms[model] }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let name = context.directory.accounts.name(account)
    let keyLength = json.writeKey(name)
    json.beginObject()
    json.member("account", name)
    json.member("model", text: form.name)
    json.member("version", version)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("seq", sequence)
    json.member("after", after)
    json.member("chunk", Int64(chunk))
    json.member("chunks", Int64(chunks))
    if chunk == 1 { writeHead(to: &json) }
    if chunk == chunks, endsSweep { json.member("ends", true) }
    if !maps.isEmpty {
      json.key("maps")
      json.base64(shared.pointee.content.bytes(maps))
    }
    json.key("weights")
    json.base64(shared.pointee.content.bytes(weights))
    json.endObject()
    return keyLength
  }

  /// What only the first record of a publication has.
  private func writeHead(to json: inout JSONWriter) {
    if beginsSweep {
      json.member("begins", true)
      form.write(to: &json)
    }
    base.write(to: &json)
  }
}

/// Numbers as they are published, one after the other; memory that is used again.
struct PublishedBytes {
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  /// A range of them.
  struct Part: BitwiseCopyable {
    var start = 0
    var end = 0

    var count: Int { end - start }
    var isEmpty: Bool { end == start }

    /// Takes away bytes from the front, at most so many.
    mutating func takeFirst(_ most: Int) -> Part {
      let first = Part(start: start, end: start + min(most, count))
      start = first.end
      return first
    }
  }

  init() {
    capacity = 4_096
    memory = .allocate(byteCount: capacity, alignment: 8)
  }

  func deallocate() { memory.deallocate() }

  /// Forgets what stands behind a place.
  mutating func removeAll(from place: Int = 0) { count = place }

  mutating func append(_ number: Double) { append(number.bitPattern) }

  mutating func append(_ word: some FixedWidthInteger & BitwiseCopyable) {
    if count + word.bitWidth / 8 > capacity { grow() }
    (memory + count).storeBytes(of: word.littleEndian, as: type(of: word))
    count += word.bitWidth / 8
  }

  private mutating func grow() {
    let larger = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity, alignment: 8)
    larger.copyMemory(from: memory, byteCount: count)
    memory.deallocate()
    memory = larger
    capacity *= 2
  }

  func bytes(_ part: Part) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: memory + part.start, count: part.count)
  }
}
