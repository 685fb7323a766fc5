import Events

extension OutputBuffer {
  /// Appends a refused record as its own bytes; why it was refused, where it stands, and whose and
  /// when it was go into headers. Whether it had to be cut is for the log to say.
  func append(
    sink: Int32, refused payload: UnsafeRawBufferPointer, at offset: Int64, of input: LogInput,
    _ refusal: InputBuffer.Refusal, _ time: EventTime
  ) {
    append(
      sink: sink, time: time,
      withHeaders: { json in
        let account = refusal.account
        json.unframed(account.bytes)
        let start = json.count
        let rejection = refusal.rejection
        rejection.reason.code.withUTF8Buffer {
          RecordHeaders.write("reason", UnsafeRawBufferPointer($0), to: &json)
        }
        if let field = rejection.field { RecordHeaders.write("field", field, to: &json) }
        RecordHeaders.write("detail", rejection.detail, to: &json)
        RecordHeaders.write("topic", input.topic, to: &json)
        RecordHeaders.write("partition", "\(input.partition)", to: &json)
        RecordHeaders.write("offset", "\(offset)", to: &json)
        if !account.isAbsent {
          RecordHeaders.write("account", UnsafeRawBufferPointer(account.bytes), to: &json)
        }
        RecordHeaders.write("time", "\(time.milliseconds)", to: &json)
        let headers = json.count - start
        json.unframed(payload.bindMemory(to: UInt8.self))
        return (account.bytes.count, headers)
      })
  }
}
