"""A role model: what it computes whatever it was trained with, and its folder on disk."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
import safetensors.numpy

from jaxvlm import clip, files, parallel
from jaxvlm.atoms.explanation import role_contributions
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_tables import assign_roles
from jaxvlm.atoms.roles import event_logits, event_probability
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource
from jaxvlm.video import role_model as role_models
from jaxvlm.video import role_outputs, scoring
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import Segmented
from jaxvlm.video.role_model import RoleModel
from tests.atoms.role_fixtures import random_params
from tests.listing import visible


def model() -> RoleModel:
    candidates = np.array([[1, 0], [1, 1], [0, 1]])
    config = AtomsConfig(fps=2.5, roles=RoleConfig(temperature=0.5))
    prompts = ("a {}", "the {}"), ("a road",)
    params = random_params(0, 3, 2)
    training = {"seed": 3, "metrics": {"ap": 0.9}}
    return RoleModel(params, ("a", "b", "c"), ("x", "y"), candidates, config, *prompts, training)


@pytest.fixture(scope="module")
def shipped() -> RoleModel:
    return role_models.load_role_model(resource("checkpoints/roles"))


def test_the_shipped_roles_are_of_the_shipped_encoder(shipped):
    encoder = clip.load(resource("checkpoints/clip"))
    assert role_models.check_encoder(shipped, encoder) == []
    now = clip.identity(encoder)
    assert {name: shipped.training["clip"][name] for name in now} == now


def at_temperature(model: RoleModel, temperature: float) -> RoleModel:
    """The same P(e|u): σ(Σ γ·logit/τ + b) with γ and τ scaled alike."""
    scale = temperature / model.config.roles.temperature
    names = ("gamma_direct", "gamma_indirect", "gamma_counter", "gamma_explicit")
    params = model.params._replace(**{name: scale * getattr(model.params, name) for name in names})
    form = dataclasses.replace(model.config.roles, temperature=temperature)
    return model._replace(params=params, config=dataclasses.replace(model.config, roles=form))


def shown_atoms(model: RoleModel) -> np.ndarray:
    """p̄ [T, C] in which every atom has its turn, with the atom that follows it in the list."""
    turn = np.arange(len(model.atoms))
    presence = np.full((len(turn), len(turn)), 0.02, np.float32)
    presence[turn, turn] = presence[turn, (turn + 1) % len(turn)] = 0.7
    return presence


def explained(model: RoleModel, presence: np.ndarray) -> scoring.ScoredVideo:
    times = np.arange(float(len(presence)))
    blank = [np.zeros((1, 1, 3), np.uint8)] * len(times)
    segmented = Segmented(np.zeros(len(times)), np.zeros(len(times)), presence)
    return scoring.explain(model, "v", lambda places: [blank[t] for t in places], times, segmented)


def test_another_temperature_of_the_same_probabilities_changes_nothing(shipped: RoleModel) -> None:
    """Roles, reasons and the table of roles are what P is, whatever τ the γ go with."""
    other, presence = at_temperature(shipped, 0.5), shown_atoms(shipped)
    np.testing.assert_allclose(
        other.probability(presence), shipped.probability(presence), rtol=2e-5, atol=1e-7
    )
    assert (other.roles() == shipped.roles()).all()
    assert {"direct", "indirect", "counter"} <= set(shipped.roles().ravel())
    tables = [role_outputs.roles_table(model) for model in (shipped, other)]
    names = ["event", "atom", "role"]
    assert tables[0][names].equals(tables[1][names])
    videos = [explained(model, presence) for model in (shipped, other)]
    assert len(videos[0].findings) > 3
    for one, two in zip(videos[0].findings, videos[1].findings, strict=True):
        assert one.detection[:4] == two.detection[:4]
        assert [r[:2] for r in one.reasons] == [r[:2] for r in two.reasons]
        np.testing.assert_allclose(
            [r.contribution for r in two.reasons], [r.contribution for r in one.reasons], rtol=1e-3
        )


def test_the_reference_form_has_its_own_arithmetic_and_temperature(shipped: RoleModel) -> None:
    """A config of reference mode may state another temperature: the prototype's is 2."""
    params = shipped.params._replace(gamma_explicit=None, presence_scale=None, presence_center=None)
    form = RoleConfig(reference=True, temperature=0.5)
    model = shipped._replace(params=params, config=AtomsConfig(roles=form))
    presence = 3.0 * shown_atoms(model)  # unnormalised p̄ exceeds 1
    expected = {"candidates": model.candidates, "reference": True}
    np.testing.assert_allclose(
        model.probability(presence), event_probability(params, presence, **expected), rtol=1e-5
    )
    wanted = role_contributions(params, presence, **expected)
    assert_contributions(model, presence, wanted, rtol=1e-4)
    assert (model.roles() == assign_roles(params, model.candidates, temperature=2.0)).all()


def assert_contributions(model, presence, wanted, *, rtol) -> None:
    """Those of an event's own atoms, and no other atom has any."""
    for e, event in enumerate(model.events):
        own = np.isin(model.atoms, model.candidates_of(event))
        parts = zip(model.contributions(presence, event), wanted, strict=True)
        for got, all_atoms in (part for part in parts if part[1] is not None):
            expected = np.asarray(all_atoms)[:, :, e]
            np.testing.assert_allclose(got[..., 0], expected[:, own], rtol=rtol, atol=1e-4)
            assert np.abs(expected[:, ~own]).max(initial=0.0) < 1e-4


@pytest.mark.parametrize("num_frames", [0, 1, 5, 65, 200])
def test_padding_changes_no_frame(shipped: RoleModel, num_frames: int) -> None:
    model = at_temperature(shipped, 1.0)
    presence = np.resize(shown_atoms(model), (num_frames, len(model.atoms)))
    form = {"candidates": model.candidates, "temperature": 1.0}
    found = model.logits(presence), model.probability(presence)
    expected = [f(model.params, presence, **form) for f in (event_logits, event_probability)]
    for got, wanted in zip(found, expected, strict=True):
        assert got.shape == (num_frames, len(model.events)) and isinstance(got, np.ndarray)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
    wanted = role_contributions(model.params, presence, **form)
    assert_contributions(model, presence, wanted, rtol=1e-3)


def test_a_role_model_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = model()
    role_models.save_role_model(tmp_path / "roles", saved)
    folder = str(tmp_path / "roles")
    loaded = role_models.load_role_model(folder, atoms="abc", events="xy")
    assert loaded[1:3] == saved[1:3] and loaded[4:] == saved._replace(source=folder)[4:]
    np.testing.assert_array_equal(loaded.candidates, saved.candidates)
    for got, expected in zip(loaded.params, saved.params, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert visible(tmp_path) == ["roles"]


def test_parts_that_are_off_stay_off_and_an_older_model_is_replaced(tmp_path: Path) -> None:
    role_models.save_role_model(tmp_path / "roles", model())
    params = model().params._replace(gamma_explicit=None, presence_scale=None, presence_center=None)
    role_models.save_role_model(tmp_path / "roles", RoleModel(params, ("a", "b", "c"), ("x", "y")))
    loaded = role_models.load_role_model(tmp_path / "roles")
    assert loaded.params[7:] == (None,) * 4
    assert loaded.candidates is None


def test_a_model_of_other_names_is_refused(tmp_path: Path) -> None:
    role_models.save_role_model(tmp_path / "roles", model())
    with pytest.raises(InputError, match="has 3 atoms, 2 are needed"):
        role_models.load_role_model(tmp_path / "roles", atoms=["a", "b"])
    with pytest.raises(InputError, match='has "x" where "z" is needed among the events'):
        role_models.load_role_model(tmp_path / "roles", events=["z", "y"])


def test_folders_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        role_models.load_role_model(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="metadata.json"):
        role_models.load_role_model(tmp_path / "empty")
    files.write_json(tmp_path / "other" / "metadata.json", {"kind": "train_state"})
    with pytest.raises(InputError, match="not a role model"):
        role_models.load_role_model(tmp_path / "other")


def test_of_several_processes_the_first_writes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parallel, "is_writer", lambda: False)
    role_models.save_role_model(tmp_path / "roles", model())
    assert not (tmp_path / "roles").exists()


def test_arrays_of_another_training_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """Two trainings that write, and a reader between: names of one, strengths of the other."""
    one = model()
    other = one._replace(params=one.params._replace(bias=one.params.bias + 1))
    role_models.save_role_model(tmp_path / "one", one)
    role_models.save_role_model(tmp_path / "other", other)
    (tmp_path / "other" / "arrays.safetensors").replace(tmp_path / "one" / "arrays.safetensors")
    with pytest.raises(InputError, match="arrays.safetensors: not the arrays that metadata.json"):
        role_models.load_role_model(tmp_path / "one")


def test_a_model_is_two_files_that_anyone_reads(tmp_path: Path) -> None:
    saved = model()
    role_models.save_role_model(tmp_path / "roles", saved)
    names = visible(tmp_path / "roles")
    assert names == ["arrays.safetensors", "metadata.json"]
    arrays = safetensors.numpy.load_file(tmp_path / "roles" / "arrays.safetensors")
    np.testing.assert_array_equal(arrays["gamma_explicit"], saved.params.gamma_explicit)
    metadata = json.loads((tmp_path / "roles" / "metadata.json").read_text())
    assert metadata["atoms"] == ["a", "b", "c"]
    assert metadata["metadata"]["atoms_config"]["roles"]["temperature"] == 0.5


def test_the_folder_of_orbax_that_models_had_is_read(tmp_path: Path, caplog) -> None:
    saved = model()
    role_models.save_role_model(tmp_path / "new", saved)
    arrays = files.read_arrays(tmp_path / "new" / "arrays.safetensors")
    metadata = files.read_json(tmp_path / "new" / "metadata.json")
    old = tmp_path / "old"
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(old / "arrays", arrays)
    shapes = {name: [str(array.dtype), *array.shape] for name, array in arrays.items()}
    files.write_json(old / "metadata.json", {"arrays": shapes, **metadata})
    loaded = role_models.load_role_model(old)
    assert loaded[1:3] == saved[1:3] and loaded[4:] == saved._replace(source=str(old))[4:]
    np.testing.assert_array_equal(loaded.candidates, saved.candidates)
    for got, expected in zip(loaded.params, saved.params, strict=True):
        np.testing.assert_array_equal(got, expected)
    for kept in (0.5, 0.0):
        for path in sorted((old / "arrays").rglob("*")):
            if path.is_file():
                path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
        caplog.clear()
        with pytest.raises(InputError, match="arrays: cannot be read") as caught:
            role_models.load_role_model(old)
        assert "\n" not in str(caught.value)
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


def changed(field: str, value: object):
    def change(folder: Path) -> None:
        metadata = files.read_json(folder / "metadata.json")
        *parents, name = field.split(".")
        table = metadata
        for parent in parents:
            table = table[parent]
        table[name] = value
        files.write_json(folder / "metadata.json", metadata)

    return change


def rewritten(**arrays: np.ndarray | None):
    def change(folder: Path) -> None:
        path = folder / "arrays.safetensors"
        found = files.read_arrays(path) | arrays
        files.write_arrays(path, {name: x for name, x in found.items() if x is not None})

    return change


DAMAGED = {
    "arrays cut short": (
        lambda folder: (folder / "arrays.safetensors").write_bytes(b"\x10"),
        "arrays.safetensors: not a safetensors file",
    ),
    "no arrays": (lambda folder: (folder / "arrays.safetensors").unlink(), "no such file"),
    "an array too many": (rewritten(theta=np.ones(3)), "has theta"),
    "an array too few": (rewritten(bias=None), "lacks bias"),
    "half a calibration": (rewritten(presence_center=None), "lacks presence_center"),
    "another shape": (rewritten(bias=np.ones(3)), r"bias is \(3,\), the names say \(2,\)"),
    "NaN": (rewritten(bias=np.array([0, np.nan])), "bias holds other than numbers"),
    "candidates": (rewritten(candidates=np.full((3, 2), 2)), "candidates holds other than 0 and"),
    "no JSON": (lambda folder: (folder / "metadata.json").write_text("{"), "not valid JSON"),
    "a list": (lambda folder: (folder / "metadata.json").write_text("[]"), "not a role model"),
    "names": (changed("atoms", 3), "metadata.json: atoms is no list of names"),
    "a name": (changed("events", ["x", 1]), "events is no list of names"),
    "prompts": (changed("metadata.templates", "a {}"), "templates is no list of names"),
    "no details": (changed("metadata", None), "does not say atoms_config"),
    "no settings": (changed("metadata.atoms_config", [1]), r"config \[1\]: not a table"),
    "a setting": (changed("metadata.atoms_config.fps", "1"), "config fps=1: not of type float"),
    "its range": (changed("metadata.atoms_config.fps", 0), "config fps=0.0: must be above 0"),
    "another setting": (
        changed("metadata.atoms_config.roles.temp", 2.0),
        "config roles.temp: no such setting",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_model_is_one_line(tmp_path: Path, name: str) -> None:
    damage, says = DAMAGED[name]
    role_models.save_role_model(tmp_path / "roles", model())
    changed("arrays_sha256", None)(tmp_path / "roles")  # a model without it, which ends earlier
    damage(tmp_path / "roles")
    with pytest.raises(InputError, match=says) as caught:
        role_models.load_role_model(tmp_path / "roles")
    assert str(tmp_path / "roles") in str(caught.value) and "\n" not in str(caught.value)
