# `make demo` and `make test` install what they need; the finer targets are for work on the code.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := $(abspath $(or $(DOMWARDEN_VENV),.venv))
ENGINE ?= embedded
PYTHON ?= python3
PYPROJECTS := $(wildcard core/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml)
EDITABLE := $(foreach path,$(PYPROJECTS),--editable './$(dir $(path))$(if $(filter core/%,$(path)),[pki])')

# The guest's kernel and busybox are fetched and unpacked, not installed; the compiler makes the rest of it.
GUEST_PACKAGES := qemu-system-x86 qemu-utils swtpm swtpm-tools iproute2 gcc libc6-dev
# Xen itself and dom0 are fetched and unpacked in the same way.
XEN_PACKAGES := $(GUEST_PACKAGES) e2fsprogs
# The unit is tried on a systemd that is no more than a program here, in namespaces of its own.
TEST_PACKAGES := $(XEN_PACKAGES) systemd
# The two emulated hosts are the tests'; what happens on them is told by the same demo.
DEMO = $(if $(filter xen,$(ENGINE)),$(VENV)/bin/python -m tests.testbeds.xen.demo,$(VENV)/bin/domwarden demo \
	--engine $(ENGINE) $(if $(filter qemu,$(ENGINE)),--guest $(VENV)/guest.json))
DEMO_PACKAGES := $(if $(filter qemu,$(ENGINE)),$(GUEST_PACKAGES)) $(if $(filter xen,$(ENGINE)),$(XEN_PACKAGES))

PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
TOX := $(VENV)/bin/tox --workdir .tox
QUICK := -m quick --parallel-no-spinner --parallel $(or $(JOBS),auto)

.PHONY: help demo test quick simulation live xen slow lint types unit docs bench dev clean
help:
	@echo 'make demo [ENGINE=qemu|xen]   a guarded domain is hung, reset, and moved whole to a second host'
	@echo 'make test                 the whole matrix: lint, types, unit tests from wheels, guests under QEMU and Xen'
	@echo 'make simulation [SEEDS=10000]   wardens in simulated time, whatever goes wrong; [SEED=n] replays one'
	@echo 'make lint types unit docs live xen slow bench [ENGINE=xen] dev clean'

demo: $(VENV)/.installed
	@tools/debian-packages.sh $(DEMO_PACKAGES)
	@$(if $(filter qemu,$(ENGINE)),$(VENV)/bin/python tests/testbeds/guest/build.py > $(VENV)/guest.json)
	@$(DEMO)

# Guests are booted after everything else has ended, be it ever so patient: they judge times, and an
# emulated processor that gives way to others may lose a write in a move (docs/known-limits.md). The
# closing line counts all tests.
test: $(VENV)/.tools
	@tools/debian-packages.sh $(TEST_PACKAGES)
	@rm -rf .tox/results
	@status=0; \
	$(TOX) run-parallel $(QUICK) || status=1; \
	$(TOX) run -e simulation || status=1; \
	$(TOX) run -e live || status=1; \
	$(TOX) run -e live-xen || status=1; \
	$(VENV)/bin/python tools/summary.py .tox/results || status=1; \
	exit $$status

quick: $(VENV)/.tools
	@$(TOX) run-parallel $(QUICK)

live slow: $(VENV)/.tools
	@tools/debian-packages.sh $(TEST_PACKAGES)
	@$(TOX) run -e $@

# Every seed is one history; a failing one is printed with its number.
simulation: $(VENV)/.installed
	@$(VENV)/bin/python -m tests.simulation $(or $(SEED),--seeds $(or $(SEEDS),10000))

xen: $(VENV)/.tools
	@tools/debian-packages.sh $(XEN_PACKAGES)
	@$(TOX) run -e live-xen

lint types docs: $(VENV)/.tools
	@$(TOX) run -e $@

unit: $(VENV)/.tools
	@$(TOX) run -e all

bench: $(VENV)/.installed
	@tools/debian-packages.sh $(if $(filter xen,$(ENGINE)),$(XEN_PACKAGES),$(GUEST_PACKAGES))
	@$(VENV)/bin/python bench $(if $(filter xen,$(ENGINE)),--only xl_migrate)

# Everything in one environment: the distributions editable, and every tool.
dev: $(VENV)/.installed $(VENV)/.tools
	@$(PIP) install --group dev

clean:
	rm -rf .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The build backend is installed first: nine builds in nine isolated environments take half a minute.
$(VENV)/.installed: $(PYPROJECTS) | $(VENV)/.created
	@echo 'installing the distributions into $(VENV)' >&2
	@$(PIP) install 'hatchling>=1.27' 'editables>=0.3'
	@$(PIP) install --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/.tools: pyproject.toml | $(VENV)/.created
	@echo 'installing tox into $(VENV)' >&2
	@$(PIP) install --group tox
	@touch $@

# pip 25.1 knows dependency groups; Debian 12 brings an older one, and venv itself as a package apart.
$(VENV)/.created:
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		tools/debian-packages.sh python3 python3-venv
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@
