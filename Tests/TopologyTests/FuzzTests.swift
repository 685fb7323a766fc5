import Foundation
import Streaming
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Files that were right until somebody touched them: the outcome is a value or problems with
/// places, never anything else.
@Suite struct FuzzTests {
  static let snippets = [
    "&a ", "*a", "!!str ", "- ", "? ", ": ", ", ", "[", "]", "{", "}", "\"", "'", "#", "\t", "\n",
    "\r", "---\n", "...\n", "|\n", ">\n", "%", "${", "}", "${A}", "$${", "\\", "\0", "\u{85}", "…",
    "😀", "1e999", "-1", "99999999999999999999d", "<<: ", "\u{FEFF}", "  ", "\u{E000}", "~",
  ]

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func mutationsAreReadOrRefused(seed: UInt64) throws {
    print("seed \(seed)")
    var random = SplitMix64(state: seed)
    let tally = try String(
      contentsOfFile: LoadTests.root + "/Topologies/tally.yaml", encoding: .utf8)
    let files = [baseFile, liveFile, tally].map { Array($0.utf8) }
    var accepted = 0
    for _ in 0..<1000 {
      var bytes = files.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
      let text = String(decoding: bytes, as: UTF8.self)
      do throws(TopologyError) {
        let checked = try parse(text, environment: ["A": "[x, y]"])
        accepted += 1
        #expect(!checked.describe().isEmpty)
        #expect(checked.operators.count == checked.topology.operators.count)
      } catch {
        #expect(!error.problems.isEmpty)
        for problem in error.problems {
          let lines = text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
          #expect(problem.file == "t.yaml")
          #expect((1...lines).contains(problem.line), "\(problem) in:\n\(text)")
          #expect(problem.column >= 1)
          #expect(!problem.message.isEmpty)
        }
        expectNoSlip(error, text)
      }
    }
    #expect(accepted > 0, "no mutation was accepted; the mutations are too wild to say much")
  }

  /// The check before the parser and the parser agree on where an anchor may stand.
  private func expectNoSlip(_ error: TopologyError, _ text: String) {
    #expect(!error.description.contains("unexpected place"), "in:\n\(text)")
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    guard !bytes.isEmpty else { return }
    let place = Int.random(in: 0..<bytes.count, using: &random)
    switch Int.random(in: 0..<7, using: &random) {
    case 0: bytes.remove(at: place)
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2, 3:
      let snippet = Self.snippets.randomElement(using: &random) ?? ""
      bytes.insert(contentsOf: snippet.utf8, at: place)
    case 4:
      let end = min(bytes.count, place + Int.random(in: 1...12, using: &random))
      bytes.removeSubrange(place..<end)
    default: mutateLines(&bytes, &random)
    }
  }

  private func mutateLines(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let (a, b) = (
      Int.random(in: 0..<lines.count, using: &random),
      Int.random(in: 0..<lines.count, using: &random)
    )
    switch Int.random(in: 0..<3, using: &random) {
    case 0: lines.remove(at: a)
    case 1: lines.insert(lines[b], at: a)
    default: lines.swapAt(a, b)
    }
    bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
  }

  @Test(arguments: [11, 12] as [UInt64])
  func overridesAreReadOrRefused(seed: UInt64) {
    print("seed \(seed)")
    var random = SplitMix64(state: seed)
    let good = [
      "seed=7", "operators.totals.from=[unique, events]", "snapshots={directory: s, keep: 9}",
      "operators.unique.\"within\".click=1h", "sources.events.log.topics=[\"a\", 'b']",
    ]
    for _ in 0..<1000 {
      var bytes = Array((good.randomElement(using: &random) ?? "").utf8)
      for _ in 0..<Int.random(in: 1...3, using: &random) { mutate(&bytes, &random) }
      let override = String(decoding: bytes, as: UTF8.self)
      for problem in problems(baseFile, environment: ["A": "x"], overrides: [override]) {
        #expect(problem.contains(": error: "))
      }
    }
  }

  @Test(arguments: [21] as [UInt64])
  func wordsOfTheFormatInAnyOrder(seed: UInt64) {
    print("seed \(seed)")
    var random = SplitMix64(state: seed)
    let words =
      Self.snippets + [
        "topology: t\n", "sources:\n", "operators:\n", "sinks:\n", "  a:\n", "    from: a\n",
        "    operator: tally\n", "    log: { directory: d }\n", "a: b", "\n  ", "\n    ", "key",
      ]
    for _ in 0..<2000 {
      let count = Int.random(in: 1...40, using: &random)
      let text = (0..<count).map { _ in words.randomElement(using: &random) ?? "" }.joined()
      do throws(TopologyError) {
        _ = try parse(text, environment: ["A": "x"])
      } catch {
        #expect(error.problems.allSatisfy { $0.line >= 1 && $0.column >= 1 })
        #expect(!error.problems.isEmpty)
        expectNoSlip(error, text)
      }
    }
  }
}
