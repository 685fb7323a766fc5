public import Events
import Learning
public import Streaming

/// A record of `updates`: what one account contributes to a round, as an event of the type `prior`
/// and the kind `update`. Its account is the group, so that a group's updates come together in one
/// partition; who contributed is a keyed hash.
public struct UpdateRecord: StreamRecord {
  public static var stream: StreamType { .updates }

  /// What all updates of a learner have in common, and the numbers of those of an entry.
  struct Shared {
    var group: String
    /// Of the list of features.
    var features: UInt64
    var numbers: [Int32] = []
  }

  let shared: UnsafePointer<Shared>
  var contributor: UInt64
  /// Its numbers, among those of the entry.
  var start: Int
  var count: Int

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let keyStart = json.count
    json.unframed(shared.pointee.group)
    let keyLength = json.count - keyStart
    json.beginObject()
    json.member("account", text: shared.pointee.group)
    json.member("type", text: "prior" as StaticString)
    let name = String(contributor, radix: 16)
    json.member("id", text: "\(name)-\(context.time.milliseconds)")
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("kind", text: "update" as StaticString)
    json.key("payload")
    json.beginObject()
    json.member("contributor", hexadecimal: contributor)
    json.member("features", hexadecimal: shared.pointee.features)
    json.key("vector")
    json.beginArray()
    for number in shared.pointee.numbers[start..<(start + count)] { json.integer(Int64(number)) }
    json.endArray()
    json.endObject()
    json.endObject()
    return keyLength
  }
}
