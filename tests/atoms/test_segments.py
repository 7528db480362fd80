"""Segment presence against golden arrays and a float64 loop written from the definition."""

import functools
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.segments import (
    init_stream,
    pi_mass,
    segment_index,
    segment_presence,
    segment_spans,
    segment_weights,
    stream_step,
)
from tests.atoms.jaxprs import avals

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "atoms.safetensors")
WEIGHTINGS = ("running_mean", "point", "recurrent")


def example(num_frames: int, num_atoms: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(num_frames)
    presence = rng.random((num_frames, num_atoms)).astype(np.float32)
    # Mostly long segments, some hard cuts, some frames that are neither.
    boundary = rng.choice([1e-3, 0.05, 0.5, 0.999], num_frames, p=[0.5, 0.3, 0.1, 0.1])
    return presence, boundary.astype(np.float32)


def definition(presence, boundary, window, weighting, normalize):
    """p̄ in float64: the sum over t, or the recursion, written out."""
    p, b = np.asarray(presence, np.float64), np.asarray(boundary, np.float64)
    result, total, mass = np.zeros_like(p), np.zeros(p.shape[1]), 0.0
    for u in range(len(p)):
        if weighting == "recurrent":
            survive = 1.0 - b[u] if u else 0.0
            total, mass = p[u] + survive * total, 1.0 + survive * mass
        else:
            total, mass, survive, seen = np.zeros(p.shape[1]), 0.0, 1.0, np.zeros(p.shape[1])
            for t in range(u, max(-1, u - window), -1):
                seen = seen + p[t]
                total = total + survive * (seen / (u - t + 1) if "mean" in weighting else p[t])
                mass += survive
                survive *= 1.0 - b[t]
                if survive < 1e-20:  # float64 would not notice the rest
                    break
        result[u] = total / mass if normalize else total
    return result


class SegmentsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_golden(self):
        window = int(GOLDEN["window"])

        floor = 1e-6  # the prototype's

        def all_three(p, b):
            segments = functools.partial(segment_presence, window=window, survival_floor=floor)
            mass = pi_mass(b, window=window, survival_floor=floor)
            return segments(p, b, normalize=False), segments(p, b, normalize=True), mass

        actual = self.variant(all_three)(GOLDEN["presence"], GOLDEN["boundary"])
        for name, value in zip(("pbar_sum", "pbar_mean", "pi_mass"), actual, strict=True):
            np.testing.assert_allclose(value, GOLDEN[name], rtol=0, atol=1e-5, err_msg=name)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(*WEIGHTINGS)
    def test_variants(self, weighting):
        presence, boundary = example(10)
        actual = self.variant(lambda p, b: segment_presence(p, b, window=4, weighting=weighting))(
            presence, boundary
        )
        expected = definition(presence, boundary, 4, weighting, True)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("num_frames", [0, 1, 2, 3, 10, 1000])
def test_equals_the_definition(num_frames):
    presence, boundary = example(num_frames)
    windows = [1, 2, 20, num_frames + 5]
    cases = [(w, kind, n) for w in windows for kind in WEIGHTINGS[:2] for n in (True, False)]
    cases += [(20, "recurrent", True), (20, "recurrent", False)]
    every_case = jax.jit(  # one compilation for all of them
        lambda p, b: [
            segment_presence(p, b, window=window, weighting=weighting, normalize=normalize)
            for window, weighting, normalize in cases
        ]
    )
    for case, actual in zip(cases, every_case(presence, boundary), strict=True):
        chex.assert_shape(actual, presence.shape)
        expected = definition(presence, boundary, *case)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, err_msg=str(case))


def long_definition(presence, survival, window, weighting):
    """p̄ and Σπ in float64, the definition frame by frame or offset by offset."""
    p, total = np.asarray(presence, np.float64), np.zeros(np.shape(presence))
    mass, product, seen = np.zeros(len(p)), np.ones(len(p)), np.zeros_like(total)
    if weighting == "recurrent":
        total[0], mass[0] = p[0], 1.0
        for u in range(1, len(p)):
            total[u] = p[u] + survival[u] * total[u - 1]
            mass[u] = 1.0 + survival[u] * mass[u - 1]
        return total / mass[:, None], mass
    for offset in range(min(window, len(p))):  # π_{u−j→u} and Σ_{s≥u−j} p(s), for all u at once
        seen[offset:] += p[: len(p) - offset]
        value = seen / (offset + 1) if weighting == "running_mean" else np.roll(p, offset, axis=0)
        product[:offset] = 0.0
        total += product[:, None] * value
        mass += product
        product *= np.roll(survival, offset)
    return total / mass[:, None], mass


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("kind", ["none", "all", "tiny", "smooth", "random", "cuts"])
def test_float32_at_20000_frames(weighting, kind):
    """Long products and long sums, which is where prefix differences lose digits."""
    num_frames = 20_011
    rng = np.random.default_rng(1)
    boundary = {
        "none": np.zeros(num_frames),
        "all": np.ones(num_frames),
        "tiny": 1e-6 * rng.random(num_frames),
        "smooth": np.full(num_frames, 0.008),
        "random": rng.random(num_frames),
        "cuts": np.where(rng.random(num_frames) < 0.002, 1.0 - 1e-6, 1e-4),
    }[kind].astype(np.float32)
    presence = rng.random((num_frames, 3)).astype(np.float32)
    for window in (20, 250):
        expected, mass = long_definition(
            presence, 1.0 - boundary.astype(np.float64), window, weighting
        )
        actual = segment_presence(presence, boundary, window=window, weighting=weighting)
        assert np.abs(actual - expected).max() < 1e-5
        plain = functools.partial(segment_presence, window=window, weighting=weighting)
        actual = plain(presence, boundary, normalize=False)
        # Without a window Σπ reaches thousands, and the rounding of 1 − b adds up: 1.3e-5.
        rtol = 3e-5 if weighting == "recurrent" else 1e-5
        np.testing.assert_allclose(actual, expected * mass[:, None], rtol=rtol)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_no_array_of_frames_by_window_by_atoms(weighting):
    """Forwards and backwards, in presence and in boundary; the window is longer than the unroll."""
    num_frames, num_atoms, window = 300, 40, 37
    total = jax.grad(
        lambda p, b: segment_presence(p, b, window=window, weighting=weighting).sum(), (0, 1)
    )
    jaxpr = jax.make_jaxpr(total)(jnp.zeros((num_frames, num_atoms)), jnp.zeros(num_frames))
    sizes = [aval.size for aval in avals(jaxpr.jaxpr)]
    assert len(sizes) > 20  # the walk went inside
    assert max(sizes) <= (num_frames + window) * (num_atoms + window)


def test_vmapped_over_videos():
    presence, boundary = map(np.stack, zip(example(11), example(11), strict=True))
    presence[1] = presence[1, ::-1]
    function = functools.partial(segment_presence, window=9)
    expected = [function(p, b) for p, b in zip(presence, boundary, strict=True)]
    np.testing.assert_allclose(jax.vmap(function)(presence, boundary), expected, rtol=1e-6)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_boundary_everywhere_gives_the_frame_itself(weighting):
    presence, _ = example(30)
    boundary = boundary_probability(divergence(presence), delta=-1e9)
    for normalize in (True, False):
        actual = segment_presence(presence, boundary, weighting=weighting, normalize=normalize)
        np.testing.assert_array_equal(actual, presence)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_no_boundary_gives_the_mean_of_the_window(weighting):
    presence, _ = example(30)
    boundary = boundary_probability(divergence(presence), delta=1e9)
    actual = segment_presence(presence, boundary, window=8, weighting=weighting)
    for u in range(30):
        seen = presence[: u + 1] if weighting == "recurrent" else presence[max(0, u - 7) : u + 1]
        if weighting == "running_mean":
            expected = np.mean([seen[t:].mean(0) for t in range(len(seen))], axis=0)
        else:
            expected = seen.mean(0)
        np.testing.assert_allclose(actual[u], expected, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    presence=hnp.arrays(np.float32, (9, 2), elements=st.floats(0, 1, width=32)),
    boundary=hnp.arrays(np.float32, 9, elements=st.floats(0, 1, width=32)),
    weighting=st.sampled_from(WEIGHTINGS),
)
def test_normalised_is_a_weighted_mean_of_the_past(presence, boundary, weighting):
    actual = np.asarray(segment_presence(presence, boundary, window=4, weighting=weighting))
    for u in range(9):
        past = presence[: u + 1] if weighting == "recurrent" else presence[max(0, u - 3) : u + 1]
        assert (actual[u] >= past.min(0) - 1e-6).all() and (actual[u] <= past.max(0) + 1e-6).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_padding_at_the_end_changes_no_earlier_frame(weighting):
    presence, boundary = example(25)
    rng = np.random.default_rng(0)
    padded = np.concatenate([presence, rng.random((7, 3)).astype(np.float32)])
    padded_boundary = np.concatenate([boundary, rng.random(7).astype(np.float32)])
    actual = segment_presence(padded, padded_boundary, weighting=weighting)[:25]
    expected = segment_presence(presence, boundary, weighting=weighting)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_atoms_do_not_mix():
    presence, boundary = example(25, num_atoms=5)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_array_equal(
        segment_presence(presence[:, order], boundary),
        segment_presence(presence, boundary)[:, order],
    )


@pytest.mark.parametrize(
    ("window", "weighting", "normalize"),
    [
        (1, "running_mean", True),
        (6, "running_mean", True),
        (6, "running_mean", False),
        (40, "running_mean", True),
        (6, "point", True),
        (6, "recurrent", True),
        (6, "recurrent", False),
    ],
)
def test_streaming_equals_offline(window, weighting, normalize):
    presence, _ = example(30)
    presence[11:] = 1.0 - presence[11:]

    form = {"reduction": "mean" if weighting == "point" else "sum"}
    numbers = {"delta": 0.1 if weighting == "point" else 0.3}

    def step(state, p):
        return stream_step(state, p, **numbers, weighting=weighting, normalize=normalize, **form)

    _, (boundary, segments) = jax.lax.scan(step, init_stream(3, window), presence)
    expected = boundary_probability(divergence(presence, **form), **numbers)
    np.testing.assert_allclose(boundary, expected, atol=1e-6)
    offline = segment_presence(
        presence, expected, window=window, weighting=weighting, normalize=normalize
    )
    np.testing.assert_allclose(segments, offline, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighting", ["running_mean", "point"])
@pytest.mark.parametrize("window", [1, 4, 30])
def test_weights_reproduce_the_presence(weighting, window):
    presence, boundary = example(20)
    weights = np.asarray(segment_weights(boundary, window=window, weighting=weighting))
    assert weights.shape == (20, window)
    dense = np.zeros((20, 20))
    for u in range(20):
        assert not weights[u, u + 1 :].any()
        for j in range(min(window, u + 1)):
            dense[u, u - j] = weights[u, j]
    actual = segment_presence(
        presence, boundary, window=window, weighting=weighting, normalize=False
    )
    np.testing.assert_allclose(actual, dense @ presence, rtol=1e-5)
    np.testing.assert_allclose(pi_mass(boundary, window=window), weights.sum(1), rtol=1e-5)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_at_the_ends(weighting, value):
    presence = jnp.full((12, 3), value)
    boundary = jnp.tile(jnp.array([0.0, 1.0, 0.5]), 4)
    gradients = jax.grad(
        lambda p, b: segment_presence(p, b, window=5, weighting=weighting).sum(), argnums=(0, 1)
    )(presence, boundary)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    # Every frame's weights sum to one, so the gradients with respect to p sum to T per atom.
    np.testing.assert_allclose(gradients[0].sum(0), 12.0, rtol=1e-5)


def test_segment_index_and_spans():
    boundary = np.array([0.9, 0.1, 0.51, 0.5, 0.9, 0.9])
    index = segment_index(boundary)
    np.testing.assert_array_equal(index, [0, 0, 1, 1, 2, 3])
    assert segment_spans(index) == [(0, 2), (2, 4), (4, 5), (5, 6)]
    assert segment_index(np.zeros(0)).shape == (0,) and segment_spans(np.zeros(0, int)) == []


def test_bad_arguments():
    presence, boundary = example(4)
    with pytest.raises(ValueError, match="window 0"):
        segment_presence(presence, boundary, window=0)
    with pytest.raises(ValueError, match="'mean'"):
        segment_presence(presence, boundary, weighting="mean")
    with pytest.raises(ValueError, match=r"boundary has shape \(3,\), needs \[T\] with T = 4"):
        segment_presence(presence, boundary[:3])
    with pytest.raises(ValueError, match="'recurrent'"):
        segment_weights(boundary, weighting="recurrent")
