import Events
import Streaming
import Testing

@testable import bidmill

@Suite struct PartitionerTests {
  /// Values of Kafka's own tests of its Java client.
  @Test(arguments: [
    ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
  ])
  func hashesAsKafkaDoes(_ key: String, _ hash: Int) {
    Array(key.utf8).withUnsafeBytes { bytes in
      #expect(Int(Int32(bitPattern: Partitioner.murmur2(bytes))) == hash)
      for partitions in [1, 2, 7, 4096] {
        let positive = hash & 0x7fff_ffff
        #expect(Partitioner.murmur2(bytes, partitions: partitions) == positive % partitions)
      }
    }
  }
}

@Suite struct TextTests {
  @Test func writesNumbersForPeople() {
    #expect(Text.count(0) == "0")
    #expect(Text.count(999) == "999")
    #expect(Text.count(1_234_567) == "1,234,567")
    #expect(Text.count(Int64.min) == "-9,223,372,036,854,775,808")
    #expect(Text.decimal(1234.567, places: 2) == "1,234.57")
    #expect(Text.decimal(0.999, places: 2) == "1.00")
    #expect(Text.decimal(-0.05, places: 1) == "-0.1")
    #expect(Text.decimal(8e12, places: 6) == "8,000,000,000,000.000000")
    #expect(Text.decimal(-9e14, places: 6) == "-900000000000000.0")
    #expect(Text.bytes(1023) == "1023 B")
    #expect(Text.bytes(1536) == "1.5 KiB")
    #expect(Text.seconds(0.25) == "0.25 s")
    #expect(Text.seconds(125) == "2 min 5 s")
    #expect(Text.plural(1, "event") == "1 event")
    #expect(Text.plural(2, "event") == "2 events")
    #expect(
      Text.table([["a", "1"], ["bcd", "10"]], [.left, .right]) == "a     1\nbcd  10\n")
  }

  @Test func readsMoneyExactly() {
    #expect(Money(decimal: "12") == Money(micros: 12_000_000))
    #expect(Money(decimal: "0.000001") == Money(micros: 1))
    #expect(Money(decimal: "-1.5") == Money(micros: -1_500_000))
    #expect(Money(decimal: "1.0000001") == nil)
    #expect(Money(decimal: "x") == nil)
  }

  @Test func findsMembers() {
    func members(_ json: String) -> [String] {
      Array(json.utf8).withUnsafeBytes { bytes in
        JSONMembers(bytes).map { "\(String(decoding: $0.key, as: UTF8.self))=\($0.text)" }
      }
    }
    #expect(
      members(#"{"a":1,"b":"x\"y","c":{"d":[1,2,"}"]},"e":[]}"#) == [
        "a=1", #"b=x\"y"#, #"c={"d":[1,2,"}"]}"#, "e=[]",
      ])
    #expect(members(#" { "a" : true } "#) == ["a=true "])
    #expect(members("{}").isEmpty)
    #expect(members("[1]").isEmpty)
    #expect(members(#"{"a":1,"b"#) == ["a=1"])
    #expect(members(#"{"a":"\"#).isEmpty)
  }

  @Test func writesJSON() {
    let value = JSONText.object([
      ("a", .count(1)), ("b", .array([.string("x\"\n"), .null, .bool(true)])),
      ("c", .object([])), ("d", .number(0.5)),
    ])
    #expect(value.compact == #"{"a":1,"b":["x\"\n",null,true],"c":{},"d":0.5}"#)
    #expect(
      value.pretty == """
        {
          "a": 1,
          "b": [
            "x\\"\\n",
            null,
            true
          ],
          "c": {},
          "d": 0.5
        }

        """)
  }
}
