"""One Chromium and one server for all browser tests; skipped, with the reason, where there are none."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import browser, chromium_path, serve
from pages import HTML


@pytest.fixture(scope="session")
def built():
    if not (HTML / "book/intro.html").exists():
        pytest.skip("the book is not built: run `make book` first")
    return HTML


@pytest.fixture(scope="session")
def chromium():
    if chromium_path() is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    pytest.importorskip("playwright", reason="playwright is not installed")
    with browser() as one:
        yield one


@pytest.fixture(scope="session")
def site(built):
    with serve(built) as address:
        yield address
