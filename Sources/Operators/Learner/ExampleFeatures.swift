/// The features of the example at hand: those of value 1 first, then the others with their values.
/// Memory that is used again for every example; holds nothing between them.
struct ExampleFeatures {
  private struct Counts {
    var words = 0
    var numbers = 0
  }

  /// Of the words; behind them of the numbers.
  let hashes: UnsafeMutablePointer<UInt32>
  let rows: UnsafeMutablePointer<Int32>
  /// 1 but for the numbers.
  let values: UnsafeMutablePointer<Double>
  private let numbers: UnsafeMutablePointer<(hash: UInt32, value: Double)>
  private let counts: UnsafeMutablePointer<Counts>

  init() {
    let count = FeaturePlan.featuresMax
    hashes = .allocate(capacity: count)
    rows = .allocate(capacity: count)
    values = .allocate(capacity: count)
    values.initialize(repeating: 1, count: count)
    numbers = .allocate(capacity: count)
    counts = .allocate(capacity: 1)
    counts.initialize(to: Counts())
  }

  func deallocate() {
    hashes.deallocate()
    rows.deallocate()
    values.deallocate()
    numbers.deallocate()
    counts.deallocate()
  }

  var words: Int { counts.pointee.words }
  var numberCount: Int { counts.pointee.numbers }
  var count: Int { counts.pointee.words + counts.pointee.numbers }

  /// Where numbers stood there may be words now.
  @inline(__always)
  private func change(words: Int, numbers: Int) {
    for i in 0..<counts.pointee.numbers { values[counts.pointee.words &+ i] = 1 }
    counts.pointee = Counts(words: words, numbers: numbers)
  }

  /// Features one after the other, which become the example's by `set`.
  struct Collector {
    private let hashes: UnsafeMutablePointer<UInt32>
    fileprivate let numbers: UnsafeMutablePointer<(hash: UInt32, value: Double)>
    fileprivate var words = 0
    fileprivate var numberCount = 0

    @inline(__always)
    init(_ example: ExampleFeatures) {
      hashes = example.hashes
      numbers = example.numbers
    }

    @inline(__always)
    mutating func add(_ hash: UInt32, _ value: Double) {
      if value == 1 {
        hashes[words] = hash
        words &+= 1
      } else if value != 0 {
        numbers[numberCount] = (hash, value)
        numberCount &+= 1
      }
    }
  }

  /// Takes what was collected, the numbers behind the words.
  @inline(__always)
  func set(_ collected: Collector) {
    change(words: collected.words, numbers: collected.numberCount)
    for i in 0..<collected.numberCount {
      hashes[collected.words &+ i] = collected.numbers[i].hash
      values[collected.words &+ i] = collected.numbers[i].value
    }
  }

  // MARK: Stored

  /// Words of 8 bytes that so many features take: the numbers' values, then all rows.
  @inline(__always)
  static func storedWords(words: Int, numbers: Int) -> Int {
    numbers &+ (words &+ numbers &+ 1) / 2
  }

  /// Writes the numbers' values and all rows.
  @inline(__always)
  func store(at place: UnsafeMutableRawPointer) {
    let (words, numbers) = (counts.pointee.words, counts.pointee.numbers)
    for i in 0..<numbers {
      place.storeBytes(of: values[words &+ i], toByteOffset: i &* 8, as: Double.self)
    }
    let target = place + numbers &* 8
    for i in 0..<words &+ numbers {
      target.storeBytes(of: rows[i], toByteOffset: i &* 4, as: Int32.self)
    }
  }

  /// Takes over features that were stored.
  @inline(__always)
  func set(words: Int, numbers: Int, from place: UnsafeRawPointer) {
    change(words: words, numbers: numbers)
    for i in 0..<numbers {
      values[words &+ i] = place.loadUnaligned(fromByteOffset: i &* 8, as: Double.self)
    }
    let source = place + numbers &* 8
    for i in 0..<words &+ numbers {
      rows[i] = source.loadUnaligned(fromByteOffset: i &* 4, as: Int32.self)
    }
  }
}
