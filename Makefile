# Everything works from a fresh clone: each target installs what it needs first.
.DEFAULT_GOAL := help
# What Dockerfile has: some figures are of what is shipped, whatever is installed here.
IMAGE_NODE := node@26
.PHONY: help install build check format test run bench bench-quick growth soak profile sources fuzz faults faults-quick mutations mutants recovery rollout-demo limits people e2e-kube docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

node_modules/.package-lock.json: package-lock.json
	npm ci
	@touch $@

install: node_modules/.package-lock.json ## the packages of package-lock.json

build: install ## compiles every package and service
	npm run --silent build

check: install ## format, lint, types, unused code, tidy: under a minute
	npx oxfmt --check
	npx oxlint
	npx tsc -b
	npx tsc -p loadtests/k6
	npx knip --no-progress
	npx vitest run --project unit test/tidy.test.ts

format: install ## formats every file
	npx oxfmt

test: build ## every test; gets itself Redis, promtool, openssl, nginx and NATS
	@sh scripts/ensure.sh redis promtool openssl nginx nats >/dev/null
	node scripts/test.mjs

faults: build ## the fault campaign, every fault with three seeds, into docs/faults.md: 1 hour; FAULTS=… SEEDS=… for a part
	@sh scripts/ensure.sh redis >/dev/null
	FAULTS_MODE=full npx vitest run --project faults

mutations: install ## leaves out each rule that the promises rest on, and requires that a test notices: 1 minute
	@sh scripts/ensure.sh redis >/dev/null
	node scripts/mutations.mjs

mutants: install ## changes the core expression by expression, and says how many of the changes its tests find: an hour or more; PARTS=… for a part
	node scripts/mutants.mjs

recovery: build ## how long the fleet needs to recover from workers that leave or die and from lost connections, with the Node of the image, into out/recovery.json: 4 minutes
	@sh scripts/ensure.sh redis >/dev/null
	npx --yes $(IMAGE_NODE) loadtests/recovery.mjs

people: build ## locks and members of a room while its worker and an edge are killed, over three edges, into out/people.json: 2 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/people.mjs

limits: build ## users with more devices than they may have, in a thousand races over three edges, and kicks; into out/limits.json: 2 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/limits.mjs

e2e-kube: build ## installs the chart into a cluster (the toolkit's, or FLOTILLA_E2E_CONTEXT with FLOTILLA_IMAGE) and does to it what happens to fleets, under load, into out/kube.json and docs/kube.md: 12 minutes; SHORT=1 for a part
	node loadtests/kube.mjs $(if $(SHORT),--short)

rollout-demo: build ## replaces every process of a fleet under load, and says what its clients saw; into out/rollout.json: 3 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/rollout.mjs

faults-quick: build ## a selection of it, one seed each: under 5 minutes, part of `make test`
	@sh scripts/ensure.sh redis >/dev/null
	node scripts/test.mjs faults

run: build ## the whole fleet in one process; FLOTILLA_REDIS_URL=… for Redis
	@node scripts/run.mjs

bench: build ## every figure of docs/performance.md, into out/bench.json: 21 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/bench.mjs

bench-quick: build ## the same, shorter: 3 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/bench.mjs --quick

growth: build ## how the cost of a connection, a message and a delivery grows, into out/growth.json: 12 minutes
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/growth.mjs

soak: build ## 30 minutes at half load: what grows, what is lost; into out/soak.json
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/soak.mjs

fuzz: build ## 1,400,000 hostile frames, handshakes and requests to a whole fleet, and as many texts to decoders, into out/fuzz.json: 8 minutes; COUNT=… SEED=… for others
	node loadtests/fuzz.mjs $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

sources: build ## 100,000 events through JetStream while ingest and NATS are killed: each once in its room, into out/sources.json: 2 minutes
	@sh scripts/ensure.sh redis nats >/dev/null
	node loadtests/sources.mjs

profile: build ## where the time goes: CPU profile and heap of every process under every load, into out/profiles/
	@sh scripts/ensure.sh redis >/dev/null
	node loadtests/profile.mjs

docs: build ## the tables of docs/config.md, the tests in docs/requirements.md, and the schema and README of the chart, rules, dashboards and manifests, from what they are made of
	node scripts/docs.mjs
	node scripts/requirements.mjs
	node scripts/chart.mjs
	node scripts/monitoring.mjs
	node scripts/manifests.mjs

clean: ## removes what was built
	rm -rf out packages/*/dist services/*/dist
