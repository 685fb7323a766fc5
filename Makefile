# One command for each thing a developer does here. `make` alone lists them.
#
# The debug build is shared: `check` and `test` compile with the same flags into the same folder,
# so running one after the other compiles nothing twice. The release build stands beside it and
# is what `demo` runs.

SHELL := /bin/bash

# SwiftPM keeps the dependencies' warnings out of this: only our own targets are held to it.
STRICT := -Xswiftc -warnings-as-errors
FORMATTED := Package.swift Sources Benchmarks/Package.swift Benchmarks/Suite Benchmarks/Support \
  Benchmarks/Tools $(filter-out Tests/Fuzz,$(wildcard Tests/*)) Tests/Fuzz/Package.swift \
  Tests/Fuzz/Sources
TEST_LOG := .build/test.log

# `make test FILTER=EventsTests` runs part of the tests; `make bench FILTER=Decoding` part of
# the benchmarks.
FILTER ?=

.DEFAULT_GOAL := help
.PHONY: help setup toolchain libraries build demo test test-build check lint leftovers format bench baseline measure fuzz timezones clean

help: ## List these targets
	@echo "usage: make TARGET"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) \
	  | awk -F '|' '{ printf "  %-9s %s\n", $$1, $$2 }'

setup: toolchain libraries ## Install what is missing: libzstd, librdkafka (asks for nothing that is there)

toolchain:
	@version=$$(swift --version 2>/dev/null \
	  | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -1); \
	set -- $$version; \
	if [ $$# -lt 2 ]; then \
	  echo "Swift is not installed. bidmill needs Swift 6.3 or newer:"; \
	  echo "  https://www.swift.org/install (for example: swiftly install latest)"; \
	  exit 1; \
	elif [ "$$1" -lt 6 ] || { [ "$$1" -eq 6 ] && [ "$$2" -lt 3 ]; }; then \
	  echo "Swift $$1.$$2 is too old: bidmill needs 6.3 or newer."; \
	  echo "  https://www.swift.org/install (for example: swiftly install latest)"; \
	  exit 1; \
	fi >&2

# The versions are those of Debian 12, the oldest that is supported.
LIBRARIES := 'libzstd >= 1.5.0' 'rdkafka >= 2.0.2'

libraries:
	@if pkg-config --exists $(LIBRARIES) 2>/dev/null; then exit 0; fi; \
	set -e; \
	if [ "$$(uname)" = Darwin ]; then \
	  if ! command -v brew >/dev/null; then \
	    echo "Homebrew is not installed. Get it (https://brew.sh), or install zstd, librdkafka" >&2; \
	    echo "and pkgconf another way, so that pkg-config finds libzstd and rdkafka." >&2; \
	    exit 1; \
	  fi; \
	  brew install --quiet pkgconf zstd librdkafka; \
	elif command -v apt-get >/dev/null; then \
	  sudo=; \
	  if [ "$$(id -u)" -ne 0 ]; then \
	    command -v sudo >/dev/null || { \
	      echo "Run as root: apt-get install pkg-config libzstd-dev librdkafka-dev" >&2; exit 1; }; \
	    if [ -t 0 ]; then sudo=sudo; else sudo="sudo -n"; fi; \
	  fi; \
	  echo "Installing pkg-config, libzstd-dev and librdkafka-dev"; \
	  $$sudo apt-get update -qq </dev/null; \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    pkg-config libzstd-dev librdkafka-dev </dev/null >/dev/null; \
	else \
	  echo "Install pkg-config and the development files of libzstd and librdkafka (>= 2.0.2)" >&2; \
	  echo "with this system's package manager, then run make again." >&2; \
	  exit 1; \
	fi; \
	if ! pkg-config --exists --print-errors $(LIBRARIES); then \
	  echo "This system's packages are too old: build the named library from its source," >&2; \
	  echo "or use Debian 12, Ubuntu 24.04 or newer." >&2; \
	  exit 1; \
	fi

build: setup ## Build the release binary, .build/release/bidmill
	swift build -c release --product bidmill

demo: build ## Run everything on this machine, no broker needed
	.build/release/bidmill demo

test-build: setup
	swift build --build-tests $(STRICT)

# The whole output is kept; what passes silently is left out of what is shown.
test: test-build ## Run the tests (FILTER=NAME for some of them)
	@set -o pipefail; \
	swift test --skip-build --disable-xctest $(STRICT) $(if $(FILTER),--filter '$(FILTER)') \
	  2>&1 </dev/null | tee $(TEST_LOG) \
	  | { grep -vE '^◇ |^✔ (Test|Suite) .* passed after|^↳ (Testing Library|Target)|^(✔|✘) Test run with' || true; }; \
	status=$$?; \
	grep -E '^(✔|✘) Test run with' $(TEST_LOG) || true; \
	exit $$status

check: lint leftovers test-build ## Everything but running the tests: format, warnings, leftovers

lint: toolchain
	swift format lint --strict --parallel --recursive $(FORMATTED)

# What the compiler and the formatter do not see. `make test` looks into the sources themselves
# (Tests/ArchitectureTests).
leftovers:
	@set -e; \
	head -2 LICENSE | grep -q 'Apache License' || { echo "LICENSE is not Apache-2.0" >&2; exit 1; }; \
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then \
	  git diff --check "$$(git hash-object -t tree /dev/null)" -- . \
	    || { echo "blanks at line ends or conflict markers: see above" >&2; exit 1; }; \
	  tracked=$$(git ls-files -- '*Package.resolved' '.build*' 'Benchmarks/.build*' 'Tests/Fuzz/.build*' '*.swp' '.DS_Store'); \
	  if [ -n "$$tracked" ]; then echo "must not be committed: $$tracked" >&2; exit 1; fi; \
	  large=$$(git ls-files -z | xargs -0 -I{} find {} -maxdepth 0 -type f -size +2048k); \
	  if [ -n "$$large" ]; then echo "larger than 2 MiB: $$large" >&2; exit 1; fi; \
	fi

format: toolchain ## Format the sources in place
	swift format --in-place --parallel --recursive $(FORMATTED)

# Files and folders are left where the tools find them again: /tmp/bidmill-measure.
BENCHMARKS := swift build --package-path Benchmarks -c release --product measure
MEASURE := Benchmarks/.build/release/measure

bench: setup ## Run the benchmarks (FILTER=REGEX for some), check counts per event against the baseline
	swift package --package-path Benchmarks benchmark $(if $(FILTER),--filter '$(FILTER)')
	@$(if $(FILTER),,$(BENCHMARKS) && $(MEASURE) count)

baseline: setup ## Accept instructions and allocations per event as they are now
	@$(BENCHMARKS) && $(MEASURE) count --update

# `make measure MEASURE_OPTIONS="--events 1000000 --only reading"`: see --help.
measure: setup ## Print throughput, pauses and restore time beside what this machine can do
	@$(BENCHMARKS) && $(MEASURE) $(MEASURE_OPTIONS)

# TARGET is decoder, topology, snapshot, log or lines. What was learned stays in CORPUS; what was
# found lies beside it. ASAN=1 adds the address sanitizer; the compiler must hear of the fuzzer last,
# or nothing is instrumented for coverage.
TARGET ?= decoder
SECONDS_MAX := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)
FUZZ_BUILD := $(CURDIR)/Tests/Fuzz/.build$(if $(ASAN),-asan)
CORPUS := $(CURDIR)/Tests/Fuzz/.build/corpus/$(TARGET)

fuzz: setup ## Fuzz a reader (TARGET=decoder, topology, snapshot, log or lines; SECONDS=60; ASAN=1)
	swift build --package-path Tests/Fuzz -c release --scratch-path $(FUZZ_BUILD) \
	  --product $(TARGET) --sanitize fuzzer \
	  $(if $(ASAN),--sanitize address -Xswiftc -sanitize=fuzzer) -Xswiftc -parse-as-library
	@mkdir -p $(CORPUS)
	BIDMILL_ROOT=$(CURDIR) SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 \
	  $(FUZZ_BUILD)/release/$(TARGET) -max_total_time=$(SECONDS_MAX) -print_final_stats=1 \
	  -artifact_prefix=$(CORPUS)- $(CORPUS)

# Wants `pip install --upgrade tzdata` first; never this machine's own time zones.
timezones: ## Make the time zone data again from a new release of the IANA database
	python3 Benchmarks/Tools/TimeZones/generate.py

clean: ## Remove what was built
	rm -rf .build .build-* Benchmarks/.build Tests/Fuzz/.build Tests/Fuzz/.build-asan
