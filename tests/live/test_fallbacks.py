"""Where a processor is missing the next one answers, with the same numbers, and the page can say which and why."""

import numpy as np
import pytest
from cases import answer, image_set, packed_case, packed_set, random_case, unpacked
from conftest import ROOT
from harness import watched

pytestmark = pytest.mark.browser

NO_WORKERS = "window.Worker = class { constructor() { throw new Error('workers are not allowed'); } };"
SILENT_WORKERS = "window.Worker = class { postMessage() { setTimeout(() => this.onerror({})); } terminate() {} };"
NO_WASM = "WebAssembly.instantiate = () => Promise.reject(new Error('WebAssembly is not allowed'));"
NO_WASM_ANYWHERE = NO_WASM + NO_WORKERS
NO_WEBGPU = "Object.defineProperty(navigator, 'gpu', {value: undefined});"
BROKEN_ADAPTER = "navigator.gpu.requestAdapter = () => Promise.resolve(null);"


def ask(page, prefer):
    """One random question to a small set; checks the answer and returns (kind, why)."""
    case = next(c for c in (random_case(k, small=True) for k in range(100, 200))
                if c["set"] == "small digits" and c["machine"] == "els")  # fmt: skip
    reply = page.evaluate("([set, cases, prefer]) => live.answers(live.createEngine, set, cases, prefer)",
                          [packed_set(case["set"]), [packed_case(case)], prefer])  # fmt: skip
    for found in reply["answers"]:
        mean = unpacked(found["mean"], np.float32, case["x"].shape)
        np.testing.assert_allclose(mean, answer(case).mean[0].numpy(), rtol=0, atol=2e-4)
    return reply["kind"], reply["why"]


@pytest.mark.parametrize(
    ("obstacle", "prefer", "kind", "words"),
    [
        ("", "auto", "wasm", "in 1 worker"),
        (NO_WEBGPU, "webgpu", "wasm", "this browser offers no WebGPU"),
        (BROKEN_ADAPTER, "webgpu", "wasm", "this browser offers no WebGPU"),
        (NO_WORKERS, "wasm", "wasm", "the page's own thread"),
        (SILENT_WORKERS, "wasm", "wasm", "the page's own thread"),
        (NO_WASM_ANYWHERE, "wasm", "js", "WebAssembly is not allowed"),
        (NO_WEBGPU + NO_WASM_ANYWHERE, "webgpu", "js", "this browser offers no WebGPU"),
    ],
)
def test_the_next_processor_answers(page, obstacle, prefer, kind, words):
    page.evaluate(f"() => {{ {obstacle} }}")
    found, why = ask(page, prefer)
    assert found == kind and words in why


def test_a_program_that_imitates_a_graphics_processor_is_not_chosen(page):
    """A set large enough for WebGPU, in a browser whose adapter is software."""
    reply = page.evaluate("""async () => {
        const shape = {count: 200, channels: 1, height: 32, width: 32};
        const engine = await live.createEngine({...shape, images: new Uint8Array(200 * 1024)});
        engine.dispose();
        return [engine.kind, engine.why];
    }""")
    assert reply[0] == "wasm" and ("without a graphics processor" in reply[1] or "offers no WebGPU" in reply[1])


def test_a_lost_device_is_replaced(page):
    """The device goes away between two questions: the workers answer the second."""
    case = random_case(3, small=True)
    reply = page.evaluate(
        """async ([set, question]) => {
        const engine = await live.createEngine({...live.unpackedSet(set), prefer: "webgpu"}), before = engine.kind;
        const asked = {...question, machine: "els", window: 3, x: live.floatsOf(question.x)};
        const first = await engine.posterior(asked);
        engine.device?.destroy();
        const second = await engine.posterior(asked);
        const worst = Math.max(...first.mean.map((value, i) => Math.abs(value - second.mean[i])));
        engine.dispose();
        return {before, after: engine.kind, why: engine.why, worst};
    }""",
        [packed_set(case["set"]), packed_case(case)],
    )
    if reply["before"] != "webgpu":
        pytest.skip(f"no WebGPU here: {reply['why']}")
    assert reply["after"] == "wasm" and "WebGPU failed" in reply["why"] and reply["worst"] < 2e-4


def test_several_workers_share_the_images(page):
    """The states of three workers, merged, are that of one; classes and sources keep their images."""
    case = next(c for c in map(random_case, range(300, 400)) if c["set"] == "digits" and c["label"] is not None)
    case |= {"machine": "els", "window": 3, "border": "zero"}
    found = page.evaluate(
        """async ([set, question]) => {
        const answers = [];
        for (const workers of [1, 3]) {
            const engine = await live.createEngine({...live.unpackedSet(set), prefer: "wasm", workers});
            const asked = {...question, x: live.floatsOf(question.x)};
            const {mean, source, effective} = await engine.posterior(asked);
            const patches = await engine.heaviest({...asked, pixel: [4, 4]});
            engine.dispose();
            answers.push({mean: [...mean], source: [...source], effective: [...effective], patches, why: engine.why});
        }
        return answers;
    }""",
        [packed_set("digits"), packed_case(case)],
    )
    one, three = found
    assert "3 workers" in three["why"]
    np.testing.assert_allclose(one["mean"], three["mean"], atol=1e-5)
    np.testing.assert_allclose(one["effective"], three["effective"], rtol=1e-3)
    labels = image_set("digits").labels
    for reply in found:
        assert {int(labels[image]) for image in reply["source"][::3]} == {case["label"]}
        assert {int(labels[patch["image"]]) for patch in reply["patches"]} == {case["label"]}
    weights = [[patch["weight"] for patch in reply["patches"]] for reply in found]
    np.testing.assert_allclose(*weights, rtol=1e-3)


def test_the_engine_runs_from_a_file(live_chromium):
    """Opened from the disk, without a server: one classic script, WebAssembly and workers out of it."""
    with watched(live_chromium) as page:
        page.context.unroute("**/*")
        page.goto((ROOT / "tests/live/blank.html").as_uri())
        page.evaluate("window.elsedu_live = {register: (name, parts) => Object.assign(window.live ??= {}, parts)}")
        page.add_script_tag(url=(ROOT / "elsedu/live/dist/engine.js").as_uri())
        why, mean = page.evaluate("""async () => {
            const images = new Uint8Array(640).map((_, i) => (i * i) % 256);
            const shape = {count: 10, channels: 1, height: 8, width: 8};
            const engine = await live.createEngine({...shape, images, prefer: "wasm"});
            const question = {x: new Float32Array(64), alpha: 0.7, sigma: 0.7, machine: "els", window: 3};
            const {mean} = await engine.posterior(question);
            return [engine.why, [...mean]];
        }""")
        assert "1 worker" in why and np.isfinite(mean).all() and np.abs(mean).max() <= 1
        assert page.complaints == []
