# make book   build the book into _build/html        make test   check and test everything
# Both set up .venv on their first run. Needs python3 (3.11 or newer) and nothing else; another Python:
# make PYTHON=python3.12. What each target does is in scripts/do.py, which also works without make.

PYTHON ?= python3

.PHONY: book test check core setup preview links colab lowest sanitize clean

book test check core setup preview links colab lowest sanitize clean:
	@command -v $(PYTHON) >/dev/null || { echo "elsedu: there is no $(PYTHON); another Python: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/do.py $@
