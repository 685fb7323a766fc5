public import Events
import Learning
public import Streaming

/// A record of `models`: a part of what the champion knows of an account, from which a bidder scores
/// as the learner does. `Scoring` reads them.
///
/// Weights stand in `weights`, in base64: for each the feature's hash (4 bytes), then what it adds to
/// the log-odds of a click, of a conversion, and to the logarithm of a conversion's value (8 bytes
/// each, IEEE 754), all little-endian. Other numbers that must be exact are 16 hexadecimal digits:
/// their bits.
public struct ModelRecord: StreamRecord {
  public static var stream: StreamType { .models }

  static let weightByteCount = 28

  /// What all records of an operator have in common; lives as long as it.
  struct Shared {
    var name: String
    var hashing: Hashing
    /// Log-odds of a click and of a conversion before any evidence.
    var base: (Double, Double)
    /// Of all records of the entry at hand.
    var weights = WeightBuffer()
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
  /// Of the account's models: as in `predictions`.
  public var version: Int64 = 0
  /// Rises from record to record of the account; and that of the one before this, 0 where readers
  /// begin anew.
  public var sequence: Int64 = 0
  public var after: Int64 = 0
  /// Its place in the publication, from 1.
  public var chunk: Int32 = 1
  public var chunks: Int32 = 1
  /// All weights of the account stand between the publication that begins a sweep and the one that
  /// ends it, these included.
  public var beginsSweep = false
  public var endsSweep = false
  /// Of the amount's logarithm: what it begins with, and what its scatter adds to it. nil while no
  /// value is known.
  var value: (bias: Double, scatter: Double)?
  /// Its part of the weights.
  var weights = 0
  var weightCount = 0

  init(account: Int32, shared: UnsafePointer<Shared>) {
    self.account = account
    self.shared = shared
  }

  /// The most bytes that a record has beside its weights.
  static func bytesBeside(_ hashing: Hashing, _ name: String) -> Int {
    var json = JSONWriter()
    json.beginObject()
    hashing.write(to: &json)
    // Account, source, and numbers, each as long as it can be.
    return json.count + 6 * name.utf8.count + 6 * 128 + 1_536
  }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let name = context.directory.accounts.name(account)
    let keyLength = json.writeKey(name)
    json.beginObject()
    json.member("account", name)
    json.member("model", text: shared.pointee.name)
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
    json.key("weights")
    json.base64(shared.pointee.weights.bytes(weights, weightCount))
    json.endObject()
    return keyLength
  }

  /// What only the first record of a publication has.
  private func writeHead(to json: inout JSONWriter) {
    if beginsSweep {
      json.member("begins", true)
      shared.pointee.hashing.write(to: &json)
    }
    json.key("base")
    json.beginObject()
    json.member("click", hexadecimal: shared.pointee.base.0.bitPattern)
    json.member("conversion", hexadecimal: shared.pointee.base.1.bitPattern)
    if let value {
      json.member("value", hexadecimal: value.bias.bitPattern)
      json.member("scatter", hexadecimal: value.scatter.bitPattern)
    }
    json.endObject()
  }
}

/// Weights as they are published, one after the other; memory that is used again.
struct WeightBuffer {
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 64
    memory = .allocate(byteCount: capacity * ModelRecord.weightByteCount, alignment: 8)
  }

  func deallocate() { memory.deallocate() }

  mutating func removeAll() { count = 0 }

  mutating func append(_ hash: UInt32, _ click: Double, _ conversion: Double, _ value: Double) {
    if count == capacity { grow() }
    let place = memory + count * ModelRecord.weightByteCount
    place.storeBytes(of: hash.littleEndian, as: UInt32.self)
    place.storeBytes(of: click.bitPattern.littleEndian, toByteOffset: 4, as: UInt64.self)
    place.storeBytes(of: conversion.bitPattern.littleEndian, toByteOffset: 12, as: UInt64.self)
    place.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: 20, as: UInt64.self)
    count += 1
  }

  private mutating func grow() {
    let larger = UnsafeMutableRawPointer.allocate(
      byteCount: 2 * capacity * ModelRecord.weightByteCount, alignment: 8)
    larger.copyMemory(from: memory, byteCount: count * ModelRecord.weightByteCount)
    memory.deallocate()
    memory = larger
    capacity *= 2
  }

  func bytes(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: memory + start * ModelRecord.weightByteCount,
      count: count * ModelRecord.weightByteCount)
  }
}
