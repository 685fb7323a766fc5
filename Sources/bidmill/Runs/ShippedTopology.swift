/// The topology and the world of the demo, for where `Topologies` is not at hand. A test keeps them
/// equal to the shipped files.
enum ShippedTopology {
  static let livePath = "Topologies/live.yaml"
  static let marketPath = "Topologies/worlds/market.yaml"

  static let live = #"""
    # The whole loop: from impressions, clicks, conversions, the campaign catalogue and orders to the
    # bid of every ad, within budgets and limits.
    #
    #   bidmill describe Topologies/live.yaml      what this file means
    #   bidmill demo                               see it work on a simulated market
    #   IDENTITY_KEY=… bidmill replay Topologies/live.yaml --from events.jsonl --out results
    #   IDENTITY_KEY=… bidmill run Topologies/live.yaml
    #
    # Durations are 250ms, 5s, 30m, 24h, 7d. ${NAME:-default} is taken from the environment.

    topology: live

    # Every random draw is a function of the seed; the same log and seed give the same results.
    seed: 1

    time:
      tick: 1s                # time moves in steps of this
      out_of_orderness: 5s    # how far behind the newest event another one may be and still be on time

    # Where events come from. A source is `log:` (a directory on this machine), `kafka:` (a cluster)
    # or `files:` (JSON Lines; replays only).
    sources:
      events:
        log: { directory: "${LIVE_LOG:-data}", topics: [events] }

    # What happens to them, one step after the other. `bidmill describe --settings` explains every
    # setting.
    operators:
      # Producers retry: the second one is counted and dropped.
      unique:
        operator: deduplicate
        from: events
        within: 24h

      # Identifiers that were seen together are one person. They are kept only as hashes under this
      # key, which is never stored or printed; changing it forgets everybody.
      people:
        operator: identity
        from: unique
        key: "${IDENTITY_KEY:-}"

      # What each person was shown and clicked, and how far they have come.
      journeys:
        operator: journeys
        from: people
        lookback: 30d
        timeout: 14d

      # Who brought a conversion. `primary` is what rates, values and evidence count by.
      credits:
        operator: attribution
        from: journeys
        models: [last_touch, time_decay]
        primary: time_decay
        windows: { click: 30d, view: 1d }

      # What is believed of every ad: click rate, conversion rate, value, return on spend, and how
      # likely it is to be its campaign's best. An ad that is new begins with what its campaign and
      # account are like.
      posteriors:
        operator: posteriors
        from: [unique, journeys, credits]
        half_life: 7d

      # What to expect of every impression, learned online from its features. What the model
      # expects of an ad's recent traffic counts beside the ad's own evidence while that is thin.
      learner:
        operator: learner
        from: [journeys, credits]
        features: [bias, campaign, ad, placement, "features.*", journey.state]
        conversion_window: 1d

      # How fast each campaign may spend, so that its budget lasts its own day. A budget that is spent
      # stops the campaign with the event that spent it.
      pacing:
        operator: pacing
        from: unique
        every: 1m

      # What to bid: worth by the campaign's goal, times its pacing.
      bids:
        operator: bids
        from: [unique, posteriors, learner, pacing]

      # What is published: orders, budgets and caps have the last word.
      safety:
        operator: safety
        from: [unique, bids]
        publish: { change: 0.01, every: 4m }
        valid_for: 10m        # a bidder that hears nothing for this long stops
        step_limit: 1.25      # a bid rises to at most this times the last one

    # Where results go. A sink takes the stream of its name; `stream:` picks another. What a sink's
    # transport leaves out is that of the sources: here the same directory, and a topic of that name.
    sinks:
      bid_parameters:
        from: safety
        log: { topic: bid-parameters }

      attributions:
        from: credits
        log: { topic: attributions }

      # What a person should look at.
      alerts:
        from: [people, learner, pacing, safety]
        log: { topic: alerts }

      # Records that could not be accepted, whole and with the reason. They always have a sink; name
      # it to say where.
      dead_letters:
        log: { topic: dead-letters }

    # Outputs and positions commit together, or not at all. `at_least_once` trades that for latency.
    delivery: exactly_once

    # What a restart begins from.
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
            bid: { default: 0.0046, max: 0.03 }  # as a person would tune it: lasts until evening
            ads: 6
            opportunities: 2      # a second, on average over a day
            click_rate: { mean: 0.02, spread: 5 }         # of the best ad over that of the worst
            conversion_rate: { mean: 0.06, spread: 5 }
            value: { mean: 8, sigma: 0.5 }
            rivals: { median: 0.006, sigma: 0.6, drift: 0.1, floor: 0.0005 }

          - name: jackets
            timezone: Europe/Berlin
            budget: 80
            budget_changes:
              - { after: 60h, budget: 110 }
            bid: { default: 0.0067, max: 0.05 }
            ads: 5
            opportunities: 1.5
            click_rate: { mean: 0.012, spread: 5 }
            conversion_rate: { mean: 0.05, spread: 5 }
            value: { mean: 25, sigma: 0.7 }
            rivals: { median: 0.009, sigma: 0.6, drift: 0.1, floor: 0.0005 }

      - name: borealis
        users: 30000
        newcomers: 0.3
        campaigns:
          - name: games
            timezone: America/New_York
            budget: 150
            bid: { default: 0.0045, max: 0.03 }
            ads: 8
            opportunities: 2.5
            click_rate: { mean: 0.03, spread: 5 }
            conversion_rate: { mean: 0.1, spread: 5 }
            value: { mean: 3, sigma: 0.8 }
            rivals: { median: 0.006, sigma: 0.7, drift: 0.1, floor: 0.0005 }

          # Its conversions are leads, which go on as deals.
          - name: software
            timezone: UTC
            budget: 60
            bid: { default: 0.0068, max: 0.05 }
            ads: 4
            opportunities: 1
            click_rate: { mean: 0.01, spread: 5 }
            conversion_rate: { mean: 0.08, spread: 5 }
            value: { mean: 20, sigma: 0.6 }
            rivals: { median: 0.01, sigma: 0.5, drift: 0.1, floor: 0.001 }
            deals:
              pipeline: sales
              stages:
                - { name: qualified, chance: 0.6, after: 6h }
                - { name: proposal, chance: 0.6, after: 12h }
                - { name: won, chance: 0.5, after: 18h }

    """#
}
