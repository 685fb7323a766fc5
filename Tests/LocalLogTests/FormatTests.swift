import Testing

@testable import LocalLog

@Suite("Formats")
struct FormatTests {
  /// Of `xxhash.xxh64` (python-xxhash 3), over the bytes (7 i + 3) mod 256, with seed 0 and seed
  /// 2654435761.
  static let goldens: [(count: Int, seed0: UInt64, seeded: UInt64)] = [
    (0, 0xEF46_DB37_51D8_E999, 0xAC75_FDA2_929B_17EF),
    (1, 0x1F25_C8D0_BC1F_4BB6, 0x79CF_94F5_ACE3_7FE1),
    (2, 0xF5BE_DEC2_3270_6303, 0x457E_E044_E833_4447),
    (3, 0x31D2_363F_52E5_64C9, 0x96D2_A5E5_83DD_D738),
    (4, 0x9BB6_4B7D_66EE_9FDA, 0x4A86_2FBB_4B73_776E),
    (5, 0xC760_8EFD_DB70_51FE, 0xF6CA_0217_9471_D4A8),
    (6, 0x6143_6FB2_8D5C_E4C4, 0x4A49_F736_ADDC_330D),
    (7, 0x9A7B_1499_59CE_60D8, 0xDDC5_CF71_D37A_6368),
    (8, 0xDAB9_9D95_C6F9_0092, 0xC6E7_5E2C_BD8E_07EE),
    (9, 0x170B_B6BF_975B_4C02, 0x3A3E_0F8C_E693_F786),
    (10, 0xBD72_77D7_E2D8_A98C, 0x3873_4EE9_290F_FA19),
    (11, 0x7A52_CC94_57CF_1A1F, 0xAA0D_75A1_8250_1622),
    (12, 0xD52E_4078_33AF_5133, 0x79B0_B158_FAB0_E5D6),
    (13, 0xF78B_0313_08F5_BFC8, 0x216C_4601_7DCB_24E2),
    (14, 0xC7F1_D4D0_ACFA_5A14, 0x5134_1A13_8B09_8941),
    (15, 0x1B47_CB82_43CC_8E32, 0x8120_A1ED_A8AC_77DA),
    (16, 0x4348_5023_2B78_7BE2, 0x17F3_87CE_3088_5DE5),
    (17, 0x1EFA_7025_F1B9_7A7A, 0x8FD4_1ADE_5873_6837),
    (18, 0x2879_1D24_C4CF_5E78, 0xC1C9_AFDC_996A_F635),
    (19, 0x3E91_F7C3_1712_50D0, 0x017D_B0BE_8FBA_B403),
    (20, 0x18AE_385A_DA6B_00CB, 0x83C6_020F_9076_09D1),
    (21, 0xC075_1856_02AF_71EB, 0x9EB4_997A_0482_BB4D),
    (22, 0xB2CE_B44A_A258_FF36, 0xDF14_4AD0_8F76_D7C3),
    (23, 0x36A3_4F92_FB02_05C0, 0x674F_68E1_A94E_07C9),
    (24, 0xC47C_71BD_4694_FF81, 0x2A5F_7B1E_F4E9_909C),
    (25, 0xB13F_23E8_8418_6902, 0xD0A7_896E_DBFB_0E73),
    (26, 0x76A5_852D_6E1C_AB15, 0xE2C6_37A3_0200_564F),
    (27, 0x9AB0_B907_5529_2FC8, 0xFA58_3AFE_1413_FEBF),
    (28, 0x7292_99F9_2FF2_5C75, 0xFAFB_0E6E_5431_44A9),
    (29, 0x6CD0_1834_BE7D_2537, 0x88D7_2934_AA6F_990D),
    (30, 0x4BDD_83B2_B139_424F, 0x3C1B_FFB2_1B8B_91C5),
    (31, 0xA2AA_5F33_CC4A_6119, 0x3818_22F3_3376_D6B6),
    (32, 0x23C3_C17E_F790_FD97, 0x9ABD_3154_70AC_276A),
    (33, 0x50A7_CFC7_BA58_8784, 0x72CD_D326_2F46_7933),
    (34, 0xC3E4_9B08_A6AA_D624, 0x57F5_E720_9F8D_643F),
    (35, 0xA5B3_4560_11D2_913B, 0xB66E_0D49_2B7B_AF1B),
    (63, 0x5E3E_54B4_31C7_493C, 0x634D_A7D2_6597_9E61),
    (64, 0x0EB6_4B3E_F6EE_B01F, 0xBCB3_847D_7052_5180),
    (65, 0xA383_B724_B2BD_12F1, 0x97F9_D8F9_9671_9021),
    (100, 0xA61F_8D4C_170F_E531, 0x86F5_49ED_E5AC_87E2),
    (127, 0x0C2B_3713_C3ED_BEB3, 0x40E0_9DA9_7531_BA31),
    (128, 0x46FB_CFBF_0150_793F, 0x9CD2_5E05_DC8F_EFA9),
    (255, 0x39AE_55A2_9989_206F, 0xB1D1_FDFF_FB70_77CB),
    (300, 0x2400_04DB_EE0B_A6DC, 0x288C_1777_F9FF_BCA4),
  ]

  @Test("XXH64 equals the reference")
  func xxh64() {
    let pattern = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
    for golden in Self.goldens {
      pattern.withUnsafeBytes { bytes in
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<golden.count])
        #expect(XXH64.hash(part) == golden.seed0, "\(golden.count) bytes")
        #expect(XXH64.hash(part, seed: 2_654_435_761) == golden.seeded, "\(golden.count) bytes")
      }
    }
  }

  @Test(
    "Names become safe file names",
    arguments: [
      ("bids", "bids"), ("deal-stages_2.x", "deal-stages_2.x"), ("..", "%2E."), ("a/b", "a%2Fb"),
      ("ü %", "%C3%BC%20%25"),
    ])
  func names(name: String, file: String) throws {
    #expect(try FileName.encode(name) == file)
  }

  @Test("Names that no file system takes are refused")
  func badNames() {
    #expect(throws: (any Error).self) { try FileName.encode("") }
    #expect(throws: (any Error).self) { try FileName.encode(String(repeating: "x", count: 201)) }
  }

  @Test("Padded numbers sort as numbers and read back")
  func padded() {
    #expect(FileName.padded(0) == "00000000000000000000")
    #expect(FileName.number(FileName.padded(.max) + ".log", suffix: ".log") == .max)
    #expect(FileName.number("1.log", suffix: ".log") == nil)
    #expect(FileName.number("0000000000000000000x.log", suffix: ".log") == nil)
    #expect(FileName.number("99999999999999999999.log", suffix: ".log") == nil)
  }

  @Test("A manifest reads back what it wrote")
  func manifest() {
    var manifest = Manifest()
    manifest.set("name", "a \"quoted\" \\ name\n ü 🙂")
    manifest.set("count", -12)
    let read = Manifest(parsing: manifest.bytes)
    #expect(read?.string("name") == "a \"quoted\" \\ name\n ü 🙂")
    #expect(read?.integer("count") == -12)
    #expect(read?.string("count") == nil)
  }

  @Test(
    "What is no manifest is refused",
    arguments: [
      "", "{", "{}x", "[1]", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":99999999999999999999}",
      "{\"a\":\"\\ud800\"}", "{\"a\":\"\\x\"}", "{\"a\":\"", "{\"a\":1.5}",
    ])
  func badManifest(text: String) {
    #expect(Manifest(parsing: Array(text.utf8)) == nil)
  }

  @Test("A header with any bit flipped is no header")
  func headerBits() {
    var header = BlockHeader()
    header.payloadLength = 100
    header.rawLength = 300
    header.baseOffset = 12345
    header.recordCount = 10
    header.times.add(append: 5, event: 6)
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: BlockHeader.length, alignment: 8)
    defer { bytes.deallocate() }
    guard let start = bytes.baseAddress else { return }
    header.write(to: start)
    #expect(BlockHeader(start)?.baseOffset == 12345)
    #expect(BlockHeader(start)?.times == header.times)
    for bit in 0..<BlockHeader.length * 8 {
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(BlockHeader(start) == nil, "bit \(bit)")
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }
  }

  @Test("A segment header of commits reads back")
  func commitSegmentHeader() {
    let header = CommitSegmentHeader(
      table: GroupTable(inputs: ["a", "ü"], outputs: ["bids"]),
      state: GroupState(
        number: 7, nextOffsets: [1, 2], ends: [LogEnd(segment: 3, position: 4, offset: 5)]))
    var bytes = header.encoded()
    #expect(bytes.withUnsafeBytes { CommitSegmentHeader($0) } == header)
    for index in bytes.indices {
      bytes[index] ^= 0x10
      #expect(bytes.withUnsafeBytes { CommitSegmentHeader($0) } == nil, "byte \(index)")
      bytes[index] ^= 0x10
    }
  }
}
