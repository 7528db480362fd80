"""Presence, novelty, thresholds and drift against a camera whose footage is drawn."""

import numpy as np
import pytest

from jaxvlm.atoms.alarm_budget import count_alarms
from jaxvlm.errors import InputError
from jaxvlm.video import ordinary_reading, ordinary_watching
from jaxvlm.video.frame_presence import AtomBank, segment
from jaxvlm.video.ordinary_learning import learn
from jaxvlm.video.ordinary_model import NOVELTY, load_ordinary, new_model
from jaxvlm.video.ordinary_watching import Learning, beside, drift_judge
from jaxvlm.video.result import ScoredVideo
from jaxvlm.video.scoring import Scorer, explain, with_ordinary
from tests.video.ordinary_world import ATOMS, FPS, MADE_BY, footage, roles

BANK = AtomBank(np.zeros((3, 8), np.float32), np.zeros((1, 8), np.float32), 100.0)


@pytest.fixture(scope="module")
def model():
    return learn(new_model("gate", MADE_BY, roles(), 8, FPS), *footage(0, 7200), continues=False)


@pytest.fixture(scope="module")
def scorer(model):
    return with_ordinary(Scorer(None, BANK, roles(), (), MADE_BY), model)


def scored(scorer, presence, embeddings, threshold) -> ScoredVideo:
    segmented = segment(scorer.ordinary.read(presence), scorer.roles.config)
    times = np.arange(float(len(presence)))
    new = scorer.ordinary.novelty(embeddings)
    return explain(scorer.roles, "v", lambda places: [], times, segmented, None, threshold, new)


def test_what_the_camera_always_shows_is_worth_nothing(scorer):
    plain, _ = footage(5, 300, gun=slice(200, 240))
    read = scorer.ordinary.read(plain)
    assert plain[:, 0].mean() > 0.9 and np.median(read[:, 0]) < 0.1
    assert read[200:240, 1].mean() > 0.8 and read[:200, 1].mean() < 0.1


def test_thresholds_from_a_budget_find_the_gun_and_the_unnamed_and_little_else(scorer):
    budget = ordinary_reading.choose_thresholds(scorer.ordinary, scorer.roles, 48.0)
    assert budget.is_promised and budget.hours == pytest.approx(1.0)
    assert budget.expected_per_day == pytest.approx(48)
    video = scored(
        scorer, *footage(6, 600, gun=slice(100, 140), strange=slice(400, 430)), budget.thresholds
    )
    found = {d.detection.event: d.detection for d in video.findings}
    assert set(found) == {"shooting", NOVELTY}
    assert 100 <= found["shooting"].start_frame < 140
    assert (found[NOVELTY].start_frame, found[NOVELTY].stop_frame) == (400, 430)
    assert not next(d for d in video.findings if d.detection.event == NOVELTY).reasons
    calm = scored(scorer, *footage(7, 14_400), budget.thresholds)
    times = np.arange(14_400.0)
    alarms = sum(
        count_alarms(p, times, t)
        for p, t in zip(calm.probability.T, budget.thresholds, strict=True)
    )
    assert alarms <= 20  # 8 are expected in four hours, from two that were held out by chance
    told = ordinary_reading.achieved([ordinary_reading.alarms_of(calm, budget.thresholds)])
    assert told.startswith(f"{alarms} alarm") and f"{6 * alarms:g} false alarms a day" in told


def test_a_disturbance_in_the_ordinary_footage_stays_an_alarm():
    presence, embeddings = footage(0, 7200, gun=slice(480, 840))  # 5 %
    disturbed = learn(
        new_model("gate", MADE_BY, roles(), 8, FPS), presence, embeddings, continues=False
    )
    again = with_ordinary(Scorer(None, BANK, roles(), (), MADE_BY), disturbed)
    read = again.ordinary.read(footage(5, 300, gun=slice(200, 240))[0])
    assert read[200:240, 1].mean() > 0.7 and read[:200, 1].mean() < 0.1


def test_roles_that_were_trained_on_presence_as_it_is_get_it_so(model):
    trained = roles()._replace(training={"seed": 0})
    scorer = with_ordinary(Scorer(None, BANK, trained, (), MADE_BY), model)
    plain, _ = footage(5, 30)
    np.testing.assert_array_equal(scorer.ordinary.read(plain), plain)
    assert "not read against" in scorer.warnings[0]
    own = trained._replace(training={"seed": 0, "ordinary": True})
    assert not with_ordinary(Scorer(None, BANK, own, (), MADE_BY), model).warnings


def test_too_little_footage_is_refused():
    short = learn(new_model("gate", MADE_BY, roles(), 8, FPS), *footage(0, 130), continues=False)
    with pytest.raises(InputError, match="120 frames .* and 10 to hold out, 60 are needed"):
        with_ordinary(Scorer(None, BANK, roles(), (), MADE_BY), short)


def test_drift_is_told_once_and_its_end_too(scorer):
    judge = drift_judge(scorer.ordinary)
    turned, _ = footage(8, 1200)
    turned[300:800] = np.clip(turned[300:800, ::-1], 1e-6, 1)  # another view: other margins
    told = [(t, line) for t, row in enumerate(turned) for line in judge(row)]
    assert [line.split(" its ")[0] for _, line in told] == ["no longer fits", "fits"]
    assert 480 < told[0][0] < 600 and 980 < told[1][0] < 1160
    calm, _ = footage(9, 7200, gun=slice(1000, 1100))
    fresh = drift_judge(scorer.ordinary)
    assert not [line for row in calm for line in fresh(row)]


def test_watching_learns_the_model_that_one_pass_learns(tmp_path, scorer):
    plain = scorer._replace(ordinary=None)
    presence, embeddings = footage(0, 1500)
    with beside(plain, Learning(tmp_path / "m", "gate")) as look:
        for t, (p, v) in enumerate(zip(presence, embeddings, strict=True)):
            assert look(float(t), p, v) == []
            assert (tmp_path / "m").is_dir() == (t >= 599)
    expected = learn(
        new_model("gate", MADE_BY, roles(), 8, FPS), presence, embeddings, continues=False
    )
    found = load_ordinary(tmp_path / "m")
    assert found.frames == expected.frames and found.place == expected.place
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.memory.rows, expected.memory.rows)
    assert found.atoms == ATOMS


def test_a_stop_of_the_source_begins_other_footage(tmp_path, scorer):
    plain = scorer._replace(ordinary=None)
    presence, embeddings = footage(0, 300)
    with beside(plain, Learning(tmp_path / "m", clock=lambda: 3600.0)) as look:
        for t, (p, v) in enumerate(zip(presence, embeddings, strict=True)):
            look(float(t) + 100 * (t >= 90), p, v)
    found = load_ordinary(tmp_path / "m")
    assert found.frames == (90 + 90, 120) and found.counts[1].any() and not found.counts[0].any()
    assert "model" in ordinary_watching.learned_line(tmp_path / "m")
