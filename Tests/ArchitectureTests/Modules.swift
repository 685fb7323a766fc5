// The modules and what each may import: the architecture's table, as data.
//
// Arrows point down. A module may import what it names here, and what those modules may import
// of our own; C libraries, packages and system modules are only for those that name them.

/// One of our targets and what it may see.
struct Module {
  var name: String
  /// Our own modules directly below it.
  var uses: [String]
  /// C libraries, packages and system modules.
  var outside: Set<String> = []
}

/// The C library under its platforms' names, and what Swift itself brings that is not pure.
private let platform: Set<String> = ["Glibc", "Musl", "Darwin", "Synchronization"]
private let foundation: Set<String> = ["Foundation", "FoundationEssentials"]
private let collections: Set<String> = [
  "Collections", "DequeModule", "HeapModule", "OrderedCollections", "BasicContainers",
]
private let observability: Set<String> = ["Logging", "Metrics", "CoreMetrics"]

let modules: [Module] = [
  Module(name: "CKafka", uses: []),
  Module(name: "CZstd", uses: []),
  Module(name: "Events", uses: []),
  Module(name: "Learning", uses: []),
  Module(name: "Bidding", uses: ["Events", "Learning"]),
  Module(
    name: "Streaming", uses: ["Events"],
    outside: platform.union(collections).union(["Yams", "Dispatch"])),
  Module(name: "Operators", uses: ["Bidding", "Learning", "Streaming"], outside: collections),
  Module(
    name: "KafkaLog", uses: ["Streaming"], outside: platform.union(["CKafka", "Dispatch"])),
  Module(name: "LocalLog", uses: ["Streaming"], outside: platform.union(["CZstd", "Dispatch"])),
  Module(name: "Simulation", uses: ["Events", "Learning"]),
  Module(
    name: "Backtesting", uses: ["Streaming", "Operators"],
    outside: platform.union(foundation).union(collections)),
  Module(
    name: "Service", uses: ["Streaming"],
    outside: platform.union(foundation).union(collections).union(observability).union([
      "Dispatch", "Histogram", "HTTPTypes", "HummingbirdCore", "NIOCore", "NIOPosix",
      "ServiceLifecycle",
    ])),
  Module(name: "TestKit", uses: ["Streaming"], outside: platform),
  Module(name: "TestClient", uses: [], outside: platform.union(foundation)),
  Module(
    name: "bidmill",
    uses: [
      "Backtesting", "KafkaLog", "LocalLog", "Operators", "Service", "Simulation", "TestKit",
    ],
    outside: platform.union(foundation).union(collections).union(observability).union([
      "ArgumentParser", "Dispatch", "Histogram", "ServiceLifecycle",
    ])),
]

/// Everything that a module may import. Our own C targets are outside: each is for one module.
func allowedImports(of name: String, in modules: [Module]) -> Set<String> {
  guard let module = modules.first(where: { $0.name == name }) else { return [] }
  var allowed = module.outside
  var open = module.uses
  while let next = open.popLast() {
    guard allowed.insert(next).inserted else { continue }
    open += modules.first(where: { $0.name == next })?.uses ?? []
  }
  return allowed
}

/// Names at the top level of the repository.
let topLevelEntries: Set<String> = [
  "Package.swift", "Sources", "Topologies", "Tests", "Benchmarks", "README.md",
  // What tools demand.
  ".ci", ".dockerignore", ".editorconfig", ".gitignore", ".spi.yml", ".swift-format",
  "CHANGELOG.md", "Dockerfile", "LICENSE", "Makefile", "compose.yaml",
]

/// Lines that a file of `Sources` may have. Long before this, a file is about two things.
let linesPerFileMax = 800
