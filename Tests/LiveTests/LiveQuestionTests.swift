import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

/// What `safety` and `pacing` say when they are asked is what was published last.
@Suite struct LiveQuestionTests {
  private static func key(_ record: [String: Any]) -> String {
    ["account", "campaign", "ad"].map { record[$0] as? String ?? "" }.joined(separator: "\u{1}")
  }

  /// Asks about every ad that something was published of; returns how many.
  private func compare(_ driver: TopologyDriver, _ newest: [String: [String: Any]]) throws -> Int {
    for record in newest.values {
      let question = Question(
        account: record["account"] as? String ?? "", campaign: record["campaign"] as? String ?? "",
        ad: record["ad"] as? String)
      let answer = try Living.object(driver.answer(question) ?? "")
      let operators = answer["operators"] as? [String: [String: Any]]
      let safety = try #require(operators?["safety"], "\(record)")
      for name in ["status", "seq", "valid_until", "reasons", "evidence", "bid", "max_bid"] {
        #expect(
          (safety[name] as? NSObject) == (record[name] as? NSObject), "\(name) of \(record)")
      }
      #expect((safety["now"] as? [String: Any])?["status"] != nil)
      let proposal = try #require(safety["proposal"] as? [String: Any])
      #expect(proposal["ctr"] != nil && proposal["bid"] != nil)
      #expect(operators?["pacing"]?["state"] != nil)
      let campaign = try Living.object(
        driver.answer(Question(account: question.account, campaign: question.campaign)) ?? "")
      let ads = (campaign["operators"] as? [String: [String: Any]])?["safety"]?["ads"]
      let found = (ads as? [[String: Any]])?.first { $0["ad"] as? String == question.ad }
      #expect((found?["seq"] as? NSObject) == (record["seq"] as? NSObject))
    }
    return newest.count
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func answersAreWhatWasPublished(seed: UInt64) throws {
    let topology = try Living.topology()
    let history = Living.history(1_200, seed: seed)
    let asked = try TopologyDriver(topology, registry: OperatorRegistry.all)
    let plain = try TopologyDriver(topology, registry: OperatorRegistry.all)
    var newest: [String: [String: Any]] = [:]
    var compared = 0
    for (i, record) in history.records.enumerated() {
      try asked.send(record)
      try plain.send(record)
      guard i % 60 == 59 else { continue }
      for output in asked.outputs(of: "bid_parameters") {
        let record = try Living.object(output)
        newest[LiveQuestionTests.key(record)] = record
      }
      compared += try compare(asked, newest)
    }
    print("seed \(seed): \(compared) answers")
    #expect(compared > 100)
    // Asking has left nothing behind.
    #expect(asked.digest == plain.digest)
    try asked.finish()
    try plain.finish()
    for sink in ["paces", "alerts"] {
      #expect(asked.outputs(of: sink) == plain.outputs(of: sink))
    }
  }

  @Test func campaignsAreToldInPart() throws {
    let driver = try TopologyDriver(Living.topology(), registry: OperatorRegistry.all)
    for ad in 0..<5 {
      try driver.send(
        #"{"type":"impression","id":"\#(ad)","time":1767225600000,"account":"a","campaign":"c","#
          + #""ad":"ad-\#(ad)","price":0.01}"#)
    }
    try driver.advance(to: EventTime(milliseconds: 1_767_225_660_000))
    func ads(_ limit: Int) throws -> (names: [String], hasMore: Bool?) {
      let answer = try Living.object(
        driver.answer(Question(account: "a", campaign: "c", adsMax: limit)) ?? "")
      let safety = (answer["operators"] as? [String: [String: Any]])?["safety"]
      let ads = safety?["ads"] as? [[String: Any]] ?? []
      return (ads.compactMap { $0["ad"] as? String }, safety?["has_more"] as? Bool)
    }
    #expect(try ads(3) == (["ad-0", "ad-1", "ad-2"], true))
    #expect(try ads(5) == ((0..<5).map { "ad-\($0)" }, false))
    #expect(driver.answer(Question(account: "a", campaign: "d")) == nil)
    #expect(driver.answer(Question(account: "a", campaign: "c", ad: "none")) == nil)
    #expect(driver.answer(Question(account: "", campaign: "", ad: "")) == nil)
  }
}
