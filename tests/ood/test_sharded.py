"""Label banks on several devices against `scores`, a picture at a time on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxvlm.ood import scores, text_scores

ROOT = Path(__file__).resolve().parents[2]
LABELS = (1, 2, 8)  # devices that share a bank, of 8
D, N = 16, 5  # N: no number of rows that the devices divide

# name: K, M, M_obj, groups, k of M1, whether orders, whether weights, whether rows are known
CASES = {
    "groups": (12, 43, 21, 5, 3, True, False, True),  # 43 = 5·8 + 3; a shard of a group has 1
    "weights": (12, 43, 21, 5, 3, True, True, False),
    "fewer classes than shards": (3, 43, 11, 5, 10, False, True, True),  # a group has 8, K is 3
    "groups smaller than shards": (12, 43, 15, 14, 2, True, False, True),  # of 3, of 1
    "few objects": (12, 43, 4, 5, 3, False, False, True),
}

PROGRAM = """
import json, sys
import jax, numpy as np
from jaxvlm import ood, parallel
from jaxvlm.ood.placing import is_split
work, labels, cases = sys.argv[1], *map(json.loads, sys.argv[2:])
inputs, found = np.load(f"{work}/inputs.npz"), {}
encoded = ood.Encoded(inputs["image"], inputs["foreground"], inputs["background"],
                      inputs["predicted"], inputs["local"], None, None, inputs["local"],
                      inputs["foreground"])
for label in labels:
    mesh = parallel.make_mesh(label=label)
    assert is_split(mesh) == (label > 1) and not is_split(None)
    for name, case in cases.items():
        classes, negatives, objects, groups, topk, ordered, weighted, known = case
        rows, weights = inputs["rows"][:objects], inputs["weights"]
        negative = inputs["negative"][:negatives]
        banks = ood.LabelBanks(
            inputs["positive"][:classes], negative, negative[rows], negative[:7],
            object_weights=weights[:objects] if weighted else None,
            background_weights=weights[:7] if weighted else None,
            object_rows=rows if known else None,
            conjugated=inputs["conjugated"],
            conjugated_rows=inputs["conjugated_rows"], agents=inputs["agents"])
        orders = (inputs[f"{name} order"], inputs[f"{name} objects"]) if ordered else (None, None)
        config = ood.NegAlignConfig(num_groups=groups, topk_aggregation_k=topk, logit_scale=24.0,
                                    pos_topk=1, neg_topk=5)
        placed = ood.place_banks(banks, config, permutations=ood.Permutations(*orders),
                                 soft_weights=weights[:negatives], mesh=mesh)
        if label > 1:
            share = placed.negatives.rows.addressable_shards[0].data.shape
            assert share[0] == 1 and share[1] < negatives, share
        scored = ood.method_scores(encoded, placed, config)
        scored |= ood.alignment_scores(encoded, placed, config)
        found |= {f"{label} {name} {method}": values for method, values in scored.items()}
np.savez(f"{work}/found.npz", **found)
"""


def units(rng, *shape):
    rows = rng.standard_normal((*shape, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    names = "image", "foreground", "background"
    arrays = dict(zip(names, units(rng, 3, N), strict=True)) | {
        "predicted": rng.integers(3, size=N),
        "local": rng.uniform(size=N).astype(np.float32),
        "positive": units(rng, 12),
        "negative": units(rng, 43),
        "rows": rng.permutation(43),
        "weights": rng.uniform(0.2, 1.0, 43).astype(np.float32),
    }
    arrays["agents"] = units(rng, 4)
    # CSP's words: 20 of the negatives and three that are none of them.
    own = rng.permutation(43)[:20]
    arrays["conjugated"] = np.concatenate([arrays["negative"][own], units(rng, 3)])
    arrays["conjugated_rows"] = np.append(own, [-1, -1, -1])
    for name, (_, negatives, objects, groups, *_) in CASES.items():
        arrays[f"{name} order"] = rng.permutation(negatives - negatives % groups)
        arrays[f"{name} objects"] = rng.permutation(objects - objects % groups)
    return arrays


@pytest.fixture(scope="module")
def found(inputs, tmp_path_factory):
    work = tmp_path_factory.mktemp("sharded")
    np.savez(work / "inputs.npz", **inputs)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, work, json.dumps(LABELS), json.dumps(CASES)],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "8"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return np.load(work / "found.npz")


def expected(inputs, name):
    """Every method of every picture by its function of one picture's similarities."""
    classes, negatives, objects, groups, topk, ordered, weighted, _ = CASES[name]
    negative, rows = inputs["negative"][:negatives], inputs["rows"][:objects]
    weights = inputs["weights"]
    order, object_order = (
        (inputs[f"{name} order"], inputs[f"{name} objects"]) if ordered else (None, None)
    )
    for n in range(N):
        z = 24 * (inputs["positive"][:classes] @ inputs["image"][n])
        other = 24 * (negative @ inputs["image"][n])
        pool = 24 * (inputs["conjugated"] @ inputs["image"][n])
        options = {"permutation": order, "num_groups": groups}
        one = {
            "energy": scores.energy_score(z),
            "neglabel": scores.neglabel_score(z, other, **options),
            "neglabel_m1": scores.neglabel_score(z, other, topk=topk, **options),
            "neglabel_star_soft": scores.neglabel_score(z, weights[:negatives] * other, **options),
            "neglabel_one_group": scores.one_group_score(z, other),
            "csp": scores.neglabel_score(z, pool, num_groups=groups),
            "size_free": text_scores.size_free_score(z, other, **options),
            "eoe": text_scores.eoe_score(z * 100 / 24, other * 100 / 24),
            "cma": text_scores.cma_score(z * 100 / 24, 100 * inputs["agents"] @ inputs["image"][n]),
        }
        factors = weights[:objects] if weighted else 1.0
        if objects >= groups:
            options["permutation"] = object_order
            star = factors * other[rows]
            one["neglabel_star"] = scores.neglabel_score(z, star, **options)
            one["neglabel_star_m1"] = scores.neglabel_score(z, star, topk=topk, **options)
            seen = 24 * (inputs["positive"][:classes] @ inputs["foreground"][n])
            of_object = factors * 24 * (negative[rows] @ inputs["foreground"][n])
            one["foreground_star"] = scores.neglabel_score(seen, of_object, **options)
        words = (weights[:7] if weighted else 1.0) * (negative[:7] @ inputs["background"][n])
        one["bg_neg"] = np.sort(words)[-5:].mean()
        own = inputs["positive"][inputs["predicted"][n]]
        one["bg_pos"] = one["v6_pos_only"] = own @ inputs["background"][n]
        one["fg_pos"] = own @ inputs["foreground"][n]
        yield one


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_one_device(inputs, found, name, label):
    rows = list(expected(inputs, name))
    for method in rows[0]:
        values = np.array([row[method] for row in rows])
        assert np.ptp(values) > 1e-3, method
        actual = found[f"{label} {name} {method}"]
        np.testing.assert_allclose(actual, values, rtol=2e-5, atol=1e-6, err_msg=method)
    assert (f"{label} {name} neglabel_star" in found) == (name != "few objects")
