"""What parts IV to VI say in words follows from the stored results, and no measured number is typed into them.

Each test is named after the chapter that makes the claim. Where a result is measured again and a claim no longer
holds, the text has to change: that is what these tests are for.
"""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from elsedu._common.records import read_json
from elsedu.analysis.statistics import paired, two_level
from elsedu.experiments.catalogue import PAPER
from elsedu.experiments.tables import FOLDER

BOOK = Path(__file__).parents[2] / "book"
SIX = ("digits-resnet-zero", "digits-resnet-circular", "mnist16-resnet-zero", "mnist16-resnet-circular",
       "mnist16-unet-zero", "mnist16-unet-attention")


def measured(stem):
    return read_json(FOLDER / f"{stem}.json")["measured"]


def per_seed(stem):
    return {name: np.array(found["pearson_r"], dtype=float)
            for name, found in measured(stem)["per_seed"]["150"].items()}


def above(record):
    return record["low"] > 0


def below(record):
    return record["high"] < 0


def undecided(record):
    return record["low"] <= 0 <= record["high"]


# -- words -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIX)
def test_prediction_els_beats_every_simple_rival(name):
    margin = measured(name)["margin"]["150"]
    assert all(above(margin[rival]) for rival in ("is", "wiener", "es", "stationary") if rival in margin)
    if "ceiling" in margin:
        assert below(margin["ceiling"])


def test_prediction_by_how_much():
    """A few hundredths over the best rival for the 8x8 digits and the UNets, much more on the 16x16 torus."""
    best = {name: min(measured(name)["margin"]["150"][rival]["median"]
                      for rival in ("is", "wiener", "es", "stationary") if rival in measured(name)["margin"]["150"])
            for name in SIX}
    assert all(0.02 < best[name] < 0.07 for name in SIX if name.startswith("digits") or "unet" in name)
    assert best["mnist16-resnet-circular"] > 3 * max(best[n] for n in SIX if n.startswith("digits") or "unet" in n)
    for name in ("digits-resnet-circular", "mnist16-resnet-circular"):      # half a unit of r over IS and Wiener
        margin = measured(name)["margin"]["150"]
        assert min(margin["is"]["median"], margin["wiener"]["median"]) > 0.4


def test_prediction_ls_helps_resnets_and_ties_unets():
    for name in SIX:
        d = measured(name)["margin"]["150"]["ls"]
        assert undecided(d) if "unet" in name else above(d)


def test_attention_makes_no_difference_that_the_noises_show():
    r = {name: per_seed(name)["els"] for name in ("mnist16-unet-zero", "mnist16-unet-attention")}
    assert undecided(paired(*r.values()))


def test_cifar10_linear_rival():
    for stem, verdict in (("laptop", undecided), ("full-e16-w64", undecided), ("full-e8-w48", above)):
        name = f"cifar10-resnet-zero.{stem}"
        r = per_seed(name)
        assert verdict(paired(r["ls"], r["wiener"]))
        assert above(measured(name)["margin"]["150"]["wiener"]) and above(measured(name)["margin"]["150"]["ls"])


def test_cifar10_attention_fails_against_the_linear_filter():
    margin = measured("cifar10-unet-attention.laptop")["margin"]["150"]
    assert below(margin["wiener"]) and margin["wiener"]["above"]["share"] < 0.15
    assert above(margin["ls"]) and above(margin["is"])


def test_celeba_our_unet_is_no_example():
    margin = measured("celeba-unet-zero.laptop")["margin"]["150"]
    assert above(margin["ls"]) and margin["ls"]["median"] < 0.01 and undecided(margin["wiener"])
    resnet = measured("celeba-resnet-zero.laptop")["margin"]["150"]["ls"]
    assert above(resnet) and resnet["above"]["share"] > 0.9
    paper = PAPER["celeba-unet-zero"]["150"]
    assert paper["ls"] > paper["els"]


def test_mnist_habits_of_the_released_code():
    """Interior patches explain most of the circular row; the two others little, and in both directions."""
    found, paper = measured("conventions-mnist16-resnet-circular"), PAPER["mnist-resnet-circular"]["150"]["els"]
    r = {name: value["median"] for name, value in found["alike"]["150"].items()}
    margin = found["margin"]["150"]
    assert r["interior patches"] < paper < r["ours"]
    assert above(margin["windows one step noisier"]) and margin["windows one step noisier"]["median"] < 0.03
    assert below(margin["t = 1 left out"]) and margin["t = 1 left out"]["median"] > -0.03
    few = {name: value["median"] for name, value in found["alike"]["20"].items()}
    border = measured("conventions-mnist16-resnet-zero")["margin"]["150"]
    assert below(border["t = 1 left out"]) and undecided(border["both"])
    assert border["windows one step noisier"]["median"] > 0
    assert 0 < r["all"] - few["all"] < r["ours"] - few["ours"]
    others = [measured(stem)["agreement"]["150"]["els"]["pearson_r"]["median"] for stem in SIX]
    ours = measured("mnist16-resnet-circular")["agreement"]["150"]["els"]["pearson_r"]["median"]
    assert sorted(others)[-3] <= ours       # one of the highest


def test_open_questions_budget():
    """About as well as fitted windows but for the circular network of 16x16, where it fails by far."""
    for name in SIX:
        d = measured(f"rules-{name}")["margin"]["150"]["budget"]
        if name == "mnist16-resnet-circular":
            assert below(d) and d["above"]["share"] < 0.2
        else:
            assert undecided(d)


def test_open_questions_steps_have_no_direction():
    key, few = "trajectory cosine median", ", 10 theory steps"
    falls = {}
    for name in SIX:
        found = measured(f"windows-{name}")
        falls[name] = found[key + few]["150"]["median"] - found[key]["150"]["median"]
    assert min(falls.values()) < 0 < max(falls.values())
    assert falls["mnist16-resnet-circular"] < 0 and falls["mnist16-unet-attention"] < 0
    assert all(above(measured(f"rules-{name}")["margin"]["150"]["10 steps"]) for name in SIX[:2])


def test_open_questions_what_els_misses():
    """Every regressor is behind ELS; depth and place help; the second network removes more than half."""
    found = measured("residual-digits-resnet-zero")
    stand_ins = [kind for kind in found["margin"] if kind != "second network"]
    assert len(stand_ins) == 5 and all(below(found["margin"][kind]) for kind in stand_ins)
    assert all(found["loss"][kind] > found["loss"]["network"] for kind in stand_ins)
    r = {kind: found["r"][kind]["median"] for kind in found["r"]}
    assert min(r["deep, P = 9"], r["by place, P = 9"]) > r["shared, P = 9"] + 0.1
    assert above(found["margin"]["second network"]) and found["removed"]["second network"]["median"] > 0.5


def test_scales_no_simple_order():
    """Windows without a network: behind with a border and ahead on the torus of 8x8 digits, far behind on 16x16."""
    margin = {name: measured(f"rules-{name}")["margin"]["150"] for name in SIX[:2]}
    for method in ("denoising", "patches"):
        assert below(margin["digits-resnet-zero"][method]) and above(margin["digits-resnet-circular"][method])
        found = measured("windows-mnist16-resnet-circular")
        assert found[method]["150"]["high"] < found["trajectory cosine median"]["150"]["low"]


def test_other_denoisers_relatives():
    for stem, masks, edge in (("resnet", above, below), ("unet", undecided, undecided)):
        r = per_seed(f"denoisers-mnist16-{stem}-zero")
        assert masks(paired(r["covariance"], r["wiener"])) and edge(paired(r["edge"], r["ls"]))


def test_prediction_two_trainings_differ_by_less_than_the_noises_scatter():
    from elsedu.analysis.metrics import pearson_r
    from elsedu.experiments import Comparison
    from elsedu.figures.comparison import as_images

    for name in ("digits-resnet-zero", "mnist16-resnet-zero"):
        found = Comparison.load(FOLDER / f"{name}.json")
        second = pearson_r(as_images(found, "els"), as_images(found, "second-150")).numpy()
        first = found.measured["agreement"]["150"]["els"]["pearson_r"]
        both = two_level([per_seed(name)["els"], second])
        assert abs(both["medians"][0] - both["medians"][1]) < (first["high"] - first["low"])
    three = measured("trainings-digits-resnet-zero")
    assert all(above(d) for d in three["margin"].values()) and three["two_level"]["els"]["trainings"] == 3
    assert np.ptp(three["two_level"]["els"]["medians"]) < 0.02


# -- numbers ---------------------------------------------------------------------------------------------

# Two decimals or more in a text of parts IV to VI, and why they are no measurement.
EXPLAINED = {
    ("prediction", "published"): {"0.95", "0.90"},          # what a square would be
    ("prediction", "baselines-text"): {"0.95"},             # a question
    ("prediction", "hides"): {"0.95"},                      # an example
    ("prediction", "ranks"): {"0.965", "1.96"},             # binomial probabilities, computed in the text
    ("attention", "maps-explorer"): {"0.06"},               # one of sixteen
    ("mnist", "conventions-text"): {"0.95"},                # a time
}


@pytest.mark.parametrize("path", sorted(BOOK.glob("part[456]/*.ipynb")), ids=lambda path: path.stem)
def test_no_measured_number_is_typed(path):
    """Captions and prose of parts IV to VI: numbers stand in the outputs of cells, which nbval or a file checks."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        text = cell.source if cell.cell_type == "markdown" else figure.get("caption", "")
        if cell.id.startswith("ex-"):
            continue
        text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
        numbers = set(re.findall(r"(?<![\w.])\d?\.\d{2,}", text)) - EXPLAINED.get((path.stem, cell.id), set())
        found += [f"{cell.id}: {number}" for number in numbers]
    assert not found
