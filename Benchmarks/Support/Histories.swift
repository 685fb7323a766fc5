import Events
public import Simulation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Generated histories, as every benchmark uses them: the same on every machine.
public enum Histories {
  /// Events a second as of an agency's partition: two days however many records.
  public static func settings(
    records: Int, accounts: Int = 8, usersPerAccount: Int = 20_000
  ) -> HistorySettings {
    var settings = HistorySettings()
    settings.records = records
    settings.accounts = accounts
    settings.usersPerAccount = usersPerAccount
    settings.duration = .days(2)
    return settings
  }

  /// Calls `body` with each record's bytes and what it is.
  public static func forEach(
    _ settings: HistorySettings, _ body: (borrowing [UInt8], HistoryRecord) throws -> Void
  ) rethrows {
    var history = HistoryGenerator(settings)
    var line: [UInt8] = []
    while let record = history.next(into: &line) {
      try body(line, record)
      line.removeAll(keepingCapacity: true)
    }
  }

  /// Writes a history as JSON Lines, unless the file is there.
  public static func write(_ settings: HistorySettings, to path: String) throws {
    guard access(path, F_OK) != 0 else { return }
    let part = path + ".part"
    guard let file = fopen(path + ".part", "wb") else { throw BenchmarkFailure("no \(path)") }
    setvbuf(file, nil, _IOFBF, 1 << 20)
    forEach(settings) { line, _ in
      line.withUnsafeBytes { _ = fwrite($0.baseAddress, 1, $0.count, file) }
      putc(10, file)
    }
    guard fclose(file) == 0, rename(part, path) == 0 else { throw BenchmarkFailure("no \(path)") }
  }

  /// The first `count` records of a simulated market without a topology, as JSON Lines, unless the
  /// file is there: 4 accounts of 20,000 people and 12 campaigns whose budgets and bids let them
  /// show nearly all that they are offered.
  public static func writeMarket(records count: Int, to path: String) throws {
    guard access(path, F_OK) != 0 else { return }
    let part = path + ".part"
    guard let file = fopen(part, "wb") else { throw BenchmarkFailure("no \(path)") }
    setvbuf(file, nil, _IOFBF, 1 << 20)
    var world = MarketWorld()
    world.days = 366
    world.log.badPerMillion = 0
    var account = MarketWorld.Account()
    account.campaigns = (0..<3).map { number in
      var campaign = MarketWorld.Campaign()
      campaign.name = "campaign-\(number)"
      campaign.budget = Money(micros: 100_000_000_000)
      campaign.defaultBid = Money(micros: 20_000)
      campaign.maxBid = Money(micros: 50_000)
      return campaign
    }
    world.accounts = (0..<4).map { number in
      var named = account
      named.name = "account-\(number)"
      return named
    }
    var market = Market(world, policy: .fixed)
    var records = MarketRecords()
    var left = count
    while left > 0, market.now < market.end {
      records.removeAll()
      market.step(until: market.now + .minutes(1), into: &records)
      for record in records.records.prefix(left) {
        records.bytes.withUnsafeBytes {
          _ = fwrite($0.baseAddress.map { $0 + record.start }, 1, record.count, file)
        }
        putc(10, file)
      }
      left -= records.records.count
    }
    guard fclose(file) == 0, left <= 0, rename(part, path) == 0 else {
      throw BenchmarkFailure("no \(path)")
    }
  }
}

/// What a benchmark cannot go on without.
public struct BenchmarkFailure: Error, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Records in memory, each with a line end behind it.
public final class RecordBlock: @unchecked Sendable {
  // Filled by `init`, only read after.
  public let bytes: UnsafeMutableRawBufferPointer
  /// Where each record begins; one more, for the end of the last.
  public let starts: [Int]

  public var count: Int { starts.count - 1 }
  public var byteCount: Int { starts[count] }

  /// Takes the good records of a history for which `isWanted` is true.
  public init(_ settings: HistorySettings, where isWanted: (HistoryRecord) -> Bool = { _ in true })
  {
    var all: [UInt8] = []
    var starts = [0]
    Histories.forEach(settings) { line, record in
      guard isWanted(record) else { return }
      all += copy line
      all.append(10)
      starts.append(all.count)
    }
    bytes = .allocate(byteCount: all.count + 64, alignment: 64)
    bytes.copyBytes(from: all)
    self.starts = starts
  }

  deinit { bytes.deallocate() }

  public subscript(index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[starts[index]..<starts[index + 1] - 1])
  }
}
