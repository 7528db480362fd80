"""Whether pictures are unlike training material, decided from embeddings."""

import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.clip import familiarity
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource

DIM = 16


def sets(rng, count: int, *, frames: int = 20, shift: float = 0.0) -> list[np.ndarray]:
    """Videos: each has a centre in a cone, its frames lie about it. shift: along one direction that
    the training material hardly uses."""
    found = []
    for _ in range(count):
        centre = rng.normal(size=DIM) * np.linspace(1, 0.05, DIM)
        centre[0] += 3
        rows = centre + 0.2 * rng.normal(size=(frames, DIM)) * np.linspace(1, 0.05, DIM)
        rows[:, -1] += shift
        found.append(rows.astype(np.float32))
    return found


@pytest.fixture(scope="module")
def familiar():
    return familiarity.fit(sets(np.random.default_rng(0), 40))


def test_new_sets_of_the_same_kind_are_alike(familiar):
    new = sets(np.random.default_rng(1), 200)
    called = [familiarity.judge(familiar, [one]).is_unlike for one in new]
    assert np.mean(called) <= 0.02
    verdict = familiarity.judge(familiar, new)
    assert not verdict.is_unlike and verdict.unlikeness == pytest.approx(0.5, abs=0.06)


def test_sets_in_another_direction_are_unlike(familiar):
    new = sets(np.random.default_rng(2), 20, shift=1.5)
    assert np.mean([familiarity.judge(familiar, [one]).is_unlike for one in new]) > 0.9
    assert familiarity.judge(familiar, new).is_unlike


def test_many_sets_tell_what_one_cannot(familiar):
    new = sets(np.random.default_rng(3), 60, shift=0.4)
    assert np.mean([familiarity.judge(familiar, [one]).is_unlike for one in new]) < 0.5
    assert familiarity.judge(familiar, new).is_unlike


def test_a_single_picture_is_seldom_called_unlike(familiar):
    # One in two hundred training pictures is farther than the limit, and 40 sets are few.
    pictures = [one[:1] for one in sets(np.random.default_rng(4), 400)]
    assert np.mean([familiarity.judge(familiar, [one]).is_unlike for one in pictures]) <= 0.03


def test_training_pictures_are_not_compared_with_their_own_set():
    """Sets far from each other: a frame is near to its own set only, and so are new ones."""
    rng = np.random.default_rng(5)
    lone = [c + 1e-3 * rng.normal(size=(10, DIM)) for c in rng.normal(size=(40, DIM))]
    fitted = familiarity.fit(lone)
    new = [c + 1e-3 * rng.normal(size=(10, DIM)) for c in rng.normal(size=(40, DIM))]
    assert not familiarity.judge(fitted, new).is_unlike


def test_what_is_written_is_read(familiar, tmp_path):
    familiarity.save_familiar(tmp_path, familiar)
    again = familiarity.load_familiar(tmp_path)
    for one, other in zip(familiar, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert familiarity.load_familiar(tmp_path / "nothing") is None
    arrays = {**familiar._asdict(), "sets": familiar.sets[:3]}
    familiarity.save_familiar(tmp_path, familiar._replace(**arrays))
    with pytest.raises(InputError, match=r"familiar\.safetensors: too few sets"):
        familiarity.load_familiar(tmp_path)


def test_few_sets_say_nothing():
    assert familiarity.fit(sets(np.random.default_rng(0), 7)) is None


def test_doubts_are_one_line(familiar):
    rng = np.random.default_rng(6)
    alike = {f"cam_{n}": one for n, one in enumerate(sets(rng, 12))}
    words = {"what": "videos", "made": "those trained on", "cure": "train anew"}
    assert familiarity.doubts(familiar, alike, **words) == []
    strange = {f"new_{n}": one for n, one in enumerate(sets(rng, 12, shift=3.0))}
    (line,) = familiarity.doubts(familiar, strange, **words)
    assert line.startswith("these videos are unlike those trained on (unlikeness 1.00, 0.50 where")
    one = {**alike, "new_0": strange["new_0"]}
    (line,) = familiarity.doubts(familiar, one, **words)
    assert line == "unlike those trained on: 1 of 13 videos, new_0; train anew"
    assert familiarity.doubts(None, strange, **words) == []
    assert familiarity.doubts(familiar, {"empty": np.zeros((0, DIM))}, **words) == []
    assert familiarity.doubts(familiar, {"other": np.ones((4, 3))}, **words) == []


def test_the_embedded_encoder_knows_what_it_was_made_on():
    model = clip.load(resource("checkpoints/clip"))
    assert len(model.familiar.sets) == 60
    assert model.familiar.references.shape[1] == model.config.projection_dim
