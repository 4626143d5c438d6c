# Everything a person does with a checkout. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Set in many containers. Without bytecode each of the suite's processes compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

$(READY): requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Slimreel needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.12, say.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	touch $(READY)

.PHONY: setup
setup: $(READY) ## Install what Slimreel needs into .venv

.PHONY: demo
demo: $(READY) ## Send a video through the whole pipeline, here and now (VIDEO=file REPORT=out.json)
	@$(BIN)/python -m slimreel demo $(if $(VIDEO),--video='$(subst ','\'',$(VIDEO))') $(if $(REPORT),--report='$(subst ','\'',$(REPORT))')

.PHONY: up
up: $(READY) ## Keep it running: drop videos into ./drive, find smaller ones in ./compressed (ARGS=--help)
	@$(BIN)/python -m slimreel up $(ARGS)

.PHONY: test
test: lint ## Check style, types, workflows and run the whole test suite
	$(BIN)/python -m slimreel.workflows
	$(BIN)/python -m pytest -q -n 3 --dist loadfile

.PHONY: fuzz
fuzz: $(READY) ## Try thousands of new examples in the property tests, and ten thousand bad requests
	$(BIN)/python -m pytest -q tests/property tests/model tests/unit tests/hostile --hypothesis-profile=fuzz --timeout=0

.PHONY: reliability
reliability: $(READY) ## Run every cell of the fault matrix; write docs/reliability.md and the record of calls anew
	$(BIN)/python -m tests.reliability.document

.PHONY: lint
lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(READY) ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(READY) ## Measure something: make bench NAME=overhead
	@$(BIN)/python -m bench.$(or $(NAME),overhead) $(if $(CLIPS),--clips '$(subst ','\'',$(CLIPS))') $(ARGS)

.PHONY: package
package: $(READY) ## Build what goes to AWS into build/ (STAGE=prod)
	@$(BIN)/python -m slimreel package --stage $(or $(STAGE),prod)

.PHONY: follow
follow: $(READY) ## Type docs/deploy.md word by word, against an empty stand-in cloud
	@$(BIN)/python -m bench.follow

.PHONY: corpus
corpus: $(READY) ## Send hostile and odd films through the pipeline, real ones too (CLIPS=folder)
	@$(BIN)/python -m bench.corpus $(if $(CLIPS),--clips '$(subst ','\'',$(CLIPS))' --out docs/hostile-corpus.md) $(ARGS)

.PHONY: n8n
n8n: $(READY) ## Import the n8n workflows into a real n8n and run them (N8N=path of its command)
	@N8N_BIN='$(N8N)' $(BIN)/python -m pytest -q -rs tests/n8n

.PHONY: audit
audit: $(READY) ## Ask for known vulnerabilities of every pinned package
	@.ci/audit

.PHONY: crash
crash: $(READY) ## Kill the local stack at every boundary, then look (SEED=1 RUNS=1 JOBS=200 KILLS=64)
	@$(BIN)/python -m bench.crash --seed $(or $(SEED),1) --runs $(or $(RUNS),1) --jobs $(or $(JOBS),200) --kills $(or $(KILLS),64) $(ARGS)

.PHONY: guards
guards: $(READY) ## Take each guard away and see the crash matrix miss it
	@$(BIN)/python -m bench.crash.guards $(ARGS)

.PHONY: clean
clean: ## Remove .venv, caches and the stand-in cloud with all it knows (drive/ and compressed/ stay)
	rm -rf $(VENV) .slimreel .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help
help: ## List every target
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/make \1|\2/' | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'
