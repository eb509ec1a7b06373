"""Every shipped result has the form that its README promises, and what the book says of it can be recomputed."""

import json

import jsonschema
import numpy as np
import pytest

from elsedu.analysis import statistics
from elsedu.experiments import tables
from elsedu.experiments.catalogue import PAPER, from_stem
from elsedu.experiments.measurement import METRICS
from elsedu.machines.lineup import LINEUP

NUMBER = {"type": ["number", "null"]}
COUNT = {"type": "integer", "minimum": 0}
MEDIAN = {"type": "object", "required": ["median", "low", "high", "seeds", "undefined"],
          "properties": {"median": NUMBER, "low": NUMBER, "high": NUMBER, "seeds": COUNT, "undefined": COUNT}}
SHARE = {"type": "object", "required": ["share", "low", "high", "seeds"],
         "properties": dict.fromkeys(("share", "low", "high"), NUMBER | {"minimum": 0, "maximum": 1})}
PREDICTOR = {"type": "object", "required": list(METRICS),
             "properties": dict.fromkeys(METRICS, MEDIAN) | {"above_is": SHARE}}
VALUES = {"type": "array", "items": NUMBER}
WINDOWS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}}
PAIRED = MEDIAN | {"required": [*MEDIAN["required"], "above"], "properties": MEDIAN["properties"] | {"above": SHARE}}
PROVENANCE = {
    "type": "object",
    "required": ["network", "data", "scales", "machines", "steps", "seeds", "versions", "device", "backend", "minutes",
                 "commit", "training", "calibration"],
    "properties": {
        "network": {"type": "object", "required": ["name", "weights_hash"]},
        "data": {"type": "object", "required": ["name", "hash", "images", "shape"]},
        "scales": {"type": "object", "required": ["els", "ls"], "additionalProperties": WINDOWS},
        "seeds": {"type": "object", "required": ["stream", "index"],
                  "properties": {"stream": {"const": "test"}, "index": {"type": "array", "uniqueItems": True}}},
        "minutes": {"type": "number", "minimum": 0},
        "training": {"type": "object", "required": ["cpu_minutes", "steps", "loss"]},
    },
}
COMPARISON = {
    "type": "object", "required": ["measured", "provenance"], "additionalProperties": False,
    "properties": {"hash": {"type": "string"}, "provenance": PROVENANCE, "measured": {
        "type": "object",
        "required": ["seeds", "agreement", "per_seed", "margin", "forced", "nearest_distance", "anchoring",
                     "error_map"],
        "properties": {
            "seeds": {"type": "integer", "minimum": 20},
            "agreement": {"type": "object", "required": ["20", "150"],
                          "additionalProperties": {"type": "object", "required": ["els", "ls", "is", "es", "wiener"],
                                                   "additionalProperties": PREDICTOR}},
            "per_seed": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {
                "type": "object", "required": ["pearson_r", "determination"], "additionalProperties": VALUES}}},
            "margin": {"type": "object", "required": ["20", "150"],
                       "additionalProperties": {"type": "object", "additionalProperties": PAIRED}},
        }}},
}
STUDY = {"type": "object", "required": ["measured", "provenance"], "additionalProperties": False,
         "properties": {"hash": {"type": "string"}, "measured": {"type": "object"},
                        "provenance": {"type": "object",
                                       "required": ["command", "versions", "device", "commit", "minutes"]}}}
COMPARISONS = sorted(tables.stored())
OTHERS = sorted({path.stem for path in tables.FOLDER.glob("*.json")} - set(COMPARISONS))


def read(stem):
    return json.loads((tables.FOLDER / f"{stem}.json").read_text())


@pytest.mark.parametrize("stem", COMPARISONS)
def test_form_of_a_comparison(stem):
    jsonschema.validate(read(stem), COMPARISON)


@pytest.mark.parametrize("stem", OTHERS)
def test_form_of_a_study(stem):
    jsonschema.validate(read(stem), STUDY)


@pytest.mark.parametrize("stem", COMPARISONS)
def test_summaries_are_those_of_the_single_seeds(stem):
    """Medians, intervals and margins follow from the values that are stored seed by seed."""
    measured = read(stem)["measured"]
    for steps, found in measured["per_seed"].items():
        assert set(found) == set(measured["agreement"][steps])
        for name, values in found.items():
            r = np.array(values["pearson_r"], dtype=float)
            assert len(r) == measured["seeds"]
            told, again = measured["agreement"][steps][name]["pearson_r"], statistics.median(r)
            for key in ("median", "low", "high"):
                assert told[key] == pytest.approx(again[key], abs=2e-4)
        els = np.array(found["els"]["pearson_r"], dtype=float)
        for name, told in measured["margin"][steps].items():
            again = statistics.paired(els, found[name]["pearson_r"])
            assert told["median"] == pytest.approx(again["median"], abs=2e-4)
            assert told["above"]["share"] == pytest.approx(again["above"]["share"], abs=1e-4)


@pytest.mark.parametrize("stem", COMPARISONS)
def test_circular_networks_have_rivals_with_their_symmetry(stem):
    border = "circular" if from_stem(stem).recipe.network["padding"] == "circular" else "zero"
    known = read(stem)["measured"]["margin"]["150"]
    assert ("stationary" in known) == (border == LINEUP["stationary"].beside)
    assert "es" in known


def test_no_pictures_of_faces():
    assert not list(tables.FOLDER.glob("celeba*.npz"))


def test_what_stands_beside_the_paper():
    """Rows of the paper that stand alone are known by name, so that nobody can lose one by accident."""
    measured = {row["paper_row"] for row in tables.rows(missing=False)}
    assert {"celeba-resnet-zero", "celeba-unet-zero", "cifar10-resnet-zero", "cifar10-unet-attention",
            "fashion_mnist-resnet-zero", "mnist-resnet-zero", "mnist-resnet-circular", "mnist-unet-zero"} <= measured
    assert measured - {None} <= set(PAPER)
