# make book   build the book into _build/html        make test   check and test everything
# Both set up .venv on their first run. Needs python3 (3.11 or newer) and nothing else.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
WORDS := README.md book elsedu studies tests scripts benchmarks
export ELSEDU_PROGRESS = 0

.PHONY: book test preview links colab setup clean

# From an empty folder: what an interrupted build leaves behind must not disturb this one.
book: $(READY)
	rm -rf _build/html _build/.doctrees
	$(BIN)/jupyter-book build . -W --keep-going
	@echo "The book is in _build/html/index.html"

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/codespell --skip "*.js,*.svg,*.woff*,*.ttf,*OFL.txt,*.safetensors,*.json,*.npz,*/golden/*" $(wildcard $(WORDS))
	$(BIN)/python -m pytest --nbval

# The book with the cache of executed notebooks: quick, but blind to changes in elsedu/.
preview: $(READY)
	$(BIN)/python scripts/preview.py

# Are the addresses that the book and the README cite still there? Needs the internet.
links: $(READY)
	$(BIN)/python scripts/links.py

# Every notebook with the versions that Colab has, elsedu from a wheel, away from this checkout.
colab: $(READY)
	$(BIN)/python scripts/colab.py

setup: $(READY)

$(READY): requirements.txt constraints.txt pyproject.toml $(wildcard setup.py)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "elsedu needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements.txt
	@touch $@

clean:
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis
