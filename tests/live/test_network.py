"""The shipped networks in the page draw what they draw in Python, with weights in half precision."""

import numpy as np
import pytest
import torch
from cases import image_set, packed_set, unpacked

import elsedu
from elsedu.analysis import metrics
from elsedu.live.payload import network_payload
from elsedu.live.random import normal_noise

pytestmark = pytest.mark.browser
NAMES = ("digits-resnet-zero", "digits-resnet-circular", "mnist16-resnet-zero", "mnist16-resnet-circular",
         "mnist16-unet-zero", "mnist16-unet-attention", "fashion_mnist-resnet-zero.laptop")  # fmt: skip
TIMES = (1, 0.95, 0.5, 0.2, 0.05)


@pytest.mark.parametrize("prefer", ["auto", "js"])
@pytest.mark.parametrize("name", NAMES)
def test_noise(page, name, prefer):
    network = elsedu.networks.network(name)
    label = 3 if network.label_required else None
    shape = network.image_shape
    x = normal_noise(1, int(np.prod(shape))).reshape(shape)
    reply = page.evaluate(
        """async ([payload, times, label, length, prefer]) => {
        const network = await live.loadNetwork(payload, {prefer}), x = live.normalNoise(1, length);
        const noises = [];
        for (const t of times) noises.push(live.packed(await network.noise(x, t, label)));
        network.dispose();
        return {noises, why: network.why};
    }""",
        [network_payload(network), TIMES, label, x.size, prefer],
    )
    assert ("JavaScript" if prefer == "js" else "WebAssembly") in reply["why"]
    with torch.no_grad():
        for t, found in zip(TIMES, reply["noises"]):
            expected = network.noise(torch.from_numpy(x)[None], t, label)[0].numpy()
            np.testing.assert_allclose(unpacked(found, np.float32, shape), expected, rtol=0, atol=2e-2)


def test_network_beside_formula(page):
    """The paper's experiment in the page: one noise, both images, their correlation."""
    name, data = "digits-resnet-zero", image_set("digits")
    network, scales = elsedu.networks.network(name), elsedu.scales.calibrated(name)
    noise = torch.from_numpy(normal_noise(4, 64).reshape(1, 1, 8, 8))
    machine = elsedu.EquivariantLocalScore(data, scales)
    images = [elsedu.sample(denoiser, noise, steps=20) for denoiser in (network, machine)]
    reply = page.evaluate(
        """async ([payload, set, windows]) => {
        const network = await live.loadNetwork(payload), engine = await live.createEngine(live.unpackedSet(set));
        const machine = new live.ScoreMachine(engine, {window: new live.ScaleSchedule(windows)});
        const noise = live.normalNoise(4, 64);
        const sample = (denoiser) => live.sample(denoiser, noise, {steps: 20});
        const [a, b] = await Promise.all([network, machine].map(sample));
        network.dispose();
        engine.dispose();
        return {network: live.packed(a), r: live.pearson(a, b)};
    }""",
        [network_payload(network), packed_set("digits"), list(scales.windows)],
    )
    np.testing.assert_allclose(
        unpacked(reply["network"], np.float32, (1, 1, 8, 8)), images[0].numpy(), rtol=0, atol=2e-2
    )
    assert reply["r"] == pytest.approx(float(metrics.pearson_r(*images)), abs=0.002)


def test_what_a_network_does_not_take(page):
    network = elsedu.networks.network("fashion_mnist-resnet-zero.laptop")
    replies = page.evaluate(
        """async (payload) => {
        const network = await live.loadNetwork(payload), x = new Float32Array(256);
        const asked = [[new Float32Array(9), .5, 1], [x, 0, 1], [x, .5, 10], [x, .5, null]];
        const complaint = (one) => network.noise(...one).then(() => "", (error) => error.message);
        const texts = await Promise.all(asked.map(complaint));
        network.dispose();
        return texts;
    }""",
        network_payload(network),
    )
    for text, words in zip(replies, ("takes 1 x 16 x 16", "outside (0, 1]", "got 10", "got null")):
        assert words in text
