import Bidding
public import Events
public import Streaming

/// Gives every interaction (impression, click, conversion, deal stage) the person that it belongs
/// to.
///
/// A person is a set of identifiers that were seen together: click ids, users, and devices as long
/// as they were seen within `device_ttl`. The first of these that is known decides, in that order;
/// an event whose identifiers belong to several persons makes them one. Identifiers stand in state
/// only as hashes under `key`, each account's apart from every other's, and are forgotten when they
/// were not seen for `ttl`; a person is forgotten with the last of them, or by an `erasure`.
///
/// An event without `consent`, or without identifiers, belongs to a person of its own that nothing
/// is remembered of. About 120 bytes an identifier (its timer included) and 32 a person.
public struct Identity: Operator {
  public static let description = OperatorDescription(
    name: "identity", version: 1,
    summary: "Finds the person that an interaction belongs to.",
    inputs: [.init(.events)],
    outputs: [.interactions, .alerts],
    settings: [
      SettingDescription(
        "key", .secret, default: "",
        meaning: """
          Identifiers are kept as hashes under this key. Changing it forgets everybody. Empty: the \
          hashes are those of a key that everybody knows.
          """),
      SettingDescription(
        "device_ttl", .duration(.seconds(1)...(.days(400))), default: "30d",
        meaning: "A device that was not seen for longer says nothing about whose it is."),
      SettingDescription(
        "ttl", .duration(.seconds(1)...(.days(800))), default: "90d",
        meaning: """
          An identifier that was not seen for this long is forgotten, a person with the last of \
          its identifiers. At least `device_ttl`.
          """),
      SettingDescription(
        "supernode",
        .structure([
          SettingDescription(
            "devices", .integer(1...1_000_000), default: "20",
            meaning: "Devices of one person, at most."),
          SettingDescription(
            "users", .integer(1...1_000_000), default: "5",
            meaning: "Users of one person, at most."),
        ]), default: "{}",
        meaning: """
          Beyond these it is not one person any more but a shared or forged identifier: it is \
          frozen (merges with nobody, takes no more devices and users) and raises an alert, once.
          """),
    ])

  private let events: EventInput
  private let output: Stream<Interaction>
  private let alerts: Stream<AlertRecord>
  private let timers: Timers
  private let key: KeyedHash
  private let deviceTTL: Int64
  private let ttl: Int64
  private let limits: SupernodeLimits
  private let graph: PersonGraph
  private let window = IdentityWindow()
  private let merges: Counter
  private let refusedMerges: Counter
  private let strangers: Counter

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    deviceTTL = settings.duration("device_ttl").milliseconds
    ttl = settings.duration("ttl").milliseconds
    guard ttl >= deviceTTL else {
      throw SettingProblem(setting: "ttl", message: "`ttl` is at least `device_ttl`")
    }
    events = setup.events()
    output = setup.output(Interaction.self)
    alerts = setup.output(AlertRecord.self)
    timers = setup.timers
    key = KeyedHash(secret: settings.secret("key").value)
    let supernode = settings.structure("supernode")
    limits = SupernodeLimits(
      devices: Int32(truncatingIfNeeded: supernode.integer("devices")),
      users: Int32(truncatingIfNeeded: supernode.integer("users")))
    graph = PersonGraph(in: setup.store)
    merges = setup.counter("merges")
    refusedMerges = setup.counter("refused_merges")
    strangers = setup.counter("strangers")
  }

  public func deallocate() {
    events.deallocate()
    graph.deallocate()
    window.deallocate()
  }

  @inline(__always)
  private func hash(_ identifier: Identifier, _ kind: IdentityMethod, account: UInt64) -> UInt64 {
    guard !identifier.isAbsent else { return 0 }
    let hash = key.hash(account, UInt64(kind.rawValue), identifier.hash)
    return hash == 0 ? 1 : hash
  }

  @inline(__always)
  private func keys(of event: UnsafePointer<Event>) -> IdentityKeys {
    let account = event.pointee.account.hash
    return IdentityKeys(
      clickID: hash(event.pointee.clickID, .clickID, account: account),
      user: hash(event.pointee.user, .user, account: account),
      device: hash(event.pointee.device, .device, account: account))
  }

  /// Finds what each event will need in steps, over all events of the window: hashes, then places
  /// in the index, then identifiers, then persons. Each is a miss in the caches, and those of one
  /// step are fetched side by side.
  public func prefetch(_ batch: EventBatch) {
    let sightings = window.begin(batch)
    var seen: UInt64 = 0
    for i in sightings.indices {
      let event = UnsafePointer(batch[i])
      sightings[i] = IdentityWindow.Sighting(
        event, isSomebodys(event) ? keys(of: event) : IdentityKeys())
    }
    for sighting in sightings {
      sighting.keys.visit { seen ^= UInt64(graph.touch($0)) }
    }
    for i in sightings.indices {
      let keys = sightings[i].keys
      if keys.clickID != 0 { sightings[i].clickID = graph.find(keys.clickID) }
      if keys.user != 0 { sightings[i].user = graph.find(keys.user) }
      if keys.device != 0 { sightings[i].device = graph.find(keys.device) }
    }
    for i in sightings.indices {
      let row = sightings[i].first
      let person = row >= 0 ? graph.link(row).person : -1
      // The person itself is looked at where it gets another identifier.
      if person >= 0, sightings[i].hasUnknown { seen ^= graph.person(person).pseudonym }
      window.expect(person, at: i)
    }
    // Stored, so that the loads are not optimised away.
    window.keep(seen)
    output.expect(window.expected)
  }

  public mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer else { return }
    switch event.pointee.type {
    case .impression, .click, .conversion, .dealStage: identify(event)
    case .erasure: erase(event)
    default: break
    }
  }

  @inline(__always)
  private func isSomebodys(_ event: UnsafePointer<Event>) -> Bool {
    switch event.pointee.type {
    case .impression, .click, .conversion, .dealStage: event.pointee.flags.contains(.consent)
    default: false
    }
  }

  private func identify(_ event: UnsafePointer<Event>) {
    guard isSomebodys(event) else { return passStranger(event) }
    let sighting = window.sighting(of: event) ?? IdentityWindow.Sighting(event, keys(of: event))
    let keys = sighting.keys
    guard keys.clickID | keys.user | keys.device != 0 else { return passStranger(event) }
    let clickID = keys.clickID != 0 ? graph.find(keys.clickID, at: sighting.clickID) : -1
    let user = keys.user != 0 ? graph.find(keys.user, at: sighting.user) : -1
    let device = keys.device != 0 ? findDevice(keys.device, at: sighting.device, event) : -1
    let anchor: Int32
    let method: IdentityMethod
    if clickID >= 0 {
      (anchor, method) = (clickID, .clickID)
    } else if user >= 0 {
      (anchor, method) = (user, .user)
    } else if device >= 0 {
      (anchor, method) = (device, .device)
    } else {
      method = keys.clickID != 0 ? .clickID : keys.user != 0 ? .user : .device
      anchor = addPerson(keys, method, event)
    }
    join(keys.clickID, .clickID, row: method == .clickID ? anchor : clickID, anchor, event)
    join(keys.user, .user, row: method == .user ? anchor : user, anchor, event)
    join(keys.device, .device, row: method == .device ? anchor : device, anchor, event)
    let link = graph.link(anchor)
    output.append(
      Interaction(
        .event, person: link.person, account: event.pointee.account.row,
        pseudonym: link.pseudonym, method: method, event: event))
  }

  /// Somebody whom nothing may be, or can be, remembered of.
  private func passStranger(_ event: UnsafePointer<Event>) {
    strangers.add()
    let pseudonym = key.hash(
      event.pointee.account.hash, UInt64(event.pointee.type.rawValue) << 8, event.pointee.id.hash)
    output.append(
      Interaction(
        .event, person: -1, account: event.pointee.account.row, pseudonym: pseudonym,
        event: event))
  }

  /// The row of a device that says whose it is. One that was not seen for too long is forgotten.
  @inline(__always)
  private func findDevice(_ hash: UInt64, at hint: Int32, _ event: UnsafePointer<Event>) -> Int32 {
    let row = graph.find(hash, at: hint)
    guard row >= 0, event.pointee.time.milliseconds &- graph.link(row).seen > deviceTTL else {
      return row
    }
    remove(row, event)
    return -1
  }

  private func addPerson(
    _ keys: IdentityKeys, _ method: IdentityMethod, _ event: UnsafePointer<Event>
  ) -> Int32 {
    // With the time, because an identifier may come back when its person is long forgotten.
    let time = event.pointee.time.milliseconds
    let pseudonym = key.hash(keys[method], UInt64(bitPattern: time), 0)
    let person = graph.addPerson(account: event.pointee.account.row, pseudonym: pseudonym)
    return attach(keys[method], method, to: person, via: -1, time)
  }

  private func attach(
    _ hash: UInt64, _ kind: IdentityMethod, to person: Int32, via: Int32, _ time: Int64
  ) -> Int32 {
    let row = graph.attach(hash, kind, to: person, via: via, at: time)
    timers.add(at: EventTime(milliseconds: time &+ ttl), key: graph.timerKey(row))
    return row
  }

  /// Takes one of an event's identifiers into the person of the one that decided.
  @inline(__always)
  private func join(
    _ hash: UInt64, _ kind: IdentityMethod, row: Int32, _ anchor: Int32,
    _ event: UnsafePointer<Event>
  ) {
    guard hash != 0 else { return }
    let time = event.pointee.time.milliseconds
    if row >= 0 {
      graph.see(row, at: time)
      if graph.link(row).person != graph.link(anchor).person { merge(anchor, row, event) }
    } else {
      let person = graph.link(anchor).person
      // A click id is one click's and expires; it names nobody else.
      guard kind == .clickID || !graph.person(person).isFrozen else { return }
      _ = attach(hash, kind, to: person, via: anchor, time)
      checkSize(person)
    }
  }

  private func merge(_ a: Int32, _ b: Int32, _ event: UnsafePointer<Event>) {
    guard !graph.person(graph.link(a).person).isFrozen,
      !graph.person(graph.link(b).person).isFrozen
    else { return refusedMerges.add() }
    let (kept, absorbed) = graph.merge(a, b, at: event.pointee.time.milliseconds)
    merges.add()
    output.append(
      Interaction(
        .merge, person: kept, other: absorbed, account: event.pointee.account.row,
        pseudonym: graph.person(kept).pseudonym, event: event))
    checkSize(kept)
  }

  @inline(__always)
  private func checkSize(_ row: Int32) {
    let person = graph.person(row)
    guard limits.areExceeded(devices: person.devices, users: person.users), !person.isFrozen
    else { return }
    graph.freeze(row)
    let devices = person.devices > limits.devices
    alerts.append(
      AlertRecord(
        account: person.account, kind: .identitySupernode, severity: .warning,
        subject: .supernode, observed: Double(devices ? person.devices : person.users),
        expected: Double(devices ? limits.devices : limits.users)))
  }

  /// Forgets an identifier, and its person with the last of them.
  private func remove(_ row: Int32, _ event: UnsafePointer<Event>?) {
    let person = graph.link(row).person
    if graph.detach(row) { forget(person, event) }
  }

  private func forget(_ row: Int32, _ event: UnsafePointer<Event>?) {
    let person = graph.person(row)
    graph.free(row)
    output.append(
      Interaction(
        .forget, person: row, account: person.account, pseudonym: person.pseudonym, event: event))
  }

  private func erase(_ event: UnsafePointer<Event>) {
    let keys = keys(of: event)
    erase(keys.user, event)
    erase(keys.device, event)
  }

  private func erase(_ hash: UInt64, _ event: UnsafePointer<Event>) {
    guard hash != 0 else { return }
    let row = graph.find(hash)
    if row >= 0 { forget(graph.link(row).person, event) }
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due {
      guard let row = graph.row(ofTimer: timer.key) else { continue }
      let end = EventTime(milliseconds: graph.link(row).seen &+ ttl)
      if end > entry.clock {
        timers.add(at: end, key: timer.key)
      } else {
        remove(row, nil)
      }
    }
  }

  public func digest(into digest: inout StateDigest) { graph.digest(into: &digest) }
}
