// swift-tools-version: 6.1
import PackageDescription

// Coverage-guided fuzzing with libFuzzer, which comes with the toolchain. A package of its own:
// its executables have no `main` (libFuzzer brings one) and would not link in an ordinary build.
// `make fuzz TARGET=decoder SECONDS=60` builds and runs one of them.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

func target(_ name: String) -> Target {
  .executableTarget(
    name: name, dependencies: ["FuzzKit", .product(name: "BidmillCore", package: "bidmill")],
    swiftSettings: strict)
}

let package = Package(
  name: "Fuzz",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "decoder", targets: ["Decoder"]),
    .executable(name: "topology", targets: ["TopologyText"]),
    .executable(name: "snapshot", targets: ["Snapshot"]),
    .executable(name: "log", targets: ["Log"]),
    .executable(name: "lines", targets: ["Lines"]),
  ],
  dependencies: [.package(name: "bidmill", path: "../..")],
  targets: [
    .target(name: "FuzzKit", swiftSettings: strict),
    target("Decoder"), target("TopologyText"), target("Snapshot"), target("Log"), target("Lines"),
  ]
)
