import Bidding
import Events
import Streaming

/// Which identifiers are one person: components of a graph of identifiers.
///
/// Each identifier knows its person directly, so finding one is one search; of two persons that
/// turn out to be one, the smaller's identifiers are renamed (union by size: O(log n) renamings
/// per identifier, whatever happens). The edges that made a component are kept as a spanning tree:
/// each identifier but one knows through which other one it was linked, and when. 64 bytes an
/// identifier and 32 a person, beside 8–16 bytes of index.
struct PersonGraph {
  /// An identifier, as a keyed hash, and the edge that linked it. A line of the cache, with all
  /// that an event of a known identifier needs.
  struct Link: BitwiseCopyable {
    var hash: UInt64
    /// The person's.
    var pseudonym: UInt64
    /// Event time of the edge to `via`.
    var linked: Int64
    /// The newest event time that it was seen with.
    var seen: Int64
    /// -1 while the row is free.
    var person: Int32
    /// Neighbours in the person's list, or the next free row; -1 at the end.
    var next: Int32
    var previous: Int32
    /// Row of the identifier that it was linked through; -1 for a person's first.
    var via: Int32
    /// Generation of `via` at that time: another one is there when they differ.
    var viaGeneration: UInt32
    /// Rises when the row gets another identifier.
    var generation: UInt32
    var kind: IdentityMethod
  }

  struct Person: BitwiseCopyable {
    var pseudonym: UInt64
    /// Its identifiers' list, or the next free row.
    var first: Int32
    var account: Int32
    var size: Int32
    var devices: Int32
    var users: Int32
    /// Takes part in no more merges.
    var isFrozen: Bool
  }

  private struct Header: BitwiseCopyable {
    var freeLink: Int32 = -1
    var freePerson: Int32 = -1
  }

  private let links: Table<Link>
  private let persons: Table<Person>
  private let header: Table<Header>
  private let index = RowIndex()

  init(in store: StateStore) {
    let links = store.table("identifiers", of: Link.self, version: 2)
    persons = store.table("persons", of: Person.self)
    header = store.table("free", of: Header.self, capacity: 1)
    header.append(Header())
    self.links = links
    let index = index
    store.afterRestore {
      index.removeAll()
      for row in 0..<Int32(links.count) where links[row].person >= 0 {
        index.insert(links[row].hash, row: row)
      }
    }
  }

  func deallocate() { index.deallocate() }

  /// The row of an identifier; -1 when it is unknown. O(1).
  @inline(__always)
  func find(_ hash: UInt64) -> Int32 { index.find(hash) { links[$0].hash == hash } ?? -1 }

  /// The same, for an identifier that was in this row a while ago or, where that is -1, unknown.
  @inline(__always)
  func find(_ hash: UInt64, at row: Int32) -> Int32 {
    if row >= 0, links[row].hash == hash, links[row].person >= 0 { return row }
    return find(hash)
  }

  /// Loads what `find` begins with; returns something of it.
  @inline(__always)
  func touch(_ hash: UInt64) -> UInt32 { index.touch(hash) }

  @inline(__always)
  func link(_ row: Int32) -> Link { links[row] }

  @inline(__always)
  func person(_ row: Int32) -> Person { persons[row] }

  /// Keeps that an identifier was seen.
  @inline(__always)
  func see(_ row: Int32, at time: Int64) {
    if links[row].seen < time { links.update(row).pointee.seen = time }
  }

  /// What a timer that is set for an identifier carries: the row and whose it is.
  func timerKey(_ row: Int32) -> Int64 { Int64(links[row].generation) << 32 | Int64(row) }

  /// The row that a timer was set for; nil when the identifier has gone since.
  func row(ofTimer key: Int64) -> Int32? {
    let row = Int32(truncatingIfNeeded: key)
    let link = links[row]
    return link.person >= 0 && Int64(link.generation) == key >> 32 ? row : nil
  }

  func addPerson(account: Int32, pseudonym: UInt64) -> Int32 {
    let person = Person(
      pseudonym: pseudonym, first: -1, account: account, size: 0, devices: 0, users: 0,
      isFrozen: false)
    let free = header[0].freePerson
    guard free >= 0 else { return persons.append(person) }
    header.update(0).pointee.freePerson = persons[free].first
    persons.update(free).pointee = person
    return free
  }

  /// Adds an identifier to a person. `via` is the identifier that linked it, -1 for the first.
  func attach(_ hash: UInt64, _ kind: IdentityMethod, to person: Int32, via: Int32, at time: Int64)
    -> Int32
  {
    var link = Link(
      hash: hash, pseudonym: 0, linked: time, seen: time, person: person, next: -1, previous: -1,
      via: via, viaGeneration: via >= 0 ? links[via].generation : 0, generation: 0, kind: kind)
    var row = header[0].freeLink
    if row >= 0 {
      header.update(0).pointee.freeLink = links[row].next
      link.generation = links[row].generation &+ 1
      links.update(row).pointee = link
    } else {
      row = links.append(link)
    }
    index.insert(hash, row: row)
    enlist(row, in: person)
    return row
  }

  private func enlist(_ row: Int32, in person: Int32) {
    let owner = persons.update(person)
    let link = links.update(row)
    link.pointee.person = person
    link.pointee.pseudonym = owner.pointee.pseudonym
    link.pointee.previous = -1
    link.pointee.next = owner.pointee.first
    if owner.pointee.first >= 0 { links.update(owner.pointee.first).pointee.previous = row }
    owner.pointee.first = row
    owner.pointee.size += 1
    if link.pointee.kind == .device { owner.pointee.devices += 1 }
    if link.pointee.kind == .user { owner.pointee.users += 1 }
  }

  /// Removes an identifier; true when its person has none left. The person's row then still
  /// stands, until `free`.
  func detach(_ row: Int32) -> Bool {
    let link = links[row]
    let owner = persons.update(link.person)
    if link.previous >= 0 {
      links.update(link.previous).pointee.next = link.next
    } else {
      owner.pointee.first = link.next
    }
    if link.next >= 0 { links.update(link.next).pointee.previous = link.previous }
    owner.pointee.size -= 1
    if link.kind == .device { owner.pointee.devices -= 1 }
    if link.kind == .user { owner.pointee.users -= 1 }
    release(row)
    return owner.pointee.size == 0
  }

  private func release(_ row: Int32) {
    index.remove(links[row].hash, row: row)
    let link = links.update(row)
    link.pointee.person = -1
    // Whoever was linked through it is linked through nothing from now on.
    link.pointee.generation &+= 1
    link.pointee.next = header[0].freeLink
    header.update(0).pointee.freeLink = row
  }

  /// Gives up a person with all its identifiers.
  func free(_ person: Int32) {
    var row = persons[person].first
    while row >= 0 {
      let next = links[row].next
      release(row)
      row = next
    }
    persons.update(person).pointee.first = header[0].freePerson
    persons.update(person).pointee.size = 0
    header.update(0).pointee.freePerson = person
  }

  func freeze(_ person: Int32) { persons.update(person).pointee.isFrozen = true }

  /// Makes two persons one by an edge between an identifier of each. The larger stays; of equals,
  /// `a`'s person. The other's row is free afterwards.
  func merge(_ a: Int32, _ b: Int32, at time: Int64) -> (kept: Int32, absorbed: Int32) {
    let (pa, pb) = (links[a].person, links[b].person)
    let keepsFirst = persons[pa].size >= persons[pb].size
    let (kept, absorbed) = keepsFirst ? (pa, pb) : (pb, pa)
    let (outer, inner) = keepsFirst ? (a, b) : (b, a)
    makeRoot(inner)
    let edge = links.update(inner)
    edge.pointee.via = outer
    edge.pointee.viaGeneration = links[outer].generation
    edge.pointee.linked = time
    var row = persons[absorbed].first
    while row >= 0 {
      let next = links[row].next
      enlist(row, in: kept)
      row = next
    }
    persons.update(absorbed).pointee.first = header[0].freePerson
    persons.update(absorbed).pointee.size = 0
    header.update(0).pointee.freePerson = absorbed
    return (kept, absorbed)
  }

  /// Turns round the edges from an identifier to the root of its tree, so that it is the root.
  private func makeRoot(_ row: Int32) {
    var current = row
    var (via, time): (Int32, Int64) = (-1, links[row].linked)
    while current >= 0 {
      let link = links[current]
      let next = linkedThrough(link)
      let changed = links.update(current)
      changed.pointee.via = via
      changed.pointee.viaGeneration = via >= 0 ? links[via].generation : 0
      changed.pointee.linked = time
      (via, time) = (current, link.linked)
      current = next
    }
  }

  /// The identifier that one was linked through; -1 for none, or when it has gone.
  func linkedThrough(_ link: Link) -> Int32 {
    guard link.via >= 0 else { return -1 }
    let via = links[link.via]
    return via.person >= 0 && via.generation == link.viaGeneration ? link.via : -1
  }

  var identifierCount: Int { (0..<Int32(links.count)).count { links[$0].person >= 0 } }
  var personCount: Int { (0..<Int32(persons.count)).count { persons[$0].size > 0 } }

  func digest(into digest: inout StateDigest) {
    for row in 0..<Int32(links.count) where links[row].person >= 0 {
      let link = links[row]
      let via = linkedThrough(link)
      digest.add(
        owner: link.hash, Int64(link.kind.rawValue), link.linked, link.seen,
        Int64(bitPattern: via >= 0 ? links[via].hash : 0),
        Int64(bitPattern: link.pseudonym))
    }
    for row in 0..<Int32(persons.count) where persons[row].size > 0 {
      let person = persons[row]
      digest.add(
        owner: person.pseudonym, Int64(person.size), Int64(person.devices), Int64(person.users),
        person.isFrozen ? 1 : 0)
    }
  }
}
