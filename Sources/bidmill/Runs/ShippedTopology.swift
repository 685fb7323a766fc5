/// The smallest shipped topology, for where `Topologies/tally.yaml` is not at hand. A test keeps the
/// two equal.
enum ShippedTopology {
  static let tallyPath = "Topologies/tally.yaml"
  static let livePath = "Topologies/live.yaml"

  static let tally = #"""
    # The smallest useful topology: count what happened, exactly once, and publish running totals.
    #
    #   bidmill describe Topologies/tally.yaml        what this file means
    #   bidmill validate Topologies/tally.yaml        whether it is right
    #   bidmill replay Topologies/tally.yaml --from events.jsonl --out results
    #
    # Durations are 250ms, 5s, 30m, 24h, 7d. ${NAME:-default} is taken from the environment.

    topology: tally

    # Every random draw is a function of the seed; the same log and seed give the same results.
    seed: 1

    time:
      tick: 1s                # time moves in steps of this
      out_of_orderness: 5s    # how far behind the newest event another one may be and still be on time

    # Where events come from. A source is `log:` (a directory on this machine), `kafka:` (a cluster)
    # or `files:` (JSON Lines; replays only). Change the transport and nothing else changes.
    sources:
      events:
        log: { directory: "${TALLY_LOG:-data}", topics: [events] }

    # What happens to them. `from` names a source or another operator; an operator's name is its own,
    # `operator` says what it does. `bidmill describe --settings` explains every setting.
    operators:
      # Producers retry, so the same event may come twice: the second one is counted and dropped.
      unique:
        operator: deduplicate
        from: events
        within: 24h

      # Exact totals per account, campaign and ad, published for what changed.
      totals:
        operator: tally
        from: unique
        every: 1m

    # Where results go. A sink takes the stream of its name; `stream:` picks another. What a sink's
    # transport leaves out is that of the sources: here the same directory, and the topic `tallies`.
    sinks:
      tallies:
        from: totals
        log: { topic: tallies }

      # Records that could not be accepted, whole and with the reason. They always have a sink; name
      # it to say where.
      dead_letters:
        log: { topic: dead-letters }

    # Outputs and positions commit together, or not at all. `at_least_once` trades that for latency.
    delivery: exactly_once

    # What a restart begins from.
    snapshots: { directory: "${TALLY_STATE:-state/tally}", every: 10m }

    """#
}
