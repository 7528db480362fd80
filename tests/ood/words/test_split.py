import math

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.errors import InputError
from jaxvlm.ood.words import split

WORDS = ("vase", "sky", "urn", "fog", "mud")
R = (0.08, -0.06, 0.02, -0.2, 0.06)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.dist(a, [0] * len(a)) / math.dist(
        b, [0] * len(b)
    )  # fmt: skip


def test_role_scores_equal_a_loop():
    word, obj, bg = np.random.default_rng(0).normal(size=(3, 7, 5))
    scores = split.role_scores(word, obj, bg)
    for i in range(7):
        expected = cosine(word[i], obj[i]), cosine(word[i], bg[i])
        assert scores.cos_obj[i] == pytest.approx(expected[0], abs=1e-6)
        assert scores.cos_bg[i] == pytest.approx(expected[1], abs=1e-6)
        assert scores.r[i] == pytest.approx(expected[0] - expected[1], abs=1e-6)


def test_words_are_scored_with_the_prompts_of_the_method(tmp_path):
    model = clip.load(resources.path("checkpoints/clip"))
    encoder = clip.make_encoder(model, cache_dir=tmp_path)
    scores = split.score_words(encoder, ["dog", "beach"])
    assert any(tmp_path.iterdir())

    def mean_unit(*texts):
        rows = clip.encode_texts(model, texts).astype(np.float64)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(0)

    for i, word in enumerate(("dog", "beach")):
        e = mean_unit(f"a {word}")
        obj = mean_unit(f"a photo of a {word}", f"a close-up photo of a {word}")
        bg = mean_unit(f"a scene of {word}", f"a background of {word}", f"a texture of {word}")
        assert scores.r[i] == pytest.approx(cosine(e, obj) - cosine(e, bg), abs=1e-5)


def test_the_threshold_splits_strictly():
    done = split.split_by_threshold(WORDS, R, tau=0.06)
    assert done.object == ("vase",)  # mud is at the threshold
    assert done.background == ("fog",)  # and so is sky
    assert done.ambiguous == ("sky", "urn", "mud")
    assert done.r_scores == dict(zip(WORDS, R, strict=True))


def test_each_side_has_its_threshold():
    done = split.split_by_threshold(WORDS, R, tau_object=0.01, tau_background=0.1)
    assert done[:3] == (("vase", "urn", "mud"), ("fog",), ("sky",))
    done = split.split_by_threshold(WORDS, R, tau=0.05, tau_object=-0.1, tau_background=0.15)
    assert done[:3] == (("vase", "sky", "urn", "mud"), ("fog",), ())


@pytest.mark.parametrize(
    ("thresholds", "says"),
    [
        ({"tau": 0.08}, r"tau_obj 0.08: no object-leaning .*\[-0.2, 0.08\]"),
        ({"tau": 0.05, "tau_background": 0.2}, r"tau_bg 0.2: no background-leaning .*\[-0.2, 0.0"),
        ({"tau_object": -0.1, "tau_background": 0.05}, "tau_obj -0.1 lies below -tau_bg -0.05"),
        ({"tau": math.nan}, "tau_obj nan"),
    ],
)
def test_the_guilty_threshold_is_named(thresholds, says):
    with pytest.raises(InputError, match=says):
        split.split_by_threshold(WORDS, R, **thresholds)


@pytest.mark.parametrize(
    ("words", "r", "says"),
    [
        (WORDS, (0.1, 0.2), r"shape \(2,\) for 5 words"),
        ((), (), "for 0 words"),
        (("a", "b"), (0.1, math.nan), "not finite for 'b'"),
        (("a", "a"), (0.1, -0.1), "twice"),
    ],
)
def test_scores_that_fit_no_words_are_refused(words, r, says):
    for function in (split.split_by_threshold, split.split_by_percentile):
        with pytest.raises(InputError, match=says):
            function(words, r)


def test_the_published_counts():
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(6370)]
    r = rng.normal(size=6370)
    done = split.split_by_percentile(words, r)
    assert [len(group) for group in done[:3]] == [2866, 2866, 638]
    lowest = min(done.r_scores[word] for word in done.object)
    highest = max(done.r_scores[word] for word in done.background)
    assert all(highest < done.r_scores[word] < lowest for word in done.ambiguous)


def test_equal_scores_go_by_the_alphabet():
    done = split.split_by_percentile(("d", "b", "c", "a"), (0.0, 0.0, 0.0, 0.0), percentile=25)
    assert done[:3] == (("a",), ("d",), ("b", "c"))


@pytest.mark.parametrize(
    ("percentile", "says"), [(0, "outside"), (51, "outside"), (19, "takes 0 of 5")]
)
def test_a_percentile_without_words_is_refused(percentile, says):
    with pytest.raises(InputError, match=says):
        split.split_by_percentile(WORDS, R, percentile=percentile)


def test_soft_assignments():
    p = split.background_probability([0.1, 0.0, -1e4])
    np.testing.assert_allclose(p, [1 / (1 + math.e), 0.5, 1.0], rtol=1e-6)
    as_object, as_background = split.soft_weights([0.05, -0.05])
    np.testing.assert_allclose(as_object, [math.e / (1 + math.e), 1 / (1 + math.e)], rtol=1e-6)
    np.testing.assert_allclose(as_background, [1 / (1 + math.e), math.e / (1 + math.e)], rtol=1e-6)
