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

  public var account: Identifier
  /// The conversion's event id.
  public var conversion: Identifier
  public var time: EventTime
  public var source: RecordSource
  /// From 1; per conversion and model.
  public var revision: Int64
  /// As in topology files.
  public var model: StaticString
  /// nil when no touch gets credit for the conversion; then credit and value are 0.
  public var touch: Touch?
  public var creditMillionths: Int64
  /// The credited part of the conversion's value.
  public var value: Money
  /// The person's pseudonym.
  public var person: UInt64
  /// How the conversion's person was found; nil where nothing names one.
  public var method: StaticString?
  public var confidenceMillionths: Int64

  public init(
    account: Identifier, conversion: Identifier, time: EventTime, source: RecordSource,
    revision: Int64, model: StaticString, touch: Touch?, creditMillionths: Int64, value: Money,
    person: UInt64, method: StaticString?, confidenceMillionths: Int64
  ) {
    self.account = account
    self.conversion = conversion
    self.time = time
    self.source = source
    self.revision = revision
    self.model = model
    self.touch = touch
    self.creditMillionths = creditMillionths
    self.value = value
    self.person = person
    self.method = method
    self.confidenceMillionths = confidenceMillionths
  }

  /// Writes the record as one JSON object.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("account", account)
    json.member("conversion", conversion)
    json.member("time", time)
    json.key("source")
    json.source(source)
    json.member("revision", revision)
    json.member("kind", text: "assert" as StaticString)
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
    json.member("person", hexadecimal: person)
    if let method { json.member("method", text: method) }
    json.member("confidence", Money(micros: confidenceMillionths))
    json.endObject()
  }
}
