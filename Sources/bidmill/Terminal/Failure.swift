import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The statuses that the process ends with, as sysexits(3) numbers them.
enum ExitStatus: Int32 {
  case done = 0
  case usage = 64
  case badData = 65
  case missing = 66
  case unavailable = 69
  case ours = 70
  case configuration = 78
}

/// Why a command ends without having done what it was asked for.
struct Failure: Error {
  var status: ExitStatus
  /// What happened, where, and what to do; empty where the command has already said so.
  var message: String

  init(_ status: ExitStatus, _ message: String = "") {
    self.status = status
    self.message = message
  }

  init(_ error: LogError) {
    let status: ExitStatus =
      switch error.kind {
      case .badData: .badData
      case .missing: .missing
      case .unavailable: .unavailable
      case .ours: .ours
      case .configuration: .configuration
      }
    self.init(status, "error: \(error.message)")
  }

  init(_ error: TopologyError) {
    self.init(error.isMissingFile ? .missing : .configuration, error.description)
  }

  func exit() -> Never {
    if !message.isEmpty { Terminal.error(message) }
    #if canImport(Glibc)
      Glibc.exit(status.rawValue)
    #elseif canImport(Musl)
      Musl.exit(status.rawValue)
    #else
      Darwin.exit(status.rawValue)
    #endif
  }
}
