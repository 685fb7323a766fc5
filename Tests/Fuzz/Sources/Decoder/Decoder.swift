import Events
import Foundation
import FuzzKit

// One record for the decoder. Beside not crashing and not reading outside of it:
// - what a decoder has learned from other records does not change its answer;
// - the fast way and the thorough way agree.

// libFuzzer calls from one thread.
nonisolated(unsafe) private var used = EventDecoder()
nonisolated(unsafe) private let batch = EventBatch(capacity: 1)
nonisolated(unsafe) private let other = EventBatch(capacity: 1)

/// A member that nobody knows; the escape makes the fast way give up.
private let detour = Array(#""\u007aqxjkvbpywfm":null,"#.utf8)

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  let folder = Seeds.checkout + "/Tests/EventsTests/Corpus"
  var seeds: [[UInt8]] = []
  for name in Files.names(folder) {
    for line in Files.read("\(folder)/\(name)").split(separator: UInt8(ascii: "\n")) {
      let read = try? JSONSerialization.jsonObject(with: Data(line))
      if let one = read as? [String: Any], let input = one["input"] as? String {
        seeds.append(Array(input.utf8))
      }
    }
  }
  Seeds.write(seeds)
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func run(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let record = UnsafeRawBufferPointer(start: start, count: count)
  batch.removeAll()
  let first = used.decode(record, into: batch)
  if let first {
    require(batch.isEmpty, "a refused record leaves no event")
    require(first.byteOffset >= 0 && first.byteOffset <= count, "its place is in the record")
  }
  compareWithFresh(record, first)
  compareWithDetour(record, first)
  let routing = used.routing(of: record)
  require((routing == nil) == (first != nil), "what is routed is what is accepted")
  return 0
}

private func compareWithFresh(_ record: UnsafeRawBufferPointer, _ first: Rejection?) {
  var fresh = EventDecoder()
  other.removeAll()
  let second = fresh.decode(record, into: other)
  require(first == second, "other records change the answer: \(first as Any), \(second as Any)")
  if first == nil { compareEvents("other records change the event") }
}

private func compareWithDetour(_ record: UnsafeRawBufferPointer, _ first: Rejection?) {
  var bytes = Array(record)
  func significant(_ from: Int) -> Int? {
    bytes[from...].firstIndex { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
  }
  guard let brace = significant(0), bytes[brace] == UInt8(ascii: "{"),
    let next = significant(brace + 1), bytes[next] != UInt8(ascii: "}"), bytes.count < 1 << 19
  else { return }
  bytes.insert(contentsOf: detour, at: brace + 1)
  other.removeAll()
  let second = bytes.withUnsafeBytes { used.decode($0, into: other) }
  require(
    first?.reason == second?.reason && first?.field == second?.field,
    "fast and thorough differ: \(first as Any), \(second as Any)")
  if first == nil { compareEvents("fast and thorough differ", but: .hasUnknownFields) }
}

private func compareEvents(_ law: String, but flags: Event.Flags = []) {
  let one = batch[0].pointee
  let two = other[0].pointee
  require(one.time >= .earliest && one.time <= .latest, "time is in its range")
  require(one.time == two.time && one.type == two.type, "\(law): time, type")
  require(one.flags.union(flags) == two.flags.union(flags), "\(law): flags")
  require(one.price == two.price && one.bid == two.bid && one.value == two.value, "\(law): money")
  for (a, b) in zip(identifiers(one), identifiers(two)) {
    require(a.hash == b.hash && a.bytes.elementsEqual(b.bytes), "\(law): an identifier")
  }
  let features = batch.features(of: one)
  require(
    features.elementsEqual(other.features(of: two)) {
      $0.name == $1.name && $0.hash == $1.hash && $0.value.bitPattern == $1.value.bitPattern
    }, "\(law): features")
  require(
    text(batch.details(of: one)) == text(other.details(of: two)), "\(law): details")
}

private func identifiers(_ event: Event) -> [Identifier] {
  [
    event.id, event.account, event.campaign, event.ad, event.advertiser, event.user, event.device,
    event.clickID, event.placement, event.shard, event.reference, event.action,
  ]
}

/// Everything in it, with texts instead of where they stand.
private func text(_ details: EventDetails?) -> String {
  guard let details else { return "none" }
  func all(_ value: Any) -> String {
    if let identifier = value as? Identifier { return "\(identifier.hash) \(identifier.string)" }
    let mirror = Mirror(reflecting: value)
    guard !mirror.children.isEmpty else { return "\(value)" }
    return mirror.children.map { "\($0.label ?? "_"): \(all($0.value))" }.joined(separator: ", ")
  }
  return all(details)
}
