import Events
import Simulation

// Load on a running topology: events at a fixed rate, whether or not the run keeps up, and how
// long each one takes to what is published of it.
//
// `Emitter` keeps the rate, `Emissions` remembers what stands where in the log, `LoadWatch` sees
// what the run makes of it, `LoadPhase` is the three of them at once, `LoadSession` all phases of a
// command; `LoadTransport` is the log that they work on. `Trend` and `RateSearch` judge,
// `LoadReport` and `LoadPlot` tell. Time comes from a `LoadClock`, so that all but the transports
// can be tested without waiting. Nothing here knows what a run does inside.

/// How much is emitted, and when.
struct LoadPlan: Sendable {
  /// Events a second.
  var rate: Double
  /// Events of this time are emitted and counted, but no latency of them is.
  var warmUp: TimeSpan
  var duration: TimeSpan
  /// What the events are like; times, number and budgets come from the plan.
  var history = HistorySettings()

  var seconds: Double { Double(warmUp.milliseconds + duration.milliseconds) / 1000 }
  /// Events in all.
  var count: Int { max(1, Int(rate * seconds)) }
  /// The first event that a latency counts of.
  var firstMeasured: Int { min(count, Int(rate * Double(warmUp.milliseconds) / 1000)) }

  /// The events, from `start` on. Two plans that begin at different milliseconds share no id.
  func settings(from start: EventTime) -> HistorySettings {
    var settings = history
    settings.records = count
    settings.start = start
    settings.duration = .milliseconds(Int64(Double(count - 1) / rate * 1000))
    // More numbers a millisecond than there can be events.
    settings.numbersFrom = UInt64(start.milliseconds.magnitude) << 14
    settings.budgetFactor = budgetFactor
    return settings
  }

  /// Budgets that last a day at this rate, as those of a generated week do at its own.
  private var budgetFactor: Int64 {
    let usual = HistorySettings()
    let usualRate = Double(usual.records) / (Double(usual.duration.milliseconds) / 1000)
    let campaigns = Double(history.accounts * history.campaignsPerAccount)
    let usualCampaigns = Double(usual.accounts * usual.campaignsPerAccount)
    return Int64(min(max(rate / usualRate * usualCampaigns / campaigns, 1), 1e8))
  }
}

/// When each event is to be emitted, in monotonic ns: evenly, from a start on.
struct LoadSchedule: Sendable {
  var start: Int64
  var rate: Double
  var count: Int

  func intended(_ number: Int) -> Int64 { start + Int64(Double(number) / rate * 1e9) }

  /// How many are due by a time.
  func due(at now: Int64) -> Int {
    guard now >= start else { return 0 }
    var due = min(count, Int(Double(now - start) / 1e9 * rate) + 1)
    // What rounding may have added or left out.
    while due > 0, intended(due - 1) > now { due -= 1 }
    while due < count, intended(due) <= now { due += 1 }
    return due
  }
}
