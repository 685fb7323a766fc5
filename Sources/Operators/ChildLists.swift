import Streaming

/// Which rows stand below which: the ads of a campaign, the campaigns of an account. In the order
/// in which they came, so that what is done to all of them does not depend on other accounts.
///
/// 8 bytes a parent and 4 a child. Nothing is ever removed, as nothing is from the directory.
struct ChildLists {
  private struct Ends: BitwiseCopyable {
    var first: Int32 = ChildLists.end
    var last: Int32 = ChildLists.end
  }

  static let end: Int32 = -1
  private static let unlisted: Int32 = -2
  private let ends: Table<Ends>
  private let next: Table<Int32>

  init(_ name: String, in store: StateStore) {
    ends = store.table("\(name).ends", of: Ends.self)
    next = store.table("\(name).next", of: Int32.self)
  }

  /// Lists a child below its parent; does nothing when it is listed. O(1).
  func add(_ child: Int32, below parent: Int32) {
    next.fill(to: Int(child) + 1, with: ChildLists.unlisted)
    guard next[child] == ChildLists.unlisted else { return }
    ends.fill(to: Int(parent) + 1, with: Ends())
    next.update(child).pointee = ChildLists.end
    let row = ends.update(parent)
    if row.pointee.last == ChildLists.end {
      row.pointee.first = child
    } else {
      next.update(row.pointee.last).pointee = child
    }
    row.pointee.last = child
  }

  /// The first child; `end` where there is none.
  func first(of parent: Int32) -> Int32 {
    Int(parent) < ends.count ? ends[parent].first : ChildLists.end
  }

  /// The one after it; `end` after the last.
  func next(after child: Int32) -> Int32 { next[child] }
}
