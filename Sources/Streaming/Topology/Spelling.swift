// How messages write names: quoted, listed, and with a guess at what was meant.

func quoted(_ text: String) -> String { "`\(text)`" }

/// `a`, `b` or `c`
func alternatives(_ names: [String], _ conjunction: String = "or") -> String {
  let names = names.map(quoted)
  guard let last = names.last, names.count > 1 else { return names.first ?? "nothing" }
  return names.dropLast().joined(separator: ", ") + " \(conjunction) " + last
}

/// `; did you mean …?` where a known name is close, else the known names.
func suggestion(for name: String, among known: [String], expecting what: String) -> String {
  if let near = nearest(to: name, among: known) { return "; did you mean \(quoted(near))?" }
  if known.isEmpty { return "; expected \(what)" }
  return "; expected \(known.count > 20 ? what : alternatives(known))"
}

/// The closest known name, where it is close enough to be a slip; the first one of equals.
func nearest(to name: String, among known: [String]) -> String? {
  let typed = Array(name.lowercased().unicodeScalars.prefix(64))
  var best: (name: String, distance: Int)?
  for candidate in known {
    let scalars = Array(candidate.unicodeScalars)
    let distance = editDistance(typed, scalars)
    let limit = max(1, min(typed.count, scalars.count) / 3)
    if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  return best?.name ?? abbreviated(name, among: known)
}

/// The only known name that begins with this, or that this begins with.
private func abbreviated(_ name: String, among known: [String]) -> String? {
  let found = known.filter { min(name.utf8.count, $0.utf8.count) >= 3 }
    .filter { $0.hasPrefix(name) || name.hasPrefix($0) }
  return found.count == 1 ? found[0] : nil
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
  var before: [Int] = []
  var previous = Array(0...b.count)
  for i in 1...a.count {
    var row = [i]
    for j in 1...b.count {
      var best = min(
        previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
        best = min(best, before[j - 2] + 1)
      }
      row.append(best)
    }
    (before, previous) = (previous, row)
  }
  return previous[b.count]
}
