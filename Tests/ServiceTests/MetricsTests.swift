import Events
import Streaming
import TestClient
import Testing

@testable import Service

/// Reads Prometheus' text format strictly.
struct Exposition {
  struct Sample: Equatable {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  var types: [String: String] = [:]
  var samples: [Sample] = []
  var problems: [String] = []

  init(_ text: String) {
    var family = ""
    var helped: Set<String> = []
    var seen: Set<String> = []
    if !text.hasSuffix("\n") { problems.append("the last line does not end") }
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      if line.hasPrefix("# HELP ") {
        if !helped.insert(words[2]).inserted { problems.append("twice: \(line)") }
        family = words[2]
      } else if line.hasPrefix("# TYPE ") {
        if words[2] != family || types[family] != nil { problems.append("out of place: \(line)") }
        types[family] = words[3]
        if words[3] == "counter", !family.hasSuffix("_total") { problems.append("named: \(line)") }
      } else if let sample = Exposition.sample(line) {
        samples.append(sample)
        let suffixes = types[family] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        if !suffixes.contains(where: { sample.name == family + $0 }) {
          problems.append("not of \(family): \(line)")
        }
        let key = sample.name + "\(sample.labels.sorted { $0.key < $1.key })"
        if !seen.insert(key).inserted { problems.append("twice: \(line)") }
      } else {
        problems.append("does not read: \(line)")
      }
    }
  }

  private static func sample(_ line: Substring) -> Sample? {
    var name = ""
    var labels: [String: String] = [:]
    var rest = line[...]
    while let c = rest.first, c != "{", c != " " {
      name.append(c)
      rest.removeFirst()
    }
    if rest.first == "{" {
      rest.removeFirst()
      while rest.first != "}" {
        guard let equals = rest.firstIndex(of: "=") else { return nil }
        let label = String(rest[..<equals])
        rest = rest[rest.index(after: equals)...]
        guard rest.popFirst() == "\"" else { return nil }
        var value = ""
        while let c = rest.popFirst(), c != "\"" {
          guard c == "\\" else {
            value.append(c)
            continue
          }
          switch rest.popFirst() {
          case "n": value.append("\n")
          case "\\": value.append("\\")
          case "\"": value.append("\"")
          default: return nil
          }
        }
        labels[label] = value
        if rest.first == "," { rest.removeFirst() }
      }
      rest.removeFirst()
    }
    guard rest.popFirst() == " " else { return nil }
    let value = rest == "+Inf" ? Double.infinity : Double(rest)
    return value.map { Sample(name: name, labels: labels, value: $0) }
  }

  func sum(_ name: String, _ labels: [String: String] = [:]) -> Double {
    samples.filter { sample in
      sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
    }.reduce(0) { $0 + $1.value }
  }
}

@Suite struct MetricsTests {
  @Test func countsWhatTheRunDoes() async throws {
    try await withWorld { world in
      // In one partition each: a window of one account is counted exactly.
      let big = "big \"one\"\n"
      let small = try #require(
        (0..<20).map { "small-\($0)" }.first {
          World.partition(of: Array($0.utf8)) != World.partition(of: Array(big.utf8))
        })
      for i in 0..<40 { world.add(id: "\(i)", account: i < 30 ? big : small) }
      world.add(id: "0", account: big)
      world.append("{", account: small)
      world.append(#"{"type":"what"}"#, account: small)
      var found = Exposition("\n")
      _ = await until("the counts", await ask(world.port, "/metrics")) {
        found = Exposition($0.body)
        return found.sum("bidmill_events_total") == 43
          && found.sum("bidmill_hot_account_events") >= 40
      }
      #expect(found.problems == [])
      #expect(found.types.count > 25)
      #expect(found.sum("bidmill_build_info", ["version": "1.2.3", "topology": "world"]) == 1)
      #expect(found.sum("bidmill_partitions_assigned") == 2)
      #expect(found.sum("bidmill_partition_ready") == 2)
      #expect(found.sum("bidmill_restore_progress_ratio") == 2)
      #expect(found.sum("bidmill_dead_letters_total") == 2)
      #expect(found.sum("bidmill_dead_letters_total", ["reason": "malformed_json"]) == 1)
      #expect(found.sum("bidmill_operator_total", ["counter": "duplicates"]) == 1)
      #expect(found.sum("bidmill_output_records_total", ["sink": "dead_letters"]) == 2)
      #expect(found.sum("bidmill_hot_account_events", ["account": big]) == 31)
      #expect(found.sum("bidmill_hot_account_events", ["account": small]) == 10)
      #expect(found.sum("bidmill_lag_records") == 7)
      #expect(found.sum("bidmill_state_bytes", ["operator": "totals"]) > 0)
      #expect(found.sum("bidmill_http_requests_total", ["route": "/health/ready"]) >= 1)
      #expect(found.sum("bidmill_commits_total") >= 2)
      // Cumulative, up to all.
      for partition in ["0", "1"] {
        let buckets = found.samples.filter {
          $0.name == "bidmill_commit_duration_seconds_bucket"
            && $0.labels["partition"] == partition
        }
        #expect(buckets.count == LatencyHistogram.boundsMilliseconds.count + 1)
        #expect(buckets.map(\.value) == buckets.map(\.value).sorted())
        #expect(
          buckets.last?.value
            == found.sum("bidmill_commit_duration_seconds_count", ["partition": partition]))
      }
    }
  }

  @Test func writesTheFormat() {
    var text = MetricsText()
    text.begin("a_total", .counter, "Help with \\ and\nbreak \"quoted\".")
    text.sample(1 as Int64, [("x", "a\\b\"c\nd")])
    text.add("b_seconds", .gauge, "Plain.", 3)
    text.begin("c_seconds", .histogram, "Times.")
    text.histogram(bounds: [0.1, 1], counts: [1, 0, 2], sum: 7.25, [("p", "0")])
    text.begin("d", .gauge, "Odd numbers.")
    text.sample(Double.infinity, [("n", "1")])
    text.sample(0.125, [("n", "2")])
    #expect(
      text.text == """
        # HELP a_total Help with \\\\ and\\nbreak "quoted".
        # TYPE a_total counter
        a_total{x="a\\\\b\\"c\\nd"} 1
        # HELP b_seconds Plain.
        # TYPE b_seconds gauge
        b_seconds 3
        # HELP c_seconds Times.
        # TYPE c_seconds histogram
        c_seconds_bucket{p="0",le="0.1"} 1
        c_seconds_bucket{p="0",le="1"} 1
        c_seconds_bucket{p="0",le="+Inf"} 3
        c_seconds_sum{p="0"} 7.25
        c_seconds_count{p="0"} 3
        # HELP d Odd numbers.
        # TYPE d gauge
        d{n="1"} +Inf
        d{n="2"} 0.125

        """)
    #expect(Exposition(text.text).problems == [])
  }
}
