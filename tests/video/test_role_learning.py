"""Roles from a manifest: that training goes on where it stopped, and what is written."""

import dataclasses
import json

import jax
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.atoms import training
from jaxvlm.atoms.role_tables import assign_roles
from jaxvlm.atoms.roles import role_strengths
from jaxvlm.errors import InputError
from jaxvlm.video import held_out, role_learning
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import BoundaryConfig, SegmentConfig
from tests.listing import visible
from tests.video.role_runs import ATOMS, EVENTS, ONTOLOGY, VIDEOS, small_config, write_runs


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
        role_learning.train_manifest(manifest, folder / "out", small_config(), seed=4).model,
    )


def leaves(model) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model.params)]


def assert_same_bits(one, other) -> None:
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


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
        again = role_learning.train_manifest(
            manifest, tmp_path / "out", small_config(), seed=4
        ).model
    assert resumed_from == [10]
    assert_same_bits(again, whole)


def test_a_finished_training_is_not_done_again(trained):
    manifest, out, whole = trained
    again = role_learning.train_manifest(manifest, out, small_config(), seed=4).model
    assert_same_bits(again, whole)


def test_another_configuration_is_refused_beside_an_old_state(trained):
    manifest, out, _ = trained
    before = (out / "roles.csv").read_bytes()
    with pytest.raises(InputError, match="learning_rate=0.03, now it is 0.5") as caught:
        role_learning.train_manifest(manifest, out, small_config(learning_rate=0.5), seed=4)
    assert "\n" not in str(caught.value)
    assert (out / "roles.csv").read_bytes() == before


def test_the_seed_matters(trained, tmp_path):
    manifest, _, whole = trained
    other = role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=5).model
    assert any((a != b).any() for a, b in zip(leaves(other), leaves(whole), strict=True))


def test_what_is_written(trained):
    _, out, model = trained
    names = ["figures.csv", "model", "roles.csv", "roles.json", "rules.csv", "run.json"]
    names += ["split.csv", "state"]
    assert visible(out) == names
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
        "roles_from",
        "rho_direct",
        "rho_indirect",
        "rho_counter",
        "gamma_direct",
        "gamma_indirect",
        "gamma_counter",
        "gamma_explicit",
        "rules",
    ]
    # Candidates only; the events in their order.
    assert set(table["atom"][table["event"] == "fire"]) == {"flame", "smoke", "siren"}
    assert set(table["atom"][table["event"] == "flood"]) == {"wave", "boat", "siren"}
    assert table["event"].tolist() == ["fire"] * 3 + ["flood"] * 3
    strengths = role_strengths(model.params, model.candidates)
    given = assign_roles(model.params, model.candidates, temperature=0.5)
    for row in table.itertuples():
        c, e = ATOMS.index(row.atom), EVENTS.index(row.event)
        assert row.role == given[c, e] and row.roles_from == "labels"
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
    assert model.training["seed"] == 4 and model.training["videos"] == VIDEOS
    assert model.training["training_videos"] == [f"video_{n}" for n in range(VIDEOS)]
    # The window is the pipeline's, not the training's; the form is what was chosen.
    roles = dataclasses.replace(small_config().roles, form="specific")
    expected = dataclasses.replace(small_config(), segments=SegmentConfig(window=7), roles=roles)
    assert model.config == expected


def test_written_roles_are_the_prior(manifest, tmp_path, monkeypatch):
    """What a prior does is tested with training; here, that the ontology's strengths are it."""
    roles = "{direct: [smoke: 0.7], counter: [siren], candidates: [flame]}"
    (manifest.parent / "stated.yaml").write_text(ONTOLOGY.replace("[flame, smoke, siren]", roles))
    rules = "{rules: [smoke unless siren, [flame, smoke]]}"
    (manifest.parent / "rules.yaml").write_text(ONTOLOGY.replace("[flame, smoke, siren]", rules))
    priors = {}

    class Seen(Exception):
        pass

    for name in ("stated.yaml", "ontology.yaml", "rules.yaml"):

        def prepare(*_, name=name, prior, **options):
            priors[name] = prior
            raise Seen

        monkeypatch.setattr(training, "prepare", prepare)
        with pytest.raises(Seen):
            role_learning.train_manifest(
                manifest, tmp_path / "out", small_config(), ontology_file=manifest.parent / name
            )
    assert priors["ontology.yaml"] is None
    expected = np.zeros((3, len(ATOMS), len(EVENTS)))
    expected[0, ATOMS.index("smoke"), 0], expected[2, ATOMS.index("siren"), 0] = 0.7, 1.0
    np.testing.assert_array_equal(np.stack(priors["stated.yaml"]), expected)
    *tables, written = priors["rules.yaml"]
    assert not np.any(tables)
    flame, siren, smoke = (ATOMS.index(name) for name in ("flame", "siren", "smoke"))
    assert written.atoms.tolist() == [[[smoke, -1], [flame, smoke]], [[-1, -1]] * 2]
    assert written.unless.tolist() == [[[siren], [-1]], [[-1], [-1]]]
    assert (jax.nn.sigmoid(written.theta[0]) == 1).all()


def test_a_learned_boundary_is_remembered_and_used(manifest, tmp_path):
    record = files.read_json(manifest.parent / "pipeline.json")
    record["config"]["boundary"]["delta"] = "learned"
    files.write_json(manifest.parent / "pipeline.json", record)
    model = role_learning.train_manifest(manifest, tmp_path / "out", small_config(), seed=4).model
    boundary = model.config.boundary
    assert np.isfinite(float(boundary.delta)) and float(boundary.kappa) > 0
    assert boundary.divergence == "mean"
    assert boundary != BoundaryConfig("0.02", "240", "mean")  # where it started
    assert role_models.load_role_model(tmp_path / "out" / "model").config.boundary == boundary
    assert visible(tmp_path / "out" / "state") == ["first", "last"]


def test_only_rules_that_are_kept_are_learned_again(manifest, tmp_path, monkeypatch):
    asked = []

    def refit_rules(videos, *args, fits, **kwargs):
        asked.append((len(videos), fits))
        return []

    monkeypatch.setattr(role_learning, "refit_rules", refit_rules)
    settings = small_config(epochs=1, rule_fits=3)
    role_learning.train_manifest(
        manifest, tmp_path / "out", settings, holdout=held_out.Holdout(folds=2), seed=4
    )
    assert sorted(asked) == [(VIDEOS // 2, 0), (VIDEOS // 2, 0), (VIDEOS, 3)]
