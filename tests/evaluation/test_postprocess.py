"""Each step against a loop or numbers by hand, and what a list of steps refuses."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation import postprocess
from jaxvlm.evaluation.steps import parse_steps

RNG = np.random.default_rng(4)
SCORES = RNG.random((30, 2))
ROWS = RNG.normal(size=(30, 6))
CAPTIONS = RNG.normal(size=(30, 6))


def slow_refined(scores, queries, keys, neighbours, scale):
    result = []
    for query in queries:
        cosines = [float(query @ key / np.linalg.norm(query) / np.linalg.norm(key)) for key in keys]
        near = sorted(range(len(keys)), key=lambda j: -cosines[j])[:neighbours]
        weights = [np.exp(scale * cosines[j]) for j in near]
        mean = sum(w * scores[j] for w, j in zip(weights, near, strict=True))
        result.append(mean / sum(weights))
    return np.array(result)


def test_lavad_is_a_mean_over_the_ten_nearest_captions():
    (step,) = parse_steps("lavad")
    expected = slow_refined(SCORES, ROWS, CAPTIONS, 10, 1.0)
    found = postprocess.on_rows(step, SCORES, ROWS, CAPTIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    (step,) = parse_steps("lavad=3")
    found = postprocess.on_rows(step, SCORES, ROWS, ROWS)
    np.testing.assert_allclose(found, slow_refined(SCORES, ROWS, ROWS, 3, 1.0), rtol=1e-9)


def test_vera_takes_fifteen_percent_at_ten_times_the_cosine():
    (step,) = parse_steps("vera")
    expected = slow_refined(SCORES, ROWS, ROWS, 4, 10.0)  # 0.15 · 30 = 4.5
    np.testing.assert_allclose(postprocess.on_rows(step, SCORES, ROWS, CAPTIONS), expected)
    assert [postprocess.vera_neighbours(n) for n in (1, 10, 11, 14, 100)] == [1, 10, 1, 2, 15]


def test_smoothing_is_a_mean_with_gaussian_weights():
    sigma = 2.0
    offsets = np.arange(-8, 9)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    at = np.clip(np.arange(30)[:, None] + offsets, 0, 29)  # the ends go on outside
    expected = np.einsum("k,tks->ts", weights, SCORES[at])
    (seconds,), (frames,) = parse_steps("smooth=0.5s"), parse_steps("smooth=2f")
    for step in (seconds, frames):
        found = postprocess.on_frames(step, SCORES, rate=4.0, segments=None)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(postprocess.smooth(np.ones((9, 1)), 3.0), 1.0)  # no prior


def test_the_prior_and_the_factor_of_a_video():
    middle, video = parse_steps("middle,video")
    prior = np.exp(-0.5 * ((np.arange(30) - 15) / 15) ** 2)
    found = postprocess.on_frames(middle, SCORES, rate=None, segments=None)
    np.testing.assert_allclose(found, SCORES * prior[:, None])
    found = postprocess.on_frames(video, SCORES, rate=None, segments=None)
    top = np.sort(SCORES, axis=0)[-2:].mean(axis=0)  # ⌊30/16⌋ + 1
    np.testing.assert_allclose(found, SCORES * top)


def test_eventvad_cuts_where_the_embedding_jumps():
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.eye(3, 8), 40, axis=0) + 0.02 * rng.normal(size=(120, 8))
    segments = postprocess.embedding_segments(scenes, 2.0)
    starts = np.flatnonzero(np.diff(segments)) + 1
    assert any(abs(s - 40) <= 2 for s in starts) and any(abs(s - 80) <= 2 for s in starts)
    assert (np.diff(starts) >= 4).all()  # 2 s at 2 a second
    assert not postprocess.embedding_segments(scenes[:8], 2.0).any()  # less than 4 s
    assert not postprocess.embedding_segments(np.ones((50, 3)), 2.0).any()  # no jump
    (step,) = parse_steps("eventvad")
    scores = rng.random((120, 1))
    found = postprocess.on_frames(step, scores, rate=None, segments=segments)
    for number in np.unique(segments):
        own = segments == number
        np.testing.assert_allclose(found[own], scores[own].mean())


def test_a_list_of_steps_keeps_its_order():
    steps = parse_steps(" lavad=5, smooth=2s ,middle,smooth=8f,video")
    assert [step.name for step in steps] == ["lavad", "smooth", "middle", "smooth", "video"]
    assert (steps[0].number, steps[1].unit, steps[3].number) == (5.0, "s", 8.0)
    assert parse_steps("") == ()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("blur", "no step 'blur'; there are lavad"),
        ("smooth", "give its sigma"),
        ("smooth=2", "give its sigma"),
        ("smooth=0s", "give its sigma"),
        ("lavad=0", "give a number of neighbours"),
        ("lavad=2.5", "give a number of neighbours"),
        ("lavad=2s", "give a number of neighbours"),
        ("middle=3", "middle takes no number"),
        ("smooth=2s,vera", "put vera before it"),
        ("vera=", "vera takes no number"),
    ],
)
def test_what_is_no_list_of_steps(text, cause):
    with pytest.raises(InputError, match=cause):
        parse_steps(text)
