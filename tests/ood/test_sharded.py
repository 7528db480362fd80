"""Label banks on several devices against `scores`, a picture at a time on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxvlm.ood import scores

ROOT = Path(__file__).resolve().parents[2]
LABELS = (1, 2, 8)  # devices that share a bank, of 8
D, N = 16, 5  # N: no number of rows that the devices divide

# name: K, M, weights, permutation, settings of neglabel_scores.
NEGLABEL = {
    "groups": (12, 43, False, True, {"num_groups": 5}),  # 43 = 5·8 + 3: three are dropped
    "fewer classes than shards": (3, 43, False, False, {"num_groups": 5}),
    "groups smaller than shards": (12, 43, False, True, {"num_groups": 14}),  # of 3
    "csp": (12, 43, False, False, {"num_groups": 1}),
    "weights": (12, 43, True, True, {"num_groups": 5, "logit_scale": 24.0}),
    "m1": (12, 43, False, True, {"num_groups": 5, "topk": 3}),  # a shard of a group has 1
    "m1 of all": (3, 43, True, True, {"num_groups": 5, "topk": 10}),  # a group has 8, K is 3
}
# name: M, k, weights.
TOPK = {"maximum": (43, 1, False), "more than a shard": (43, 9, True), "all": (3, 5, True)}

PROGRAM = """
import json, sys
import numpy as np
from jaxvlm import parallel
from jaxvlm.ood import sharded
work, labels, neglabel, topk = sys.argv[1], *map(json.loads, sys.argv[2:])
inputs, found = np.load(f"{work}/inputs.npz"), {}
for label in labels:
    mesh = parallel.make_mesh(label=label)
    assert sharded.is_split(mesh) == (label > 1) and not sharded.is_split(None)
    for name, (classes, negatives, weighted, permuted, settings) in neglabel.items():
        found[f"{label} {name}"] = sharded.neglabel_scores(
            inputs["embeddings"], inputs["positive"][:classes], inputs["negative"][:negatives],
            mesh=mesh, weights=inputs["weights"][:negatives] if weighted else None,
            permutation=inputs[f"order {name}"] if permuted else None, **settings)
    for name, (count, k, weighted) in topk.items():
        found[f"{label} {name}"] = sharded.topk_mean_scores(
            inputs["embeddings"], inputs["negative"][:count], k, mesh=mesh,
            weights=inputs["weights"][:count] if weighted else None)
np.savez(f"{work}/found.npz", **found)
"""


def units(rng, count):
    rows = rng.standard_normal((count, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    arrays = {
        "embeddings": units(rng, N),
        "positive": units(rng, 12),
        "negative": units(rng, 43),
        "weights": rng.uniform(0.2, 1.0, 43).astype(np.float32),
    }
    for name, (_, negatives, _, permuted, settings) in NEGLABEL.items():
        if permuted:
            groups = settings["num_groups"]
            arrays[f"order {name}"] = rng.permutation(negatives - negatives % groups)
    return arrays


@pytest.fixture(scope="module")
def found(inputs, tmp_path_factory):
    work = tmp_path_factory.mktemp("sharded")
    np.savez(work / "inputs.npz", **inputs)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, work, *map(json.dumps, (LABELS, NEGLABEL, TOPK))],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "8", "USE_TORCH": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return np.load(work / "found.npz")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", NEGLABEL)
def test_neglabel_scores_are_those_of_one_device(inputs, found, name, label):
    classes, negatives, weighted, permuted, settings = NEGLABEL[name]
    settings = dict(settings)
    scale = settings.pop("logit_scale", 100.0)
    weights = inputs["weights"][:negatives] if weighted else 1.0
    expected = []
    for embedding in inputs["embeddings"]:
        positive = scale * (inputs["positive"][:classes] @ embedding)
        negative = weights * scale * (inputs["negative"][:negatives] @ embedding)
        if name == "csp":
            expected.append(scores.csp_score(positive, negative))
        else:
            order = inputs[f"order {name}"] if permuted else None
            expected.append(
                scores.neglabel_score(positive, negative, permutation=order, **settings)
            )
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found[f"{label} {name}"], expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", TOPK)
def test_topk_means_are_those_of_one_device(inputs, found, name, label):
    count, k, weighted = TOPK[name]
    weights = inputs["weights"][:count] if weighted else 1.0
    expected = [
        np.sort(weights * (inputs["negative"][:count] @ embedding))[::-1][:k].mean()
        for embedding in inputs["embeddings"]
    ]
    np.testing.assert_allclose(found[f"{label} {name}"], expected, rtol=1e-5, atol=1e-6)
