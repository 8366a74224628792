# Everything a newcomer types. `make` lists the targets; `make demo` and `make test` set up what they need.

SHELL := /bin/bash
PYTHON ?= /usr/bin/python3
VENV := .venv
UV := .tools/bin/uv
VM_PACKAGES := qemu-system-x86 qemu-utils mmdebstrap e2fsprogs
NEEDED_PACKAGES := python3-venv ca-certificates etcd-server nftables libnftables1 busybox-static
TEST_PACKAGES := containerd docker-registry skopeo crun runc systemd
BENCHES := api_load pod_start container_start scheduling network kctl_startup cluster_cost
SOURCES := sampan apiserver scheduler controllers nodeagent deploy kubectl-lite/kctl tests bench

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-vm test test-vm test-ha test-ha-vm test-systemd test-image unit test-robustness test-soak lint bench bench-peers clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## install Debian packages and the virtual environment (a second run does nothing)

.tools/.packages: Makefile
	@mkdir -p .tools
	@deploy/packages.sh $(NEEDED_PACKAGES)
	@touch $@

.tools/.test-packages: .tools/.packages
	@deploy/packages.sh $(TEST_PACKAGES)
	@touch $@

.tools/.vm-packages: .tools/.packages
	@deploy/packages.sh $(VM_PACKAGES)
	@touch $@

.tools/helm/helm: tests/helm.sh
	@tests/helm.sh $(CURDIR)/.tools/helm
	@touch -c $@

$(UV): | .tools/.packages
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.ready: pyproject.toml uv.lock | $(UV)
	@$(UV) sync --quiet --frozen --no-python-downloads --compile-bytecode --python $(PYTHON)
	@$(VENV)/bin/python -m compileall -q $(wildcard $(SOURCES))
	@touch $@

demo: setup ## a three-node cluster does the main job, as a story with timings
	@$(VENV)/bin/python -m deploy.demo

demo-vm: setup .tools/.vm-packages ## the same story with two virtual machines among the nodes
	@$(VENV)/bin/python -m deploy.demo vm

test: setup .tools/.test-packages .tools/helm/helm lint ## lint, then all tests
	@tests/run.sh

test-ha: setup ## three servers over an etcd cluster of three, one of which dies (about 2 minutes)
	@SAMPAN_TEST_HA=1 $(VENV)/bin/python -m pytest -s tests/ha

test-ha-vm: setup .tools/.vm-packages ## the same with three virtual machines for the servers (emulated: 8 minutes a case)
	@SAMPAN_TEST_HA=vm SAMPAN_VM_STORE=$${SAMPAN_VM_STORE:-$(CURDIR)/.tools/vm-images} $(VENV)/bin/python -m pytest -s tests/ha

test-vm: setup .tools/.test-packages .tools/.vm-packages ## virtual machines: boot, join, access, snapshots (minutes; the node image is kept in .tools)
	@SAMPAN_TEST_VM=1 SAMPAN_VM_STORE=$${SAMPAN_VM_STORE:-$(CURDIR)/.tools/vm-images} $(VENV)/bin/python -m pytest tests/vm $(AGAIN)

test-image: setup .tools/.vm-packages ## two whole builds of the node image are the same bytes (3 minutes)
	@SAMPAN_TEST_VM=image $(VENV)/bin/python -m pytest -s tests/vm/test_image_bytes.py

test-systemd: setup .tools/.test-packages .tools/.vm-packages ## sampan's units in a virtual machine that systemd runs (emulated: 5 minutes)
	@SAMPAN_TEST_SYSTEMD=1 SAMPAN_VM_STORE=$${SAMPAN_VM_STORE:-$(CURDIR)/.tools/vm-images} $(VENV)/bin/python -m pytest -s tests/systemd

unit: setup ## the fast tests alone
	@$(VENV)/bin/python -m pytest tests/unit

test-robustness: setup .tools/.test-packages ## every case of the tests of faults (about half an hour)
	@SAMPAN_ROBUSTNESS=all $(VENV)/bin/python -m pytest tests/robustness tests/integration/kctl/test_same_as_kubectl.py

test-soak: setup .tools/.test-packages ## 10,000 pods and 100 rollouts come and go, and nothing is left or grows (hours)
	@SAMPAN_SOAK=$${SAMPAN_SOAK:-10000,100,1000} $(VENV)/bin/python -m pytest -s tests/soak

lint: setup ## ruff, mypy --strict and who may import whom
	@$(VENV)/bin/ruff check --quiet $(wildcard $(SOURCES))
	@$(VENV)/bin/ruff format --quiet --check $(wildcard $(SOURCES))
	@$(VENV)/bin/mypy --no-error-summary $(wildcard sampan apiserver scheduler controllers nodeagent deploy kubectl-lite/kctl)
	@$(VENV)/bin/lint-imports --no-cache > .tools/imports.txt || { cat .tools/imports.txt; exit 1; }

bench: setup .tools/.test-packages ## side by side with the peers, as ratios
	@for each in $(BENCHES); do echo "== bench/$$each.py"; $(VENV)/bin/python -m bench.$$each || exit 1; done

bench-peers: setup ## the API server and kube-apiserver 1.20 in turns (builds that once from Debian's source: minutes)
	@bench/peers/kube_apiserver.sh .tools/peers
	@$(VENV)/bin/python -m bench.peers.api

clean: ## remove what setup made in this directory
	@rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
