import Events

/// What is kept of an impression or a click: 24 bytes beside the text of its id.
struct Touch: BitwiseCopyable {
  var time: Int64
  /// Rows in the directory.
  var campaign: Int32
  var ad: Int32
  /// The id, in the text store.
  var text: Int32
  var textLength: UInt8
  var isClick: Bool
  var isViewable: Bool
}

/// What was shown. The campaign of a touch that was no view stands with its sign turned, so that no
/// campaign equals it.
struct TouchPlace: BitwiseCopyable {
  private let markedCampaign: Int32
  let ad: Int32

  @inline(__always)
  init(_ touch: Touch) {
    markedCampaign = touch.isViewable ? touch.campaign : touch.campaign ^ Int32.min
    ad = touch.ad
  }

  @inline(__always)
  func campaign(isViewable: Bool) -> Int32 {
    isViewable ? markedCampaign : markedCampaign ^ Int32.min
  }
}

/// What a touch is beside its time and place.
struct TouchRest: BitwiseCopyable {
  /// In the text store.
  let text: Int32
  let textLength: UInt8
  let isClick: Bool
  let isViewable: Bool

  @inline(__always)
  init(_ touch: Touch) {
    text = touch.text
    textLength = touch.textLength
    isClick = touch.isClick
    isViewable = touch.isViewable
  }
}

/// The touches of a list, in order of time.
struct Touches {
  let times: UnsafePointer<Int64>
  let places: UnsafePointer<TouchPlace>
  let rests: UnsafePointer<TouchRest>
  let count: Int

  /// Times, or places, in a line of the cache.
  static let timesPerLine = 8

  @inline(__always)
  init(_ block: UnsafeRawPointer, capacity: Int, start: Int, count: Int) {
    times = block.assumingMemoryBound(to: Int64.self) + start
    places = (block + 8 &* capacity).assumingMemoryBound(to: TouchPlace.self) + start
    rests = (block + 16 &* capacity).assumingMemoryBound(to: TouchRest.self) + start
    self.count = count
  }

  /// None; the addresses are never read.
  @inline(__always)
  init() {
    let nowhere = UnsafeRawPointer(bitPattern: 8).unsafelyUnwrapped
    self.init(nowhere, capacity: 0, start: 0, count: 0)
  }

  @inline(__always)
  subscript(place: Int) -> Touch {
    let rest = rests[place]
    return Touch(
      time: times[place], campaign: places[place].campaign(isViewable: rest.isViewable),
      ad: places[place].ad, text: rest.text, textLength: rest.textLength, isClick: rest.isClick,
      isViewable: rest.isViewable)
  }

  /// How many of the first `end` touches are older than a moment. O(n): goes back from the newest,
  /// a line of the cache at a time, which of a list as short as a person's costs less than a binary
  /// search's wrong guesses.
  @inline(__always)
  func count(before time: Int64, end: Int) -> Int {
    if end == 0 || times[0] >= time { return 0 }
    var end = end
    while end > Touches.timesPerLine, times[end &- Touches.timesPerLine] >= time {
      end &-= Touches.timesPerLine
    }
    // What is older than these is older than the moment.
    var count = max(end &- Touches.timesPerLine, 0)
    for place in count..<end { count &+= times[place] < time ? 1 : 0 }
    return count
  }

  /// Viewable impressions of a campaign, and of an ad of it, among some of the touches.
  @inline(__always)
  func views(
    of campaign: Int32, _ ad: Int32, among touches: Range<Int>
  ) -> (campaign: Int32, ad: Int32) {
    // Two touches at a time; lanes that are equal are -1.
    let wanted = SIMD4<Int32>(campaign, ad, campaign, ad)
    var (campaigns, both) = (SIMD4<Int32>.zero, SIMD4<Int32>.zero)
    var place = touches.lowerBound
    while place &+ 2 <= touches.upperBound {
      let pair = UnsafeRawPointer(places + place).loadUnaligned(as: SIMD4<Int32>.self)
      let equal = unsafeBitCast(pair .== wanted, to: SIMD4<Int32>.self)
      campaigns &-= equal
      both &-= equal & SIMD4(equal[1], equal[0], equal[3], equal[2])
      place &+= 2
    }
    var sums = (campaign: campaigns[0] &+ campaigns[2], ad: both[0] &+ both[2])
    if place < touches.upperBound {
      let isCampaign = places[place].campaign(isViewable: true) == campaign
      sums.campaign &+= isCampaign ? 1 : 0
      sums.ad &+= isCampaign && places[place].ad == ad ? 1 : 0
    }
    return sums
  }
}
