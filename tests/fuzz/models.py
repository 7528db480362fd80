"""Readers of models and arrays: roles, training states, stores, pickles."""

import functools
import json
import pickle
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy

from jaxvlm import bounds, files
from jaxvlm.atoms import training
from jaxvlm.clip import batch_size, familiarity, store, text_cache
from jaxvlm.data import array_files, torch_files, video_lists
from jaxvlm.evaluation.trained_on import training_videos
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.ood.words import lists
from jaxvlm.video import (
    kept_frames,
    ordinary_model,
    ordinary_reading,
    role_model,
    training_state,
)
from jaxvlm.video.ordinary_learning import learn
from tests.atoms.role_fixtures import SMALL, random_params, small_world
from tests.clip.store_rows import COLUMNS, DESCRIPTION, digests, fill, open_table, values
from tests.fuzz.case import Reader
from tests.fuzz.encoders import drop_records
from tests.fuzz.texts import are_names, are_texts
from tests.video.ordinary_world import MADE_BY, footage, roles
from tests.video.role_runs import ATOMS, ONTOLOGY, small_config


def _make_roles(folder: Path) -> None:
    (folder / "ontology.yaml").write_text(ONTOLOGY)
    ontology = load_ontology(folder / "ontology.yaml")
    (folder / "ontology.yaml").unlink()
    trained = {"training_videos": ["v0", "v1"], "seed": 0}
    params = random_params(0, len(ontology.atoms), len(ontology.events))
    model = role_model.of_ontology(ontology, params, small_config(), trained)
    rng = np.random.default_rng(0)
    familiar = familiarity.fit([rng.normal(size=(4, 4)) for _ in range(12)])
    role_model.save_role_model(folder, model._replace(familiar=familiar))
    drop_records(folder)


def _make_roles_unsigned(folder: Path) -> None:
    """As older versions wrote them: without the arrays' digest, which would refuse all changes."""
    _make_roles(folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["arrays_sha256"]
    (folder / "metadata.json").write_text(json.dumps(metadata))


def _roles(folder: Path):
    model = role_model.load_role_model(folder)
    training_videos(folder, folder)
    return model, model.probability(np.full((3, len(model.atoms)), 0.5, np.float32))


def _check_roles(result) -> None:
    model, probability = result
    are_names(model.atoms)
    are_names(model.events)
    assert len(set(model.atoms)) == len(model.atoms) and len(set(model.events)) == len(model.events)
    are_texts((*model.templates, *model.neutral_prompts))
    for leaf in jax.tree.leaves(model.params):
        assert np.isfinite(np.asarray(leaf)).all()
    if model.candidates is not None:
        assert np.isin(model.candidates, (0, 1)).all()
    assert probability.shape == (3, len(model.events))
    assert np.isfinite(probability).all() and (probability >= 0).all() and (probability <= 1).all()
    _check_familiar(model.familiar)


def _make_familiar(folder: Path) -> None:
    rng = np.random.default_rng(0)
    familiarity.save_familiar(folder, familiarity.fit([rng.normal(size=(4, 4)) for _ in range(12)]))
    drop_records(folder)


def _check_familiar(found) -> None:
    if found is None:
        return
    rows = np.eye(found.references.shape[1])[:2]
    assert 0 <= familiarity.unlikeness(found, rows) <= 1
    assert all(np.isfinite(array).all() for array in found)


@functools.cache
def _training():
    data = training.prepare(*small_world(), config=SMALL)
    state = training.initial_state(data, SMALL)
    names = {"video": ["v0", "v1"], "atom": ["a", "b"], "event": ["e"]}
    return state, training_state.fingerprints(data, names, 0)


def _make_state(folder: Path) -> None:
    state, made_of = _training()
    training_state.save_train_state(folder, state, SMALL, made_of)
    drop_records(folder)


def _state(folder: Path):
    state, made_of = _training()
    return training_state.load_train_state(folder, state, SMALL, made_of)


def _check_state(state) -> None:
    expected = jax.tree.map(np.shape, _training()[0])
    assert jax.tree.map(np.shape, state) == expected
    for leaf, good in zip(jax.tree.leaves(state), jax.tree.leaves(_training()[0]), strict=True):
        assert leaf.dtype == good.dtype


def _make_kept(folder: Path) -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(5, 4)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    presence = rng.uniform(0, 1, (5, len(ATOMS))).astype(np.float32)
    frames = kept_frames.Frames(np.arange(5), np.arange(5) / 2, embeddings, presence)
    seen = {"clip": {}, "fps": 2.0, "seen_as": {"atoms": list(ATOMS)}}
    kept_frames.write_frames(folder, frames, seen, {"path": "v.mp4", "sha256": "0" * 64})
    drop_records(folder)


def _check_kept(result) -> None:
    frames, about = result
    count = len(frames.instants)
    assert frames.instants.shape == frames.times.shape == (count,) and count
    assert frames.instants.dtype.kind == "i" and (np.diff(frames.instants) > 0).all()
    assert (frames.instants >= 0).all() and (np.diff(frames.times) > 0).all()
    for array, rank in ((frames.image_embeddings, 2), (frames.presence, 2), (frames.times, 1)):
        assert array.dtype.kind == "f" and array.ndim == rank and np.isfinite(array).all()
    assert len(frames.image_embeddings) == len(frames.presence) == count
    assert (frames.presence >= 0).all() and (frames.presence <= 1).all() and about["fps"] > 0


def _make_store(folder: Path) -> None:
    table = open_table(folder)
    fill(table, 1, 2)
    fill(table, 3)


def _store(folder: Path):
    """All rows that are there, of those that were written."""
    table = store.open_table(folder, DESCRIPTION, COLUMNS)
    found = {}
    for keys, arrays in store.read_rows(table, digests(1, 2, 3)):
        for row, key in enumerate(keys):
            found[key] = {name: array[row] for name, array in arrays.items()}
    return found


def _check_store(found) -> None:
    """A row is right, or is not there."""
    for number, key in zip((1, 2, 3), digests(1, 2, 3), strict=True):
        for name, array in (values(number) if key in found else {}).items():
            np.testing.assert_array_equal(found[key][name], array[0])


def _check_arrays(arrays) -> None:
    are_texts(arrays)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def _check_array(array) -> None:
    assert array.dtype.kind in "biuf" and array.flags.c_contiguous


def _make_torch(folder: Path) -> None:
    rng = np.random.default_rng(0)
    value = {"a": rng.normal(size=(2, 3)).astype(np.float32), "n": 3, "names": ["x", "y"], "e": {}}
    torch_files.write_torch(folder / "model.pt", value)
    drop_records(folder)


def _check_plain(value, depth: int = 0) -> None:
    """Nothing but plain values and arrays that lie in the memory."""
    assert depth <= bounds.PICKLE_DEPTH + 1
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_plain(key, depth + 1)
            _check_plain(inner, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            _check_plain(inner, depth + 1)
    elif isinstance(value, np.ndarray):
        value.copy()
    else:
        assert value is None or isinstance(value, bool | int | float | complex | str | bytes)


def _bytes(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content) and None


def _npy(name: str, array: np.ndarray):
    return lambda folder: np.save(folder / name, array)


def _arrays_file(name: str, **arrays: np.ndarray):
    return lambda folder: (folder / name).write_bytes(safetensors.numpy.save(arrays)) and None


def _make_cache(folder: Path) -> None:
    (folder / "a.safetensors").write_bytes(
        safetensors.numpy.save({"embeddings": np.ones((2, 4), np.float32)})
    )


def _check_cache(found) -> None:
    assert found is None or (found.shape == (2, 4) and np.isfinite(found).all())


def _check_batch_size(size) -> None:
    assert size is None or size >= 1


def _check_truth(array) -> None:
    assert array.dtype == bool and array.ndim == 1 and len(array)


WORDS = pickle.dumps(["cup", "spoon", "night club"], protocol=4)


def _make_ordinary(folder: Path) -> None:
    model = ordinary_model.new_model("gate", MADE_BY, roles(), 8, 1.0)
    model = learn(model, *footage(0, 260), continues=False)
    ordinary_model.save_ordinary(folder, model)
    drop_records(folder)


def _ordinary(folder: Path):
    model = ordinary_model.load_ordinary(folder)
    return model, ordinary_reading.prepare(model, roles(), MADE_BY)


def _check_ordinary(result) -> None:
    model, ordinary = result
    are_names(model.atoms)
    assert len(set(model.atoms)) == len(model.atoms) and model.fps > 0
    zeros = model.zeros()
    assert np.isfinite(zeros.location).all() and (zeros.width > 0).all()
    p = ordinary.read(footage(1, 3)[0])
    assert p.shape == (3, 3) and (p >= 0).all() and (p <= 1).all()
    logits, times = ordinary_reading.held_logits(ordinary, roles())
    assert np.isfinite(logits).all() and np.isfinite(times).all()


READERS = {
    "ordinary": Reader(_make_ordinary, _ordinary, _check_ordinary),
    "roles": Reader(_make_roles, _roles, _check_roles),
    "roles without digest": Reader(_make_roles_unsigned, _roles, _check_roles),
    "familiar": Reader(_make_familiar, familiarity.load_familiar, _check_familiar),
    "training state": Reader(_make_state, _state, _check_state),
    "kept frames": Reader(
        _make_kept, lambda folder: kept_frames.read_frames(folder / kept_frames.FILE), _check_kept
    ),
    "store": Reader(_make_store, _store, _check_store),
    "text cache": Reader(
        _make_cache, lambda folder: text_cache._read(folder / "a.safetensors", (2, 4)), _check_cache
    ),
    "batch size": Reader(
        lambda folder: files.write_json(folder / "a.json", {"batch_size": 4}),
        lambda folder: batch_size._read(folder / "a.json"),
        _check_batch_size,
        intact=(".jaxvlm-written.json",),
    ),
    "safetensors": Reader(
        _arrays_file("a.safetensors", x=np.arange(6.0).reshape(2, 3), y=np.ones(2, np.int8)),
        lambda folder: files.read_arrays(folder / "a.safetensors"),
        _check_arrays,
    ),
    "npy": Reader(
        _npy("a.npy", np.arange(6.0).reshape(2, 3)),
        lambda folder: array_files.read_array(folder / "a.npy"),
        _check_array,
    ),
    "truth": Reader(
        _npy("a.npy", np.array([0, 1, 1, 0], np.uint8)),
        lambda folder: video_lists.read_truth(folder / "a.npy"),
        _check_truth,
    ),
    "torch file": Reader(
        _make_torch, lambda folder: torch_files.read_torch(folder / "model.pt"), _check_plain
    ),
    "pickled words": Reader(
        _bytes("words.pkl", WORDS),
        lambda folder: lists.read_words(folder / "words.pkl"),
        lambda found: are_names(found[0]),
    ),
}
