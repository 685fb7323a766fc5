public import Events
import Learning
public import Streaming

/// A record of `priors`: what a group of accounts has in common, as an event of the type `prior` and
/// the kind `prior`. It has no account: it is for everybody.
public struct PriorRecord: StreamRecord {
  public static var stream: StreamType { .priors }

  /// One release.
  struct Release {
    var prior: CommonPrior
    /// Of the group's account in the directory.
    var group: Int32
    var accounts: Int64
    /// Of this round, and of all that were published; nil without noise.
    var privacy: (round: Double, spent: Double, delta: Double)?
  }

  /// The releases of an entry, and the features that they are of.
  struct Shared {
    var features: SharedFeatures
    var releases: [Release] = []
  }

  let shared: UnsafePointer<Shared>
  var number: Int

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let release = shared.pointee.releases[number]
    let group = context.directory.accounts.name(release.group)
    // No key; what follows stands by itself all the same.
    json.unframed("")
    json.beginObject()
    json.member("type", text: "prior" as StaticString)
    json.member("id", text: "\(group.string.prefix(100))-\(context.time.milliseconds)")
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("kind", text: "prior" as StaticString)
    json.key("payload")
    json.beginObject()
    json.member("group", group)
    json.member("features", hexadecimal: shared.pointee.features.id)
    json.member("accounts", release.accounts)
    if let privacy = release.privacy {
      json.key("privacy")
      json.beginObject()
      json.member("epsilon", privacy.spent, places: 6)
      json.member("epsilon_round", privacy.round, places: 6)
      json.member("delta", privacy.delta)
      json.endObject()
    }
    write(release.prior, to: &json)
    json.endObject()
    json.endObject()
    return 0
  }

  private func write(_ prior: CommonPrior, to json: inout JSONWriter) {
    if let rate = prior.rates[0] { PriorRecord.write("ctr", rate, to: &json) }
    if let rate = prior.rates[1] { PriorRecord.write("cvr", rate, to: &json) }
    json.key("click_weights")
    json.beginArray()
    for weights in prior.weights { json.decimal(weights.x, places: 6) }
    json.endArray()
    json.key("conversion_weights")
    json.beginArray()
    for weights in prior.weights { json.decimal(weights.y, places: 6) }
    json.endArray()
    json.key("patterns")
    json.beginArray()
    let slots = shared.pointee.features.slots
    for (slot, pattern) in zip(slots, prior.patterns) where !pattern.isEmpty {
      json.beginObject()
      json.member("feature", text: slot.name)
      if let clicks = PriorRecord.word(pattern, .raisesClicks, .lowersClicks) {
        json.member("clicks", text: clicks)
      }
      if let conversions = PriorRecord.word(pattern, .raisesConversions, .lowersConversions) {
        json.member("conversions", text: conversions)
      }
      json.endObject()
    }
    json.endArray()
  }

  private static func word(
    _ pattern: CommonPattern, _ more: CommonPattern, _ fewer: CommonPattern
  ) -> StaticString? {
    pattern.contains(more) ? "more" : pattern.contains(fewer) ? "fewer" : nil
  }

  private static func write(
    _ key: StaticString, _ rate: BetaDistribution, to json: inout JSONWriter
  ) {
    json.key(key)
    json.beginObject()
    json.member("mean", rate.mean)
    json.member("alpha", rate.alpha)
    json.member("beta", rate.beta)
    json.endObject()
  }
}
