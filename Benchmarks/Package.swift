// swift-tools-version: 6.1
import PackageDescription

// A package of its own, so that nobody who uses bidmill fetches what only measuring needs.
//
// `Suite` is for comparing one change with another (`make bench`); `Tools/Measure` prints what the
// whole does beside what the machine does (`make measure`) and counts instructions and
// allocations per event against the committed baseline (part of `make bench`).

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let bidmill: Target.Dependency = .product(name: "BidmillCore", package: "bidmill")

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "bidmill", path: ".."),
    // Without its traits, which count allocations and retains by interposing C: allocations are
    // counted by the system's own tool instead (Tools/Measure/Counting.swift).
    .package(url: "https://github.com/ordo-one/package-benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .target(name: "Support", dependencies: [bidmill], path: "Support", swiftSettings: strict),
    .executableTarget(
      name: "measure", dependencies: [bidmill, "Support"], path: "Tools/Measure",
      swiftSettings: strict),
    .executableTarget(
      name: "Suite",
      dependencies: [
        bidmill, "Support", .product(name: "Benchmark", package: "package-benchmark"),
      ],
      path: "Suite", swiftSettings: strict,
      plugins: [.plugin(name: "BenchmarkPlugin", package: "package-benchmark")]),
  ]
)
