import Events
import Testing

/// What a dead letter can still know about the record that was refused.
@Suite struct RefusedTests {
  private func refused(_ record: String) -> (account: String, time: Int64?) {
    let batch = EventBatch(capacity: 1)
    var decoder = EventDecoder()
    return Array(record.utf8).withUnsafeBytes { bytes in
      #expect(decoder.decode(bytes, into: batch) != nil)
      return (decoder.refused.account.string, decoder.refused.time?.milliseconds)
    }
  }

  @Test func accountAndTimeAreReadWhereTheyAreValid() {
    #expect(
      refused(#"{"type":"click","id":"1","time":5,"account":"acme","campaign":7,"ad":"a"}"#)
        == ("acme", 5))
    #expect(
      refused(#"{"type":"nope","time":"1970-01-01T00:00:01Z","account":"a\u0062"}"#)
        == ("ab", 1000))
  }

  @Test func whatIsInvalidOrGivenTwiceIsNotBelieved() {
    #expect(refused(#"{"type":"click","time":-1,"account":7}"#) == ("", nil))
    #expect(
      refused(#"{"type":"click","time":1,"time":2,"account":"a","account":"b"}"#) == ("", nil))
  }

  @Test func aRecordThatIsNotJSONKnowsNothing() {
    #expect(refused(#"{"type":"click","time":1,"account":"a""#) == ("", nil))
    #expect(refused("") == ("", nil))
  }

  @Test func anEarlierRefusalIsForgotten() {
    let batch = EventBatch(capacity: 1)
    var decoder = EventDecoder()
    for (record, account) in [(#"{"type":1,"account":"a"}"#, "a"), ("{", ""), (#"{"type":1}"#, "")]
    {
      Array(record.utf8).withUnsafeBytes { bytes in
        _ = decoder.decode(bytes, into: batch)
        #expect(decoder.refused.account.string == account)
      }
    }
  }
}
