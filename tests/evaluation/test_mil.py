import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation import baselines, mil
from jaxvlm.evaluation.mil_forms import FORMS, POOLINGS, Penalty, penalty_of, start_bias


def bags(seed, count, *, frames=(6, 14)):
    """Videos where one of two atoms per event is up for three frames; labels; frame truth."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 2))
    videos, truth = [], []
    for label in labels:
        t = int(rng.integers(*frames))
        presence, on = 0.1 + 0.05 * rng.random((t, 6)), np.zeros((t, 2), int)
        for e in np.flatnonzero(label):
            start = int(rng.integers(0, t - 3))
            presence[start : start + 3, 2 * e + rng.integers(2)] = 0.8
            on[start : start + 3, e] = 1
        presence[rng.integers(t), 4] = 0.9  # clutter that says nothing
        videos.append(presence)
        truth.append(on)
    return videos, labels, truth


def pair_bags(seed, count):
    """Videos of 12 frames, three scenes of three: 0 with 1, or 2 with 3, is the event; 0 with 2,
    0 with 3, 1 with 2, 1 with 3 and single atoms are not. The sum of the right pairs is that of
    wrong ones, so no linear threshold tells them apart."""
    rng = np.random.default_rng(seed)
    right = [(0, 1), (2, 3)]
    wrong = [(0, 2), (0, 3), (1, 2), (1, 3), (0,), (1,), (2,), (3,)]
    videos, truth = [], []
    for _ in range(count):
        presence, on = 0.1 + 0.05 * rng.random((12, 5)), np.zeros((12, 1), int)
        for start in (0, 4, 8):
            hit = rng.random() < 0.2
            kind = right if hit else wrong
            presence[start : start + 3, list(kind[rng.integers(len(kind))])] = 0.8
            on[start : start + 3] = hit
        videos.append(presence)
        truth.append(on)
    return videos, np.stack([on.max(axis=0) for on in truth]), truth


def average_precision(scores, truth):
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    return [average_precision_score(y, s) for y, s in zip(truth.T, scores.T, strict=True)]


@pytest.mark.parametrize("form", ["linear", "topk_mean"])
def test_frames_are_found_from_video_labels(form):
    videos, labels, _ = bags(0, 40)
    test, _, truth = bags(1, 20)
    options = {"form": form, "seed": 0, "topk": 3, "steps": 150}
    scores = mil.mil_scores(videos, labels, test, **options)
    assert [s.shape for s in scores] == [y.shape for y in truth]
    assert min(average_precision(scores, truth)) > 0.9
    again = mil.mil_scores(videos, labels, test, **options)
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(scores))
    if form == "linear":
        named = baselines.mil_linear(videos, labels, test, seed=0, topk=3, steps=150)
        np.testing.assert_array_equal(np.concatenate(named), np.concatenate(scores))


@pytest.mark.parametrize(
    ("form", "solves"), [("linear", False), ("quadratic", True), ("mlp", True)]
)
def test_own_pairs_need_products_or_hidden_units(form, solves):
    videos, labels, _ = pair_bags(0, 80)
    test, _, truth = pair_bags(1, 40)
    (found,) = average_precision(
        mil.mil_scores(videos, labels, test, form=form, seed=0, topk=3, steps=150), truth
    )
    assert found > 0.9 if solves else found < 0.75


def test_the_quadratic_form_names_the_pairs():
    videos, labels, _ = pair_bags(0, 80)
    model = mil.fit_mil(videos, labels, form="quadratic", seed=0, topk=3, steps=150)
    pairs = np.triu(model.params["pairs"][0], 1)
    order = np.argsort(-pairs.ravel())[:2]
    assert {divmod(int(at), 5) for at in order} == {(0, 1), (2, 3)}


@pytest.mark.parametrize("form", FORMS)
def test_an_atom_that_is_no_candidate_changes_nothing(form):
    videos, labels, _ = bags(0, 12)
    candidates = np.zeros((6, 2))
    candidates[:2, 0] = candidates[2:5, 1] = 1
    model = mil.fit_mil(videos, labels, form=form, seed=0, candidates=candidates, steps=20)
    inputs = mil.mil_inputs(model, videos[0])
    rows = mil.row_model(model)
    slope = np.asarray(jax.jacobian(rows)(jnp.asarray(inputs)))  # [T, E, T, C]
    slope = np.abs(np.einsum("tetc->ce", slope))
    assert (slope[candidates == 0] == 0).all()
    assert (slope[candidates == 1] > 0).any()


def slow_logits(form, params, x):
    """Of one frame x [M], term by term."""
    if form == "mlp":
        units = [
            max(0.0, float(x @ params["hidden"][:, h] + params["hidden_bias"][h]))
            for h in range(16)
        ]
        return float(np.dot(units, params["weights"]) + params["bias"])
    z = float(x @ params["weights"] + params["bias"])
    if form == "quadratic":
        for i in range(len(x)):
            for j in range(i + 1, len(x)):
                z += params["pairs"][i, j] * x[i] * x[j]
    return z


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_those_of_the_formula_and_frames_do_not_see_each_other(form):
    rng = np.random.default_rng(3)
    videos, labels, _ = bags(3, 9)
    model = mil.fit_mil(videos, labels, form=form, seed=0, steps=15)
    model = model._replace(reading=model.reading._replace(kind="global"))
    inputs = mil.mil_inputs(model, videos[0]).astype(float)
    one = {e: {name: leaf[e] for name, leaf in model.params.items()} for e in range(2)}
    expected = [[slow_logits(form, one[e], x) for e in range(2)] for x in inputs]
    found = mil.mil_logits(model, videos[0])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    order = rng.permutation(len(videos[0]))
    np.testing.assert_allclose(mil.mil_logits(model, videos[0][order]), found[order], rtol=1e-5)


@pytest.mark.parametrize("num_atoms", [0, 1, 16, 24, 25])
def test_many_frames_have_the_logits_of_the_formula(num_atoms):
    rng = np.random.default_rng(num_atoms)
    params = {
        "weights": rng.normal(size=num_atoms).astype(np.float32),
        "pairs": rng.normal(size=(num_atoms, num_atoms)).astype(np.float32),
        "bias": np.float32(0.3),
    }
    x = rng.normal(size=(2, 5, num_atoms)).astype(np.float32)
    expected = [[slow_logits("quadratic", params, frame) for frame in video] for video in x]
    found = FORMS["quadratic"].many_logits(params, jnp.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_median_of_a_video_cancels_a_fixed_camera():
    videos, labels, _ = bags(4, 9)
    model = mil.fit_mil(videos, labels, form="linear", seed=0, steps=5)
    for kind, equal in (("video", True), ("global", False)):
        own = model._replace(reading=model.reading._replace(kind=kind))
        near = np.allclose(
            mil.mil_inputs(own, videos[0]), mil.mil_inputs(own, videos[0] + 0.1), atol=1e-4
        )
        assert near == equal


def test_the_penalty_counts_every_weight_and_no_bias():
    params = {
        "weights": jnp.array([1.0, -2.0]),
        "pairs": jnp.array([[0.0, 3.0], [0.0, 0.0]]),
        "bias": jnp.array(100.0),
        "hidden_bias": jnp.array([100.0]),
    }
    assert float(penalty_of(params, Penalty(l2=0.1))) == pytest.approx(0.1 * (1 + 4 + 9))
    assert float(penalty_of(params, Penalty(l1=0.1))) == pytest.approx(0.1 * (1 + 2 + 3))


def padded(videos, length, fill):
    inputs = np.full((len(videos), length, 6), fill, np.float32)
    mask = np.zeros((len(videos), length), bool)
    for n, video in enumerate(videos):
        inputs[n, : len(video)], mask[n, : len(video)] = video, True
    return inputs, mask


def pooled_by_hand(logits, pooling, k):
    logits = np.sort(logits)[::-1]
    p = 1 / (1 + np.exp(-logits))
    if pooling == "noisy_or":
        return 1 - np.prod(1 - p[:k])
    if pooling == "mean":
        return 1 / (1 + np.exp(-logits[:k].mean()))
    return p[: len(p) // 16 + 1].mean()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_held_out_loss_pools_the_top_frames_of_each_video(pooling):
    videos, labels, _ = bags(2, 6, frames=(4, 40))
    inputs, mask = padded(videos, 48, 1e3)  # padding must not matter
    members = np.tile(np.arange(6), (2, 1))
    weights = np.array([[1, 1, 1, 1, 0, 0]], np.float32)
    own = mil._Bags(inputs, mask, labels.astype(np.float32), members)
    form = "topk_mean" if pooling == "share_mean" else "linear"
    params, held_out = mil._fit(
        jax.random.key(0), own, weights, Penalty(1e-3), form=form, pooling=pooling, topk=5, steps=3
    )
    expected = 0.0
    for n in (4, 5):
        for e in range(2):
            w, b = np.asarray(params["weights"], float)[e, 0], float(params["bias"][e, 0])
            p = pooled_by_hand(videos[n] @ w + b, pooling, 5)
            expected -= np.log(p if labels[n, e] else 1 - p)
    assert float(held_out.sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_padding_and_the_order_of_videos_change_no_fit(form):
    videos, labels, _ = bags(5, 8)
    members, pooling = np.tile(np.arange(6), (2, 1)), FORMS[form].poolings[-1]
    weights = np.array([[1, 1, 1, 1, 1, 1, 0, 0]], np.float32)
    order = np.array([3, 7, 0, 5, 1, 6, 4, 2])
    results = []
    for index, length, fill in ((np.arange(8), 14, 0.0), (order, 15, 1e3)):
        inputs, mask = padded([videos[n] for n in index], length, fill)
        own = mil._Bags(inputs, mask, labels[index].astype(np.float32), members)
        rows = weights[:, index]
        options = {"form": form, "pooling": pooling, "topk": 4, "steps": 5}
        results.append(mil._fit(jax.random.key(0), own, rows, Penalty(1e-3), **options))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4), *results)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results))


@pytest.mark.parametrize("rate", [0.02, 0.25])
def test_training_starts_at_the_base_rate(rate):
    p = 1 / (1 + np.exp(-float(start_bias(rate, 5, "noisy_or"))))
    assert 1 - (1 - p) ** 5 == pytest.approx(rate, rel=1e-4)
    for pooling in ("mean", "share_mean"):
        p = 1 / (1 + np.exp(-float(start_bias(rate, 5, pooling))))
        assert p == pytest.approx(rate, rel=1e-4)


def test_bad_training_videos():
    zeros = np.zeros((2, 3))
    with pytest.raises(InputError, match="training video 1: p̄ has NaN"):
        mil.fit_mil([zeros, zeros * np.nan, zeros], np.eye(3), form="linear", seed=0)
    with pytest.raises(InputError, match="at least 3 videos"):
        mil.fit_mil([zeros] * 2, np.eye(2), form="linear", seed=0)
    with pytest.raises(ValueError, match=r"fit_mil: candidates has shape \(4, 1\), needs \[3, 3\]"):
        mil.fit_mil([zeros] * 3, np.eye(3), form="linear", seed=0, candidates=np.ones((4, 1)))


def test_no_length_of_a_video_is_compiled_for_itself_and_other_atoms_are_refused():
    videos, labels, _ = bags(0, 6)
    model = mil.fit_mil(videos, labels, form="linear", seed=0, steps=2)
    mil.mil_probability(model, np.ones((7, 6)))
    with jax.no_tracing():
        assert mil.mil_probability(model, np.ones((9, 6))).shape == (9, 2)
    with pytest.raises(ValueError, match=r"video has shape \(7, 1\), needs \[T, C\] with C = 6"):
        mil.mil_probability(model, np.ones((7, 1)))
