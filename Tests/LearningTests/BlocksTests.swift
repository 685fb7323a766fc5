import Learning
import Testing

@Suite struct BlocksTests {
  @Test func elementsAreTheirOwn() {
    var block = Block256()
    for i in 0..<256 { block[i] = Double(i) }
    for i in 0..<256 { #expect(block[i] == Double(i)) }
    var other = Block256()
    other.add(block, times: 2)
    other.scale(by: 0.5)
    #expect(other == block)
    #expect(Block8.count == 8 && Block32.count == 32 && Block64.count == 64)
    #expect(Block128.count == 128 && Block256.count == 256)
  }

  func isPacked<Value: BitwiseCopyable>(_ type: Value.Type, _ size: Int) -> Bool {
    MemoryLayout<Value>.size == size && MemoryLayout<Value>.stride == size
  }

  /// Rows of tables: the sizes that the documentation states, and no padding.
  @Test func rowsArePacked() {
    #expect(isPacked(ConversionLag.self, 1544) && isPacked(ScoreSums.self, 40))
    #expect(isPacked(ReliabilityTable.self, 256) && isPacked(ScoreHistogram.self, 6144))
    #expect(isPacked(Fading<ScoreHistogram>.self, 6152) && isPacked(OnlinePlatt.self, 40))
    #expect(isPacked(PlattScaling.self, 16) && isPacked(IsotonicCalibration.self, 4104))
    #expect(isPacked(BetaCalibration.self, 24) && isPacked(TemperatureScaling.self, 8))
    #expect(isPacked(ADWIN.self, 4152) && isPacked(PageHinkley.self, 48))
    #expect(isPacked(DDM.self, 32) && isPacked(HDDMA.self, 32) && isPacked(HDDMW.self, 56))
    #expect(isPacked(Mirrored<HDDMW>.self, 112) && isPacked(KSWIN.self, 1048))
    #expect(isPacked(PopulationStability.self, 392))
    #expect(isPacked(EmpiricalBernstein.self, 56) && isPacked(ChampionChallenger.self, 168))
    #expect(isPacked(PrivacyLedger.self, 8) && isPacked(RateSums.self, 40))
  }
}
