# Swiper's commands. `make help` lists them.
# The Python that makes the environment; empty: the newest one from 3.11 to 3.14. An environment that is there stays.
PYTHON ?=
# What installs the packages: uv, or else pip (INSTALLER=pip: pip alone).
INSTALLER := uv
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.ready-test
BROWSER_READY := $(VENV)/.ready-browser
BENCH_READY := $(VENV)/.ready-bench
INSTALL := $(BIN)/python -m deploy.packages --installer $(INSTALLER)
# The groups of packages that only some settings need.
GROUPS_DIR := config/requirements
KNOWN_EXTRAS := $(sort $(basename $(notdir $(wildcard $(GROUPS_DIR)/*.in))))
EXTRAS ?=
# Those that were installed by `make install` are brought up to date with the others.
INSTALLED_EXTRAS := $(wildcard $(VENV)/.extra-*)
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run install test test-services test-ways browser screenshots chaos engines drill upgrade-drill bench lint audit wheels format lock

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(READY): requirements.txt $(GROUPS_DIR)/embedded.txt
	@test -x $(BIN)/python || { python=$$(PYTHON="$(PYTHON)" sh deploy/find_python.sh) && "$$python" -m venv $(VENV); }
	$(INSTALL) requirements.txt
	$(INSTALL) --optional $(GROUPS_DIR)/embedded.txt
	@touch $@

$(VENV)/.extra-%: $(READY) $(GROUPS_DIR)/%.txt
	$(INSTALL) $(GROUPS_DIR)/$*.txt
	@touch $@

$(TEST_READY): $(READY) tests/requirements.txt $(GROUPS_DIR)/memcached.txt
	$(INSTALL) tests/requirements.txt
	$(INSTALL) --optional $(GROUPS_DIR)/memcached.txt
	@touch $@

$(BROWSER_READY): $(TEST_READY) tests/requirements-browser.txt
	$(INSTALL) tests/requirements-browser.txt
	@touch $@

$(BENCH_READY): $(TEST_READY) bench/requirements.txt
	$(INSTALL) bench/requirements.txt
	@touch $@

run: $(READY) $(INSTALLED_EXTRAS) ## run everything on this machine (PORT, SWIPER_INSTANCE)
	@exec $(BIN)/python -m deploy.run

WANTED_EXTRAS := $(patsubst %,$(VENV)/.extra-%,$(filter $(KNOWN_EXTRAS),$(EXTRAS)))
UNKNOWN_EXTRAS := $(filter-out $(KNOWN_EXTRAS),$(EXTRAS))

install: $(READY) $(INSTALLED_EXTRAS) $(WANTED_EXTRAS) ## the packages, and those that some settings need (EXTRAS="s3 aliyun")
	@$(if $(UNKNOWN_EXTRAS),$(error EXTRAS knows $(KNOWN_EXTRAS), not $(UNKNOWN_EXTRAS)),:)

test: $(TEST_READY) ## the whole suite on the embedded default; needs no server
	$(PYTEST) -m "not services and not browser"

test-services: $(TEST_READY) ## the suite on real servers (TEST_POSTGRES_URL, TEST_MARIADB_URL, TEST_REDIS_URL)
	@$(BIN)/python -m tests.services check
	TEST_DATABASE=postgres $(PYTEST) -m "not browser and (services or not any_database)"
	TEST_DATABASE=mariadb $(PYTEST) -m "not browser and not any_database"

# What the two ways can change: statements, and connections of gevent workers. Without either the rest is the same program.
DISTRIBUTED := tests/social tests/vip tests/profiles tests/auth tests/db/test_statements.py
STOCK := tests/test_gunicorn.py tests/test_outages.py tests/test_redis_client.py tests/test_redis_refusals.py \
  tests/social/test_races.py tests/social/test_ranking.py

test-ways: $(TEST_READY) ## the ways that are off by default, on the same servers: DATABASE_LAYOUT=distributed, FAST_PATHS=off, flask partition
	@$(BIN)/python -m tests.services check
	TEST_DATABASE=postgres TEST_LAYOUT=distributed $(PYTEST) -m "not any_database" $(DISTRIBUTED)
	TEST_DATABASE=postgres TEST_FAST_PATHS=off $(PYTEST) -m "not any_database" $(STOCK)
	TEST_DATABASE=postgres TEST_PARTITIONS=4 $(PYTEST) -m "not any_database" tests/social

browser: $(BROWSER_READY) ## the web client in a real browser (Debian's chromium and fonts-noto-cjk)
	$(PYTEST) -m browser tests/browser

screenshots: $(BROWSER_READY) ## the pages as pictures, into docs/screenshots
	$(BIN)/python -m tests.browser.screenshots

engines: $(TEST_READY) ## the journey, races and failovers on each database and broker (QUICK=1: the short form, ONLY="names")
	$(BIN)/python -m chaos.engines $(if $(QUICK),--short) $(ONLY)

chaos: $(TEST_READY) ## races, faults and attacks on servers of its own (QUICK=1: the short form, ONLY="names")
	$(BIN)/python -m chaos $(if $(QUICK),--short) $(ONLY)

drill: $(TEST_READY) ## a backup under load is restored and compared, on each database (QUICK=1: the short form)
	$(BIN)/python -m chaos $(if $(QUICK),--short) backups_bring_a_site_back

upgrade-drill: $(TEST_READY) ## a million rows are upgraded on each database, and no lock is held for 1 s (QUICK=1: 20,000)
	$(BIN)/python -m chaos.upgrade_drill $(if $(QUICK),20000)

bench: $(BENCH_READY) ## what it costs against yardsticks, on servers of its own (QUICK=1: the short form, ONLY="names")
	$(BIN)/python -m bench $(if $(QUICK),--short) $(ONLY)

lint: $(TEST_READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(TEST_READY) ## known holes in the packages, secrets in the history
	$(BIN)/python -m tests.audit.packages
	$(BIN)/python -m tests.audit.history

wheels: $(TEST_READY) ## whether the packages have wheels for Python 3.11 to 3.14 on Linux and macOS (needs the network)
	$(BIN)/python -m tests.audit.wheels

format: $(TEST_READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK := $(BIN)/pip-compile --quiet --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --generate-hashes --allow-unsafe

# pip before 23.3, which Python 3.11 may bring, takes no pin of a package for the same package with an extra.
lock: $(TEST_READY) ## pin the packages anew from each list of names
	$(LOCK) --output-file=requirements.txt requirements.in
	$(LOCK) --output-file=tests/requirements.txt tests/requirements.in
	$(LOCK) --output-file=tests/requirements-browser.txt tests/requirements-browser.in
	@for name in $(KNOWN_EXTRAS); do \
	  $(LOCK) -c requirements.txt -c tests/requirements.txt --output-file=$(GROUPS_DIR)/$$name.txt $(GROUPS_DIR)/$$name.in || exit 1; \
	done
	$(LOCK) --output-file=bench/requirements.txt bench/requirements.in
	$(LOCK) --output-file=deploy/requirements-uv.txt deploy/requirements-uv.in
	sed -i 's/^pydantic==/pydantic[email]==/' requirements.txt
	sed -i 's/^cachecontrol==/cachecontrol[filecache]==/' tests/requirements.txt
	sed -i 's/^opentelemetry-exporter-http-transport==/opentelemetry-exporter-http-transport[requests]==/' \
	  tests/requirements.txt $(GROUPS_DIR)/tracing.txt
