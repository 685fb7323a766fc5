import Learning
import Streaming

/// How long after their click the conversions of each account come: the product limit of Kaplan and
/// Meier, with a step at each age at which clicks are looked at.
///
/// A conversion counts when its click is next looked at, as one without does: counted at once, late
/// conversions of young clicks would stand beside nobody who has not converted. A click says nothing
/// about ages that it has not reached, so that the lags are not those of the quick ones alone.
struct ConversionLags {
  /// What was seen at a look, since the one before.
  private struct Look: BitwiseCopyable {
    /// Clicks that had not converted before.
    var clicks = 0.0
    var conversions = 0.0
  }

  private let stages: Int
  /// By account times stages plus stage.
  private let looks: Table<Look>

  /// Conversions that count as much as the expectation that the time up to each look brings as many
  /// as that to the next.
  private static let priorConversions = 5.0

  init(stages: Int, in store: StateStore) {
    self.stages = stages
    looks = store.table("lags", of: Look.self)
  }

  func meet(_ account: Int32) { looks.fill(to: (Int(account) + 1) * stages, with: Look()) }

  /// A click is looked at that had not converted at another look.
  ///
  /// - Parameter from: The stage of that look, 0 for none.
  func count(_ account: Int32, from: Int, to stage: Int, isConverted: Bool) {
    guard from < stage else { return }
    for passed in from + 1...stage {
      looks.update(Int32(Int(account) * stages + passed)).pointee.clicks += 1
    }
    guard isConverted else { return }
    looks.update(Int32(Int(account) * stages + stage)).pointee.conversions += 1
  }

  /// The part of an account's conversions that comes after a look; 0 after the last.
  func remaining(_ account: Int32, after stage: Int) -> Double {
    guard stage + 1 < stages else { return 0 }
    let looks = looks.address(Int32(Int(account) * stages))
    var (survival, reached, known) = (1.0, 1.0, 0.0)
    for i in 1..<stages {
      let look = looks[i]
      known += look.conversions
      if look.clicks > 0 { survival *= 1 - look.conversions / look.clicks }
      if i == stage { reached = survival }
    }
    let prior = ConversionLags.priorConversions
    var left = prior * (1 - Double(stage) / Double(stages - 1))
    if survival < 1 { left += known * (reached - survival) / (1 - survival) }
    return left / (prior + known)
  }

  func digest(ofAccount account: Int32, _ owner: UInt64, _ digest: inout StateDigest) {
    for stage in 0..<stages where Int(account) * stages + stage < looks.count {
      let look = looks[Int32(Int(account) * stages + stage)]
      guard look.clicks > 0 else { continue }
      digest.add(
        owner: owner, 1 << 40 | Int64(stage), bits(look.clicks), bits(look.conversions), 0)
    }
  }
}
