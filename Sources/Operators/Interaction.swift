public import Bidding
public import Events
public import Streaming

/// A record of `interactions`: an event with the person that it belongs to, or what became of a
/// person.
///
/// `identity` gives them, `journeys` adds what it knows and passes them on. A person is a row
/// number: dense, given anew after `forget`, and the same for every operator behind one `identity`.
/// Records of one entry stand in the order in which they happened: merges come before the event
/// that caused them.
public struct Interaction: StreamRecord {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// `event` is the person's; `person` is -1 when nothing may be remembered of them.
    case event
    /// `other` was `person` all along; what was kept for `other` is now `person`'s.
    case merge
    /// Everything about `person` is to be forgotten; the row may come back for somebody else.
    case forget
  }

  public static var stream: StreamType { .interactions }

  public var kind: Kind
  public var method: IdentityMethod
  /// Row of the person; -1 for none.
  public var person: Int32
  /// `merge`: the row that is given up.
  public var other: Int32
  /// Row of the account in the directory.
  public var account: Int32
  /// A pseudonym that means the same in every partition and process with the same key.
  public var pseudonym: UInt64
  /// nil for a `forget` that time alone caused. Valid while the entry is walked.
  public var event: UnsafePointer<Event>?
  /// What the journey knew before the event; that of a stranger until `journeys` fills it in.
  public var journey = JourneyContext()
  /// The event's earlier touches: a range of the `touches` of this entry.
  public var touchesStart: Int32 = 0
  public var touchesCount: Int32 = 0

  public init(
    _ kind: Kind, person: Int32, other: Int32 = -1, account: Int32, pseudonym: UInt64,
    method: IdentityMethod = .none, event: UnsafePointer<Event>?
  ) {
    self.kind = kind
    self.method = method
    self.person = person
    self.other = other
    self.account = account
    self.pseudonym = pseudonym
    self.event = event
  }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let name = context.directory.accounts.name(account)
    let keyLength = json.writeKey(name)
    json.beginObject()
    json.member("account", name)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("person", hexadecimal: pseudonym)
    switch kind {
    case .merge: json.member("type", text: "merge" as StaticString)
    case .forget: json.member("type", text: "forget" as StaticString)
    case .event:
      if let event {
        json.member("type", text: event.pointee.type.name)
        json.member("id", event.pointee.id)
      }
      if method != .none { json.member("method", text: method.name) }
      json.member("confidence", Money(micros: method.confidenceMillionths))
      journey.write(to: &json)
    }
    json.endObject()
    return keyLength
  }
}

/// What a journey knows at the moment of an event, before the event itself changes it.
public struct JourneyContext: BitwiseCopyable, Sendable, Equatable {
  public var state = JourneyState.unaware
  /// Number of the session that the event belongs to, from 1; 0 for a stranger.
  public var session: Int32 = 0
  /// Milliseconds since the newest earlier touch; -1 when there is none.
  public var sinceTouchMilliseconds: Int64 = -1
  /// Viewable impressions of the event's campaign to this person in the day and in the week before
  /// it, [t − 1 d, t) and [t − 7 d, t).
  public var campaignViewsDay: Int32 = 0
  public var campaignViewsWeek: Int32 = 0
  /// The same of the event's ad.
  public var adViewsDay: Int32 = 0
  public var adViewsWeek: Int32 = 0

  public init() {}

  func write(to json: inout JSONWriter) {
    json.member("state", text: state.name)
    json.member("session", Int64(session))
    if sinceTouchMilliseconds >= 0 { json.member("since_touch", sinceTouchMilliseconds) }
    json.member("campaign_views_1d", Int64(campaignViewsDay))
    json.member("campaign_views_7d", Int64(campaignViewsWeek))
    json.member("ad_views_1d", Int64(adViewsDay))
    json.member("ad_views_7d", Int64(adViewsWeek))
  }
}

/// A record of `touches`: an earlier touch of the person whose interaction stands in the same
/// entry. Oldest first.
public struct TouchRecord: StreamRecord {
  public static var stream: StreamType { .touches }

  /// The touch's event id. Valid while the entry is walked.
  public var id: Identifier
  public var time: EventTime
  /// Rows in the directory.
  public var campaign: Int32
  public var ad: Int32
  /// A click, else an impression.
  public var isClick: Bool
  public var isViewable: Bool

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let account = directory.accounts.name(directory.campaigns.parent(campaign))
    let keyLength = json.writeKey(account)
    json.beginObject()
    json.member("account", account)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("id", id)
    json.member("type", text: (isClick ? EventType.click : .impression).name)
    json.member("touched", time)
    json.member("campaign", directory.campaigns.name(campaign))
    json.member("ad", directory.ads.name(ad))
    json.member("viewable", isViewable)
    json.endObject()
    return keyLength
  }
}
