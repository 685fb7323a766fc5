#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that people write, as bytes: a topology, a secret.
enum SmallFile {
  enum Fault: Error {
    /// It cannot be opened or read, and why.
    case unreadable(String)
    case tooLarge(bytesMax: Int)

    func text(expected: String) -> String {
      switch self {
      case .unreadable(let reason): reason
      case .tooLarge(let limit): "the file has more than \(limit) bytes; expected \(expected)"
      }
    }
  }

  static func read(_ path: String, bytesMax: Int) throws(Fault) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("cannot be opened") }
    defer { _ = close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= bytesMax {
      let count = readSome(descriptor, &buffer)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("cannot be read") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
    throw .tooLarge(bytesMax: bytesMax)
  }

  private static func readSome(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Int {
    buffer.withUnsafeMutableBytes { bytes in
      #if canImport(Glibc)
        Glibc.read(descriptor, bytes.baseAddress, bytes.count)
      #elseif canImport(Musl)
        Musl.read(descriptor, bytes.baseAddress, bytes.count)
      #else
        Darwin.read(descriptor, bytes.baseAddress, bytes.count)
      #endif
    }
  }

  private static func failure(_ what: String) -> Fault {
    .unreadable("\(what): \(String(cString: strerror(errno)))")
  }
}
