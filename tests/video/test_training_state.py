"""A training that is stopped and goes on."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvlm import files, parallel
from jaxvlm.atoms import training
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.training import TrainState
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.errors import InputError
from jaxvlm.video import training_state
from tests.atoms.role_fixtures import SMALL, random_params, small_world


def training_run(config: RoleConfig = SMALL) -> tuple[TrainState, TrainingData]:
    data = training.prepare(*small_world(), config=config)
    return training.initial_state(data, config), data


@pytest.mark.parametrize("config", [SMALL, dataclasses.replace(SMALL, reference=True)])
def test_resuming_equals_training_without_a_stop(tmp_path: Path, config: RoleConfig) -> None:
    state, data = training_run(config)
    whole = list(training.train_epochs(state, data, config))
    training_state.save_train_state(tmp_path / "state", whole[1][0], config)
    restored = training_state.load_train_state(tmp_path / "state", state, config)
    rest = list(training.train_epochs(restored, data, config))
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
    training_state.save_train_state(tmp_path / "state", state, SMALL)
    changed = dataclasses.replace(SMALL, learning_rate=0.5)
    with pytest.raises(InputError, match="learning_rate=0.03, now it is 0.5"):
        training_state.load_train_state(tmp_path / "state", state, changed)
    videos, labels = small_world()
    data = training.prepare([video[:, :4] for video in videos], labels, config=SMALL)
    other = training.initial_state(data, SMALL, init=random_params(0, 4, 2))
    with pytest.raises(InputError, match=r"has shape \(5,\), this run needs \(4,\)"):
        training_state.load_train_state(tmp_path / "state", other, SMALL)


def test_of_several_processes_the_first_writes(tmp_path: Path, monkeypatch) -> None:
    state, _ = training_run()
    monkeypatch.setattr(parallel, "is_writer", lambda: False)
    training_state.save_train_state(tmp_path / "state", state, SMALL)
    assert not (tmp_path / "state").exists()


def test_folders_that_are_no_state_are_named(tmp_path: Path) -> None:
    state, _ = training_run()
    with pytest.raises(InputError, match="no such folder"):
        training_state.load_train_state(tmp_path / "nothing", state, SMALL)
    files.write_json(tmp_path / "other" / "metadata.json", {"kind": "role_model"})
    with pytest.raises(InputError, match="not a training state"):
        training_state.load_train_state(tmp_path / "other", state, SMALL)
    files.write_json(tmp_path / "bare" / "metadata.json", {"kind": "train_state", "config": 3})
    with pytest.raises(InputError, match="lacks config or arrays"):
        training_state.load_train_state(tmp_path / "bare", state, SMALL)
    training_state.save_train_state(tmp_path / "state", state, SMALL)
    for path in (tmp_path / "state" / "arrays").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read") as caught:
        training_state.load_train_state(tmp_path / "state", state, SMALL)
    assert "\n" not in str(caught.value)
