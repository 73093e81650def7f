# `make help` lists the targets. `make check` only reads; `make fix` writes.

TARGET := $(or $(CARGO_TARGET_DIR),target)
# The build that reads the example models and that the tests in Python start.
PROFILE ?= dev
# What is built to have it. Where the tests are built as well, all targets: alone, the binary would have
# what it depends on built once more, without what only tests ask of that.
TARGETS ?= --bin bellwether
BINARY := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/bellwether
BUF := @bufbuild/buf@1.75.0
SECONDS ?= 600
TOOLS := $(TARGET)/tools
SBOM := $(TARGET)/bellwether.cdx.json
DEB := $(TARGET)/bellwether.deb
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: help test check check-breaking check-dependencies check-advisories sbom deb fix binary python languages test-clients test-data check-manifests bench bench-check bench-compare fuzz

help: ## Say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 19

test: cargo redis ## Run every test of this repository; installs Redis, whose servers they start
	cargo test --locked

check: cargo ## Format, lints, documentation, proto and example models; changes nothing
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	$(MAKE) --no-print-directory binary
	$(BINARY) check models
	@if command -v npx >/dev/null; then \
		echo "npx $(BUF) lint proto"; npx --yes $(BUF) lint proto; \
	else \
		echo "npx is missing, so the proto was NOT linted; it comes with Node.js: https://nodejs.org"; \
	fi

check-breaking: ## Compare the public proto with that of the last tag
	@command -v npx >/dev/null || { \
		echo "npx is missing; it comes with Node.js: https://nodejs.org"; exit 1; } >&2
	sh proto/check_breaking.sh $(BUF)

check-dependencies: tools ## Licences, versions and origins of what the server is made of
	$(TOOLS)/bin/cargo-deny --locked check -D warnings licenses bans sources

check-advisories: tools ## Known weaknesses of what the server is made of; fetches their database
	$(TOOLS)/bin/cargo-deny --locked check advisories

sbom: tools ## Write what the server is made of to bellwether.cdx.json in the target directory (CycloneDX)
	PATH="$(abspath $(TOOLS))/bin:$$PATH" cargo cyclonedx --quiet --format json --spec-version 1.5 \
		--no-build-deps --override-filename bellwether.cdx
	mv bellwether.cdx.json $(SBOM)

deb: binary tools ## Make a Debian package, bellwether.deb in the target directory: PROFILE=release
	rm -rf target/deb
	mkdir -p target/deb
	$(BINARY) man --directory target/deb/man
	$(BINARY) completions bash >target/deb/bellwether.bash
	PATH="$(abspath $(TOOLS))/bin:$$PATH" cargo deb --quiet --no-build --no-strip --fast \
		--profile $(PROFILE) --output $(abspath $(DEB))

fix: cargo ## Format, and apply what clippy can mend by itself
	cargo fmt
	cargo clippy --locked --all-targets --fix --allow-dirty --allow-staged

test-clients: binary python languages redis ## Drive a real server with clients made from the proto, in six languages
	BELLWETHER_BINARY=$(BINARY) .venv/bin/python -m pytest tests/clients

test-data: data binary python redis ## Compare replays of real data with a recomputation: DATA=directory
	BELLWETHER_BINARY=$(BINARY) BELLWETHER_DATA=$(abspath $(DATA)) .venv/bin/python -m pytest tests/data

check-manifests: binary python sbom deb kubectl helm compose promtool redis ## Render and check what k8s/, compose.yaml and the package deploy; no cluster
	.venv/bin/hadolint Dockerfile
	BELLWETHER_BINARY=$(BINARY) BELLWETHER_SBOM=$(abspath $(SBOM)) \
		BELLWETHER_DEB=$(abspath $(DEB)) .venv/bin/python -m pytest tests/manifests

bench: cargo redis ## Measure the core and the wire, a hot profile, starts and clusters
	cargo bench --locked --bench core --bench wire
	cargo bench --locked --bench wire -- --hot
	cargo bench --locked --bench wire -- --start
	cargo bench --locked --bench wire -- --scale

bench-check: cargo redis ## Run each bench for a second in the build of the tests: no figures, but every answer
	cargo bench --locked --profile $(PROFILE) --bench core -- --test
	cargo bench --locked --profile $(PROFILE) --bench wire -- --seconds 1 --events-per-profile 1
	cargo bench --locked --profile $(PROFILE) --bench wire -- --seconds 1 --overload --store embedded
	cargo bench --locked --profile $(PROFILE) --bench wire -- --seconds 1 --hot --events-per-profile 1
	cargo bench --locked --profile $(PROFILE) --bench wire -- --start --profiles 3000
	cargo bench --locked --profile $(PROFILE) --bench wire -- --seconds 1 --scale --events-per-profile 1
	cargo bench --locked --profile $(PROFILE) --bench wire -- --memory --profiles 2000

bench-compare: cargo redis ## Measure two revisions in turns: BASE=revision, ARGUMENTS="--store redis"
	@test -n "$(BASE)" || { \
		echo "say what to compare with: make bench-compare BASE=revision"; exit 1; } >&2
	python3 benches/compare.py $(BASE) $(ARGUMENTS)

fuzz: cargo ## Fuzz each target for SECONDS (600); needs cargo-fuzz and a C++ compiler
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked"; exit 1; } >&2
	@ulimit -s 2048; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		dictionary=fuzz/dictionaries/$$target.dict; \
		echo "fuzzing $$target for $(SECONDS) s"; \
		cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(SECONDS) -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
			$$([ ! -f $$dictionary ] || echo -dict=$$dictionary) || exit 1; \
	done

binary: cargo
	cargo build --locked --profile $(PROFILE) $(TARGETS)

python:
	sh tests/python/setup.sh

languages:
	sh tests/clients/languages/setup.sh

# What a target cannot do without, and how to get it.

.PHONY: cargo tools kubectl helm compose promtool data redis
cargo:
	@command -v cargo >/dev/null || { \
		echo "cargo is missing; it comes with Rust: https://rustup.rs"; exit 1; } >&2

# Built in one place without optimisation, because that is quicker; nothing when they are there.
tools: cargo
	CARGO_TARGET_DIR=$(abspath $(TOOLS))/build CARGO_PROFILE_DEV_DEBUG=0 \
		cargo install --quiet --locked --debug --root $(TOOLS) \
		cargo-deny@0.20.2 cargo-cyclonedx@0.5.9 cargo-deb@3.8.0

kubectl:
	@command -v kubectl >/dev/null || { \
		echo "kubectl is missing: https://kubernetes.io/docs/tasks/tools"; exit 1; } >&2

helm: python
	@command -v helm >/dev/null || sh tests/manifests/install_helm.sh

compose:
	@command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || \
		sh tests/apt_install.sh docker-compose

promtool:
	@command -v promtool >/dev/null || sh tests/apt_install.sh prometheus

data:
	@test -n "$(DATA)" || { \
		echo "say where the data is: make test-data DATA=directory"; exit 1; } >&2
	@test -d "$(DATA)" || { echo "there is no directory $(DATA)"; exit 1; } >&2

# The tests start servers of their own: a server that the package starts is not used.
redis:
	@command -v redis-server >/dev/null && command -v openssl >/dev/null || \
		sh tests/redis_servers/install.sh
