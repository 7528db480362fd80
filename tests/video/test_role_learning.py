"""Roles from a manifest: what is read, that training goes on where it stopped, what is written."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files, runs
from jaxvlm.atoms import training
from jaxvlm.atoms.role_tables import assign_roles
from jaxvlm.atoms.roles import role_strengths
from jaxvlm.command import cli
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import config as settings
from jaxvlm.video import role_learning
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, AtomsSettings, BoundaryConfig, SegmentConfig

ONTOLOGY = """
events:
  fire: [flame, smoke, siren]
  flood: [wave, boat, siren]
clutter: [tree]
templates: ["a photo of {}", "a scene with {}"]
neutral_prompts: [a road]
"""
EVENTS = ("fire", "flood")
ATOMS = ("boat", "flame", "siren", "smoke", "tree", "wave")
VIDEOS = 8


def small_config(**roles) -> AtomsConfig:
    config = AtomsSettings()
    # Another temperature than the default: what forgets it gives other roles.
    defaults = {"epochs": 25, "batch_size": 4, "topk": 2, "freeze_bias_epochs": 2}
    defaults |= {"temperature": 0.5}
    return settings.check(
        cli.override(config, {f"roles.{k}": v for k, v in (defaults | roles).items()})
    )


def write_runs(folder: Path, num_videos: int = VIDEOS) -> Path:
    """Runs as the pipeline leaves them: flame means fire, wave means flood."""
    rng = np.random.default_rng(0)
    entries = []
    for n in range(num_videos):
        run = folder / f"video_{n}"
        run.mkdir(parents=True)
        presence = rng.uniform(0.0, 0.3, (6 + n % 3, len(ATOMS))).astype(np.float32)
        labels = [n % 2, n // 2 % 2]
        for atom, label in (("flame", labels[0]), ("wave", labels[1])):
            presence[2:4, ATOMS.index(atom)] += 0.6 * label
        frames = np.zeros(len(presence), np.int8)
        files.write_arrays(run / "presence.safetensors", {"presence": presence})
        files.write_arrays(run / "trainpack.safetensors", {"pbar": presence, "labels": frames})
        table = pd.DataFrame([[run.name, *labels]], columns=["video_id", *EVENTS])
        files.write_csv(run / "video_event_labels.csv", table)
        entries.append(tables.Run(run, run / "video_event_labels.csv"))
    (folder / "ontology.yaml").write_text(ONTOLOGY)
    ran_with = dataclasses.replace(small_config(epochs=3), segments=SegmentConfig(window=7))
    record = runs.run_record(ran_with, seed=None, seconds={})
    files.write_json(folder / "pipeline.json", record)
    tables.write_manifest(folder / "manifest.csv", entries)
    return folder / "manifest.csv"


@pytest.fixture
def manifest(tmp_path):
    return write_runs(tmp_path / "runs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(manifest, output folder, model) of a run of 25 epochs without a stop."""
    folder = tmp_path_factory.mktemp("trained")
    manifest = write_runs(folder / "runs")
    return (
        manifest,
        folder / "out",
        role_learning.train_manifest(manifest, folder / "out", small_config(), seed=4),
    )


def leaves(model) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.params)]


def assert_same_bits(one, other) -> None:
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_runs_are_read_in_the_order_of_the_manifest(manifest):
    data = role_learning.read_runs(manifest, load_ontology(manifest.parent / "ontology.yaml"))
    assert data.names == [f"video_{n}" for n in range(VIDEOS)]
    assert [video.shape for video in data.videos] == [(6 + n % 3, 6) for n in range(VIDEOS)]
    assert data.labels.tolist() == [[n % 2, n // 2 % 2] for n in range(VIDEOS)]
    for n, (pbar, presence) in enumerate(zip(data.videos, data.presences, strict=True)):
        stored = files.read_arrays(manifest.parent / f"video_{n}" / "presence.safetensors")
        np.testing.assert_array_equal(presence, stored["presence"])
        np.testing.assert_array_equal(pbar, stored["presence"])


def test_an_event_on_any_frame_is_an_event_of_the_video(manifest):
    path = manifest.parent / "video_0" / "video_event_labels.csv"
    path.write_text("video_id,frame,fire,flood\nvideo_0,0,0,0\nvideo_0,3,1,0\n")
    data = role_learning.read_runs(manifest, load_ontology(manifest.parent / "ontology.yaml"))
    assert data.labels[0].tolist() == [1, 0]


def without_labels(folder):
    rows = (folder / "manifest.csv").read_text().splitlines()
    rows[3] = "video_2,"
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def with_pbar(change):
    def spoil(folder):
        path = folder / "video_2" / "trainpack.safetensors"
        arrays = files.read_arrays(path)
        files.write_arrays(path, {**arrays, "pbar": change(arrays["pbar"].copy())})

    return spoil


def nan(pbar):
    pbar[3, 1] = np.nan
    return pbar


def other_atoms(folder):
    for n in range(VIDEOS):
        path = folder / f"video_{n}" / "trainpack.safetensors"
        arrays = files.read_arrays(path)
        files.write_arrays(path, {**arrays, "pbar": arrays["pbar"][:, :4]})


def label_text(text):
    return lambda folder: (folder / "video_2" / "video_event_labels.csv").write_text(text)


BAD_RUNS = {
    "no labels": (without_labels, "video_2 has no labels; run the pipeline with --labels_csv"),
    "one of fewer atoms": (with_pbar(lambda p: p[:, :5]), "video_2.*5 atoms, but 6 in"),
    "all of fewer atoms": (other_atoms, "video_0: 4 atoms, the ontology has 6"),
    "NaN": (with_pbar(nan), "video_2.*NaN or infinity in frame 3"),
    "missing run": (lambda f: shutil.rmtree(f / "video_2"), "no such run 'video_2'"),
    "no pack": (lambda f: (f / "video_2" / "trainpack.safetensors").unlink(), "no such file"),
    "misspelled event": (label_text("video_id,fire,flod\nvideo_2,0,1\n"), "'flood'.*'flod'"),
    "no 0/1": (label_text("video_id,fire,flood\nvideo_2,0,maybe\n"), "row 2, column flood"),
}


@pytest.mark.parametrize("name", sorted(BAD_RUNS))
def test_bad_runs_are_one_line_and_leave_earlier_roles(manifest, tmp_path, name):
    spoil, words = BAD_RUNS[name]
    spoil(manifest.parent)
    files.write_text(tmp_path / "out" / "roles.csv", "earlier")
    with pytest.raises(InputError, match=words) as caught:
        role_learning.train_manifest(manifest, tmp_path / "out", small_config())
    assert "\n" not in str(caught.value) and "; " in str(caught.value)
    assert (tmp_path / "out" / "roles.csv").read_text() == "earlier"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["roles.csv"]


@pytest.mark.parametrize("stop", [10, 17])
def test_a_stopped_training_goes_on_to_the_same_bits(trained, tmp_path, monkeypatch, stop):
    manifest, _, whole = trained
    real = training.train_epochs
    done = []

    def stops(state, data, config, mesh):
        for epoch in real(state, data, config, mesh):
            done.append(int(epoch[0].epoch))
            if done[-1] == stop + 1:
                raise KeyboardInterrupt
            yield epoch

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_epochs", stops)
        with pytest.raises(KeyboardInterrupt):
            role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=4)
        assert not (tmp_path / "out" / "roles.csv").exists()
        resumed_from = []
        patch.setattr(
            training,
            "train_epochs",
            lambda state, *rest: resumed_from.append(int(state.epoch)) or real(state, *rest),
        )
        again = role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=4)
    assert resumed_from == [10]
    assert_same_bits(again, whole)


def test_a_finished_training_is_not_done_again(trained):
    manifest, out, whole = trained
    assert_same_bits(role_learning.train_manifest(manifest, out, small_config(), seed=4), whole)


def test_another_configuration_is_refused_beside_an_old_state(trained):
    manifest, out, _ = trained
    before = (out / "roles.csv").read_bytes()
    with pytest.raises(InputError, match="learning_rate=0.03, now it is 0.5") as caught:
        role_learning.train_manifest(manifest, out, small_config(learning_rate=0.5), seed=4)
    assert "\n" not in str(caught.value)
    assert (out / "roles.csv").read_bytes() == before


def test_the_seed_matters(trained, tmp_path):
    manifest, _, whole = trained
    other = role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=5)
    assert any((a != b).any() for a, b in zip(leaves(other), leaves(whole), strict=True))


def test_what_is_written(trained):
    _, out, model = trained
    assert sorted(path.name for path in out.iterdir()) == [
        "model",
        "roles.csv",
        "roles.json",
        "run.json",
        "state",
    ]
    loaded = role_models.load_role_model(out / "model", atoms=ATOMS, events=EVENTS)
    assert_same_bits(loaded, model)
    np.testing.assert_array_equal(loaded.candidates, model.candidates)
    run = files.read_json(out / "run.json")
    assert run["seed"] == 4 and run["config"]["roles"]["epochs"] == 25
    assert {"read", "train"} <= set(run["seconds"])


def test_the_table_of_roles(trained):
    _, out, model = trained
    table = pd.read_csv(out / "roles.csv", keep_default_na=False)
    assert list(table) == [
        "event",
        "atom",
        "role",
        "rho_direct",
        "rho_indirect",
        "rho_counter",
        "gamma_direct",
        "gamma_indirect",
        "gamma_counter",
        "gamma_explicit",
    ]
    # Candidates only; the events in their order.
    assert set(table["atom"][table["event"] == "fire"]) == {"flame", "smoke", "siren"}
    assert set(table["atom"][table["event"] == "flood"]) == {"wave", "boat", "siren"}
    assert table["event"].tolist() == ["fire"] * 3 + ["flood"] * 3
    strengths = role_strengths(model.params, model.candidates)
    given = assign_roles(model.params, model.candidates, temperature=0.5)
    for row in table.itertuples():
        c, e = ATOMS.index(row.atom), EVENTS.index(row.event)
        assert row.role == given[c, e]
        for role in ("direct", "indirect", "counter"):
            rho = float(getattr(strengths, role)[c, e])
            np.testing.assert_allclose(getattr(row, f"rho_{role}"), rho, rtol=1e-5)
        for name in ("direct", "indirect", "counter", "explicit"):
            gamma = float(getattr(model.params, f"gamma_{name}")[e])
            np.testing.assert_allclose(getattr(row, f"gamma_{name}"), gamma, rtol=1e-5)
    order = ["direct", "indirect", "counter", "none"]
    for _, rows in table.groupby("event"):
        strongest = rows[["rho_direct", "rho_indirect", "rho_counter"]].max(axis=1)
        ranks = [(order.index(role), -s) for role, s in zip(rows["role"], strongest, strict=True)]
        assert ranks == sorted(ranks)


def test_the_json_of_roles_is_the_table(trained):
    _, out, _ = trained
    table = pd.read_csv(out / "roles.csv", keep_default_na=False)
    records = json.loads((out / "roles.json").read_text())
    assert [list(record) for record in records] == [list(table)] * len(table)
    for record, row in zip(records, table.itertuples(index=False), strict=True):
        for value, expected in zip(record.values(), row, strict=True):
            if isinstance(expected, str):
                assert value == expected
            else:
                np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_the_model_remembers_how_to_score_a_video(trained):
    _, out, _ = trained
    model = role_models.load_role_model(out / "model")
    assert model.templates == ("a photo of {}", "a scene with {}")
    assert model.neutral_prompts == ("a road",)
    assert model.training == {"seed": 4, "videos": VIDEOS}
    # The window is the pipeline's, not the training's.
    assert model.config == dataclasses.replace(small_config(), segments=SegmentConfig(window=7))


def test_written_roles_are_the_prior(manifest, tmp_path, monkeypatch):
    """What a prior does is tested with training; here, that the ontology's strengths are it."""
    roles = "{direct: [smoke: 0.7], counter: [siren], candidates: [flame]}"
    (manifest.parent / "stated.yaml").write_text(ONTOLOGY.replace("[flame, smoke, siren]", roles))
    priors = {}

    class Seen(Exception):
        pass

    for name in ("stated.yaml", "ontology.yaml"):

        def prepare(*_, name=name, prior, **options):
            priors[name] = prior
            raise Seen

        monkeypatch.setattr(training, "prepare", prepare)
        with pytest.raises(Seen):
            role_learning.train_manifest(
                manifest, tmp_path / "out", small_config(), ontology_file=manifest.parent / name
            )
    assert priors["ontology.yaml"] is None
    expected = np.zeros((3, len(ATOMS), len(EVENTS)), np.float32)
    expected[0, ATOMS.index("smoke"), 0], expected[2, ATOMS.index("siren"), 0] = 0.7, 1.0
    np.testing.assert_array_equal(np.stack(priors["stated.yaml"]), expected)


def test_a_learned_boundary_is_remembered_and_used(manifest, tmp_path):
    record = files.read_json(manifest.parent / "pipeline.json")
    record["config"]["boundary"]["delta"] = "learned"
    files.write_json(manifest.parent / "pipeline.json", record)
    model = role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=4)
    boundary = model.config.boundary
    assert np.isfinite(float(boundary.delta)) and float(boundary.kappa) > 0
    assert boundary != BoundaryConfig("0.6", "8.0")  # where it started
    assert role_models.load_role_model(tmp_path / "out" / "model").config.boundary == boundary
    assert sorted(path.name for path in (tmp_path / "out" / "state").iterdir()) == ["first", "last"]
