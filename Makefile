# The two commands: make demo, make test. Each does the set-up that it needs, once.
# Paths are relative and quoted, so that a clone in a folder with a space in its name works.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test

.PHONY: demo test lint benchmark audit clean

demo: $(STAMP)
	"$(RUN)" -m jaxvlm demo --out_dir=out/demo

test: $(TEST_STAMP)
	"$(RUN)" -m pytest -n 2 --dist loadfile --durations=10

lint: $(TEST_STAMP)
	"$(RUN)" -m ruff check .
	"$(RUN)" -m ruff format --check .

# Asks pypi.org and OSV, which CI may not.
audit: $(STAMP)
	"$(RUN)" -m pip install --quiet --disable-pip-version-check pip-audit
	"$(RUN)" -m pip_audit --disable-pip --no-deps -r constraints.txt

benchmark: $(STAMP)
	OMP_WAIT_POLICY=passive "$(RUN)" -m benchmarks.run
	"$(RUN)" -m benchmarks.compare

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and 'jaxvlm needs Python 3.11 to 3.13, not %d.%d; call make PYTHON=python3.12' % sys.version_info[:2])"
	$(PYTHON) -m venv "$(VENV)"
	"$(RUN)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch "$(STAMP)"

# Apart, because the tests also need PyTorch, which is large.
$(TEST_STAMP): $(STAMP)
	"$(RUN)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch "$(TEST_STAMP)"

clean:
	rm -rf "$(VENV)" out dist build .pytest_cache
