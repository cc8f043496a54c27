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
PACKAGES := cli evaluate ingest model_repository opensearch stack train

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: .venv/.ready ## the virtual environment with every pinned package
.venv/.ready: stack/setup.sh requirements/3.11/dev.txt requirements/3.12/dev.txt pyproject.toml
	@stack/setup.sh

plugin: $(PLUGIN_ZIP) ## the OpenSearch plugin's zip; for another line of plugin/versions.txt: OPENSEARCH_VERSION=3.5.0
plugin/target/mmsearch-3.6.0.0.zip: $(PLUGIN_SOURCES) | .venv/.ready
	@stack/maven.sh -q -DskipTests package
# In a folder of its own, so that classes of one version never lie beside another's.
plugin/target/mmsearch-%.0.zip: $(PLUGIN_SOURCES)
	@rm -rf build/zip-$* && mkdir -p build/zip-$* plugin/target
	cp -r --parents plugin/pom.xml plugin/versions.txt plugin/src stack/maven.sh build/zip-$*
	build/zip-$*/stack/maven.sh -q -DskipTests -Dopensearch.version=$* package
	cp build/zip-$*/plugin/target/mmsearch-$*.0.zip $@

models: .venv/.ready ## the default towers as ONNX (cached)
	@$(BIN)/mmsearch models build

demo-catalogue: .venv/.ready ## the demo's products and pictures, in build/demo
	@mkdir -p build/demo
	$(BIN)/python -m mmsearch.stack.demo_catalogue build/demo

containers: .venv/.ready ## docker-compose.yml started as documented: searches, restarts, kills, restores (root on Debian)
	@$(BIN)/python qa/containers/run.py $(ARGS)

demo: .venv/.ready $(PLUGIN_ZIP) ## real servers, a real catalogue, four real searches
	@stack/demo.sh

train-demo: .venv/.ready ## trains fusions on openclipart and compares them with the controls
	@$(BIN)/python -m mmsearch.train.demo

gpu-check: .venv/.ready ## trains and serves on a GPU and measures it; without one, a sentence
	@$(BIN)/python -m mmsearch.train.gpu_check

evaluate-demo: .venv/.ready $(PLUGIN_ZIP) ## systems compared on the live index: build/report.html
	@evaluate/demo.sh

demo-large: .venv/.ready $(PLUGIN_ZIP) ## openclipart in, again with nothing encoded, again with 1 % edited
	@stack/demo_large.sh

lint: .venv/.ready ## ruff, over every file
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: .venv/.ready ## mypy --strict, over every package
	@mkdir -p build/typecheck/mmsearch
	for name in $(PACKAGES); do ln -sfn ../../../$$name build/typecheck/mmsearch/$$name; done
	$(BIN)/mypy -p mmsearch

test-plugin: .venv/.ready ## the plugin's own tests, in OpenSearch's framework; leaves the zip
	@stack/maven.sh -q verify

test-plugin-%: .venv/.ready # the same for another line of plugin/versions.txt, in a folder of its own: make test-plugin-3.5.0
	@rm -rf build/plugin-$* && mkdir -p build/plugin-$*
	cp -r --parents plugin/pom.xml plugin/versions.txt plugin/src stack/maven.sh build/plugin-$*
	build/plugin-$*/stack/maven.sh -q -Dopensearch.version=$* verify

test-unit: .venv/.ready ## seconds, no servers
	@$(PYTEST) -q -m "not integration and not slow"

test-wheel: .venv/.ready ## the unit layer once more, against the built wheel
	@stack/wheel_tests.sh

test: .venv/.ready lint typecheck test-plugin test-wheel ## everything but the slow layer
	@$(PYTEST) -m "not slow"

test-all: .venv/.ready lint typecheck test-plugin test-wheel ## everything, make containers included
	@$(PYTEST)

bench: .venv/.ready $(PLUGIN_ZIP) ## every table of bench/, into bench/results.md
	@$(BIN)/python bench/everything.py

faults: .venv/.ready $(PLUGIN_ZIP) ## F1 to F11 in full: servers that die, lie and are overrun; ARGS="--only F5"
	@$(BIN)/python bench/faults.py $(ARGS) || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

quality: .venv/.ready $(PLUGIN_ZIP) ## train-demo and evaluate-demo, and what they found against the targets
	@$(BIN)/python -m mmsearch.train.demo
	QUERIES=$${QUERIES:-250} evaluate/demo.sh
	$(BIN)/python bench/quality.py || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

security: .venv/.ready ## addresses, bombs, certificates, secrets: every test of them in full
	@$(BIN)/python bench/security.py $(ARGS) || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

fuzz: .venv/.ready ## what reads others' bytes, a minute each; ARGS="--only clauses"
	@$(BIN)/python bench/fuzz.py $(ARGS) || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

soak: .venv/.ready $(PLUGIN_ZIP) ## half an hour of searches and ingests; nothing fails, nothing grows
	@$(BIN)/python bench/soak.py $(ARGS) || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

soak-hybrids: .venv/.ready $(PLUGIN_ZIP) ## half an hour of hybrids on two nodes, while products are updated; nothing is lost, nothing stays
	@$(BIN)/python bench/soak_hybrids.py $(ARGS) || code=$$?
	$(BIN)/python bench/page.py
	exit $${code:-0}

docs: .venv/.ready ## the documentation as a site, under build/site; a warning is an error
	@$(BIN)/mkdocs build --strict -q

dist: .venv/.ready ## what is released, into dist/: wheel, plugin, bills of materials, sums
	@stack/dist.sh

pins: .venv/.ready ## resolve requirements/*.in again
	@PATH="$(CURDIR)/$(BIN):$$PATH" requirements/compile.sh

clean: ## remove what was built here (not the download cache)
	@rm -rf build dist plugin/target .mypy_cache .pytest_cache .ruff_cache

.PHONY: bench clean containers demo demo-catalogue demo-large dist docs evaluate-demo faults fuzz gpu-check help lint models pins plugin quality security setup soak soak-hybrids test test-all test-plugin test-unit test-wheel train-demo typecheck
