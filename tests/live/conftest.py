"""One Chromium, with a software GPU, and one page that can import the modules of elsedu/live/src."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from harness import ARGUMENTS, browser, chromium_path, serve, watched

ROOT = Path(__file__).parents[2]
# Chromium's own software adapter: right numbers, no speed
GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]


@pytest.fixture(scope="session")
def live_chromium():
    if chromium_path() is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    pytest.importorskip("playwright", reason="playwright is not installed")
    with browser([argument for argument in ARGUMENTS if argument != "--disable-gpu"] + GPU) as one:
        yield one


@pytest.fixture
def page(live_chromium):
    """A blank page; `page.ask(function, argument)` calls a function of `live`, the imported modules."""
    with serve(ROOT) as address, watched(live_chromium) as page:
        page.goto(f"{address}/tests/live/blank.html")
        page.evaluate(
            """() => {
            window.live = {};
            window.elsedu_live = {register: (name, parts) => Object.assign(live, parts)};
        }"""
        )
        page.add_script_tag(url="/elsedu/live/dist/engine.js")
        page.evaluate("""async () => {
            const from = (path) => import("/" + path);
            window.live = {
                ...live, ...await from("tests/live/driver.js"),
                ...await from("elsedu/live/src/machine.js"), ...await from("elsedu/live/src/scales.js"),
                ...await from("elsedu/live/src/schedule.js"), ...await from("elsedu/live/src/sampler.js"),
                ...await from("elsedu/live/src/random.js"), ...await from("elsedu/live/src/metrics.js"),
            };
        }""")
        yield page
        assert page.complaints == [] and page.outside == []


@pytest.fixture(scope="session")
def live_cases():
    """How many random questions each processor is asked: ELSEDU_LIVE_CASES, or 40."""
    return int(os.environ.get("ELSEDU_LIVE_CASES", "40"))
