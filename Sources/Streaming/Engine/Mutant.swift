/// Deliberate breaches of the laws, for the tests that must notice them.
///
/// Each stands at the one place where a plausible mistake would: a test that stays green with a
/// mutant switched on does not test what it says. Never set outside of tests.
package enum Mutant: String, CaseIterable, Sendable {
  /// Law 1: time moves by the wall clock, not by what the journal keeps.
  case wallClock
  /// Law 1: idle time is not written to the journal.
  case unjournaledIdleClock
  /// A quiet stretch is jumped over without firing its timers.
  case skippedTick
  /// Timers of one tick fire in no particular order.
  case timerOrder
  /// Where a fetch ends decides where time moves.
  case batchBoundaryClock
  /// Law 1: time moves at every fourth record only, so that neighbours decide when.
  case countedClock
  /// Law 4: outputs are on again before the committed point is reached.
  case outputsOnTooEarly
  /// Law 4: outputs stay off for a transaction after recovery.
  case outputsOffTooLong
  /// Law 4: an aborted transaction takes its outputs with it.
  case abortDropsOutputs
  /// A commit whose answer was lost is sent again under a new number.
  case blindResend
  /// A snapshot is copied while rows change under it.
  case tornSnapshot
  /// A snapshot counts before the commit that it belongs to.
  case snapshotBeforeCommit
  /// A snapshot without the engine's timers.
  case forgottenTimers
  /// Offsets of a rejected record are not taken along.
  case rejectedNotCounted
  /// Recovery starts at the committed offsets with the snapshot's state.
  case skippedOverlap
}
