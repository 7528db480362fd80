"""What models say of atoms, and what is made of it, on models whose answers are known."""

import types

import numpy as np
import pandas as pd
import pytest

from benchmarks import explained_models as explained
from benchmarks import intervention_study as study
from benchmarks import rule_worlds
from benchmarks.explained_models import Levels, Model, Span
from benchmarks.intervention_study import Change
from jaxvlm.atoms.explanation import role_contributions
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.world.scene import Actor, Scene
from jaxvlm.world.storyboard import Shot
from jaxvlm.world.videos import ATOMS, EVENTS, WorldVideo, render_video, truth_of

LEVELS = Levels(np.zeros(3), np.ones(3))


def product(presence):
    """z = 10 p₀ p₁ − 4 p₂ − 5 of one event."""
    return 10 * presence[:, :1] * presence[:, 1:2] - 4 * presence[:, 2:] - 5


def rows(*columns) -> np.ndarray:
    return np.array(columns, float).T


def test_changes_by_hand():
    """Of frames 1 and 2: p₀ = 1, p₁ = 0.5 and 1, p₂ = 0.5."""
    presence, span = rows([0, 1, 1], [1, 0.5, 1], [0, 0.5, 0.5]), Span(0, 1, 3)
    found = explained.leave_one_out(product, presence, span, LEVELS.absent)
    np.testing.assert_allclose(found, [7.5, 7.5, -2.0])
    found = explained.put_in(product, presence, span, LEVELS.present)
    np.testing.assert_allclose(found, [0.0, -2.5, 2.0])
    # ∂z/∂p₀ = 10 p₁, and so on; times p, and times what is missing to 1.
    found = explained.gradient_times(product, presence, span)
    np.testing.assert_allclose(found, [7.5, 7.5, -2.0])
    found = explained.gradient_times(product, presence, span, LEVELS.present)
    np.testing.assert_allclose(found, [0.0, -2.5, 2.0])


def test_a_gradient_is_not_a_difference():
    """z = p²: leave-one-out is p², gradient × input 2p²."""
    presence, span = rows([0.5, 1.0]), Span(0, 0, 1)
    assert explained.leave_one_out(np.square, presence, span, np.zeros(1)) == pytest.approx(0.25)
    assert explained.gradient_times(np.square, presence, span) == pytest.approx(0.5)


def test_roles_say_their_contributions():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(3, 4, 2))
    params = RoleParams(*theta, *np.ones((2, 2)), -np.ones(2), np.zeros(2))
    candidates = np.array([[1, 1], [1, 0], [1, 1], [0, 1]])
    train = [rng.random((6, 4)) for _ in range(3)]
    labels = np.array([[1, 0], [0, 1], [1, 1]])
    model = explained.role_model(params, "abcd", "xy", candidates, train, labels)
    span = Span(1, 2, 5)
    said = explained.predictions(model, train[0], span, explained.levels_of(train))
    exact = role_contributions(params, train[0], candidates=candidates).total
    np.testing.assert_allclose(
        said["contributions"], np.asarray(exact)[2:5, :, 1].mean(axis=0), atol=1e-5
    )
    assert set(said) == {"leave-one-out", "gradient × input", "contributions"}
    assert said["leave-one-out"][1] == said["contributions"][1] == 0.0  # no candidate of y
    named = explained.named(model, "contributions", said["contributions"], train[0], span)
    speaks = [r for r in model.roles.reasons(train[0][2:5], "y") if r.contribution > 0]
    assert named[0] == "abcd".index(speaks[0].atoms[0]) and 1 not in named


def test_zero_is_the_threshold_at_which_most_training_videos_are_right():
    train = [rows([0.0, level], [0, 0], [0, 0]) for level in (0.1, 0.2, 0.6, 0.8)]
    labels = np.array([[0], [0], [1], [1]])
    score = explained.centred(lambda p: p[:, :1], train, labels)
    np.testing.assert_allclose(score(train[0])[:, 0], [-0.4, -0.3])  # between 0.2 and 0.6
    spans = explained.detections(score, rows([0, 0.5, 0.9, 0, 0, 0, 0.4]), np.arange(7.0))
    assert spans == [Span(0, 1, 3), Span(0, 6, 7)]
    assert explained.is_detected(score, train[2], Span(0, 0, 2))
    assert not explained.is_detected(score, train[2], Span(0, 0, 1))


def test_the_missing_half_of_a_pair():
    """Atom 0 is there from 2 to 7 s; with atom 1 it would be an event, atom 1 alone would not."""
    presence = np.zeros((12, 3))
    presence[2:8, 0] = 0.8
    found = study.missing_partner(Model("m", product), presence, LEVELS, np.ones((3, 1)))
    assert found == (Span(0, 2, 8), 1)
    presence[4:, 2] = 1.0  # a counter: only two frames are left
    assert study.missing_partner(Model("m", product), presence, LEVELS, np.ones((3, 1))) is None
    presence[4:, 2] = 0.0
    nobody = np.array([[1], [0], [1]])
    assert study.missing_partner(Model("m", product), presence, LEVELS, nobody) is None
    # One that suffices alone is no partner, and what is detected already needs none.
    alone = Model("m", lambda p: 10 * p[:, :1] + 10 * p[:, 1:2] - 8)
    assert study.missing_partner(alone, presence, LEVELS, np.ones((3, 1))) is None


def test_a_change_is_made_in_the_video():
    actor = Actor("dog", 1, 0.3, 0.3, 0.6, start=0.0, end=6.0)
    video = WorldVideo("v", 72, (Shot(0.0, 6.0, Scene("road", 1, (actor,))),))
    assert study.changed(video, Change("v", "dog")).shots[0].scene.actors == ()
    added = study.changed(video, Change("v", "fireball", (4.0, 7.0))).shots[0].scene.actors
    assert added[0] == actor and (added[1].name, added[1].end) == ("fireball", 6.0)


@pytest.fixture
def truthful(monkeypatch):
    """Eyes that see what is visible: p̄ 1 or 0, without an encoder."""

    def see(eyes, boards):
        found = []
        for board in boards:
            times, _, seen = zip(*render_video(board, 1.0), strict=True)
            truth = truth_of(times, seen, board.law, 1.0)
            p = truth.atoms.astype(np.float32)
            found.append(rule_worlds.RuleVideo(board.name, truth.times, *[p] * 6, truth.events))
        return found

    monkeypatch.setattr(study, "see", see)
    return see


def test_a_study_of_one_video_by_a_model_that_knows_one_atom(truthful):
    """z = 4 fireball − 2 film crew − 1 of an explosion, and the crew is not there."""
    base = dict(seed=3, size=0.4, y=0.6, start=0.0, end=6.0)
    actors = (Actor("fireball", x=0.25, **base), Actor("toy gun", x=0.75, **base))
    shots = (Shot(0.0, 6.0, Scene("road", 1, actors)), Shot(6.0, 10.0, Scene("road", 2, ())))
    board = WorldVideo("test_0000", 96, shots, "specific")
    (video,) = truthful(None, [board])
    fire, crew, explosion = (
        ATOMS.index("fireball"), ATOMS.index("film crew"), EVENTS.index("explosion"),
    )  # fmt: skip

    def score(presence):
        z = np.full((len(presence), len(EVENTS)), -9.0)
        z[:, explosion] = 4.0 * presence[:, fire] - 2.0 * presence[:, crew] - 1.0
        return z

    quiet = video._replace(segment_presence=np.zeros((400, len(ATOMS)), np.float32))
    loud = video._replace(segment_presence=np.ones((10, len(ATOMS)), np.float32))
    world = rule_worlds.RuleWorld(
        "specific", 1, ATOMS, EVENTS, [quiet, loud], [video], {"test_0000": board}
    )
    everything = np.ones((len(ATOMS), len(EVENTS)))
    eyes = types.SimpleNamespace(ontology=types.SimpleNamespace(candidates=everything))
    found = pd.DataFrame(study.study_world(world, eyes, [Model("m", score)], 5, "segment_presence"))
    named = found[found["kind"] == "named"].set_index("explanation")
    for explanation in ("leave-one-out", "gradient × input"):
        own = named.loc[explanation]
        assert (own["atom"], own["event"], own["drawn"]) == ("fireball", "explosion", True)
        assert own["predicted"] == pytest.approx(4.0) and own["measured"] == pytest.approx(4.0)
        assert own["before"] and not own["after"] and not own["true_after"]
    seen = found[(found["kind"] == "visible") & (found["explanation"] == "leave-one-out")]
    changes = dict(zip(seen["atom"], seen["measured"], strict=True))
    assert changes == pytest.approx({"fireball": 4.0, "toy gun": 0.0})
    # By the model the film crew argues against it, and not enough; by the law it cancels it.
    (counter,) = found[
        (found["kind"] == "counter") & (found["explanation"] == "put in")
    ].itertuples()
    assert counter.atom == "film crew" and counter.predicted == pytest.approx(2.0)
    assert 0 < counter.measured <= 2.0 and counter.after and not counter.true_after
    lines = {(r["kind"], r["explanation"]): r for r in study.summarise(found)}
    assert lines["named", "leave-one-out"]["ended"][0] == 1.0
    assert lines["named", "leave-one-out"]["as truth"] == 1.0
    assert lines["counter", "put in"]["ended"][0] == lines["counter", "put in"]["as truth"] == 0.0


def test_what_is_named_and_not_drawn_is_counted_and_left_out():
    table = pd.DataFrame(
        {
            "kind": "named", "model": "m", "explanation": "e", "world": "w",
            "video": ["a", "a", "b", "b"], "drawn": [True, True, True, False],
            "predicted": [1.0, 2.0, 3.0, 9.0], "measured": [1.0, 2.0, 3.0, np.nan],
            "before": [True, True, True, None], "after": [False, True, False, None],
            "true_after": [False, False, False, None],
        }
    )  # fmt: skip
    (line,) = study.summarise(table)
    assert (line["all"], line["not drawn"], line["videos"]) == (4, 0.25, 2)
    assert line["of the change"] == 0.6  # 9 of 15
    assert line["pearson"][0] == 1.0 and line["ended"][0] == 0.667 and line["as truth"] == 0.667
