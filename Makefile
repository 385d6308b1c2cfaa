# Sommelier: everything a developer runs. `make` alone lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
PY := .venv/bin/python
PPO := .local/venv/ppo/bin/python
STAGE ?= dev
WORKERS ?= 2
SAMPLES := .local/samples

.PHONY: help setup demo run test check format package bench reset clean train-reward submit-training

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: .venv/installed .local/venv/onnx/installed .local/venv/ppo/installed .local/venv/ministack/installed.txt ## Install what the other commands need

demo: setup ## Take real models from an S3 upload to live, reversible predictions, and end
	@$(PY) -m samples.build --out $(SAMPLES)
	@$(PY) -m samples.demo --samples $(SAMPLES)

run: setup ## Keep the offline cloud and the API at http://localhost:8000 running
	@$(PY) -m localcloud up

test: setup ## Run all tests
	PYTHONHASHSEED=0 $(PY) -m pytest -n $(WORKERS) --dist loadfile  # workers must collect alike
	$(PPO) -m pytest -n $(WORKERS) --dist loadfile tests/containers/ppo

check: .venv/installed ## Format, lint, types, architecture and docs
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright
	$(PY) -m pytest tests/test_architecture.py tests/test_docs.py

format: .venv/installed ## Format and mend what can be mended
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

package: .venv/installed ## Build and check the zip and the CloudFormation template of STAGE
	$(PY) -m tools.package --stage $(STAGE) --out build

bench: setup ## Measure beside what one would use instead, as ratios
	$(PY) -m bench

train-reward: setup ## Train a reward model here; ARGS="--episodes FOLDER --hyperparameter seed=2"
	$(PY) -m tools.train_reward $(ARGS)

submit-training: .local/venv/submit/installed ## Train one on SageMaker through its SDK; ARGS="--help" lists what it asks
	.local/venv/submit/bin/python -m tools.submit_training $(ARGS)

reset: .venv/installed ## Forget what the offline cloud keeps
	$(PY) -m localcloud reset

clean: ## Remove everything that was installed or built
	rm -rf .venv .local build

.venv/installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

.local/venv/onnx/installed: containers/onnx/requirements.txt
	$(PYTHON) -m venv .local/venv/onnx
	.local/venv/onnx/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.local/venv/ppo/installed: containers/ppo/requirements-serve.txt containers/ppo/requirements-train.txt containers/ppo/requirements-test.txt
	$(PYTHON) -m venv .local/venv/ppo
	$(PPO) -m pip install --quiet --disable-pip-version-check -r containers/ppo/requirements-test.txt
	touch $@

.local/venv/submit/installed: tools/requirements-submit.txt
	$(PYTHON) -m venv .local/venv/submit
	.local/venv/submit/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.local/venv/ministack/installed.txt: localcloud/requirements.txt .venv/installed
	$(PY) -m localcloud.environment
