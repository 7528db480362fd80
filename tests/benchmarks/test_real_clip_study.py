"""The study of real embeddings, on made ones whose answer is known."""

import json

import numpy as np
import pytest

from benchmarks import real_clip_study as study
from jaxvlm import files

D = 24


def write_world(root, rng) -> None:
    """Pictures are their class's text; those of other sets lie on axes of their own."""
    classes = rng.normal(size=(1000, D))
    classes[:, -4:] = 0
    images = {
        "imagenet.train4.features": classes.astype(np.float16),
        "imagenet.train4.labels": np.arange(1000),
    }
    for n, key in enumerate(study.FAR.values()):
        rows = np.zeros((6, D)) + 0.01 * rng.normal(size=(6, D))
        rows[:, -1 - n % 4] = 1
        images |= {f"{key}.features": rows.astype(np.float32), f"{key}.labels": np.arange(6)}
    files.write_arrays(root / "vit_b32_images.safetensors", images)
    words = np.eye(D)[-4:]
    texts = {"imagenet_ensemble80": classes, "imagenet_a_photo_of_a": classes}
    texts |= {"lvis_ensemble": np.repeat(words, 5, axis=0)}
    files.write_arrays(root / "vit_b32_texts.safetensors", texts)
    names = {"imagenet": [f"class {k}, other" for k in range(1000)], "lvis": ["class 3", *"abcd"]}
    names["lvis"] += [f"w{n}" for n in range(15)]
    for name, found in names.items():
        (root / f"{name}_names.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    write_world(root, np.random.default_rng(0))
    return study.read_world(root)


def test_a_score_that_separates_has_1_and_differences_are_to_the_first_row(world):
    setting = study.Setting(groups=5)
    rows = {"NegLabel": (50, setting, "neglabel"), "again": (50, setting, "neglabel")}
    table = study.measure(world, rows, splits=2).set_index(["row", "ood"])
    for name in study.FAR:
        assert table.loc[("NegLabel", name), "auroc"] == pytest.approx(1.0)
        assert table.loc[("NegLabel", name), "fpr95"] == pytest.approx(0.0)
    assert (table.loc["again", "gain"] == 0).all() and (table.loc["again", "gain_half"] == 0).all()
    assert "NegLabel" in study.shown(table.reset_index())


def test_splits_to_choose_on_are_not_those_that_are_reported(world, monkeypatch):
    seen = []

    def metrics(world, size, setting, method, seed, cache):
        seen.append(seed)
        return dict.fromkeys([study.NEAR, *study.FAR, "mean"], (float(seed), 0.0))

    monkeypatch.setattr(study, "_metrics", metrics)
    table = study.measure(world, {"row": (50, study.Setting(), "mcm")}, splits=3)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert (table["chosen_on"] == 1.0).all() and (table["auroc"] == 4.0).all()
    # Student's t of 2 degrees of freedom at 0.975 is 4.3027; the deviation of 3, 4, 5 is 1.
    assert table["auroc_half"].to_numpy() == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


def test_negatives_name_no_class_and_half_of_the_others_are_no_ood(world):
    ids, others = study.split_of(world, 50, seed=0)
    assert len(ids) == 50 and len(set(ids) | set(others)) == 1000
    plain = study.negatives_of(world, study.Setting(), ids, others)
    assert len(plain) == 19  # without "class 3"
    known = 3 in ids
    rows = study.negatives_of(world, study.Setting(without_ood=False), ids, others)
    assert len(rows) == 20 - known
    both = study.negatives_of(world, study.Setting(others=True), ids, others)
    expected = world.texts["imagenet_ensemble80"][others[:475]]
    np.testing.assert_array_equal(both[19:], expected)
    half = study.negatives_of(world, study.Setting(fraction=0.5), ids, others)
    assert len(half) == 9
