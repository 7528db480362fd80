"""Matrices that lie transposed: the same embeddings, the same Flax tree, no second copy."""

import dataclasses

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxvlm import clip
from jaxvlm.clip.laid_out import laid_out, shared
from tests.clip.conftest import GOLDEN


@pytest.fixture(params=["float32", "bfloat16"])
def loaded(request):
    return clip.load(GOLDEN / "clip-small", dtype=request.param)


def pixels(model):
    side = model.preprocessing.crop
    return np.random.default_rng(0).normal(size=(2, 3, side, side)).astype(np.float32)


def test_kernels_lie_as_out_in_and_are_not_there_twice(loaded):
    flax, lying = (flatten_dict(tree) for tree in (loaded.params, loaded.computed))
    kernels = [path for path in flax if path[-1] == "kernel"]
    assert len(kernels) == len([path for path in lying if path[-1] == "transposed"]) > 20
    for path in kernels:
        kernel, transposed = flax[path], lying[*path[:-1], "transposed"]
        assert transposed.shape == (kernel.shape[-1], kernel.size // kernel.shape[-1])
        flat = np.asarray(kernel).reshape(-1, kernel.shape[-1])
        np.testing.assert_array_equal(flat.T, transposed)
        assert np.shares_memory(kernel, np.asarray(transposed))
    assert {path for path in flax if path[-1] != "kernel"} == {
        path for path in lying if path[-1] != "transposed"
    }
    assert laid_out(loaded.computed) is loaded.computed


def test_embeddings_are_those_of_the_flax_tree(loaded):
    module, batch = loaded.module, pixels(loaded)
    ids = np.array([[998, 5, 7, 999]], np.int32)
    want = module.apply({"params": loaded.params}, ids, np.moveaxis(batch, 1, -1))
    limit = 3e-6 if loaded.architecture.dtype == "float32" else 3e-2
    for got, wanted in (
        (clip.encode_images(loaded, batch), want.image_embeds),
        (clip.encode_token_ids(loaded, ids), want.text_embeds),
    ):
        assert np.abs(got - wanted).max() < limit * np.abs(wanted).max()


def test_other_parameters_lie_anew(model):
    wider = jax.tree.map(lambda leaf: leaf * 1.5, model.params)
    other = dataclasses.replace(model, params=wider)
    module, batch = model.module, pixels(model)
    ids = np.array([[998, 5, 999]], np.int32)
    want = module.apply({"params": wider}, ids, np.moveaxis(batch, 1, -1)).image_embeds
    assert np.abs(clip.encode_images(other, batch) - want).max() < 3e-6 * np.abs(want).max()
    assert np.abs(want - clip.encode_images(model, batch)).max() > 0.1 * np.abs(want).max()


def test_a_model_that_is_first_used_under_a_trace_keeps_arrays(model):
    own = dataclasses.replace(model)
    jax.eval_shape(lambda x: clip.encode_images(own, x), pixels(model))
    want = clip.encode_images(model, pixels(model))
    np.testing.assert_array_equal(clip.encode_images(own, pixels(model)), want)


def test_other_devices_keep_the_tree(model, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert laid_out(model.params) is model.params
    for path, leaf in flatten_dict(shared(model.params)).items():
        assert leaf is flatten_dict(model.params)[path]
