"""Streams of embedded pictures: the table, against scores and metrics taken by hand."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.streams import ADAPTIVE, Arrival, Texts, base_scores, plan
from jaxvlm.pictures.streams import (
    Pictures,
    StreamSettings,
    check_streams,
    streams_table,
)

GROUPS = 2


def rows(rng, centres, each):
    """Unit rows around unit centres."""
    found = np.repeat(centres, each, axis=0) + 0.3 * rng.normal(size=(len(centres) * each, 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)
    texts = Texts(centres[:3], centres[3:7], scale=np.float32(5.0))
    others = {"near": rows(rng, centres[3:5], 20), "far": rows(rng, centres[5:7], 20)}
    return Pictures(rows(rng, centres[:3], 20), np.repeat(list("abc"), 20), others), texts


def table(world, **settings):
    settings = StreamSettings(batch_size=16, **settings)
    methods = {name: ADAPTIVE[name] for name in settings.methods or ADAPTIVE}
    return streams_table(*world, settings, num_groups=GROUPS, seed=3, methods=methods)


def test_the_figures_of_a_base_are_those_of_its_pictures(world):
    pictures, texts = world
    found = table(world, methods=("oodd",), ood_shares=(0.25,), repeats=2)
    assert list(found["ood_set"]) == ["near", "far"]
    for ood_set, own in found.set_index("ood_set").iterrows():
        every = np.concatenate([pictures.known, pictures.others[ood_set]])
        aurocs = []
        for seed in (3, 4):
            stream = plan(Arrival(ood_share=0.25), 60, [40], seed=seed)
            values = base_scores("neglabel", texts, every[stream.indices], num_groups=GROUPS)
            sides = (values[stream.source == side] for side in (0, 1))
            aurocs.append(ood_metrics(*sides)["auroc"])
        assert own["base_auroc"] == pytest.approx(np.mean(aurocs), abs=1e-6)
        assert (own["num_id"], own["num_ood"]) == (60, 20)
        assert own["gain"] == pytest.approx(own["auroc"] - own["base_auroc"])
        assert own["gain_low"] <= own["gain"] and own["auroc_sd"] >= 0


def test_every_method_order_share_and_skew_has_a_row(world):
    found = table(
        world, orders=("shuffled", "temporal_shift"), class_skews=(0.0, 1.0), ood_shares=(0.5,),
        repeats=2,
    )  # fmt: skip
    keys = ["method", "ood_set", "order", "class_skew"]
    assert len(found) == len(ADAPTIVE) * 8 and not found.duplicated(keys).any()
    assert found["auroc"].between(0, 1).all() and np.isfinite(found["gain"]).all()
    assert set(found["batch_size"]) == {16}


def test_a_memory_that_is_never_emptied_changes_the_second_set_alone(world):
    """The first set's stream has seen nothing before it."""
    options = {"methods": ("adaneg",), "ood_shares": (0.5,), "repeats": 2}
    fresh, kept = (table(world, reset=r, **options).set_index("ood_set") for r in ("pair", "never"))
    assert fresh.loc["near", "auroc"] == kept.loc["near", "auroc"]
    assert fresh.loc["far", "auroc"] != kept.loc["far", "auroc"]
    assert fresh.loc["far", "base_auroc"] == kept.loc["far", "base_auroc"]


def test_the_same_seed_gives_the_same_table(world):
    options = {"methods": ("steady", "tanl"), "ood_shares": (0.5,), "repeats": 2}
    assert table(world, **options).equals(table(world, **options))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (StreamSettings(orders=("sorted",)), "unknown"),
        (StreamSettings(ood_shares=(0.0,)), "between 0 and 1"),
        (StreamSettings(reset="often"), "use one of pair, never"),
        (StreamSettings(repeats=1), "at least 2 repeats"),
        (StreamSettings(methods=("adaneg2",)), "use some of"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        check_streams(settings)
