import Bidding
public import Events
public import Streaming

/// Follows each person across days and sessions: what they were shown, what they clicked, and how
/// far they have come.
///
/// Every interaction goes on with what its journey knew just before it. The interaction of a
/// conversion or deal stage also carries the touches that came before it, as a range of `touches`.
/// Touches are kept for `lookback`, counted back from the watermark, at most `max_touches` of them;
/// what is too old is given back within the hour. A touch takes 24 bytes of its block, 24–48 while
/// lists grow, beside the text of its id (rounded up to 8 bytes); a person 40 bytes.
public struct Journeys: Operator {
  public static let description = OperatorDescription(
    name: "journeys", version: 1,
    summary: "Keeps each person's touches, sessions and state.",
    inputs: [.init(.interactions)],
    outputs: [.interactions, .touches],
    settings: [
      SettingDescription(
        "lookback", .duration(.seconds(1)...(.days(400))), default: "30d",
        meaning: "How long a touch is remembered."),
      SettingDescription(
        "max_touches", .integer(1...Int64(TouchStore.touchesMax)), default: "200",
        meaning: "Touches kept of one person; of more, the oldest impressions go first."),
      SettingDescription(
        "session_gap", .duration(.seconds(1)...(.days(7))), default: "30m",
        meaning: "A session ends when nothing happens for this long."),
      SettingDescription(
        "timeout", .duration(.seconds(1)...(.days(400))), default: "14d",
        meaning: "A journey lapses when nothing happens for this long."),
    ])

  /// One person's journey, at the person's row.
  struct Journey: BitwiseCopyable {
    var pseudonym: UInt64 = 0
    /// The newest interaction, in ms; -1 before the first.
    var last: Int64 = -1
    var touches = TouchList()
    var state = JourneyState.unaware
    /// A timer for the oldest touch is set.
    var isScheduled = false
    /// Number of the current session, from 1.
    var session: Int32 = 0
    /// The session in which interest was shown.
    var interest: Int32 = 0
    /// Rises when the row is given to somebody else.
    var generation: UInt32 = 0
  }

  private static let day = TimeSpan.days(1).milliseconds
  private static let week = TimeSpan.days(7).milliseconds
  /// Persons whose touches the digest fetches at a time: what they have stays in the caches.
  private static let digestWindow: Int32 = 32
  /// Old touches are looked for at multiples of this.
  private static let sweep = TimeSpan.hours(1).milliseconds

  private let input: Stream<Interaction>
  private let output: Stream<Interaction>
  private let touchOutput: Stream<TouchRecord>
  private let timers: Timers
  private let directory: Directory
  private let lookback: Int64
  private let slack: Int64
  private let touchesMax: Int
  private let sessionGap: Int64
  private let timeout: Int64
  /// By the person's row.
  private let journeys: Table<Journey>
  private let store: TouchStore
  private let touched: UnsafeMutablePointer<Int64>

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    input = try setup.onlyInput(Interaction.self)
    output = setup.output(Interaction.self)
    touchOutput = setup.output(TouchRecord.self)
    timers = setup.timers
    directory = setup.directory
    lookback = settings.duration("lookback").milliseconds
    slack = setup.time.outOfOrderness.milliseconds
    touchesMax = Int(settings.integer("max_touches"))
    sessionGap = settings.duration("session_gap").milliseconds
    timeout = settings.duration("timeout").milliseconds
    journeys = setup.store.table("journeys", of: Journey.self)
    store = TouchStore(in: setup.store)
    touched = .allocate(capacity: 1)
  }

  public func deallocate() { touched.deallocate() }

  public mutating func process(_ entry: borrowing Entry) {
    for i in 0..<input.count {
      var interaction = input[i]
      switch interaction.kind {
      case .event: visit(&interaction, entry)
      case .merge: merge(interaction, entry)
      case .forget: forget(interaction.person)
      }
      output.append(interaction)
    }
  }

  public func prefetch(_ batch: EventBatch) {
    let persons = input.expected
    var seen: Int64 = 0
    for person in persons where person >= 0 && Int(person) < journeys.count {
      seen ^= journeys[person].last
    }
    for person in persons where person >= 0 && Int(person) < journeys.count {
      seen ^= store.prefetch(journeys[person].touches)
    }
    // Stored, so that the loads are not optimised away.
    touched.pointee = seen
    output.expect(persons)
  }

  @inline(__always)
  private func journey(_ person: Int32) -> UnsafeMutablePointer<Journey> {
    if Int(person) >= journeys.count { journeys.fill(to: Int(person) + 1, with: Journey()) }
    return journeys.update(person)
  }

  /// The state that a journey is in at a moment.
  @inline(__always)
  private func state(_ journey: Journey, at time: Int64) -> JourneyState {
    journey.last >= 0 && time &- journey.last > timeout ? .lapsed : journey.state
  }

  private func visit(_ interaction: inout Interaction, _ entry: borrowing Entry) {
    guard interaction.person >= 0, let event = interaction.event else { return }
    let time = event.pointee.time.milliseconds
    let row = journey(interaction.person)
    row.pointee.pseudonym = interaction.pseudonym
    row.pointee.state = state(row.pointee, at: time)
    if row.pointee.last < 0 || time &- row.pointee.last >= sessionGap {
      row.pointee.session &+= 1
    }
    interaction.journey.state = row.pointee.state
    interaction.journey.session = row.pointee.session
    let touches = store.touches(row.pointee.touches)
    let oldest = oldestKept(entry)
    look(back: touches, from: event, notBefore: oldest, &interaction.journey)
    row.pointee.last = max(row.pointee.last, time)
    switch event.pointee.type {
    case .impression:
      if event.pointee.flags.contains(.viewable) { step(.view, row) }
      add(event, isClick: false, to: interaction.person, row, entry)
    case .click:
      let isReturn = row.pointee.session > row.pointee.interest
      if row.pointee.state < .interested { row.pointee.interest = row.pointee.session }
      step(.click(isReturn: isReturn), row)
      add(event, isClick: true, to: interaction.person, row, entry)
    case .conversion:
      give(touches, before: time, notBefore: oldest, &interaction)
      step(.conversion, row)
    case .dealStage:
      give(touches, before: time, notBefore: oldest, &interaction)
      step(.dealStage, row)
    default: break
    }
  }

  @inline(__always)
  private func step(_ step: JourneyState.Step, _ row: UnsafeMutablePointer<Journey>) {
    row.pointee.state = row.pointee.state.after(step)
  }

  /// Touches before this moment are gone, whether their room was given back already or not.
  @inline(__always)
  private func oldestKept(_ entry: borrowing Entry) -> Int64 {
    entry.watermark.milliseconds &- lookback
  }

  /// Finds the newest touch before the event and counts what the person was shown of the event's
  /// campaign and ad.
  @inline(__always)
  private func look(
    back touches: Touches, from event: UnsafePointer<Event>, notBefore oldest: Int64,
    _ context: inout JourneyContext
  ) {
    let time = event.pointee.time.milliseconds
    var end = touches.count
    while end > 0, touches.times[end &- 1] > time { end &-= 1 }
    guard end > 0, touches.times[end &- 1] >= oldest else { return }
    context.sinceTouchMilliseconds = time &- touches.times[end &- 1]
    let (campaign, ad) = (event.pointee.campaign.row, event.pointee.ad.row)
    guard campaign >= 0 else { return }
    while end > 0, touches.times[end &- 1] == time { end &-= 1 }
    let week = touches.count(before: max(oldest, time &- Journeys.week), end: end)
    let day = touches.count(before: max(oldest, time &- Journeys.day), end: end)
    let today = touches.views(of: campaign, ad, among: day..<end)
    let before = touches.views(of: campaign, ad, among: week..<day)
    context.campaignViewsDay = today.campaign
    context.campaignViewsWeek = today.campaign &+ before.campaign
    context.adViewsDay = today.ad
    context.adViewsWeek = today.ad &+ before.ad
  }

  /// Passes on the touches in [oldest, time).
  private func give(
    _ touches: Touches, before time: Int64, notBefore oldest: Int64,
    _ interaction: inout Interaction
  ) {
    interaction.touchesStart = Int32(truncatingIfNeeded: touchOutput.count)
    for i in 0..<touches.count where touches.times[i] >= oldest && touches.times[i] < time {
      let touch = touches[i]
      touchOutput.append(
        TouchRecord(
          id: store.texts.text(touch.text, length: touch.textLength),
          time: EventTime(milliseconds: touch.time), campaign: touch.campaign, ad: touch.ad,
          isClick: touch.isClick, isViewable: touch.isViewable))
    }
    interaction.touchesCount =
      Int32(truncatingIfNeeded: touchOutput.count) - interaction.touchesStart
  }

  private func add(
    _ event: UnsafePointer<Event>, isClick: Bool, to person: Int32,
    _ row: UnsafeMutablePointer<Journey>, _ entry: borrowing Entry
  ) {
    let time = event.pointee.time.milliseconds
    guard time >= oldestKept(entry) else { return }
    if row.pointee.touches.count >= touchesMax {
      store.removeOlder(than: oldestKept(entry), from: &row.pointee.touches)
    }
    let id = event.pointee.id
    store.insert(
      Touch(
        time: time, campaign: event.pointee.campaign.row, ad: event.pointee.ad.row,
        text: store.texts.add(id), textLength: UInt8(truncatingIfNeeded: id.length),
        isClick: isClick, isViewable: !isClick && event.pointee.flags.contains(.viewable)),
      into: &row.pointee.touches)
    if row.pointee.touches.count > touchesMax {
      store.removeLeastValuable(from: &row.pointee.touches)
    }
    if !row.pointee.isScheduled { schedule(person, row) }
  }

  /// Asks to be called when the oldest touch has gone.
  private func schedule(_ person: Int32, _ row: UnsafeMutablePointer<Journey>) {
    let touches = store.touches(row.pointee.touches)
    guard touches.count > 0 else { return }
    row.pointee.isScheduled = true
    let end = touches.times[0] &+ lookback &+ slack
    timers.add(
      at: EventTime(milliseconds: (end / Journeys.sweep &+ 1) &* Journeys.sweep),
      key: Int64(row.pointee.generation) << 32 | Int64(person))
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due {
      let person = Int32(truncatingIfNeeded: timer.key)
      let row = journeys.update(person)
      guard Int64(row.pointee.generation) == timer.key >> 32 else { continue }
      row.pointee.isScheduled = false
      store.removeOlder(than: oldestKept(entry), from: &row.pointee.touches)
      schedule(person, row)
    }
  }

  private func merge(_ merge: Interaction, _ entry: borrowing Entry) {
    // The table may grow: both rows first, then their addresses.
    _ = journey(max(merge.person, merge.other))
    let kept = journeys.update(merge.person)
    let other = journeys.update(merge.other)
    let time = merge.event?.pointee.time.milliseconds ?? max(kept.pointee.last, other.pointee.last)
    let states = (state(kept.pointee, at: time), state(other.pointee, at: time))
    if states.1 > states.0 { kept.pointee.interest = other.pointee.interest }
    kept.pointee.pseudonym = merge.pseudonym
    kept.pointee.state = max(states.0, states.1)
    kept.pointee.session = max(kept.pointee.session, other.pointee.session)
    kept.pointee.last = max(kept.pointee.last, other.pointee.last)
    store.removeOlder(than: oldestKept(entry), from: &kept.pointee.touches)
    store.removeOlder(than: oldestKept(entry), from: &other.pointee.touches)
    store.merge(&other.pointee.touches, into: &kept.pointee.touches)
    while kept.pointee.touches.count > touchesMax {
      store.removeLeastValuable(from: &kept.pointee.touches)
    }
    // The kept person's timer may be set for a touch that is no longer the oldest.
    if kept.pointee.touches.count > 0 {
      kept.pointee.generation &+= 1
      schedule(merge.person, kept)
    }
    forget(merge.other)
  }

  private func forget(_ person: Int32) {
    let row = journey(person)
    store.removeAll(from: &row.pointee.touches)
    row.pointee = Journey(generation: row.pointee.generation &+ 1)
  }

  public func digest(into digest: inout StateDigest) {
    // Lists and ids stand anywhere: those of the next persons are fetched side by side, first the
    // lists, then the ids.
    let count = Int32(journeys.count)
    var seen: UInt64 = 0
    for row in 0..<count {
      if row % Journeys.digestWindow == 0 {
        let window = row..<min(row + Journeys.digestWindow, count)
        for row in window { seen ^= UInt64(bitPattern: store.prefetch(journeys[row].touches)) }
        for row in window {
          let touches = store.touches(journeys[row].touches)
          for i in 0..<touches.count { seen ^= store.texts.touch(touches.rests[i].text) }
        }
      }
      let journey = journeys[row]
      guard journey.last >= 0 else { continue }
      digest.add(
        owner: journey.pseudonym, journey.last, Int64(journey.state.rawValue),
        Int64(journey.session), Int64(journey.interest))
      let touches = store.touches(journey.touches)
      for i in 0..<touches.count {
        let touch = touches[i]
        let id = store.texts.text(touch.text, length: touch.textLength)
        digest.add(
          owner: journey.pseudonym, Int64(i), touch.time,
          Int64(bitPattern: directory.ads.hash(touch.ad)),
          Int64(bitPattern: Hash.text(id.bytes)), touch.isClick ? 2 : touch.isViewable ? 1 : 0)
      }
    }
    // Stored, so that the loads are not optimised away.
    touched.pointee = Int64(bitPattern: seen)
  }
}

extension OperatorSetup {
  /// The stream of an input that must come from one operator: persons are numbered by it.
  func onlyInput<Record: StreamRecord>(
    _ type: Record.Type
  ) throws(SettingProblem) -> Stream<Record> {
    let streams = inputs(type)
    guard streams.count == 1 else {
      throw SettingProblem(
        setting: "from",
        message: "`\(Record.stream)` comes from \(streams.count) operators; expected one")
    }
    return streams[0]
  }
}
