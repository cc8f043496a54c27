# Two targets set up all they need: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Where this is set, as in many images, each of the many processes would compile torch and its like anew.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
PYTEST := $(BIN)/pytest
OPENSEARCH_VERSION ?= 3.6.0
PLUGIN_ZIP := plugin/target/mmsearch-$(OPENSEARCH_VERSION).0.zip
PLUGIN_SOURCES := $(shell find plugin -name target -prune -o -type f \( -name '*.java' -o -name '*.xml' -o -name '*.properties' -o -name '*.policy' \) -print 2>/dev/null)

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: .venv/.ready ## the virtual environment with every pinned package
.venv/.ready: scripts/setup.sh requirements/lock.txt requirements/choose.py pyproject.toml
	@scripts/setup.sh

plugin: $(PLUGIN_ZIP) ## the OpenSearch plugin's zip; for another line of plugin/versions.txt: OPENSEARCH_VERSION=3.5.0
plugin/target/mmsearch-3.6.0.0.zip: $(PLUGIN_SOURCES) | .venv/.ready
	@scripts/maven.sh -q -DskipTests package
# In a folder of its own, so that classes of one version never lie beside another's.
plugin/target/mmsearch-%.0.zip: $(PLUGIN_SOURCES)
	@rm -rf build/zip-$* && mkdir -p build/zip-$* plugin/target
	cp -r --parents pyproject.toml plugin/pom.xml plugin/versions.txt plugin/src scripts/maven.sh build/zip-$*
	build/zip-$*/scripts/maven.sh -q -DskipTests -Dopensearch.version=$* package
	cp build/zip-$*/plugin/target/mmsearch-$*.0.zip $@

models: .venv/.ready ## the default towers as ONNX (cached)
	@$(BIN)/mmsearch models build

demo-catalog: .venv/.ready ## the demo's products and pictures, in build/demo
	@mkdir -p build/demo
	$(BIN)/python examples/demo_catalog.py build/demo

containers: .venv/.ready ## docker-compose.yml started as documented: searches, restarts, kills, restores (root on Debian)
	@$(BIN)/python qa containers $(ARGS)

demo: .venv/.ready $(PLUGIN_ZIP) ## real servers, a real catalog, four real searches
	@examples/demo.sh

train-demo: .venv/.ready ## trains fusions on openclipart and compares them with the controls
	@$(BIN)/python examples/train_demo.py

towers-demo: .venv/.ready ## trains text towers, alone and with fusions, on openclipart and a software store
	@$(BIN)/python examples/towers_demo.py $(ARGS)

gpu-check: .venv/.ready ## trains and serves on a GPU and measures it; without one, a sentence
	@$(BIN)/python qa gpu

evaluate-demo: .venv/.ready $(PLUGIN_ZIP) ## systems compared on the live index: build/report.html
	@examples/evaluate_demo.sh

demo-large: .venv/.ready $(PLUGIN_ZIP) ## openclipart in, again with nothing encoded, again with 1 % edited
	@examples/demo_large.sh

lint: .venv/.ready ## ruff, over every file, and the layers of the imports
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

typecheck: .venv/.ready ## mypy --strict, over every package
	@$(BIN)/mypy -p mmsearch -p sample_data -p fusion_study -m demo_catalog -m evaluate_demo -m train_demo -m store_demo -m towers_demo -m choose -m pin

test-plugin: .venv/.ready ## the plugin's own tests, in OpenSearch's framework; leaves the zip
	@scripts/maven.sh -q verify

test-plugin-%: .venv/.ready # the same for another line of plugin/versions.txt, in a folder of its own: make test-plugin-3.5.0
	@rm -rf build/plugin-$* && mkdir -p build/plugin-$*
	cp -r --parents pyproject.toml plugin/pom.xml plugin/versions.txt plugin/src scripts/maven.sh build/plugin-$*
	build/plugin-$*/scripts/maven.sh -q -Dopensearch.version=$* verify

test-unit: .venv/.ready ## two minutes, no servers
	@$(PYTEST) -q -n auto --dist loadfile -m "not integration and not slow"

test-wheel: .venv/.ready ## the unit layer against the built wheel, as in make test
	@scripts/wheel_tests.sh

test-client: .venv/.ready ## the client's unit tests against the built wheel on Python 3.13, where one is installed
	@scripts/client_tests.sh

coverage: .venv/.ready $(PLUGIN_ZIP) ## branch coverage of the unit and the integration layer, child processes included
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run $(PYTEST) -q -m "not slow" || code=$$?
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered
	exit $${code:-0}

test: .venv/.ready $(PLUGIN_ZIP) ## everything but the slow layer: the plugin, ruff, mypy, and the built wheel
	@MMSEARCH_PLUGIN_ZIP=$(CURDIR)/$(PLUGIN_ZIP) scripts/test.sh -m "not slow"

test-foreign: .venv/.ready $(PLUGIN_ZIP) ## others' clients, unmodified, on the real node and the real Triton; installs them under build/foreign
	@$(PYTEST) -m foreign

test-all: .venv/.ready $(PLUGIN_ZIP) ## everything, make containers included
	@MMSEARCH_PLUGIN_ZIP=$(CURDIR)/$(PLUGIN_ZIP) scripts/test.sh

bench: .venv/.ready $(PLUGIN_ZIP) ## every table of bench/, into bench/results and its page
	@$(BIN)/python bench everything

faults: .venv/.ready $(PLUGIN_ZIP) ## F1 to F11 in full: servers that die, lie and are overrun; ARGS="--only F5"
	@$(BIN)/python qa faults $(ARGS) || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

quality: .venv/.ready $(PLUGIN_ZIP) ## train-demo, towers-demo, evaluate-demo, lexical searches and colors, and what they found against the targets
	@$(BIN)/python examples/train_demo.py
	$(BIN)/python examples/towers_demo.py
	QUERIES=$${QUERIES:-250} examples/evaluate_demo.sh
	$(BIN)/python bench quality || code=$$?
	$(BIN)/python bench lexical || code=$$?
	$(BIN)/python bench colours || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

security: .venv/.ready ## addresses, bombs, certificates, secrets: every test of them in full
	@$(BIN)/python qa security $(ARGS) || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

fuzz: .venv/.ready ## what reads others' bytes, a minute each; ARGS="--only clauses"
	@$(BIN)/python qa fuzz $(ARGS) || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

soak: .venv/.ready $(PLUGIN_ZIP) ## half an hour of searches and ingests; nothing fails, nothing grows
	@$(BIN)/python qa soak $(ARGS) || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

soak-hybrids: .venv/.ready $(PLUGIN_ZIP) ## half an hour of hybrids on two nodes, while products are updated; nothing is lost, nothing stays
	@$(BIN)/python qa soak-hybrids $(ARGS) || code=$$?
	$(BIN)/python bench page
	exit $${code:-0}

docs: .venv/.ready ## the documentation as a site, under build/site; a warning is an error
	@$(BIN)/mkdocs build --strict -q

dist: .venv/.ready ## what is released, into dist/: wheel, plugin, bills of materials, sums
	@scripts/dist.sh

pins: .venv/.ready ## resolve requirements/*.in into requirements/lock.txt; ARGS=--upgrade
	@$(BIN)/python requirements/pin.py $(ARGS)

clean: ## remove what was built here (not the download cache)
	@rm -rf build dist plugin/target .mypy_cache .pytest_cache .ruff_cache

.PHONY: bench clean containers coverage demo demo-catalog demo-large dist docs evaluate-demo faults fuzz gpu-check help lint models pins plugin quality security setup soak soak-hybrids test test-all test-client test-foreign test-plugin test-unit test-wheel towers-demo train-demo typecheck
