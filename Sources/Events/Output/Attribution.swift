/// A record of `attributions`: what one touch is credited with for one conversion under one model.
public struct Attribution {
  /// The touch that gets the credit.
  public struct Touch {
    public var id: Identifier
    /// An impression or a click.
    public var type: EventType
    public var time: EventTime
    public var campaign: Identifier
    public var ad: Identifier

    public init(
      id: Identifier, type: EventType, time: EventTime, campaign: Identifier, ad: Identifier
    ) {
      self.id = id
      self.type = type
      self.time = time
      self.campaign = campaign
      self.ad = ad
    }
  }

  /// What differs between the records of one conversion.
  public struct Credit {
    /// As in topology files.
    public var model: StaticString
    /// nil when no touch gets credit for the conversion; then credit and value are 0.
    public var touch: Touch?
    public var creditMillionths: Int64
    /// The credited part of the conversion's value.
    public var value: Money

    public init(
      model: StaticString, touch: Touch?, creditMillionths: Int64, value: Money
    ) {
      self.model = model
      self.touch = touch
      self.creditMillionths = creditMillionths
      self.value = value
    }
  }

  public var account: Identifier
  /// The conversion's event id.
  public var conversion: Identifier
  public var time: EventTime
  public var source: RecordSource
  /// From 1; per conversion and model.
  public var revision: Int64
  /// Takes back what an earlier record asserted.
  public var isRetraction = false
  public var credit: Credit
  /// The person's pseudonym.
  public var person: UInt64
  /// How the conversion's person was found; nil where nothing names one.
  public var method: StaticString?
  public var confidenceMillionths: Int64

  public init(
    account: Identifier, conversion: Identifier, time: EventTime, source: RecordSource,
    revision: Int64, credit: Credit, person: UInt64, method: StaticString?,
    confidenceMillionths: Int64
  ) {
    self.account = account
    self.conversion = conversion
    self.time = time
    self.source = source
    self.revision = revision
    self.credit = credit
    self.person = person
    self.method = method
    self.confidenceMillionths = confidenceMillionths
  }

  /// Where the parts of a written record stand that are the same in every record of its conversion.
  public struct Shared {
    /// All before the model.
    var head: Range<Int>
    /// All behind the credited value.
    var tail: Range<Int>
  }

  /// Writes the record as one JSON object; returns what `write(to:sharing:)` need not write anew.
  @discardableResult
  public func write(to json: inout JSONWriter) -> Shared {
    json.beginObject()
    let start = json.count
    json.member("account", account)
    json.member("conversion", conversion)
    json.member("time", time)
    json.key("source")
    json.source(source)
    json.member("revision", revision)
    json.member("kind", text: isRetraction ? "retract" : "assert" as StaticString)
    let end = json.count
    credit.write(to: &json)
    // Behind the comma.
    let tail = json.count + 1
    json.member("person", hexadecimal: person)
    if let method { json.member("method", text: method) }
    json.member("confidence", Money(micros: confidenceMillionths))
    let shared = Shared(head: start..<end, tail: tail..<json.count)
    json.endObject()
    return shared
  }
}

extension Attribution.Credit {
  /// Writes a record of the same conversion, revision and source as one that stands in the writer's
  /// bytes.
  public func write(to json: inout JSONWriter, sharing shared: Attribution.Shared) {
    json.beginObject()
    json.again(shared.head)
    write(to: &json)
    json.again(shared.tail)
    json.endObject()
  }

  fileprivate func write(to json: inout JSONWriter) {
    json.member("model", text: model)
    json.key("touch")
    if let touch {
      json.beginObject()
      json.member("id", touch.id)
      json.member("type", text: touch.type.name)
      json.member("time", touch.time)
      json.endObject()
      json.member("campaign", touch.campaign)
      json.member("ad", touch.ad)
    } else {
      json.null()
    }
    json.member("credit", Money(micros: creditMillionths))
    json.member("value", value)
  }
}
