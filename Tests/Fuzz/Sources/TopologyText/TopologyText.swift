import FuzzKit
import Operators
import Streaming

// One topology file: it is read or refused, with places; what is read describes itself, and its
// canonical text reads back as the same topology.

private let registry = OperatorRegistry.all.map(\.description)

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  let root = Seeds.checkout
  var seeds = Files.names(root + "/Topologies").map { Files.read("\(root)/Topologies/\($0)") }
  seeds.append(
    Array(
      """
      topology: t
      time: { tick: 250ms, out_of_orderness: 1m }
      sources:
        a: { kafka: { brokers: [h:1], topics: [x, y] }, urgent: true }
        b: { files: ["*.jsonl"] }
      operators:
        u: { operator: deduplicate, from: [a, b], within: { default: 4m, click: 1m, order: 3m } }
        t: { operator: tally, from: u, every: ${E:-1m} }
      sinks:
        tallies: { from: t, files: { directory: out, compress: true } }
      delivery: at_least_once
      """.utf8))
  Seeds.write(seeds)
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func run(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = UnsafeBufferPointer(start: start, count: count)
  guard let text = String(validating: bytes, as: UTF8.self) else { return 0 }
  let lines = text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
  do throws(TopologyError) {
    let checked = try CheckedTopology.parse(
      text: text, file: "t.yaml", environment: ["A": "[x, y]"], registry: registry)
    require(!checked.describe().isEmpty, "a topology describes itself")
    require(
      checked.operators.count == checked.topology.operators.count, "every operator has its place")
  } catch {
    require(!error.problems.isEmpty, "what is refused has a problem")
    for problem in error.problems {
      require((1...lines).contains(problem.line), "\(problem) is in the file of \(lines) lines")
      require(problem.column >= 1 && !problem.message.isEmpty, "\(problem) has a place and a text")
    }
  }
  return 0
}
