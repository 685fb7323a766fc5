import Events

/// What `learner` should do, over dictionaries and with features by name: FTRL and the log-normal
/// value model, slow and plain.
struct NaiveLearner {
  struct Weight {
    var z = [0.0, 0.0]
    var n = [0.0, 0.0]
  }

  struct Said: Equatable {
    var click: Double
    var conversion: Double
    var value: Double
  }

  struct Impression {
    var id: String
    var features: [String: Double]
    var time: Int64
    var said: Said
    var clickTime: Int64?
    var click: String?
    var credit: Int64 = 0
  }

  struct Known: Equatable {
    var id: String
    var isClicked: Bool
    var credit: Int64?
  }

  private final class Slot {
    let due: Int64
    /// The clock entry at which it is seen to: not the one at which it began.
    let fires: Int64
    let number: Int
    let isConversion: Bool
    let start: Int64
    var ids: [String] = []

    init(due: Int64, number: Int, isConversion: Bool, start: Int64, clock: Int64) {
      self.due = due
      fires = max(due, clock + 1_000)
      self.number = number
      self.isConversion = isConversion
      self.start = start
    }
  }

  var waiting: [String: Impression] = [:]
  private var byClick: [String: String] = [:]
  private var slots: [Slot] = []
  private var open: [Slot?] = [nil, nil]
  private var slotCount = 0
  private var clock: Int64 = 0
  private var weights: [String: Weight] = [:]
  private var valueMeans: [String: Double] = [:]
  private var valuePrecisions: [String: Double] = [:]
  private var valueWeight = 0.0
  private var squaredErrors = 0.0
  private(set) var credits = 0

  let alpha = 0.2
  let l1 = 0.01
  let clickWindow = 5 * 60_000 as Int64
  let conversionWindow = 40 * 60_000 as Int64
  let slack = 5_000 as Int64

  // MARK: Models

  private func weight(_ name: String, _ head: Int) -> Double {
    guard let weight = weights[name] else { return 0 }
    let z = weight.z[head]
    guard z.magnitude > l1 else { return 0 }
    return -(z - (z > 0 ? l1 : -l1)) / ((1 + weight.n[head].squareRoot()) / alpha)
  }

  private func rate(_ features: [String: Double], _ head: Int) -> Double {
    // ln(0.005 / 0.995) and ln(0.02 / 0.98).
    var logit = head == 0 ? -5.293304824724492 : -3.8918202981106265
    for name in features.keys.sorted() { logit += weight(name, head) * (features[name] ?? 0) }
    return 1 / (1 + Self.exp(-min(max(logit, -35), 35)))
  }

  private mutating func descend(_ features: [String: Double], _ head: Int, _ derivative: Double) {
    for (name, value) in features {
      let used = weight(name, head)
      var state = weights[name] ?? Weight()
      let gradient = derivative * value
      let n = state.n[head] + gradient * gradient
      state.z[head] += gradient - (n.squareRoot() - state.n[head].squareRoot()) / alpha * used
      state.n[head] = n
      weights[name] = state
    }
  }

  private func worth(_ features: [String: Double]) -> Double {
    guard valueWeight > 0 else { return 0 }
    var logarithm = valueMeans[""] ?? 0
    for (name, value) in features { logarithm += (valueMeans[name] ?? 0) * value }
    return Self.exp(logarithm + (squaredErrors + 2) / (valueWeight + 2) / 2)
  }

  private mutating func learnWorth(_ features: [String: Double], _ amount: Double, _ part: Double) {
    var features = features
    features[""] = 1
    var mean = 0.0
    var variance = 0.0
    for (name, value) in features {
      let least = name.isEmpty ? 1e-6 : 5.0
      let precision = max(0.999 * (valuePrecisions[name] ?? least), least)
      valuePrecisions[name] = precision
      mean += (valueMeans[name] ?? 0) * value
      variance += value * value / precision
    }
    let error = Self.log(amount) - mean
    if valueWeight > 0 {
      squaredErrors = 0.999 * squaredErrors + part * error * error / (1 + variance)
    }
    valueWeight = 0.999 * valueWeight + part
    for (name, value) in features {
      let precision = valuePrecisions[name] ?? 0
      valueMeans[name, default: 0] += part * error / (1 + part * variance) * value / precision
      valuePrecisions[name] = precision + part * value * value
    }
  }

  /// By halving and the series.
  static func exp(_ x: Double) -> Double {
    if x.magnitude > 0.5 {
      let half = exp(x / 2)
      return half * half
    }
    var (sum, term) = (1.0, 1.0)
    for k in 1...25 {
      term *= x / Double(k)
      sum += term
    }
    return sum
  }

  /// By Newton's method.
  static func log(_ x: Double) -> Double {
    var y = Double(x.exponent) * 0.6931471805599453
    for _ in 0..<20 { y += x / exp(y) - 1 }
    return y
  }

  // MARK: Events

  mutating func show(_ id: String, _ features: [String: Double], at time: Int64) -> Said {
    let said = Said(
      click: rate(features, 0), conversion: rate(features, 1), value: worth(features))
    waiting[id] = Impression(id: id, features: features, time: time, said: said)
    wait(id, from: time, isConversion: false)
    return said
  }

  private mutating func wait(_ id: String, from time: Int64, isConversion: Bool) {
    let length: Int64 = isConversion ? 3_600_000 : 1_000
    let start = time / length * length
    let kind = isConversion ? 1 : 0
    if let slot = open[kind], slot.start == start { return slot.ids.append(id) }
    slotCount += 1
    let slot = Slot(
      due: start + length + (isConversion ? conversionWindow : clickWindow) + slack,
      number: slotCount, isConversion: isConversion, start: start, clock: clock)
    slot.ids = [id]
    slots.append(slot)
    open[kind] = slot
  }

  mutating func click(_ id: String, of impression: String?, at time: Int64) {
    guard let impression, var found = waiting[impression], found.clickTime == nil,
      time >= found.time - slack, time < found.time + clickWindow
    else { return }
    found.clickTime = max(time, found.time)
    found.click = id
    waiting[impression] = found
    byClick[id] = impression
  }

  mutating func credit(_ click: String, millionths: Int64, value: Int64) {
    guard millionths > 0, let id = byClick[click], var found = waiting[id] else { return }
    credits += 1
    found.credit += millionths
    waiting[id] = found
    let part = Double(millionths) / 1e6
    if value > 0 { learnWorth(found.features, Double(value) / 1e6 / part, part) }
  }

  /// What becomes known up to a clock entry, in order.
  mutating func advance(to clock: Int64) -> [Known] {
    defer { self.clock = clock }
    var known: [Known] = []
    while let slot = slots.filter({ $0.fires <= clock }).min(by: {
      ($0.fires, $0.due, $0.number) < ($1.fires, $1.due, $1.number)
    }) {
      self.clock = slot.fires
      slots.removeAll { $0 === slot }
      for kind in 0..<2 where open[kind] === slot { open[kind] = nil }
      for id in slot.ids { known.append(mature(id, isConversion: slot.isConversion)) }
    }
    return known
  }

  private mutating func mature(_ id: String, isConversion: Bool) -> Known {
    guard let impression = waiting[id] else { return Known(id: id, isClicked: false) }
    let features = impression.features
    let (p, q) = (rate(features, 0), rate(features, 1))
    let k = Double(min(impression.credit, 1_000_000)) / 1e6
    if !isConversion {
      descend(features, 0, p - (impression.clickTime == nil ? 0 : 1))
      if impression.clickTime != nil {
        wait(id, from: impression.clickTime ?? 0, isConversion: true)
        return Known(id: id, isClicked: true)
      }
    }
    if isConversion { descend(features, 1, q - k) }
    waiting[id] = nil
    if let click = impression.click { byClick[click] = nil }
    return Known(
      id: id, isClicked: impression.clickTime != nil, credit: min(impression.credit, 1_000_000))
  }
}
