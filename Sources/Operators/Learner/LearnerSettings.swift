import Events
import Learning
import Streaming

// What a learner makes of its settings.

extension Learner {
  /// What an impression waits for: its click, what is looked at before its conversion's label is
  /// final, and that.
  static func stages(
    _ method: DelayMethod, _ settings: Settings, slack: Int64
  ) throws(SettingProblem) -> [PendingImpressions.Stage] {
    let (click, conversion) = (
      settings.duration("click_window").milliseconds,
      settings.duration("conversion_window").milliseconds
    )
    let wait = settings.duration("wait").milliseconds
    guard method != .esDFM || wait < conversion else {
      throw SettingProblem(
        setting: "wait", message: "`wait` is not shorter than `conversion_window`")
    }
    let hour = MaturingEvidence.hour
    var stages = [
      // Short, so that labels become known one after the other and not very many at once.
      PendingImpressions.Stage(
        slot: max(click / 360 / 1_000 * 1_000, 1_000), wait: click &+ slack)
    ]
    for age in method.looks(window: conversion, wait: wait) {
      // Short beside the age, so that those of a slot are looked at when they are nearly as old.
      let slot = min(max(age / 6 / 60_000 * 60_000, 60_000), hour)
      stages.append(PendingImpressions.Stage(slot: slot, wait: age))
    }
    stages.append(PendingImpressions.Stage(slot: hour, wait: conversion &+ slack))
    return stages
  }

  /// What stored rows depend on beside their types. State of other models, or of another kind of
  /// delay, is refused, and made anew from the log: rows of one model would be read as another's.
  static func layout(_ models: [String], _ method: DelayMethod, keepsRaw: Bool) -> Int {
    var hash = Hash.mix((keepsRaw ? 1 : 0) | (method == .mature ? 2 : 0))
    for name in models {
      hash = Hash.combine(hash, Array(name.utf8).withUnsafeBufferPointer { Hash.text($0) })
    }
    return Int(hash >> 34) + 2
  }

  static func models(
    _ settings: Settings
  ) throws(SettingProblem) -> [(name: String, settings: Settings)] {
    let champion = settings.structures("champion")
    let challengers = settings.structures("challengers")
    guard champion.count == 1 else {
      throw SettingProblem(
        setting: "champion",
        message: "`champion` names \(champion.count) models; expected exactly one")
    }
    guard challengers.count < modelsMax else {
      throw SettingProblem(
        setting: "challengers",
        message: "`challengers` names \(challengers.count) models; expected at most 7")
    }
    guard !challengers.contains(where: { $0.name == champion[0].name }) else {
      throw SettingProblem(
        setting: "challengers",
        message: "`challengers` names `\(champion[0].name)`, which is the champion")
    }
    return champion + challengers
  }
}

extension Settings {
  /// The entries of a mapping from names to settings of their own.
  fileprivate func structures(_ name: String) -> [(name: String, settings: Settings)] {
    guard case .mapping(let entries) = self[name] else {
      preconditionFailure("`\(name)` is described as a mapping")
    }
    return entries.map { entry in
      guard case .mapping(let values) = entry.value else {
        preconditionFailure("the entries of `\(name)` are described as mappings")
      }
      return (
        entry.name, Settings(Dictionary(values.map { ($0.name, $0.value) }) { $1 })
      )
    }
  }
}
