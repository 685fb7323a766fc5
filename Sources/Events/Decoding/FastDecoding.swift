/// What the fast way expects of the next record. Right or wrong, it never changes a result.
struct Predictions: ~Copyable {}

extension EventDecoder {
  /// One pass over a record of a frequent type. Returns the number of unknown fields, or -1
  /// for a record that only the thorough way can decide on; the batch is then as before.
  mutating func decodeFast(
    _ base: UnsafePointer<UInt8>, count: Int, into batch: EventBatch
  ) -> Int {
    -1
  }
}
