# The service as an image: built where Swift is, run where it is not.
#
#   docker build -t bidmill .
#   docker run --rm bidmill --help
#
# The release build is linked against Swift's libraries statically; of the C libraries the image
# has librdkafka and libzstd, from the same Ubuntu that they were built with.

FROM swift:6.3-noble AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libzstd-dev librdkafka-dev pkg-config \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Fetched anew only when the manifest has changed.
COPY Package.swift ./
RUN --mount=type=cache,target=/root/.cache/org.swift.swiftpm \
  mkdir -p Sources Tests && swift package resolve
COPY Sources Sources
COPY Tests Tests
RUN --mount=type=cache,target=/root/.cache/org.swift.swiftpm \
  swift build --configuration release --product bidmill --static-swift-stdlib \
  && install -D -s "$(swift build --configuration release --static-swift-stdlib --show-bin-path)/bidmill" \
    /out/bidmill

FROM ubuntu:24.04
RUN apt-get update \
  && apt-get install --yes --no-install-recommends librdkafka1 libzstd1 ca-certificates curl \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --home-dir /var/lib/bidmill --create-home bidmill
COPY --from=build /out/bidmill /usr/local/bin/bidmill
COPY Topologies /usr/share/bidmill/Topologies
USER bidmill
# Snapshots and local logs of topologies that name relative directories.
WORKDIR /var/lib/bidmill
VOLUME /var/lib/bidmill
# To be reached from outside of the container: BIDMILL_HTTP=0.0.0.0:8080, which wants BIDMILL_TOKEN.
EXPOSE 8080
# Alive, not ready: a run that restores is left alone. Any address that is listened on answers here,
# and health needs no token.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["curl", "--fail", "--silent", "--show-error", "http://127.0.0.1:8080/health/live"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["bidmill"]
CMD ["--help"]
