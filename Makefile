# Everything starts here; `make help` lists it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

JOBS ?= 2
ROUNDS ?= 3
MINUTES ?= 5
REVIEWER ?= demo-reviewer
ORDER = $(if $(SEED),--randomly-seed $(SEED))
PYTEST = $(RUN) -m pytest --numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder $(ORDER)
# These alone cover the pure rules and the backbone, every branch. Tracing all tests would double their time.
COVERING := tests/unit tests/contracts tests/integration/messaging tests/integration/persistence
SEEDS ?= 1
APPLICATIONS ?= 20000
ONLY ?= backbone,numbering,listing,pages

.DEFAULT_GOAL := help
.PHONY: help run dev demo-journey test soak unit manuals bench year mutants check format secrets compose-test rotate backup restore \
	migration asyncapi models lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.installed: requirements.lock tools/make-venv.sh
	@tools/make-venv.sh $(PYTHON) $(VENV)
	@touch $@

run: $(VENV)/.installed  ## the whole platform on http://localhost:8000 (PORT=, VAR=)
	@$(RUN) -m deploy.embedded

dev: $(VENV)/.installed  ## the same, started anew when code changes; templates show at once
	@$(RUN) -m tools.dev

demo-journey: $(VENV)/.installed  ## the whole story over HTTP against a running platform (BASE=, REVIEWER=)
	@$(RUN) -m deploy.journey $(BASE) --reviewer $(REVIEWER)

test: $(VENV)/.installed  ## all tests with real PostgreSQL, RabbitMQ and S3 (TESTS=, JOBS= at once, SEED= for an order)
	@tools/install-test-packages.sh
	@tools/old-chromium.sh
	@$(if $(TESTS),$(PYTEST) $(TESTS),$(PYTEST) $(COVERING) --cov --cov-report term-missing:skip-covered)
	@$(if $(TESTS),,$(PYTEST) tests $(COVERING:%=--ignore %))

soak: $(VENV)/.installed  ## the whole stack under load and faults, and whether it kept what it promised (MINUTES= or OPERATIONS=, SEED=)
	@tools/install-test-packages.sh
	@$(RUN) -m tests.soak --minutes $(MINUTES) $(if $(OPERATIONS),--operations $(OPERATIONS)) $(if $(SEED),--seed $(SEED))

unit: $(VENV)/.installed  ## the tests that need no server, in seconds (without deploy's; TESTS= for others)
	@$(RUN) -m pytest --quiet --hypothesis-profile quick $(ORDER) $(or $(TESTS),tests/unit --ignore tests/unit/deploy)

manuals: $(VENV)/.installed  ## take the operating manuals' pictures and print their PDFs anew
	@tools/install-test-packages.sh
	@$(RUN) -m tests.browser.manuals

# celery-batches asks for an older Celery and works with ours.
var/bench/.installed: bench/requirements.lock bench/celery-batches.lock $(VENV)/.installed
	@tools/make-venv.sh $(PYTHON) var/bench bench/requirements.lock
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench/celery-batches.lock
	@touch $@

bench: var/bench/.installed  ## measure: ratios against the raw limits and other libraries (ROUNDS=, ONLY=)
	@tools/install-test-packages.sh
	@$(RUN) -m bench --rounds $(ROUNDS) --only $(ONLY)

year: $(VENV)/.installed  ## a simulated year of the whole platform (SEED=, SEEDS= so many, APPLICATIONS=, HISTORY=file)
	@PYTHONHASHSEED=0 $(RUN) -m tests.simulation --seed $(or $(SEED),1) --seeds $(SEEDS) --applications $(APPLICATIONS) \
		$(if $(HISTORY),--history "$(HISTORY)")

mutants: $(VENV)/.installed  ## put small faults into the pure rules and the backbone, and count what the tests notice
	@$(RUN) -m tools.mutants --jobs $(JOBS)

check: $(VENV)/.installed  ## lint, types, layers, rules of our own, old browsers, generated documents
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(RUN) -m tools.asyncapi --check
	@$(RUN) -m tools.portal_models --check
	@$(RUN) -m tools.floor
	@$(RUN) -m tools.rules

format: $(VENV)/.installed  ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

secrets: $(VENV)/.installed  ## the secrets of docker compose, in deploy/compose/secrets; never changes one
	@$(RUN) -m deploy.compose.make_secrets

compose-test: $(VENV)/.installed  ## the whole installation with docker compose: load, restarts, scaling (needs Docker)
	@$(RUN) -m deploy.compose.trial

rotate: $(VENV)/.installed  ## one step of a key rotation (KEYS=data_keys STEP=add|promote|drop), see docs/operations.md
	@$(RUN) -m deploy.compose.rotate $(KEYS) $(STEP) $(if $(SECRETS_DIR),--directory $(SECRETS_DIR))

backup: $(VENV)/.installed  ## back up the docker compose installation while it runs (TO=)
	@$(RUN) -m deploy.compose.backup "$(TO)"

restore: $(VENV)/.installed  ## restore such a backup into an empty installation (FROM=)
	@$(RUN) -m deploy.compose.restore "$(FROM)"

migration: $(VENV)/.installed  ## write a service's next migration from its models (SERVICE=, MESSAGE=)
	@$(RUN) -m tools.migration "$(SERVICE)" "$(MESSAGE)"

asyncapi: $(VENV)/.installed  ## write docs/asyncapi.json anew
	@$(RUN) -m tools.asyncapi

models: $(VENV)/.installed  ## write services/portal/api anew, after a service's answers have changed
	@$(RUN) -m tools.portal_models

lock: $(VENV)/.installed  ## resolve requirements.lock anew
	@tools/lock.sh

clean:  ## remove the environment and the demo's data
	rm -rf $(VENV) var
