"""A training that is stopped and goes on."""

import dataclasses
import os
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


def made_of(data: TrainingData, seed: int = 0) -> dict[str, str]:
    names = {"video": ["v0", "v1"], "atom": ["a", "b"], "event": ["e"]}
    return training_state.fingerprints(data, names, seed)


@pytest.mark.parametrize("config", [SMALL, dataclasses.replace(SMALL, reference=True)])
def test_resuming_equals_training_without_a_stop(tmp_path: Path, config: RoleConfig) -> None:
    state, data = training_run(config)
    whole = list(training.train_epochs(state, data, config))
    training_state.save_train_state(tmp_path / "state", whole[1][0], config, made_of(data))
    restored = training_state.load_train_state(tmp_path / "state", state, config, made_of(data))
    rest = list(training.train_epochs(restored, data, config))
    assert len(rest) == 2
    np.testing.assert_array_equal(rest[1][1], whole[3][1])
    resumed, uninterrupted = (
        jax.tree.leaves(end._replace(key=jax.random.key_data(end.key)))
        for end in (rest[1][0], whole[3][0])
    )
    for got, expected in zip(resumed, uninterrupted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_state_of_another_config_is_refused(tmp_path: Path) -> None:
    state, data = training_run()
    training_state.save_train_state(tmp_path / "state", state, SMALL, made_of(data))
    changed = dataclasses.replace(SMALL, learning_rate=0.5)
    with pytest.raises(InputError, match="learning_rate=0.03, now it is 0.5"):
        training_state.load_train_state(tmp_path / "state", state, changed, made_of(data))


@pytest.mark.parametrize("what", ["labels", "data", "seed", "video names", "atom names"])
def test_a_state_made_from_other_data_is_refused(tmp_path: Path, what: str) -> None:
    """Flipped labels once gave the old roles, exit code 0 and a run.json with the new seed."""
    state, data = training_run()
    training_state.save_train_state(tmp_path / "state", state, SMALL, made_of(data))
    names = {"video": ["v0", "v1"], "atom": ["a", "b"], "event": ["e"]}
    other, seed = data, 0
    match what:
        case "labels":
            other = data._replace(labels=1 - data.labels)
        case "data":
            other = data._replace(presence=data.presence.at[0, 0, 0].add(1e-6))
        case "seed":
            seed = 1
        case "video names":
            names["video"] = ["v1", "v0"]
        case "atom names":
            names["atom"] = ["b", "a"]
    now = training_state.fingerprints(other, names, seed)
    assert {key for key in now if now[key] != made_of(data)[key]} == {what}
    with pytest.raises(InputError, match=f"training with other {what}; remove it"):
        training_state.load_train_state(tmp_path / "state", state, SMALL, now)


def test_a_state_of_other_sizes_is_refused(tmp_path: Path) -> None:
    state, data = training_run()
    training_state.save_train_state(tmp_path / "state", state, SMALL, made_of(data))
    videos, labels = small_world()
    fewer = training.prepare([video[:, :4] for video in videos], labels, config=SMALL)
    other = training.initial_state(fewer, SMALL, init=random_params(0, 4, 2))
    with pytest.raises(InputError, match=r"is float32 \[5\], this run needs float32 \[4\]"):
        training_state.load_train_state(tmp_path / "state", other, SMALL, made_of(data))


def test_of_several_processes_the_first_writes(tmp_path: Path, monkeypatch) -> None:
    state, data = training_run()
    monkeypatch.setattr(parallel, "is_writer", lambda: False)
    training_state.save_train_state(tmp_path / "state", state, SMALL, made_of(data))
    assert not (tmp_path / "state").exists()


def test_folders_that_are_no_state_are_named(tmp_path: Path) -> None:
    state, data = training_run()
    with pytest.raises(InputError, match="no such folder"):
        training_state.load_train_state(tmp_path / "nothing", state, SMALL, made_of(data))
    files.write_json(tmp_path / "other" / "metadata.json", {"kind": "role_model"})
    with pytest.raises(InputError, match="not a training state"):
        training_state.load_train_state(tmp_path / "other", state, SMALL, made_of(data))
    files.write_json(tmp_path / "bare" / "metadata.json", {"kind": "train_state", "config": 3})
    with pytest.raises(InputError, match="lacks config;"):
        training_state.load_train_state(tmp_path / "bare", state, SMALL, made_of(data))
    training_state.save_train_state(tmp_path / "state", state, SMALL, made_of(data))
    arrays = files.read_arrays(tmp_path / "state" / "arrays.safetensors")
    arrays["epoch"] = arrays["epoch"].astype(np.float32)
    files.write_arrays(tmp_path / "state" / "arrays.safetensors", arrays)
    with pytest.raises(InputError, match=r"epoch is float32 \[\], this run needs int32 \[\]"):
        training_state.load_train_state(tmp_path / "state", state, SMALL, made_of(data))
    (tmp_path / "state" / "arrays.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="not a safetensors file") as caught:
        training_state.load_train_state(tmp_path / "state", state, SMALL, made_of(data))
    assert "\n" not in str(caught.value)


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    state, data = training_run()
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    training_state.save_train_state(folder, state, SMALL, made_of(data))
    assert files.read_arrays(folder / "arrays.safetensors")["epoch"].shape == ()
    loaded = training_state.load_train_state(folder, state, SMALL, made_of(data))
    for one, other in zip(jax.tree.leaves(loaded), jax.tree.leaves(state), strict=True):
        assert one.dtype == other.dtype and bool((one == other).all())
