public import Events

/// Interned names: each distinct text (below its parent) has one dense row number.
///
/// The table of accounts has no parents; campaigns hang under accounts, ads under campaigns, so a
/// row stands for the whole path and other tables can be plain arrays indexed by it.
@frozen
public struct NameTable {
  /// 24 bytes a name beside its text and ~11 bytes of index.
  @frozen
  public struct Row: BitwiseCopyable {
    public var hash: UInt64
    var textStart: Int64
    var textLength: Int32
    /// Row in the parent table; -1 at the top.
    public var parent: Int32
  }

  let rows: Table<Row>
  let text: UnsafeMutablePointer<Region>
  let index: RowIndex

  /// Names made so far.
  public var count: Int { rows.count }

  init(_ name: String, in store: StateStore) {
    let index = RowIndex()
    rows = store.table(name, of: Row.self)
    text = store.makeRegion("\(name).text", stride: 1, version: 1, capacity: 4096)
    self.index = index
    let table = self
    store.afterRestore { table.rebuildIndex() }
  }

  func deallocate() { index.deallocate() }

  private func rebuildIndex() {
    index.removeAll()
    for row in 0..<Int32(rows.count) { index.insert(rows[row].hash, row: row) }
  }

  /// The row of a name, made when it is new. O(1), allocates only when tables grow.
  @inline(__always)
  func intern(_ name: Identifier, parent: Int32, parentHash: UInt64) -> Int32 {
    let hash = NameTable.mix(parentHash, name.hash)
    return find(name, parent: parent, hash: hash) ?? add(name, parent: parent, hash: hash)
  }

  @inline(__always)
  private func find(_ name: Identifier, parent: Int32, hash: UInt64) -> Int32? {
    index.find(hash) { row in
      let candidate = rows.address(row)
      return candidate.pointee.hash == hash && candidate.pointee.parent == parent
        && candidate.pointee.textLength == Int32(bitPattern: name.length)
        && sameText(candidate.pointee.textStart, name)
    }
  }

  /// The row of a name; nil where it has none. O(1).
  func row(of name: Identifier, parent: Int32, parentHash: UInt64) -> Int32? {
    find(name, parent: parent, hash: NameTable.mix(parentHash, name.hash))
  }

  @inline(__always)
  private func sameText(_ start: Int64, _ name: Identifier) -> Bool {
    let mine = UnsafeRawPointer(text.pointee.base + Int(start))
    guard let theirs = name.start else { return name.length == 0 }
    let count = Int(name.length)
    let other = UnsafeRawPointer(theirs)
    func differs<Word: FixedWidthInteger & BitwiseCopyable>(at place: Int, _ type: Word.Type)
      -> Bool
    {
      mine.loadUnaligned(fromByteOffset: place, as: Word.self)
        != other.loadUnaligned(fromByteOffset: place, as: Word.self)
    }
    // The last word may look at bytes that the one before it has looked at.
    if count >= 8 {
      var place = 0
      while place &+ 8 < count {
        if differs(at: place, UInt64.self) { return false }
        place &+= 8
      }
      return !differs(at: count &- 8, UInt64.self)
    }
    if count >= 4 {
      return !differs(at: 0, UInt32.self) && !differs(at: count &- 4, UInt32.self)
    }
    for place in 0..<count where differs(at: place, UInt8.self) { return false }
    return true
  }

  @inline(never)
  private func add(_ name: Identifier, parent: Int32, hash: UInt64) -> Int32 {
    let start = text.pointee.count
    let length = Int(name.length)
    if start + length > text.pointee.capacity { text.pointee.grow(to: start + length) }
    text.pointee.count = start + length
    if let source = name.start {
      (text.pointee.base + start).copyMemory(from: source, byteCount: length)
    }
    let row = rows.append(
      Row(
        hash: hash, textStart: Int64(start), textLength: Int32(bitPattern: name.length),
        parent: parent))
    index.insert(hash, row: row)
    return row
  }

  /// The hash of a name below a parent; the same in every partition and process.
  public static func mix(_ parent: UInt64, _ name: UInt64) -> UInt64 {
    let product = (parent ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: name | 1)
    return (product.high ^ product.low) &+ name
  }

  /// A row's hash over its whole path.
  public func hash(_ row: Int32) -> UInt64 { rows[row].hash }

  public func parent(_ row: Int32) -> Int32 { rows[row].parent }

  /// The name's text, with the hash of its whole path; valid until the next name is interned.
  public func name(_ row: Int32) -> Identifier {
    let entry = rows[row]
    return Identifier(
      hash: entry.hash,
      start: UnsafePointer(
        (text.pointee.base + Int(entry.textStart)).assumingMemoryBound(to: UInt8.self)),
      length: UInt32(bitPattern: entry.textLength))
  }
}

/// The names of a partition's world: accounts, their campaigns, their ads.
public final class Directory {
  public let accounts: NameTable
  public let campaigns: NameTable
  public let ads: NameTable

  package init(in store: StateStore) {
    accounts = NameTable("accounts", in: store)
    campaigns = NameTable("campaigns", in: store)
    ads = NameTable("ads", in: store)
  }

  deinit {
    accounts.deallocate()
    campaigns.deallocate()
    ads.deallocate()
  }

  /// Sets the rows of an event's account, campaign and ad (-1 where absent).
  @inline(__always)
  package func intern(_ event: UnsafeMutablePointer<Event>) {
    guard !event.pointee.account.isAbsent else { return }
    let account = accounts.intern(event.pointee.account, parent: -1, parentHash: 0)
    event.pointee.account.row = account
    guard !event.pointee.campaign.isAbsent else { return }
    let campaign = campaigns.intern(
      event.pointee.campaign, parent: account, parentHash: accounts.hash(account))
    event.pointee.campaign.row = campaign
    guard !event.pointee.ad.isAbsent else { return }
    event.pointee.ad.row = ads.intern(
      event.pointee.ad, parent: campaign, parentHash: campaigns.hash(campaign))
  }
}
