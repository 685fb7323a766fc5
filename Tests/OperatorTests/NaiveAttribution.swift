import Foundation

/// Identity, journeys and attribution over arrays and dictionaries, with nothing in mind but being
/// obviously right. Knows the settings of `Attributing.topology()`.
struct NaiveAttribution {
  struct Credit: Equatable {
    var model: String
    var touch: String?
    var credit: Int64
    var value: Int64
  }

  struct Visit: Equatable {
    var id: String
    var person: Int
    var method: String
    var state: String
    var session: Int
    var sinceTouch: Int64?
    /// Of the campaign in a day and a week, of the ad in a day and a week.
    var views: [Int]
    /// Ids of the touches that it carries.
    var touches: [String]
  }

  struct Identifier: Hashable {
    var account: String
    var kind: String
    var text: String
  }

  struct Person {
    var identifiers: Set<Identifier> = []
    var isFrozen = false
    var touches: [TestEvent] = []
    var last: Int64?
    var state = 0
    var session = 0
    var interest = 0
  }

  static let states = ["unaware", "lapsed", "aware", "interested", "considering", "converted"]

  var seen: [Identifier: Int64] = [:]
  var personOf: [Identifier: Int] = [:]
  var persons: [Int: Person] = [:]
  var next = 0
  var clock: Int64 = 0
  var watermark: Int64 { clock - 5_000 }

  var visits: [Visit] = []
  var credits: [(conversion: String, credits: [Credit])] = []
  var alerts = 0

  mutating func process(_ event: TestEvent) {
    clock = max(clock, event.time / 1_000 * 1_000)
    for identifier in seen.keys.sorted(by: { $0.text < $1.text })
    where seen[identifier]! + 600_000 <= clock { remove(identifier) }
    if event.type == "erasure" {
      for identifier in identifiers(event) {
        if let person = personOf[identifier] { forget(person) }
      }
      return
    }
    let (person, method) = identify(event)
    visit(event, person, method)
  }

  // MARK: Identity

  func identifiers(_ event: TestEvent) -> [Identifier] {
    [
      ("click_id", event.type == "erasure" ? nil : event.clickID), ("user", event.user),
      ("device", event.device),
    ]
    .compactMap { kind, text in
      text.map { Identifier(account: event.account, kind: kind, text: $0) }
    }
  }

  mutating func remove(_ identifier: Identifier) {
    let person = personOf.removeValue(forKey: identifier)!
    seen[identifier] = nil
    persons[person]!.identifiers.remove(identifier)
    if persons[person]!.identifiers.isEmpty { persons[person] = nil }
  }

  mutating func forget(_ person: Int) {
    for identifier in persons[person]!.identifiers {
      personOf[identifier] = nil
      seen[identifier] = nil
    }
    persons[person] = nil
  }

  mutating func identify(_ event: TestEvent) -> (person: Int?, method: String) {
    let all = identifiers(event)
    guard event.consent, !all.isEmpty else { return (nil, "") }
    for identifier in all where identifier.kind == "device" {
      if let time = seen[identifier], event.time - time > 300_000 { remove(identifier) }
    }
    let anchor = all.first { personOf[$0] != nil } ?? all[0]
    if personOf[anchor] == nil {
      persons[next] = Person()
      add(anchor, to: next, event.time)
      next += 1
    }
    for identifier in all {
      let person = personOf[anchor]!
      guard let other = personOf[identifier] else {
        if identifier.kind == "click_id" || !persons[person]!.isFrozen {
          add(identifier, to: person, event.time)
          check(person)
        }
        continue
      }
      seen[identifier] = max(seen[identifier]!, event.time)
      if other != person, !persons[person]!.isFrozen, !persons[other]!.isFrozen {
        merge(person, other, at: event.time)
      }
    }
    return (personOf[anchor]!, anchor.kind)
  }

  mutating func add(_ identifier: Identifier, to person: Int, _ time: Int64) {
    personOf[identifier] = person
    seen[identifier] = time
    persons[person]!.identifiers.insert(identifier)
  }

  mutating func check(_ person: Int) {
    func count(_ kind: String) -> Int {
      persons[person]!.identifiers.count { $0.kind == kind }
    }
    if !persons[person]!.isFrozen, count("device") > 3 || count("user") > 2 {
      persons[person]!.isFrozen = true
      alerts += 1
    }
  }

  mutating func merge(_ a: Int, _ b: Int, at time: Int64) {
    let keepsFirst = persons[a]!.identifiers.count >= persons[b]!.identifiers.count
    let (kept, other) = keepsFirst ? (a, b) : (b, a)
    for person in [kept, other] { age(person, time) }
    let absorbed = persons.removeValue(forKey: other)!
    for identifier in absorbed.identifiers { personOf[identifier] = kept }
    var person = persons[kept]!
    person.identifiers.formUnion(absorbed.identifiers)
    if absorbed.state > person.state { person.interest = absorbed.interest }
    person.state = max(person.state, absorbed.state)
    person.session = max(person.session, absorbed.session)
    if let last = absorbed.last { person.last = max(person.last ?? last, last) }
    person.touches = stable(person.touches + absorbed.touches)
    while person.touches.count > 6 { evict(&person) }
    persons[kept] = person
    check(kept)
  }

  // MARK: Journeys

  /// What time alone does to a journey.
  mutating func age(_ person: Int, _ time: Int64) {
    let oldest = watermark - 240_000
    persons[person]!.touches.removeAll { $0.time < oldest }
    if let last = persons[person]!.last, time - last > 120_000 { persons[person]!.state = 1 }
  }

  func stable(_ touches: [TestEvent]) -> [TestEvent] {
    touches.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
      .map(\.element)
  }

  func evict(_ person: inout Person) {
    person.touches.remove(at: person.touches.firstIndex { $0.type == "impression" } ?? 0)
  }

  mutating func visit(_ event: TestEvent, _ number: Int?, _ method: String) {
    guard let number else {
      visits.append(
        Visit(
          id: event.id, person: -1, method: "", state: "unaware", session: 0, sinceTouch: nil,
          views: [0, 0, 0, 0], touches: []))
      if event.type == "conversion" { credit(event, []) }
      return
    }
    age(number, event.time)
    var person = persons[number]!
    if person.last == nil || event.time - person.last! >= 30_000 { person.session += 1 }
    let isTouch = event.type == "impression" || event.type == "click"
    let views = person.touches.filter {
      isTouch && $0.type == "impression" && $0.viewable && $0.campaign == event.campaign
        && $0.time < event.time
    }.count
    let adViews = person.touches.filter {
      isTouch && $0.type == "impression" && $0.viewable && $0.campaign == event.campaign
        && $0.ad == event.ad && $0.time < event.time
    }.count
    let before = person.touches.filter { $0.time < event.time }
    visits.append(
      Visit(
        id: event.id, person: number, method: method, state: Self.states[person.state],
        session: person.session,
        sinceTouch: person.touches.last { $0.time <= event.time }.map { event.time - $0.time },
        views: [views, views, adViews, adViews], touches: isTouch ? [] : before.map(\.id)))
    switch event.type {
    case "impression":
      if event.viewable { person.state = max(person.state, 2) }
    case "click":
      let returns = person.state >= 3 && person.session > person.interest
      if person.state < 3 { person.interest = person.session }
      person.state = max(person.state, returns ? 4 : 3)
    case "deal_stage": person.state = max(person.state, 4)
    default:
      person.state = 5
      credit(event, before)
    }
    person.last = max(person.last ?? event.time, event.time)
    if isTouch, event.time >= watermark - 240_000 {
      person.touches = stable(person.touches + [event])
      if person.touches.count > 6 { evict(&person) }
    }
    persons[number] = person
  }

  // MARK: Attribution

  mutating func credit(_ conversion: TestEvent, _ touches: [TestEvent]) {
    let clicks = touches.filter {
      $0.type == "click" && conversion.time - $0.time <= 180_000
    }
    let views = touches.filter {
      $0.type == "impression" && $0.viewable && conversion.time - $0.time <= 60_000
    }
    let eligible = clicks.isEmpty ? views : clicks
    guard !eligible.isEmpty else {
      credits.append(
        (conversion.id, [Credit(model: "linear", touch: nil, credit: 0, value: 0)]))
      return
    }
    var result: [Credit] = []
    for model in Attributing.models {
      let weights = Self.weights(model, eligible.map { conversion.time - $0.time })
      let credit = Self.divide(1_000_000, weights)
      let value = Self.divide(conversion.value, weights)
      for (i, touch) in eligible.enumerated() where credit[i] != 0 || value[i] != 0 {
        result.append(Credit(model: model, touch: touch.id, credit: credit[i], value: value[i]))
      }
    }
    credits.append((conversion.id, result))
  }

  static func weights(_ model: String, _ ages: [Int64]) -> [Double] {
    let count = ages.count
    switch model {
    case "last_touch": return ages.indices.map { $0 == count - 1 ? 1 : 0 }
    case "first_touch": return ages.indices.map { $0 == 0 ? 1 : 0 }
    case "linear": return ages.map { _ in 1 }
    case "time_decay": return ages.map { pow(2, -Double($0) / 60_000) }
    default:
      if count == 1 { return [1] }
      if count == 2 { return [1, 1] }
      // 40/20/40 in whole numbers, so that ties are ties.
      return ages.indices.map { $0 == 0 || $0 == count - 1 ? Double(2 * (count - 2)) : 1 }
    }
  }

  static func divide(_ total: Int64, _ weights: [Double]) -> [Int64] {
    let sum = weights.reduce(0, +)
    let isWhole = weights.allSatisfy { $0 == $0.rounded() }
    var parts: [Int64] = []
    var rests: [Double] = []
    for weight in weights {
      if isWhole {
        let (part, rest) = (total * Int64(weight)).quotientAndRemainder(dividingBy: Int64(sum))
        parts.append(part)
        rests.append(Double(rest))
      } else {
        let share = Double(total) * weight / sum
        parts.append(Int64(share))
        rests.append(share - share.rounded(.down))
      }
    }
    let order = weights.indices.sorted { (rests[$1], $0) < (rests[$0], $1) }
    for i in order.prefix(Int(total - parts.reduce(0, +))) { parts[i] += 1 }
    return parts
  }
}
