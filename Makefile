# Two targets set up all they need: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
PLUGIN_ZIP := plugin/target/mmsearch-3.5.0.0.zip
PLUGIN_SOURCES := $(shell find plugin -name target -prune -o -type f \( -name '*.java' -o -name '*.xml' -o -name '*.properties' -o -name '*.policy' \) -print 2>/dev/null)
PACKAGES := cli evaluate ingest model_repository opensearch stack train

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: .venv/.ready ## the virtual environment with every pinned package
.venv/.ready: stack/setup.sh requirements/3.11/dev.txt requirements/3.12/dev.txt pyproject.toml
	@stack/setup.sh

plugin: $(PLUGIN_ZIP) ## the OpenSearch plugin's zip
$(PLUGIN_ZIP): $(PLUGIN_SOURCES) | .venv/.ready
	@stack/maven.sh -q -DskipTests package

typecheck: .venv/.ready ## mypy --strict over every package
	@mkdir -p build/typecheck/mmsearch
	for name in $(PACKAGES); do ln -sfn ../../../$$name build/typecheck/mmsearch/$$name; done
	$(BIN)/mypy -p mmsearch

.PHONY: help setup plugin typecheck
