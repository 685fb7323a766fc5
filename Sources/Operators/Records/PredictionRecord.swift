public import Events
public import Streaming

/// A record of `predictions`: what a model expected of an impression when it was shown; later the
/// same again with what became of it.
public struct PredictionRecord: StreamRecord {
  public static var stream: StreamType { .predictions }

  /// What is known of the impression by now.
  public enum Stage: UInt8, Sendable, BitwiseCopyable {
    /// It was shown.
    case shown
    /// Its click would have come: `click` is known, and without a click also `conversion`.
    case clickKnown
    /// It was clicked, and its conversion would have come.
    case conversionKnown
  }

  public var stage: Stage
  /// The model is the one that counts where there can be only one.
  public var isChampion: Bool
  /// The directory's row of the ad; campaign and account stand above it.
  public var ad: Int32
  /// Which of the operator's models.
  public var model: UnsafePointer<ModelName>
  /// Examples that the account's models had learned by then: labels of clicks and of conversions,
  /// values, and news of clicks where conversions are learned at once, each counted once.
  /// Predictions of one version come from the same weights and maps.
  public var version: Int64
  /// The impression's event id. Valid while the entry is walked.
  public var id: Identifier
  /// When it was shown.
  public var shown: EventTime
  /// Probability of a click, and of a conversion given a click.
  public var click: Double
  public var conversion: Double
  /// What a conversion is expected to bring, in micros; 0 while no value is known.
  public var valueMicros: Double
  /// The record has the bits of its numbers too.
  public var isExact = false
  public var isClicked = false
  public var creditMillionths: Int64 = 0

  /// A model's name as topology files call it; lives as long as the operator.
  public struct ModelName: Sendable {
    let text: String
  }

  /// Probability of a click that converts.
  public var clickAndConversion: Double { click * conversion }

  /// Micros.
  public var valuePerImpressionMicros: Double { click * conversion * valueMicros }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let campaign = directory.ads.parent(ad)
    let account = directory.accounts.name(directory.campaigns.parent(campaign))
    let keyLength = json.writeKey(account, id)
    json.beginObject()
    json.member("account", account)
    json.member("id", id)
    json.member("model", text: model.pointee.text)
    json.member("champion", isChampion)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("campaign", directory.campaigns.name(campaign))
    json.member("ad", directory.ads.name(ad))
    json.member("shown", shown)
    json.member("version", version)
    json.member("pctr", click, places: 9)
    json.member("pcvr", conversion, places: 9)
    json.member("pctcvr", clickAndConversion, places: 9)
    json.member("value", valueMicros / 1e6, places: 6)
    if isExact {
      json.key("bits")
      json.beginObject()
      json.member("pctr", hexadecimal: click.bitPattern)
      json.member("pcvr", hexadecimal: conversion.bitPattern)
      json.member("pctcvr", hexadecimal: clickAndConversion.bitPattern)
      json.member("value", hexadecimal: valueMicros.bitPattern)
      json.endObject()
    }
    if stage != .shown {
      json.member("click", isClicked)
      if stage == .conversionKnown || !isClicked {
        json.member("conversion", Money(micros: creditMillionths))
      }
      json.member("weight", 1 as Int64)
    }
    json.endObject()
    return keyLength
  }
}
