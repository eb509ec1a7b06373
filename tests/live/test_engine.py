"""The machines of the page give Python's numbers."""

from collections import defaultdict

import numpy as np
import pytest
import torch
from cases import answer, distance_at, image_set, machine, packed_case, packed_set, random_case, unpacked

import elsedu
from elsedu.live.random import normal_noise
from elsedu.posterior.backends import definition

pytestmark = pytest.mark.browser
PROCESSORS = ("wasm", "webgpu", "js")


def by_set(cases):
    groups = defaultdict(list)
    for case in cases:
        groups[case["set"]].append(case)
    return groups.items()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_posteriors_are_those_of_python(page, processor, live_cases):
    """Denoised image, error map, effective patches and sources of random questions."""
    small = processor == "webgpu"  # Chromium's software adapter takes its time
    count = live_cases // 2 if small and live_cases < 200 else live_cases
    for name, cases in by_set(random_case(seed, small) for seed in range(count)):
        reply = page.evaluate(
            "([set, cases, prefer]) => live.answers(live.createEngine, set, cases, prefer)",
            [packed_set(name), [packed_case(case) for case in cases], processor],
        )
        assert reply["kind"] == processor, reply["why"]
        for case, found in zip(cases, reply["answers"]):
            check(case, found)


def check(case, found):
    about = {key: value for key, value in case.items() if key != "x"}
    expected, shape = answer(case), case["x"].shape
    tolerance = 2e-4 if case["t"] < 0.1 else 1e-4
    mean = unpacked(found["mean"], np.float32, shape)
    np.testing.assert_allclose(mean, expected.mean[0].numpy(), rtol=0, atol=tolerance, err_msg=str(about))
    variance = unpacked(found["variance"], np.float32, shape)
    np.testing.assert_allclose(variance, expected.variance[0].numpy(), rtol=0, atol=2 * tolerance, err_msg=str(about))
    effective = unpacked(found["effective"], np.float32, shape[1:])
    np.testing.assert_allclose(effective, expected.effective_patches[0].numpy(), rtol=2e-3, err_msg=str(about))
    source = unpacked(found["source"], np.int32, (*shape[1:], 3))
    ours, theirs = distance_at(case, source), distance_at(case, expected.source[0].numpy())
    # as near as Python's, within rounding; where it is another patch, one of the two says that there is a tie
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6, err_msg=str(about))
    tied = unpacked(found["tied"], np.uint8, shape[1:]).astype(bool)
    other = (source != expected.source[0].numpy()).any(-1)
    assert not (other & ~tied & ~expected.tied[0].numpy()).any(), about


@pytest.mark.parametrize("processor", PROCESSORS)
def test_heaviest_patches_of_a_pixel(page, processor):
    """The weights of the formula, patch by patch, in float64."""
    cases = [random_case(seed) for seed in range(1000, 1015)]
    random = np.random.default_rng(0)
    pixels = [[int(random.integers(n)) for n in case["x"].shape[1:]] for case in cases]
    for name in dict.fromkeys(case["set"] for case in cases):
        chosen = [k for k, case in enumerate(cases) if case["set"] == name]
        lists = page.evaluate(
            "([set, cases, pixels, prefer]) => live.heaviest(live.createEngine, set, cases, pixels, prefer)",
            [packed_set(name), [packed_case(cases[k]) for k in chosen], [pixels[k] for k in chosen], processor],
        )
        for k, found in zip(chosen, lists):
            weights = all_weights(cases[k], *pixels[k])
            assert len(found) == min(10, len(weights))
            heaviest = sorted(weights.values(), reverse=True)[: len(found)]
            np.testing.assert_allclose([patch["weight"] for patch in found], heaviest, rtol=1e-3, atol=1e-7)
            for patch in found:
                assert weights[patch["image"], patch["row"], patch["col"]] == pytest.approx(
                    patch["weight"], rel=1e-3, abs=1e-7
                )


@pytest.mark.parametrize("processor", PROCESSORS)
def test_samples_are_those_of_python(page, processor):
    """Twenty steps, each on the result of the one before."""
    small = "small " if processor == "webgpu" else ""
    for name, kind, border in (
        ("digits", "els", "zero"),
        ("rectangle", "els", "circular"),
        ("mnist16", "ls", "zero"),
        ("digits", "is", "zero"),
        ("rectangle", "es", "zero"),
    ):
        data = image_set(small + name)
        windows = [3, 3, 5, 5, 7]
        case = {"machine": kind, "border": border, "window": elsedu.ScaleSchedule(windows)}
        noise = normal_noise(5, data.images[0].numel()).reshape(data.images.shape[1:])
        sample = elsedu.sample(machine(data, case), torch.from_numpy(noise)[None])[0].numpy()
        found = page.evaluate(
            """async ([set, machine, border, windows, prefer]) => {
            const engine = await live.createEngine({...live.unpackedSet(set), prefer});
            const noise = live.normalNoise(5, set.channels * set.height * set.width);
            const denoiser = new live.ScoreMachine(engine, {machine, border, window: new live.ScaleSchedule(windows)});
            const image = await live.sample(denoiser, noise, {steps: 20});
            engine.dispose();
            return live.packed(image);
        }""",
            [packed_set(small + name), kind, border, windows, processor],
        )
        np.testing.assert_allclose(unpacked(found, np.float32, sample.shape), sample, rtol=0, atol=1e-3)


def test_questions_that_no_machine_can_answer(page):
    """One line that names the offending value."""
    for change, words in (
        ({"window": 4}, "window must be an odd positive integer, got 4"),
        ({"window": 9, "border": "circular"}, "window 9 is larger than the image"),
        ({"sigma": 0}, "sigma must be positive"),
        ({"label": 12}, "there is no class 12"),
        ({"machine": "cnn"}, 'unknown machine "cnn"'),
        ({"border": "mirror"}, 'unknown border "mirror"'),
    ):
        reply = page.evaluate(
            """async ([set, change]) => {
            const engine = await live.createEngine({...live.unpackedSet(set), prefer: "js"});
            const question = {x: new Float32Array(64), alpha: .7, sigma: .7, machine: "els", window: 3, ...change};
            return await engine.posterior(question).then(() => "answered", (error) => error.message);
        }""",
            [packed_set("digits"), change],
        )
        assert words in reply


def test_a_question_is_given_up_when_a_newer_one_comes(page):
    reply = page.evaluate(
        """async (set) => {
        const engine = await live.createEngine({...live.unpackedSet(set), prefer: "js"}), stop = new AbortController();
        const question = {x: new Float32Array(64), alpha: .7, sigma: .7, machine: "els", window: 3, signal: stop.signal
        };
        const answer = engine.posterior(question).then(() => "answered", (error) => error.name);
        setTimeout(() => stop.abort());
        return await answer;
    }""",
        packed_set("digits"),
    )
    assert reply == "AbortError"


def all_weights(case, row, column):
    """{(image, row, column): weight} of every patch that the pixel is compared with, by the definition."""
    data = image_set(case["set"])
    kind = machine(data, case).kind
    x, images = torch.from_numpy(case["x"]).double()[None], data.images.double()
    height, width = x.shape[2:]
    if kind.whole:
        places = [(i, j) for i in range(height) for j in range(width)] if kind.equivariant else [(row, column)]
        patches = [torch.roll(images, (row - i, column - j), (2, 3)) for i, j in places]
        distances = torch.stack([((x - case["alpha"] * patch) ** 2).sum((1, 2, 3)) for patch in patches], 1)
    else:
        offsets = definition.window_offsets(row, column, height, width, case["window"], case["border"])
        places = definition.dictionary_positions(row, column, height, width, case["window"], kind)
        own = definition._pixels(x, row, column, offsets)
        distances = torch.stack(
            [((own - case["alpha"] * definition._pixels(images, i, j, offsets)) ** 2).sum((1, 2)) for i, j in places], 1
        )
    used = range(len(data)) if case["label"] is None else (data.labels == case["label"]).nonzero().flatten().tolist()
    weights = torch.softmax(-distances[list(used)].flatten() / (2 * case["sigma"] ** 2), 0).tolist()
    return dict(zip(((n, i, j) for n in used for i, j in places), weights))
