import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.atoms import training
from jaxvlm.atoms.explanation import role_contributions
from jaxvlm.atoms.roles import event_logits, event_probability
from jaxvlm.atoms.training import RoleConfig, TrainState
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource
from jaxvlm.video import role_learning, scoring
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.segmentation import Segmented
from tests.atoms.role_fixtures import SMALL, random_params, small_world


def training_run() -> tuple[TrainState, TrainingData]:
    data = training.prepare(*small_world(), config=SMALL)
    return training.initial_state(data, SMALL), data


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
    return scoring.explain(model, "v", blank, times, segmented)


def test_another_temperature_of_the_same_probabilities_changes_nothing(shipped: RoleModel) -> None:
    """Roles, reasons and the table of roles are what P is, whatever τ the γ go with."""
    other, presence = at_temperature(shipped, 0.5), shown_atoms(shipped)
    np.testing.assert_allclose(
        other.probability(presence), shipped.probability(presence), rtol=2e-5, atol=1e-7
    )
    assert (other.roles() == shipped.roles()).all()
    assert {"direct", "indirect", "counter"} <= set(shipped.roles().ravel())
    tables = [role_learning.roles_table(model) for model in (shipped, other)]
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


@pytest.mark.parametrize("num_frames", [0, 1, 5, 65])
def test_padding_changes_no_frame(shipped: RoleModel, num_frames: int) -> None:
    model = at_temperature(shipped, 1.0)
    presence = np.resize(shown_atoms(model), (num_frames, len(model.atoms)))
    form = {"candidates": model.candidates, "temperature": 1.0}
    found = model.logits(presence), model.probability(presence)
    expected = [f(model.params, presence, **form) for f in (event_logits, event_probability)]
    for got, wanted in zip(found, expected, strict=True):
        assert got.shape == (num_frames, len(model.events)) and isinstance(got, np.ndarray)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
    changes = model.contributions(presence)
    for got, wanted in zip(
        changes, role_contributions(model.params, presence, **form), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_role_model_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = model()
    role_models.save_role_model(tmp_path / "roles", saved)
    loaded = role_models.load_role_model(tmp_path / "roles", atoms="abc", events="xy")
    assert loaded[1:3] == saved[1:3] and loaded[4:] == saved[4:]
    np.testing.assert_array_equal(loaded.candidates, saved.candidates)
    for got, expected in zip(loaded.params, saved.params, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roles"]


def test_parts_that_are_off_stay_off_and_an_older_model_is_replaced(tmp_path: Path) -> None:
    role_models.save_role_model(tmp_path / "roles", model())
    params = model().params._replace(gamma_explicit=None, presence_scale=None, presence_center=None)
    role_models.save_role_model(tmp_path / "roles", RoleModel(params, ("a", "b", "c"), ("x", "y")))
    loaded = role_models.load_role_model(tmp_path / "roles")
    assert loaded.params[7:] == (None, None, None)
    assert loaded.candidates is None


def test_resuming_equals_training_without_a_stop(tmp_path: Path) -> None:
    state, data = training_run()
    whole = list(training.train_epochs(state, data, SMALL))
    role_models.save_train_state(tmp_path / "state", whole[1][0], SMALL)
    restored = role_models.load_train_state(tmp_path / "state", state, SMALL)
    rest = list(training.train_epochs(restored, data, SMALL))
    assert len(rest) == 2
    np.testing.assert_array_equal(rest[1][1], whole[3][1])
    resumed, uninterrupted = (
        jax.tree.leaves(end._replace(key=jax.random.key_data(end.key)))
        for end in (rest[1][0], whole[3][0])
    )
    for got, expected in zip(resumed, uninterrupted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    state, _ = training_run()
    role_models.save_train_state(tmp_path / "state", state, SMALL)
    changed = dataclasses.replace(SMALL, learning_rate=0.5)
    with pytest.raises(InputError, match="learning_rate=0.03, now it is 0.5"):
        role_models.load_train_state(tmp_path / "state", state, changed)
    videos, labels = small_world()
    data = training.prepare([video[:, :4] for video in videos], labels, config=SMALL)
    other = training.initial_state(data, SMALL, init=random_params(0, 4, 2))
    with pytest.raises(InputError, match=r"has shape \(5,\), this run needs \(4,\)"):
        role_models.load_train_state(tmp_path / "state", other, SMALL)


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


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    role_models.save_role_model(tmp_path / "roles", model())
    for path in sorted((tmp_path / "roles" / "arrays").rglob("*")):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(InputError, match="roles: cannot be read") as caught:
        role_models.load_role_model(tmp_path / "roles")
    assert "\n" not in str(caught.value)
