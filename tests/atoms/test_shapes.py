"""Arguments of the wrong shape are refused by every public function, by the names of their axes."""

import re

import jax
import numpy as np
import pytest

from jaxvlm import atoms
from jaxvlm.atoms import reasons
from jaxvlm.atoms.boundary_learning import BoundaryParams, learn_boundary
from jaxvlm.atoms.pooling import pool_log_complement, strongest_frames, video_cross_entropy
from jaxvlm.atoms.role_tables import role_behaviour
from jaxvlm.atoms.threshold import best_threshold, center_decision
from tests.atoms.role_fixtures import random_params

T, C, E, L, P, D, W = 6, 4, 2, 3, 9, 5, 7
PARAMS = random_params(0, C, E)


def ones(*shape):
    return np.ones(shape, np.float32)


def contrast(v=(T, D), t=(C, D), n=(L, D), **more):
    return lambda: atoms.contrast_presence(
        ones(*v), ones(*t), ones(*n), **{"logit_scale": 1.0} | more
    )


def local(v=(T, P, D), t=(C, D), n=(L, D)):
    return lambda: atoms.local_presence(ones(*v), ones(*t), ones(*n), logit_scale=1.0)


def captions(**wrong):
    arguments = dict.fromkeys(("presence", "named", "resembled"), ones(T, C)) | wrong
    return lambda: atoms.add_caption_evidence(**arguments)


# What is called, and what the message says after the name of the function.
WRONG = [
    (lambda: atoms.cosine_presence(ones(D), ones(C, D)), "cosine_presence: image_embeddings"),
    (
        lambda: atoms.cosine_presence(ones(T, D), ones(C, 3)),
        "cosine_presence: atom_embeddings has shape (4, 3), needs [C, D] with D = 5",
    ),
    (contrast(v=(T, P, D)), "image_embeddings has shape (6, 9, 5), needs [T, D]; batch with"),
    (contrast(t=(D,)), "contrast_presence: atom_embeddings has shape (5,), needs [C, D]"),
    (contrast(n=(L, 4)), "neutral_embeddings has shape (3, 4), needs [L, D] with D = 5"),
    (contrast(logit_scale=ones(C)), "logit_scale has shape (4,), needs a scalar"),
    (local(v=(T, D)), "local_presence: patch_embeddings has shape (6, 5), needs [T, P, D]"),
    (local(t=(C, 4)), "local_presence: atom_embeddings has shape (4, 4), needs [C, D] with D = 5"),
    (local(n=(D,)), "local_presence: neutral_embeddings has shape (5,), needs [L, D] with D = 5"),
    (captions(named=ones(T, 1)), "named has shape (6, 1), needs [T, C] with T = 6, C = 4"),
    (captions(resembled=ones(C)), "resembled has shape (4,), needs [T, C] with T = 6, C = 4"),
    (captions(guard=ones(C)), "add_caption_evidence: guard has shape (4,), needs a scalar"),
    (lambda: atoms.divergence(ones(T)), "divergence: presence has shape (6,), needs [T, C]"),
    (lambda: atoms.auto_delta(ones(T), mask=ones(1)), "mask has shape (1,), needs [T] with T = 6"),
    (lambda: atoms.boundary_probability(ones(T, C)), "divergence has shape (6, 4), needs [T]"),
    (
        lambda: atoms.boundary_probability(ones(T), delta=ones(T)),
        "boundary_probability: delta has shape (6,), needs a scalar",
    ),
    (lambda: atoms.log_survival(ones(T), kappa=ones(1)), "log_survival: kappa has shape (1,)"),
    (
        lambda: atoms.segment_presence(ones(T, C), ones(1)),
        "segment_presence: boundary has shape (1,), needs [T] with T = 6",
    ),
    (lambda: atoms.segment_presence(ones(T), ones(T)), "presence has shape (6,), needs [T, C]"),
    (lambda: atoms.segment_weights(ones(T, 1)), "segment_weights: boundary has shape (6, 1)"),
    (lambda: atoms.pi_mass(0.5), "pi_mass: boundary has shape (), needs [T]"),
    (lambda: atoms.segment_index(ones(T, 1)), "segment_index: boundary has shape (6, 1)"),
    (lambda: atoms.segment_spans(ones(T, 1)), "segment_spans: index has shape (6, 1)"),
    (
        lambda: atoms.stream_step(atoms.init_stream(C, W), ones(1)),
        "stream_step: presence has shape (1,), needs [C] with C = 4",
    ),
    (lambda: atoms.pairwise_noisy_or(0.5), "pairwise_noisy_or: a has shape (), needs [..., C]"),
    (lambda: atoms.pairwise_method(0.5), "pairwise_method: a has shape (), needs [..., C]"),
    (lambda: atoms.pool_video(ones(T)), "pool_video: probability has shape (6,), needs [T, E]"),
    (
        lambda: atoms.pool_video(ones(T, E), mask=ones(T, E)),
        "pool_video: mask has shape (6, 2), needs [T] with T = 6",
    ),
    (lambda: pool_log_complement(ones(T)), "logits has shape (6,), needs [T, E]"),
    (
        lambda: strongest_frames(ones(T, E), mask=ones(1)),
        "strongest_frames: mask has shape (1,), needs [..., T] with T = 6",
    ),
    (
        lambda: video_cross_entropy(ones(T, E), 1.0),
        "video_cross_entropy: label has shape (), needs [E] with E = 2",
    ),
    (
        lambda: atoms.roles_from_strengths(ones(C, E), ones(C, 1), ones(C, E)),
        "indirect has shape (4, 1), needs [C, E] with C = 4, E = 2",
    ),
    (
        lambda: reasons.reasons(
            atoms.role_contributions(PARAMS, ones(T, C)), "abc", event=0, start=0, stop=1
        ),
        "reasons: total has shape (6, 4, 2), needs [T, 3, E]",
    ),
    (lambda: best_threshold(ones(T), ones(1)), "labels has shape (1,), needs [N] with N = 6"),
    (
        lambda: center_decision(PARAMS, [ones(T, C)] * 3, ones(3)),
        "center_decision: labels has shape (3,), needs [3, E] with E = 2",
    ),
    (
        lambda: center_decision(PARAMS, [ones(T, 1)] * 3, ones(3, E)),
        "event_logits: presence has shape (64, 1), needs [T, C] with C = 4",
    ),
    (
        lambda: learn_boundary([ones(T, 1)] * 2, np.eye(2), PARAMS),
        "learn_boundary: candidates has shape (1, 2), needs [C, E] with C = 4",
    ),
    (
        lambda: learn_boundary(
            [ones(T, C)] * 2, np.eye(2), PARAMS, start=BoundaryParams(ones(1), 8.0)
        ),
        "learn_boundary: delta has shape (1,), needs a scalar",
    ),
    (
        lambda: atoms.train_roles([ones(T, 3)] * 2, np.eye(2), init=PARAMS),
        "initial_state: candidates has shape (3, 2), needs [C, E] with C = 4, E = 2",
    ),
    (
        lambda: atoms.sparse_code(ones(D), ones(C, 1)),
        f"sparse_code: dictionary has shape (4, 1), needs [K, D] with D = {D}",
    ),
    (
        lambda: atoms.sparse_presence(ones(T, D), ones(C, D), ones(2, 1)),
        f"sparse_presence: neutral_embeddings has shape (2, 1), needs [L, D] with D = {D}",
    ),
]
OF_FRAMES = [
    atoms.role_evidence,
    atoms.event_logits,
    atoms.event_probability,
    atoms.role_contributions,
    atoms.leave_one_out,
    atoms.top_pair,
]
for function in OF_FRAMES:
    name = function.__name__
    for presence in (ones(T, 1), ones(C), ones(2, T, C)):
        found = f"{name}: presence has shape {presence.shape}, needs [T, C] with C = 4"
        WRONG.append((lambda f=function, p=presence: f(PARAMS, p), found))
    found = f"{name}: candidates has shape (4, 1), needs [C, E] with C = 4, E = 2"
    WRONG.append((lambda f=function: f(PARAMS, ones(T, C), candidates=ones(C, 1)), found))
for function in (atoms.assign_roles, role_behaviour):
    found = f"{function.__name__}: candidates has shape (1, 2), needs [C, E] with C = 4, E = 2"
    WRONG.append((lambda f=function: f(PARAMS, candidates=ones(1, E)), found))
for field, value, found in (
    ("theta_counter", ones(C), "theta_counter has shape (4,), needs [C, E] with C = 4, E = 2"),
    ("gamma_direct", ones(1), "gamma_direct has shape (1,), needs [E] with E = 2"),
    ("bias", 0.0, "bias has shape (), needs [E] with E = 2"),
    ("gamma_explicit", ones(C, E), "gamma_explicit has shape (4, 2), needs [E] with E = 2"),
    ("presence_scale", ones(E), "presence_scale has shape (2,), needs [C] with C = 4"),
    ("presence_center", ones(1), "presence_center has shape (1,), needs [C] with C = 4"),
):
    spoilt = PARAMS._replace(**{field: value})
    WRONG.append((lambda p=spoilt: atoms.event_logits(p, ones(T, C)), f"event_logits: {found}"))
    WRONG.append((lambda p=spoilt: atoms.assign_roles(p), f"assign_roles: {found}"))


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_shape_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_every_public_function_of_arrays_is_in_the_table():
    called = {name for call, _ in WRONG for name in call.__code__.co_names}
    called |= {message.split(":")[0] for _, message in WRONG}
    no_functions_of_arrays = {
        "init_stream",
        "Evidence",
        "RoleConfig",
        "RoleParams",
        "Rules",
        "StreamState",
    }
    assert set(atoms.__all__) - no_functions_of_arrays <= called


@pytest.mark.parametrize("function", OF_FRAMES)
def test_videos_are_batched_with_vmap(function):
    """A check sees one example: of a batch, and of a traced value."""
    videos = np.random.default_rng(0).random((3, T, C)).astype(np.float32)
    batched = jax.jit(jax.vmap(lambda video: function(PARAMS, video)))(videos)
    alone = [function(PARAMS, video) for video in videos]
    for n, expected in enumerate(alone):
        one = jax.tree.map(lambda rows, n=n: rows[n], batched)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), one, expected)
