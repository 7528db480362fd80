"""The study of streams on made worlds: its tables, its file, and a cell taken by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import stream_speed
from benchmarks import stream_study as study
from jaxvlm import files
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.streams import ADAPTIVE, ORDERS, Arrival, Texts, base_scores, plan, run
from jaxvlm.pictures.streams import Pictures

D, EACH = 12, 30
METHODS = {name: ADAPTIVE[name] for name in ("adaneg", "oodd_mcm")}


def made(name, seed):
    """Three classes and two OOD sets around axes, and the axes as texts."""
    rng = np.random.default_rng(seed)
    axes = np.eye(D, dtype=np.float32)

    def near(k):
        rows = axes[k] + 0.35 * rng.normal(size=(EACH, D))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    known = np.concatenate([near(k) for k in range(3)])
    labels = np.repeat(np.arange(3), EACH)
    pictures = Pictures(known, labels, {"near": near(3), "far": near(4)})
    return study.World(name, pictures, Texts(axes[:3], np.repeat(axes[3:8], 4, axis=0)))


@pytest.fixture(scope="module")
def worlds():
    return [made("ImageNet 0", 0), made("ImageNet 1", 1), made("rendered, usual backgrounds", 2)]


@pytest.fixture(scope="module")
def table(worlds):
    return study.measure(worlds[:2], METHODS, 3, short=False)


def test_every_cell_is_there_once(table):
    keys = ["method", "ood_set", "order", "ood_share", "class_skew"]
    assert not table.duplicated(keys).any() and set(table["world"]) == {"ImageNet"}
    sets, shares = 2, 3
    assert len(table) == len(METHODS) * sets * shares * (len(ORDERS) + 1)
    assert set(table.loc[table["class_skew"] > 0, "order"]) == {"shuffled"}


@pytest.mark.parametrize("name", METHODS)
def test_a_cell_is_the_mean_of_the_draws_and_their_streams(worlds, table, name):
    """Two streams of each draw, scored and measured by hand."""
    method, metrics = METHODS[name], []
    for world in worlds[:2]:
        rows = np.concatenate([world.pictures.known, world.pictures.others["far"]])
        for seed in (0, 1):
            stream = plan(Arrival("blocks", 0.1), 3 * EACH, [EACH], seed=seed)
            own = rows[stream.indices]
            base = base_scores(method.base, world.texts, own, num_groups=study.GROUPS)
            config = method.config(study.GROUPS)
            _, scores = run(
                method.step, config, world.texts, method.start(config, world.texts), own,
                base=base, batch_size=method.batch_size,
            )  # fmt: skip
            sides = [stream.source == side for side in (0, 1)]
            metrics.append([ood_metrics(*(v[s] for s in sides)) for v in (scores, base)])
    cells = table.set_index(["method", "ood_set", "order", "ood_share", "class_skew"]).sort_index()
    cell = cells.loc[(name, "far", "blocks", 0.1, 0.0)]
    gains = [ours["auroc"] - base["auroc"] for ours, base in metrics]
    assert cell["auroc"] == pytest.approx(np.mean([ours["auroc"] for ours, _ in metrics]), abs=1e-6)
    assert cell["fpr95"] == pytest.approx(np.mean([ours["fpr95"] for ours, _ in metrics]), abs=1e-6)
    assert cell["gain"] == pytest.approx(np.mean(gains), abs=1e-6)
    assert cell["gain_low"] == pytest.approx(min(gains), abs=1e-6)
    deviations = [np.std(gains[first : first + 2], ddof=1) for first in (0, 2)]
    assert cell["gain_sd"] == pytest.approx(np.mean(deviations), abs=1e-6)


def test_the_verdict_and_the_shown_table_are_of_these_cells(table):
    found = study.verdict(table).loc[("ImageNet", "oodd_mcm")]
    own = table[table["method"] == "oodd_mcm"]
    cells = [
        100 * part["gain"].mean() for _, part in own.groupby(["order", "ood_share", "class_skew"])
    ]
    assert found["worst cell"] == pytest.approx(min(cells))
    assert found["worst set"] == pytest.approx(100 * own["gain"].min())
    assert found["gain at half"] == pytest.approx(100 * own[own["ood_share"] == 0.5]["gain"].mean())
    worst = own[(own["order"] == "id_first") & (own["ood_share"] == 0.02)]["gain"]
    text = f"{100 * worst.mean():+.1f} ({100 * worst.min():+.1f})"
    assert text in study.shown(table)


def test_the_file_keeps_what_was_not_measured_again(table, tmp_path):
    out = tmp_path / "study.csv"
    study.write(out, "reported", "ImageNet", table)
    study.write(out, "reported", "rendered", table.assign(world="rendered"))
    only = table[table["method"] == "adaneg"]
    study.write(out, "reported", "ImageNet", only.assign(gain=0.25))
    found = pd.read_csv(out)
    assert len(found) == 2 * len(table)
    again = (found["world"] == "ImageNet") & (found["method"] == "adaneg")
    assert (found.loc[again, "gain"] == 0.25).all() and again.sum() == len(only)
    kept = found[(found["world"] == "ImageNet") & (found["method"] == "oodd_mcm")]
    expected = table[table["method"] == "oodd_mcm"]["gain"]
    np.testing.assert_allclose(kept["gain"], expected, atol=1e-4)


def test_a_run_measures_each_kind_and_prints_it(worlds, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(study, "worlds", lambda choosing: iter(worlds))
    given = {
        "_CHOOSE": False,
        "_WORLDS": ["rendered"],
        "_STREAM_METHODS": ["oodd_mcm"],
        "_REPEATS": 2,
        "_STREAM_OUT": str(tmp_path / "out.csv"),
    }
    for name, value in given.items():
        monkeypatch.setattr(study, name, SimpleNamespace(value=value))
    study.main(None)
    found = pd.read_csv(tmp_path / "out.csv")
    assert set(found["world"]) == {"rendered, usual backgrounds"}
    assert set(found["method"]) == {"oodd_mcm"} and set(found["part"]) == {"reported"}
    shown = capsys.readouterr().out
    assert "rendered, usual backgrounds: gain over the static base" in shown
    assert "worst cell" in shown and "ImageNet" not in shown


def test_a_rendered_world_is_read_as_evaluate_ood_writes_it(tmp_path):
    rng = np.random.default_rng(3)
    folder = tmp_path / "embeddings"
    parts = {"id": 6, "classes": 3, "negatives": 20, "ood_unseen": 4, "ood_spurious": 5}
    for name, count in (parts | {"ood_empty": 2}).items():
        rows = {"features": rng.normal(size=(count, D)).astype(np.float32)}
        files.write_arrays(folder / f"{name}.safetensors", rows)
    (folder / "id_labels.json").write_text(json.dumps(list("aabbcc")))
    config = {"config": {"negalign": {"logit_scale": 42.0}}}
    (tmp_path / "results.json").write_text(json.dumps(config))
    world = study.rendered(tmp_path, "id")
    assert world.name == "rendered, usual backgrounds" and float(world.texts.scale) == 42.0
    assert {k: len(v) for k, v in world.pictures.others.items()} == {
        "unseen": 4, "spurious": 5, "empty": 2,
    }  # fmt: skip
    assert list(world.pictures.classes) == list("aabbcc")
    assert sorted(world.texts.negative.tolist()) == sorted(world.texts.corpus.tolist())


def test_the_times_have_a_row_per_method():
    texts, rows = stream_speed.inputs(256, classes=4, negatives=20, width=D)
    assert rows.shape == (256, D) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    found = stream_speed.seconds(texts, rows, METHODS, 2)
    assert list(found.index) == list(METHODS) and (found > 0).all(axis=None)
    assert (found["least"] <= found["median"]).all()
