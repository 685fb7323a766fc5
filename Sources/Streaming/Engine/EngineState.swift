import Events

/// What the engine itself keeps per partition; one stored row.
struct EngineState: BitwiseCopyable {
  /// Tick of the last clock entry; -1 before the first.
  var tick: Int64 = -1
  /// Newest and oldest event time taken; Int64.min before the first.
  var newestTime: Int64 = Int64.min
  var oldestTime: Int64 = Int64.min
  /// Records taken, rejected ones included.
  var records: Int64 = 0
  var rejected: Int64 = 0
  /// Events older than the watermark when they were taken.
  var late: Int64 = 0
}

/// What the engine keeps per input.
struct InputState: BitwiseCopyable {
  /// Next offset to take.
  var nextOffset: Int64
  /// Newest event time taken from it; Int64.min before the first.
  var newestTime: Int64 = Int64.min
}
