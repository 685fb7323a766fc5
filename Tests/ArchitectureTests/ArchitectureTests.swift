import Testing

// The checkout keeps the architecture. What a failure says is what to mend; the table is in
// Modules.swift, the rules are in Rules.swift.

/// What is allowed although a rule forbids it. Each line says why that file needs it.
private let exemptions: [Exemption] = [
  Exemption(
    path: "Sources/Streaming/Engine/MonotonicClock.swift", code: "clock_gettime",
    reason: "the one real clock, injected; what it causes is written to the journal"),
  Exemption(
    path: "Sources/Streaming/Engine/Thread.swift", code: "clock_gettime",
    reason: "deadlines of a thread that sleeps; nothing of the sequence depends on them"),
]

@Suite struct ArchitectureTests {
  private func sources() throws -> [SourceFile] {
    let files = try SourceTree.checkout.swiftFiles(below: "Sources")
    #expect(!files.isEmpty, "no sources found: the rules would hold for nothing")
    return files
  }

  @Test func importsPointDown() throws {
    let wrong = try sources().flatMap { wrongImports(in: $0, modules: modules) }
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func everyTargetIsInTheTable() throws {
    let known = Set(modules.map(\.name))
    let unknown = try SourceTree.checkout.folders(in: "Sources").filter { !known.contains($0) }
    #expect(unknown.isEmpty)
  }

  @Test func manifestKeepsTheTable() throws {
    let manifest = try SourceTree.checkout.text(of: "Package.swift")
    #expect(declaredTargets(inManifest: manifest).count >= 8, "the manifest was not understood")
    let wrong = wrongManifest(manifest, modules: modules)
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func importsAreDeclared() throws {
    let manifest = try SourceTree.checkout.text(of: "Package.swift")
    let wrong = undeclaredImports(in: try sources(), manifest: manifest, modules: modules)
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func theCoreIsDeterministic() throws {
    let wrong = try sources().flatMap {
      breachesOfDeterminism(in: $0, forbidden: forbidden, exemptions: exemptions)
    }
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func everyExemptionIsUsed() throws {
    let files = try sources()
    for exemption in exemptions {
      let breaches = files.filter { $0.path == exemption.path }.flatMap {
        breachesOfDeterminism(in: $0, forbidden: forbidden, exemptions: [])
      }
      #expect(
        breaches.contains { $0.message.hasPrefix(exemption.code) },
        "\(exemption.path) no longer has \(exemption.code): take its exemption out")
    }
  }

  @Test func nothingIsLeftOver() throws {
    let tests = try SourceTree.checkout.swiftFiles(below: "Tests")
    let wrong = (try sources() + tests).flatMap { leftovers(in: $0) }
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func filesAreAboutOneThing() throws {
    let wrong = try sources().flatMap { tooLong($0, linesMax: linesPerFileMax) }
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  @Test func topLevelIsAsDocumented() throws {
    let entries = try SourceTree.checkout.topLevelEntries()
    #expect(entries.contains("Package.swift"))
    // Without git the ignored output folder of the demo may be seen.
    let wrong = strayEntries(entries.filter { $0 != "demo" }, allowed: topLevelEntries)
    #expect(wrong.isEmpty, "\(listing(wrong))")
  }

  private func listing(_ violations: [Violation]) -> String {
    violations.map { "\n  \($0)" }.joined()
  }
}
