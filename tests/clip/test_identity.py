"""Which encoder: what is told of it, and what another one differs in."""

import dataclasses
import shutil

import jax
import numpy as np

from jaxvlm import clip
from tests.clip.conftest import GOLDEN


def test_the_dtype_and_the_place_of_a_model_are_no_part_of_its_identity(model, tmp_path):
    shutil.copytree(GOLDEN / "clip-small", tmp_path / "copy")
    half = clip.load(tmp_path / "copy", dtype="bfloat16")
    assert clip.identity(half) == clip.identity(model)
    record = clip.clip_record(half)
    assert record["path"] == str(tmp_path / "copy")
    assert clip.identity_difference(clip.clip_record(model), record) is None
    assert clip.identity(model)["embedding_dimension"] == model.config.projection_dim
    scale = float(np.exp(model.params["logit_scale"]))
    np.testing.assert_allclose(clip.identity(model)["logit_scale"], scale, rtol=1e-5)


def test_the_first_difference_is_named_in_words_before_the_hash(model):
    was = clip.identity(model)
    cropped = model.preprocessing._replace(size=99)
    told = clip.identity_difference(
        was, clip.identity(dataclasses.replace(model, preprocessing=cropped))
    )
    assert told == f"preprocessing.size is 99, was {model.preprocessing.size}"
    params = dict(model.params, logit_scale=model.params["logit_scale"] + np.log(2.0))
    told = clip.identity_difference(was, clip.identity(dataclasses.replace(model, params=params)))
    assert told.startswith("logit_scale is ") and told.endswith(f"was {was['logit_scale']}")
    other = jax.tree.map(lambda leaf: leaf * 1.5 if leaf.ndim > 1 else leaf, model.params)
    told = clip.identity_difference(was, clip.identity(dataclasses.replace(model, params=other)))
    assert told.startswith("weights_sha256 is ") and len(told) < 60
    assert clip.identity_difference({}, was) == (
        f"embedding_dimension is {was['embedding_dimension']}, was None"
    )
