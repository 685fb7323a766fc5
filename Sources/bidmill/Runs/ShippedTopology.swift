/// The topology and the world of the demo, for where `Topologies` is not at hand. A test keeps them
/// equal to the shipped files.
enum ShippedTopology {
  static let livePath = "Topologies/live.yaml"
  static let marketPath = "Topologies/worlds/market.yaml"

  static let live = #"""
    topology: live
    seed: 1
    time: { tick: 1s, out_of_orderness: 5s }
    sources:
      events:
        log: { directory: "${LIVE_LOG:-data}", topics: [events] }
    operators:
      unique:      { operator: deduplicate, from: events, within: 24h }
      people:      { operator: identity, from: unique, key: "${IDENTITY_KEY:-}" }
      journeys:    { operator: journeys, from: people }
      credits:     { operator: attribution, from: journeys }
      posteriors:  { operator: posteriors, from: [journeys, credits] }
      pacing:      { operator: pacing, from: unique }
      bids:        { operator: bids, from: [unique, posteriors, pacing] }
      safety:      { operator: safety, from: [unique, bids] }
    sinks:
      bid_parameters: { from: safety, log: { topic: bid-parameters } }
      attributions:   { from: credits, log: { topic: attributions } }
      alerts:         { from: [safety, pacing], log: { topic: alerts } }
      dead_letters:   { log: { topic: dead-letters } }
    snapshots: { directory: "${LIVE_STATE:-state/live}", every: 10m }

    """#

  static let market = #"""
    # A market to bid in: two advertisers, four campaigns, and what no bidder is told about them.
    #
    #   bidmill simulate Topologies/worlds/market.yaml --out market
    #   bidmill simulate Topologies/worlds/market.yaml --seeds 20
    #
    # Every field may be left out. Money is in the account's currency, rates are parts of 1, durations
    # are 250ms, 5s, 30m, 24h, 7d.

    world: market

    # The same world gives the same events, to the byte.
    seed: 1
    start: 2026-03-05T00:00:00Z
    days: 5                       # New York's clocks go forward on the fourth: a day of 23 hours

    bidder:
      choice: share               # which ad is bid for: drawn by `share`, or `bid`: the highest bid
      step: 5s                    # what happened is processed this often,
      latency: 1s                 # and obeyed this much later

    log:
      lost_auctions: 0.02         # the part of lost auctions that is told
      duplicates: 0.002           # records that come twice
      bad_records: 0.0002         # records that break the contract
      heartbeat: 10s

    accounts:
      - name: aurora
        users: 20000              # people who come again; their interest grows with clicks
        newcomers: 0.2            # the part of opportunities that somebody brings who never came before
        campaigns:
          - name: sneakers
            timezone: Europe/Berlin
            budget: 120           # a day, by its own clock
            bid: { default: 0.0045, max: 0.03 }  # as a person would tune it: the budget lasts until evening
            ads: 6
            opportunities: 2      # a second, on average over a day
            click_rate: { mean: 0.02, spread: 5 }         # of the best ad over that of the worst
            conversion_rate: { mean: 0.06, spread: 5 }
            value: { mean: 8, sigma: 0.5 }
            rivals: { median: 0.006, sigma: 0.6, drift: 0.15, floor: 0.0005 }

          - name: jackets
            timezone: Europe/Berlin
            budget: 80
            budget_changes:
              - { after: 60h, budget: 110 }
            bid: { default: 0.007, max: 0.05 }
            ads: 5
            opportunities: 1.5
            click_rate: { mean: 0.012, spread: 5 }
            conversion_rate: { mean: 0.05, spread: 5 }
            value: { mean: 25, sigma: 0.7 }
            rivals: { median: 0.009, sigma: 0.6, drift: 0.2, floor: 0.0005 }

      - name: borealis
        users: 30000
        newcomers: 0.3
        campaigns:
          - name: games
            timezone: America/New_York
            budget: 150
            bid: { default: 0.0043, max: 0.03 }
            ads: 8
            opportunities: 2.5
            click_rate: { mean: 0.03, spread: 5 }
            conversion_rate: { mean: 0.1, spread: 5 }
            value: { mean: 3, sigma: 0.8 }
            rivals: { median: 0.006, sigma: 0.7, drift: 0.15, floor: 0.0005 }

          # Its conversions are leads, which go on as deals.
          - name: software
            timezone: UTC
            budget: 60
            bid: { default: 0.0067, max: 0.05 }
            ads: 4
            opportunities: 1
            click_rate: { mean: 0.01, spread: 5 }
            conversion_rate: { mean: 0.08, spread: 5 }
            value: { mean: 20, sigma: 0.6 }
            rivals: { median: 0.01, sigma: 0.5, drift: 0.2, floor: 0.001 }
            deals:
              pipeline: sales
              stages:
                - { name: qualified, chance: 0.6, after: 6h }
                - { name: proposal, chance: 0.6, after: 12h }
                - { name: won, chance: 0.5, after: 18h }

    """#
}
