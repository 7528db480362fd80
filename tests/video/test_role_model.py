import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.atoms import training
from jaxvlm.atoms.training import TrainState
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.errors import InputError
from jaxvlm.video import role_model as role_models
from jaxvlm.video.role_model import RoleModel
from tests.atoms.role_fixtures import SMALL, random_params, small_world


def training_run() -> tuple[TrainState, TrainingData]:
    data = training.prepare(*small_world(), config=SMALL)
    return training.initial_state(data, SMALL), data


def model() -> RoleModel:
    candidates = np.array([[1, 0], [1, 1], [0, 1]])
    metadata = {"config": {"epochs": 60}, "metrics": {"ap": 0.9}}
    return RoleModel(random_params(0, 3, 2), ("a", "b", "c"), ("x", "y"), candidates, metadata)


def test_a_role_model_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = model()
    role_models.save_role_model(tmp_path / "roles", saved)
    loaded = role_models.load_role_model(tmp_path / "roles", atoms="abc", events="xy")
    assert loaded[1:3] == saved[1:3] and loaded.metadata == saved.metadata
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
