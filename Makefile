# Mayfly's commands. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build venv demo test train clean

# Where rustup puts cargo, for shells that were not told.
export PATH := $(PATH):$(HOME)/.cargo/bin

PYTHON := .venv/bin/python
EXAMPLE := examples/image-recognition

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

build: ## build the program: target/release/mayfly
	@scripts/java_runtime.sh
	cargo build --release

venv:
	@scripts/venv.sh

demo: venv ## build, start a server, deploy the image recognition example and use it (KEEP=1 leaves it running)
	@scripts/java_runtime.sh
	@echo "==> building mayfly (the first time takes some minutes)"
	@started=$$(date +%s.%N) && cargo build --release && ended=$$(date +%s.%N) && \
	  BUILD_SECONDS=$$(echo "$$started $$ended" | awk '{ printf "%.1f", $$2 - $$1 }') KEEP=$(KEEP) \
	  $(PYTHON) $(EXAMPLE)/demo.py

test: venv ## run all the tests
	@scripts/test.sh

train: venv ## train the example's model again and draw its pictures again
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $(EXAMPLE)/requirements-train.txt
	cd $(EXAMPLE) && $(CURDIR)/$(PYTHON) train.py && $(CURDIR)/$(PYTHON) make_pictures.py

clean: ## remove everything that was built or installed in the tree
	rm -rf target .venv examples/*/build examples/*/target runtimes/java/target
	find . -name __pycache__ -prune -exec rm -rf {} +
