import ArgumentParser
import Simulation

/// Whose events are made up: what is not given stays as the command has it.
struct PopulationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Everything left to chance follows from it (default: 1).", valueName: "n"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Accounts, 1 to 9999 (default: 8; of a load: 20).", valueName: "n"))
  var accounts: Int?

  @Option(
    help: ArgumentHelp("Campaigns of each account, 1 to 99 (default: 4).", valueName: "n"))
  var campaigns: Int?

  @Option(help: ArgumentHelp("Ads of each campaign, 1 to 999 (default: 12).", valueName: "n"))
  var ads: Int?

  @Option(
    help: ArgumentHelp(
      "Users of each account, 1 to 1000000 (default: 20000; of a load: 100000).", valueName: "n"))
  var users: Int?

  func validate() throws {
    try PopulationOptions.check([
      ("accounts", accounts, 1...9_999), ("campaigns", campaigns, 1...99), ("ads", ads, 1...999),
      ("users", users, 1...1_000_000),
    ])
  }

  static func check(_ options: [(name: String, value: Int?, bounds: ClosedRange<Int>)]) throws {
    for (name, value, bounds) in options {
      guard let value, !bounds.contains(value) else { continue }
      throw ValidationError(
        "--\(name) is \(bounds.lowerBound) to \(bounds.upperBound), not \(value).")
    }
  }

  func apply(to settings: inout HistorySettings) {
    settings.seed = seed ?? settings.seed
    settings.accounts = accounts ?? settings.accounts
    settings.campaignsPerAccount = campaigns ?? settings.campaignsPerAccount
    settings.adsPerCampaign = ads ?? settings.adsPerCampaign
    settings.usersPerAccount = users ?? settings.usersPerAccount
  }
}
