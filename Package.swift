// swift-tools-version: 6.1
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "bidmill",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "bidmill", targets: ["bidmill"]),
    .library(
      name: "BidmillCore",
      targets: [
        "Events", "Learning", "Bidding", "Streaming", "LocalLog", "Operators", "Simulation",
        "TestKit",
      ]),
    .library(name: "BidmillScoring", targets: ["Scoring"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0", traits: []),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CZstd",
      pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "CKafka",
      pkgConfig: "rdkafka",
      providers: [.apt(["librdkafka-dev"]), .brew(["librdkafka"])]),
    .target(name: "Events", swiftSettings: strict),
    .target(name: "Learning", swiftSettings: strict),
    .target(
      name: "Streaming",
      dependencies: ["Events", .product(name: "Yams", package: "Yams")],
      swiftSettings: strict),
    .target(
      name: "LocalLog", dependencies: ["Streaming", "Events", "CZstd"], swiftSettings: strict),
    .target(
      name: "KafkaLog", dependencies: ["Streaming", "Events", "CKafka"], swiftSettings: strict),
    .target(name: "Bidding", dependencies: ["Events", "Learning"], swiftSettings: strict),
    .target(
      name: "Operators", dependencies: ["Bidding", "Learning", "Streaming", "Events"],
      swiftSettings: strict),
    .target(
      name: "Simulation", dependencies: ["Events", "Learning"], swiftSettings: strict),
    .target(
      name: "Service",
      dependencies: [
        "Streaming", "Events",
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(name: "Scoring", dependencies: ["Events", "Learning"], swiftSettings: strict),
    .executableTarget(
      name: "ScoringExample", dependencies: ["Scoring"], swiftSettings: strict),
    .target(name: "TestKit", dependencies: ["Streaming", "Events"], swiftSettings: strict),
    .executableTarget(
      name: "bidmill",
      dependencies: [
        "Events", "Learning", "Bidding", "Streaming", "LocalLog", "KafkaLog", "Operators",
        "Simulation", "Service",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      swiftSettings: strict),
    // What tests of several targets need; no test stands in it.
    .target(name: "TestClient", path: "Tests/TestClient", swiftSettings: strict),
    .testTarget(name: "ArchitectureTests", swiftSettings: strict),
    .testTarget(
      name: "EventsTests", dependencies: ["Events"], exclude: ["Corpus"], swiftSettings: strict),
    .testTarget(name: "LearningTests", dependencies: ["Learning"], swiftSettings: strict),
    .testTarget(
      name: "BiddingTests", dependencies: ["Bidding", "Learning", "Events"], swiftSettings: strict),
    .testTarget(
      name: "OperatorTests",
      dependencies: [
        "Operators", "Bidding", "Learning", "Streaming", "Simulation", "TestKit", "Events",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ScoringTests",
      dependencies: ["Scoring", "Operators", "Streaming", "Simulation", "TestKit", "Events"],
      swiftSettings: strict),
    .testTarget(
      name: "LiveTests",
      dependencies: ["Operators", "Streaming", "Simulation", "TestKit", "Events"],
      swiftSettings: strict),
    .testTarget(
      name: "StreamingTests", dependencies: ["Streaming", "Operators", "TestKit", "Events"],
      swiftSettings: strict),
    .testTarget(
      name: "TopologyTests", dependencies: ["Streaming", "Operators", "Events"],
      exclude: ["Goldens"], swiftSettings: strict),
    .testTarget(
      name: "LocalLogTests", dependencies: ["LocalLog", "Streaming", "Events", "CZstd"],
      swiftSettings: strict),
    .testTarget(
      name: "KafkaLogTests", dependencies: ["KafkaLog", "Streaming", "Events", "CKafka"],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: ["Simulation", "Events"], swiftSettings: strict),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "Service", "Streaming", "Operators", "Simulation", "TestKit", "TestClient", "Events",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "bidmill", "Streaming", "LocalLog", "KafkaLog", "CKafka", "Simulation", "Learning",
        "TestClient", "Events",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EngineTests",
      dependencies: ["Streaming", "Operators", "LocalLog", "Simulation", "TestKit", "Events"],
      swiftSettings: strict),
  ]
)
