import Streaming

/// A partition's log with somebody who looks at the records that go in and come out; what comes
/// out goes nowhere else.
final class ObservedLog: PartitionLog {
  /// Sees a fetched record, with its input.
  typealias InputObserver = @Sendable (LogInput, LogRecord) -> Void
  /// Sees a record of a sink, by the sink's number: key and value.
  typealias OutputObserver =
    @Sendable (Int32, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void

  private let log: any PartitionLog
  private let input: InputObserver
  private let output: OutputObserver

  init(
    _ log: any PartitionLog, input: @escaping InputObserver, output: @escaping OutputObserver
  ) {
    self.log = log
    self.input = input
    self.output = output
  }

  var inputs: [LogInput] { log.inputs }

  func fetch(_ number: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
    -> FetchStatus
  {
    let status = try log.fetch(number, into: chunk, maxRecords: maxRecords)
    if status == .records {
      for record in chunk.records { input(log.inputs[number], record) }
    }
    return status
  }

  func commit(_ transaction: Transaction) throws(LogError) {
    let outputs = transaction.outputs
    for record in outputs.records {
      output(record.sink, outputs.key(of: record), outputs.value(of: record))
    }
    outputs.removeAll()
    try log.commit(transaction)
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) { try log.seek(input, to: offset) }
  func firstOffsets() throws(LogError) -> [Int64] { try log.firstOffsets() }
  func committed() throws(LogError) -> CommitPoint? { try log.committed() }

  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try log.journal(after: number, body)
  }

  func close() { log.close() }
}
