import ArgumentParser
import Events
import KafkaLog
import Streaming

// Values that options take, with messages of their own where they do not fit.

/// `250ms`, `5s`, `30m`, `24h`, `7d`.
struct DurationArgument: ExpressibleByArgument {
  var span: TimeSpan

  init?(argument: String) {
    guard case .success(let span) = TimeSpan.parse(argument) else { return nil }
    self.span = span
  }

  init(_ span: TimeSpan) { self.span = span }

  var defaultValueDescription: String { span.text }
}

/// An RFC 3339 time, or milliseconds since the Unix epoch.
struct TimeArgument: ExpressibleByArgument {
  var time: EventTime

  init?(argument: String) {
    if let milliseconds = Int64(argument), milliseconds >= 0 {
      time = EventTime(milliseconds: milliseconds)
    } else if let time = EventTime(rfc3339: argument) {
      self.time = time
    } else {
      return nil
    }
  }
}

/// A time, or a place in a topic: `offset:1000`.
enum PositionArgument: ExpressibleByArgument {
  case time(EventTime)
  case offset(Int64)

  init?(argument: String) {
    if argument.hasPrefix("offset:") {
      guard let offset = Int64(argument.dropFirst(7)), offset >= 0 else { return nil }
      self = .offset(offset)
    } else {
      guard let time = TimeArgument(argument: argument)?.time else { return nil }
      self = .time(time)
    }
  }

  /// By the records' timestamps, where it is a time.
  var inTopic: KafkaRange.Position {
    switch self {
    case .time(let time): .time(time.milliseconds)
    case .offset(let offset): .offset(offset)
    }
  }
}

/// `60x`, `1.5x` or just the number.
struct SpeedArgument: ExpressibleByArgument {
  var factor: Double

  init?(argument: String) {
    let digits = argument.hasSuffix("x") ? String(argument.dropLast()) : argument
    guard let factor = Double(digits), factor.isFinite, factor > 0 else { return nil }
    self.factor = factor
  }
}

/// How a command reports.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print the result as JSON.")
  var json = false

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false
}

enum Machine {
  /// Processor cores that this process may use.
  static var cores: Int { max(1, ProcessorCount.available) }
}
