import Learning
import Streaming

/// Rows for features: each account has its own, however their hashes are masked.
///
/// A row stands for one feature of one account and is never given back: an account has at most as
/// many as there are hashes. Rows come in blocks of one account each, so that only 4 bytes a row say
/// whose it is and for what; models keep what they learn in tables with the same numbers of rows.
struct FeatureRows {
  static let blockRows: Int32 = 32

  private struct Account: BitwiseCopyable {
    /// The block that is being filled; -1 before the first.
    var block: Int32 = -1
    /// Rows used of it.
    var used: Int32 = 0
  }

  /// Whose block it is, and how many of its rows are used.
  private struct Block: BitwiseCopyable {
    var account: Int32
    var used: Int32
  }

  /// By row.
  private let hashes: Table<UInt32>
  private let blocks: Table<Block>
  /// By the directory's rows.
  private let accounts: Table<Account>
  /// The same; not stored.
  private let indexes: UnsafeMutablePointer<Indexes>

  private struct Indexes {
    var byAccount: UnsafeMutablePointer<FeatureIndex>
    var count: Int
    var capacity: Int
  }

  init(in store: StateStore) {
    hashes = store.table("features", of: UInt32.self)
    blocks = store.table("features.blocks", of: Block.self)
    accounts = store.table("features.accounts", of: Account.self)
    indexes = .allocate(capacity: 1)
    indexes.initialize(to: Indexes(byAccount: .allocate(capacity: 8), count: 0, capacity: 8))
    let rows = self
    store.afterRestore { rows.rebuild() }
  }

  func deallocate() {
    for i in 0..<indexes.pointee.count { indexes.pointee.byAccount[i].deallocate() }
    indexes.pointee.byAccount.deallocate()
    indexes.deallocate()
  }

  /// Rows that there are, used or not.
  var count: Int { hashes.count }

  private func rebuild() {
    for i in 0..<indexes.pointee.count { indexes.pointee.byAccount[i].removeAll() }
    for block in 0..<Int32(blocks.count) {
      meet(blocks[block].account)
      for i in 0..<blocks[block].used {
        let row = block * FeatureRows.blockRows + i
        indexes.pointee.byAccount[Int(blocks[block].account)].insert(hashes[row], row: row)
      }
    }
  }

  /// Makes sure that an account has an index.
  @inline(__always)
  func meet(_ account: Int32) {
    if Int(account) >= indexes.pointee.count { extend(to: Int(account) + 1) }
  }

  private func extend(to count: Int) {
    if count > indexes.pointee.capacity {
      let capacity = max(count, indexes.pointee.capacity * 2)
      let larger = UnsafeMutablePointer<FeatureIndex>.allocate(capacity: capacity)
      larger.moveInitialize(from: indexes.pointee.byAccount, count: indexes.pointee.count)
      indexes.pointee.byAccount.deallocate()
      indexes.pointee.byAccount = larger
      indexes.pointee.capacity = capacity
    }
    while indexes.pointee.count < count {
      (indexes.pointee.byAccount + indexes.pointee.count).initialize(to: FeatureIndex())
      indexes.pointee.count += 1
    }
  }

  /// Finds the rows of an example's features; -1 for those that are new. `meet` was called for the
  /// account.
  ///
  /// - Returns: Whether none is new.
  @inline(__always)
  func find(_ example: ExampleFeatures, of account: Int32) -> Bool {
    let index = indexes.pointee.byAccount[Int(account)]
    let (hashes, rows) = (example.hashes, example.rows)
    var all: Int32 = 0
    for i in 0..<example.count {
      let row = index.row(of: hashes[i])
      rows[i] = row
      all |= row
    }
    return all >= 0
  }

  /// The row of a feature, and whether it is new: `count` may have grown then.
  func findOrInsert(_ hash: UInt32, of account: Int32) -> (row: Int32, isNew: Bool) {
    let row = indexes.pointee.byAccount[Int(account)].row(of: hash)
    return row >= 0 ? (row, false) : (insert(hash, of: account), true)
  }

  private func insert(_ hash: UInt32, of account: Int32) -> Int32 {
    accounts.fill(to: Int(account) + 1, with: Account())
    let state = accounts.update(account)
    if state.pointee.block < 0 || state.pointee.used == FeatureRows.blockRows {
      state.pointee.block = blocks.append(Block(account: account, used: 0))
      state.pointee.used = 0
      hashes.fill(to: blocks.count * Int(FeatureRows.blockRows), with: 0)
    }
    let row = state.pointee.block * FeatureRows.blockRows + state.pointee.used
    state.pointee.used += 1
    blocks.update(state.pointee.block).pointee.used = state.pointee.used
    hashes.update(row).pointee = hash
    indexes.pointee.byAccount[Int(account)].insert(hash, row: row)
    return row
  }

  /// Every feature: whose, for which hash, in which row.
  func visit(_ body: (_ account: Int32, _ hash: UInt32, _ row: Int32) -> Void) {
    for block in 0..<Int32(blocks.count) {
      for i in 0..<blocks[block].used {
        let row = block * FeatureRows.blockRows + i
        body(blocks[block].account, hashes[row], row)
      }
    }
  }

  func hash(_ row: Int32) -> UInt32 { hashes[row] }

  /// The row of an account's feature; -1 where it has none.
  func row(of hash: UInt32, _ account: Int32) -> Int32 {
    guard Int(account) < indexes.pointee.count else { return -1 }
    return indexes.pointee.byAccount[Int(account)].row(of: hash)
  }
}
