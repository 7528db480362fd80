import numpy as np
import pytest
from scipy.optimize import linprog

from benchmarks import faithfulness_study, rules_data, rules_models, rules_study, simulated_laws
from jaxvlm.evaluation.intervals import Sampled
from jaxvlm.evaluation.macro import macro_samples
from jaxvlm.evaluation.mil import fit_mil, mil_probability
from jaxvlm.evaluation.rule_recovery import rule_recovery, rules_by_behaviour


def small(law, seed=0):
    world = simulated_laws.make_world(law, seed, train=30, test=20)
    parts = (world.train.presence, world.train.labels, world.test.presence, world.test.truth)
    levels = np.full(30, simulated_laws.ABSENT), np.full(30, 0.8)
    return rules_data.LawWorld(law, seed, *parts, world.candidates, world.rules, *levels)


def event_of(law, atoms):
    """By the sentence in the docstring, of atoms 0 … 9 of one event."""
    seen = set(atoms)
    if law == "threshold":
        return bool(seen & {0, 1} or len(seen & {2, 3, 4, 5}) > 1) and not seen & {6, 7}
    pairs = {2, 3} <= seen or {4, 5} <= seen
    if law == "pairs":
        return 0 in seen or pairs
    return (0 in seen and 6 not in seen) or (1 in seen and 7 not in seen) or pairs


@pytest.mark.parametrize("law", simulated_laws.LAWS)
def test_scenes_are_what_the_law_says(law):
    right, wrong = simulated_laws.SCENES[law]
    assert all(event_of(law, atoms) for atoms in right)
    assert not any(event_of(law, atoms) for atoms in wrong)


@pytest.mark.parametrize(
    ("law", "linear"), [("threshold", True), ("pairs", False), ("specific", False)]
)
def test_only_the_first_law_is_a_linear_threshold(law, linear):
    """Weights and a threshold that all scenes are at least 1 away from, or none."""
    right, wrong = simulated_laws.SCENES[law]
    rows = []
    for atoms, sign in [*((a, 1) for a in right), *((a, -1) for a in wrong)]:
        row = np.zeros(11)
        row[list(atoms)], row[10] = 1, -1
        rows.append(-sign * row)
    found = linprog(np.zeros(11), rows, -np.ones(len(rows)), bounds=(None, None))
    assert found.success == linear


@pytest.mark.parametrize("law", simulated_laws.LAWS)
def test_truth_of_frames_is_the_law_of_what_is_seen(law):
    world = simulated_laws.make_world(law, 3, train=20, test=1)
    for visible, truth, labels in zip(
        world.train.visible, world.train.truth, world.train.labels, strict=True
    ):
        assert visible.shape == (simulated_laws.FRAMES, 30)
        own = visible.reshape(-1, 3, 10)
        expected = [[event_of(law, np.flatnonzero(seen)) for seen in frame] for frame in own]
        np.testing.assert_array_equal(truth, expected)
        np.testing.assert_array_equal(labels, truth.max(axis=0))
    again = simulated_laws.make_world(law, 3, train=20, test=1)
    np.testing.assert_array_equal(world.test.presence[0], again.test.presence[0])
    other = simulated_laws.make_world(law, 4, train=20, test=1)
    assert not np.array_equal(world.test.presence[0], other.test.presence[0])


def test_presence_is_noise_about_two_levels():
    world = simulated_laws.make_world("pairs", 0, train=60, test=1)
    p, v = np.concatenate(world.train.presence), np.concatenate(world.train.visible)
    # Clipping at 0 and 1 moves both means by E max(0, ε − 0.2/0.15)·0.15 = 0.0063.
    assert p[v == 0].mean() == pytest.approx(0.2063, abs=0.001)
    assert p[v == 1].mean() == pytest.approx(0.8 - 0.0063, abs=0.01)


@pytest.mark.parametrize("law", simulated_laws.LAWS)
def test_what_is_written_is_the_law(law):
    world = small(law)
    written = rules_data.write(world, with_rules=True)
    assert (written.rules is None) == (law == "threshold")
    model = rules_models.roles_of(written.params(), world)
    found = rules_by_behaviour(
        model.probability,
        world.absent,
        world.shown,
        threshold=[0.5] * 3,
        candidates=world.candidates,
    )
    result = rule_recovery(found, world.rules)
    assert result["singles"]["recall"] == result["pairs"]["recall"] == 1
    assert result["singles"]["precision"] == result["pairs"]["precision"] == 1
    scores = macro_samples(model.of_videos(world.test), world.truth, num_resamples=0)
    assert scores.values[1, 0] > 0.7
    lists = rules_data.write(world, with_rules=False)
    assert lists.rules is None
    assert lists.indirect[[2, 3, 4, 5], 0].tolist() == pytest.approx([0.9] * 4)
    counters = {"threshold": [6, 7], "pairs": [], "specific": [6, 7]}[law]
    assert np.flatnonzero(lists.counter[:, 0]).tolist() == counters


def test_subsets_hold_the_smaller_ones():
    found = rules_data.nested_subsets(30, (5, 10, 25, 50), 7)
    assert list(found) == [5, 10, 25]
    assert set(found[5]) < set(found[10]) < set(found[25])
    assert [len(set(index)) for index in found.values()] == [5, 10, 25]


def sizes(**values):
    return {
        int(name[1:]): [Sampled(np.array([[0.0], [value]]), np.zeros((2, 1)), np.zeros(1))]
        for name, value in values.items()
    }


def test_labels_needed_by_hand():
    rising = sizes(n5=0.1, n10=0.3, n40=0.5, n100=0.9)
    assert rules_study.needed(rising, 0.4) == pytest.approx(20.0)  # half way in log N
    assert rules_study.needed(rising, 0.95) is None
    assert rules_study.needed(rising, 0.05) == 5.0
    falling = sizes(n5=0.6, n10=0.3, n40=0.5)
    assert rules_study.needed(falling, 0.4) == pytest.approx(20.0)  # 5 videos were luck


def test_a_baseline_is_the_same_behind_the_shape_of_the_study():
    world = small("threshold")
    index = np.arange(12)
    model = fit_mil(world.train[:12], world.labels[:12], form="linear", seed=1,
                    candidates=world.candidates)  # fmt: skip
    fitted = rules_models.fit_baseline(world, index, name="MIL linear", seed=1)
    for video, scores in zip(world.test, fitted.of_videos(world.test), strict=True):
        np.testing.assert_allclose(scores, mil_probability(model, video), rtol=1e-4, atol=1e-6)


def test_explanations_beat_chance_and_are_of_what_the_model_found():
    world = small("pairs")
    model = rules_models.roles_of(rules_data.write(world, with_rules=True).params(), world)
    places = faithfulness_study.detected(world, model)
    assert places
    for video, event, start, stop in places:
        assert world.truth[video][start:stop, event].all()
        assert model.probability(world.test[video])[start:stop, event].mean() >= 0.5
    result = faithfulness_study.of_world(world, {"written": model})["written"]
    assert set(result) == {
        "leave one out",
        "gradient × input",
        "random",
        "removed from the evidence",
    }
    for name, row in result.items():
        assert row["spans"] == len(places)
        if name != "random":
            assert row["comprehensiveness"] > result["random"]["comprehensiveness"] + 0.2
            assert row["insertion"] > result["random"]["insertion"] + 0.1
    summary = faithfulness_study.summary([{"written": result}] * 2)
    assert summary["written"]["random"]["deletion"][0] == round(result["random"]["deletion"], 3)
