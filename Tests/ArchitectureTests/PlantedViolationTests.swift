import Testing

// A rule that finds nothing in the checkout must be shown to find what it is for.

@Suite struct PlantedViolationTests {
  private func wrongLines(_ target: String, _ text: String) -> [Int] {
    wrongImports(
      in: SourceFile(path: "Sources/\(target)/Planted.swift", text: text), modules: modules
    ).map(\.line)
  }

  private func breaches(_ target: String, _ text: String) -> [Int] {
    breachesOfDeterminism(
      in: SourceFile(path: "Sources/\(target)/Planted.swift", text: text), forbidden: forbidden,
      exemptions: []
    ).map(\.line)
  }

  // MARK: Arrows

  @Test(arguments: [
    ("Events", "import Streaming"), ("Events", "import Foundation"), ("Events", "import Glibc"),
    ("Learning", "import Events"), ("Learning", "import Foundation"), ("Bidding", "import Glibc"),
    ("Bidding", "import Streaming"), ("Bidding", "import CZstd"), ("Streaming", "import Operators"),
    ("Streaming", "import LocalLog"), ("Streaming", "import Foundation"),
    ("Streaming", "import CZstd"), ("Operators", "import Foundation"),
    ("Operators", "import Yams"), ("Operators", "import LocalLog"), ("KafkaLog", "import CZstd"),
    ("KafkaLog", "import Operators"), ("LocalLog", "import CKafka"), ("LocalLog", "import Yams"),
    ("Simulation", "import Streaming"), ("Service", "import Operators"),
    ("Service", "import ArgumentParser"), ("TestKit", "import Testing"),
    ("bidmill", "import CKafka"), ("bidmill", "import CZstd"), ("bidmill", "import Yams"),
  ])
  func wrongArrowIsFound(target: String, line: String) {
    #expect(wrongLines(target, "// A file.\n\(line)\n") == [2])
  }

  @Test(arguments: [
    ("Bidding", "import Events"), ("Streaming", "public import Events"),
    ("Streaming", "import Yams"), ("Operators", "import Events"), ("Operators", "import Bidding"),
    ("KafkaLog", "import CKafka"), ("LocalLog", "import CZstd"), ("LocalLog", "import Events"),
    ("Simulation", "import Learning"), ("Backtesting", "import Foundation"),
    ("bidmill", "import ArgumentParser"), ("bidmill", "import Events"),
  ])
  func rightArrowPasses(target: String, line: String) {
    #expect(wrongLines(target, "\(line)\n").isEmpty)
  }

  @Test(arguments: [
    "public import Foundation", "@preconcurrency import Foundation",
    "@_exported public import Foundation", "import struct Foundation.Date",
    "  import Foundation  // for Date", "import Events; import Foundation",
    "/* why */ import Foundation", "\timport\tFoundation",
  ])
  func everyFormOfImportIsSeen(line: String) {
    #expect(imports(in: SourceFile(path: "x", text: line).code[0]).contains("Foundation"))
  }

  @Test(arguments: [
    "// import Foundation", "/* import Foundation */",
    "let important = Foundation", "let text = \"// \"  // import Foundation",
  ])
  func whatOnlyLooksLikeAnImportPasses(text: String) {
    let file = SourceFile(path: "x", text: text)
    #expect(file.code.flatMap { imports(in: $0) }.isEmpty)
    let overLines = SourceFile(path: "x", text: "/*\n\(text)\nimport Foundation\n*/")
    #expect(overLines.code.flatMap { imports(in: $0) }.isEmpty)
  }

  @Test func unknownTargetIsFound() {
    #expect(wrongLines("Common", "let x = 1\n") == [0])
  }

  @Test func manifestIsRead() {
    let manifest = """
      // .target(name: "Ghost")
      let package = Package(
        name: "x",
        targets: [
          .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
          .target(name: "Events"),
          .target(
            name: "Streaming",
            dependencies: ["Events", .product(name: "Yams", package: "yams"), "Learning"],
            swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
          .testTarget(name: "StreamingTests", dependencies: ["Streaming"]),
        ])
      """
    #expect(
      declaredTargets(inManifest: manifest) == [
        DeclaredTarget(name: "CZstd", dependencies: [], isTest: false),
        DeclaredTarget(name: "Events", dependencies: [], isTest: false),
        DeclaredTarget(
          name: "Streaming", dependencies: ["Events", "Learning", "Yams"], isTest: false),
        DeclaredTarget(name: "StreamingTests", dependencies: ["Streaming"], isTest: true),
      ])
    #expect(
      wrongManifest(manifest, modules: modules).map(\.message) == [
        "Streaming may not depend on Learning"
      ])
  }

  @Test func wrongManifestIsFound() {
    func messages(_ line: String) -> [String] {
      wrongManifest("let p = Package(targets: [\(line)])", modules: modules).map(\.message)
    }
    #expect(
      messages(#".target(name: "Events", dependencies: ["Streaming"])"#) == [
        "Events may not depend on Streaming"
      ])
    #expect(
      messages(#".target(name: "Operators", dependencies: [.product(name: "Yams", package: "y")])"#)
        == ["Operators may not depend on Yams"])
    #expect(messages(#".target(name: "Common")"#) == ["Common is not in the table of modules"])
    #expect(
      messages(#".target(name: "Events", swiftSettings: [.unsafeFlags(["-Ounchecked"])])"#).count
        == 2)
  }

  @Test func undeclaredImportIsFound() {
    let manifest = #"let p = Package(targets: [.target(name: "Operators", dependencies: [])])"#
    let file = SourceFile(path: "Sources/Operators/A.swift", text: "import Streaming\n")
    let stray = SourceFile(path: "Sources/Bidding/A.swift", text: "import Events\n")
    let found = undeclaredImports(in: [file, stray], manifest: manifest, modules: modules)
    #expect(found.map(\.path) == [file.path, stray.path])
  }

  @Test func theTableHasNoCycle() {
    for module in modules {
      #expect(!allowedImports(of: module.name, in: modules).contains(module.name))
    }
  }

  // MARK: Determinism

  @Test(arguments: [
    "let now = Date()", "let now = Date.now", "let clock = ContinuousClock()",
    "try await Task.sleep(for: .seconds(1), clock: SuspendingClock())",
    "clock_gettime(CLOCK_MONOTONIC, &t)", "let x = Int.random(in: 0..<3)",
    "let x = names.randomElement()", "let y = names.shuffled()",
    "var g = SystemRandomNumberGenerator()", "var h = Hasher()", "let h = key.hashValue",
    "let id = UUID()", "fatalError(\"no\")", "let x = try! f()", "let x = y as! Int",
    "let text = \"at \\(Date())\"",
  ])
  func clocksAndChanceAreFound(line: String) {
    #expect(breaches("Bidding", "import Events\n\(line)\n") == [2])
  }

  @Test(arguments: [
    "let x = upDate()", "func randomised(in x: Int)", "let d: EventDate = y", "// Date()",
    "/* key.hashValue */", "func hash(into hasher: inout Hasher)", "let x = y as? Int",
    "let z = try? f()", "let notHashValueOf = 1",
  ])
  func whatOnlyLooksLikeThemPasses(line: String) {
    #expect(breaches("Bidding", "\(line)\n").isEmpty)
  }

  @Test func clocksAreAllowedInTheShell() {
    #expect(breaches("Service", "let clock = ContinuousClock()\n").isEmpty)
    #expect(breaches("Service", "let h = key.hashValue\n") == [1])
  }

  @Test func exemptionIsForItsFileAndCodeAlone() {
    let exemption = Exemption(
      path: "Sources/Streaming/Clock.swift", code: "ContinuousClock", reason: "the idle clock")
    func lines(_ path: String, _ text: String) -> [Int] {
      breachesOfDeterminism(
        in: SourceFile(path: path, text: text), forbidden: forbidden, exemptions: [exemption]
      ).map(\.line)
    }
    #expect(lines("Sources/Streaming/Clock.swift", "ContinuousClock()\nDate()\n") == [2])
    #expect(lines("Sources/Streaming/Worker.swift", "ContinuousClock()\n") == [1])
  }

  // MARK: Leftovers

  @Test func leftoversAreFound() {
    let text = "let x = 1  // TO" + "DO: mend\n// FIX" + "ME\n@Test(.disabled" + "(\"later\"))\n"
    #expect(leftovers(in: SourceFile(path: "x", text: text)).map(\.line) == [1, 2, 3])
    #expect(leftovers(in: SourceFile(path: "x", text: "let todoList = 1\n")).isEmpty)
  }

  @Test func longFileIsFound() {
    let file = SourceFile(path: "x", text: String(repeating: "\n", count: 10))
    #expect(tooLong(file, linesMax: 10).count == 1)
    #expect(tooLong(file, linesMax: 11).isEmpty)
  }

  @Test func strayEntryIsFound() {
    #expect(
      strayEntries(["Sources", "scratch.txt"], allowed: topLevelEntries).map(\.path) == [
        "scratch.txt"
      ])
  }

  // MARK: Reading code

  @Test func commentsAreTakenOut() {
    let cases = [
      ("a // b\nc", "a \nc"), ("a /* b /* c */ d */ e", "a  e"), ("a /* b\nc */ d", "a \n d"),
      (#"let u = "http://x"  // y"#, #"let u = "http://x"  "#),
      (##"let u = #"a "// b"# // c"##, ##"let u = #"a "// b"# "##),
      (#"let u = "\"// a" // b"#, #"let u = "\"// a" "#),
      ("let u = \"\"\"\n  // a \" b\n  \"\"\" // c", "let u = \"\"\"\n  // a \" b\n  \"\"\" "),
    ]
    for (text, code) in cases { #expect(withoutComments(text) == code) }
  }
}
