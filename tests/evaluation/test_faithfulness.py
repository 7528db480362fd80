import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.atoms.roles import event_logits
from jaxvlm.errors import InputError
from jaxvlm.evaluation import faithfulness as f


def additive(weights, presence):
    return presence @ weights


WEIGHTS = jnp.array([[4.0], [-1.0], [2.0], [0.0]])
# One span of two frames, padded to four with values that must not count.
SPAN = f.Spans(
    presence=np.array([[[1, 1, 1, 1], [0.5, 1, 1, 0], [9, 9, 9, 9], [7, 7, 7, 7]]], np.float32),
    mask=np.array([[1, 1, 0, 0]], np.float32),
    event=np.array([0]),
    absent=np.array([[0.25, 0.0, 0.5, 0.0]], np.float32),
)
# mean p − absent = (0.5, 1, 0.5, 0.5), times w:
EFFECTS = [2.0, -1.0, 1.0, 0.0]
ALL = 4 * 0.75 - 1 + 2  # m of all atoms; with all absent 4 · 0.25 + 2 · 0.5 = 2


def test_additive_model_by_hand():
    model = Partial(additive, WEIGHTS)
    for explain in (f.leave_one_out_importance, f.gradient_times_input):
        np.testing.assert_allclose(explain(model, SPAN), [EFFECTS], atol=1e-6)
    curves = f.faithfulness_curves(model, SPAN, [EFFECTS])  # order: 0, 2, 3, 1
    np.testing.assert_allclose(curves.deletion, [[4, 2, 1, 1, 2]], atol=1e-6)
    np.testing.assert_allclose(curves.insertion, [[2, 4, 5, 5, 4]], atol=1e-6)
    found = f.faithfulness(curves, ks=(1, 2), threshold=1.5)
    assert found.comprehensiveness == pytest.approx([((4 - 2) + (4 - 1)) / 2])
    assert found.sufficiency == pytest.approx([((4 - 4) + (4 - 5)) / 2])
    assert found.deletion == pytest.approx([(4 / 2 + 2 + 1 + 1 + 2 / 2) / 4])
    assert found.insertion == pytest.approx([(2 / 2 + 4 + 5 + 5 + 4 / 2) / 4])
    assert found.flip_size.tolist() == [2]
    assert f.faithfulness(curves, threshold=0.5).flip_size.tolist() == [np.inf]
    assert f.faithfulness(curves, threshold=4.5).flip_size.tolist() == [0]


def test_ks_above_the_number_of_atoms_count_as_all():
    curves = f.faithfulness_curves(Partial(additive, WEIGHTS), SPAN, [EFFECTS])
    found = f.faithfulness(curves, ks=(4, 100))
    assert found.comprehensiveness == pytest.approx([ALL - 2])
    assert found.sufficiency == pytest.approx([0])


def roles():
    rng = np.random.default_rng(0)
    tables = rng.uniform(0, 1, (3, 6, 2)) * (rng.uniform(size=(3, 6, 2)) < 0.5)
    return roles_from_strengths(*tables)


def role_logits(params, presence):
    return event_logits(params, presence)


def slow(params, videos, places, absent, importance):
    """Curves of a span, one set of atoms at a time."""
    rows = []
    for (video, event, start, stop), values in zip(places, importance, strict=True):
        own = np.asarray(videos[video][start:stop])
        order = np.argsort(-values, kind="stable")
        both = []
        for gone_first in (True, False):
            curve = []
            for k in range(own.shape[1] + 1):
                gone = order[:k] if gone_first else order[k:]
                changed = own.copy()
                changed[:, gone] = absent[gone]
                p = jax.nn.sigmoid(event_logits(params, changed))
                curve.append(float(np.asarray(p)[:, event].mean()))
            both.append(curve)
        rows.append(both)
    return np.moveaxis(np.array(rows), 1, 0)


def test_role_model_equals_a_slow_direct_computation():
    rng = np.random.default_rng(1)
    params = roles()
    videos = [rng.uniform(0.2, 0.9, (t, 6)).astype(np.float32) for t in (9, 20)]
    places = [(0, 1, 2, 5), (1, 0, 0, 17), (1, 1, 19, 20)]
    absent = rng.uniform(0.1, 0.3, 6).astype(np.float32)
    spans = f.pad_spans(videos, places, absent, multiple=16)
    assert np.shape(spans.presence) == (3, 32, 6)
    logits = Partial(role_logits, params)
    model = f.probability_model(logits)
    importance = np.asarray(f.leave_one_out_importance(model, spans))
    curves = f.faithfulness_curves(model, spans, importance)
    expected = slow(params, videos, places, absent, importance)
    np.testing.assert_allclose(curves.deletion, expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(curves.insertion, expected[1], rtol=1e-4, atol=1e-6)
    for n, (video, event, start, stop) in enumerate(places):
        own, eps = videos[video][start:stop], 1e-2
        for c in range(6):
            gone = own.copy()
            gone[:, c] = absent[c]
            both = [np.asarray(jax.nn.sigmoid(event_logits(params, p))) for p in (own, gone)]
            change = (both[0] - both[1])[:, event].mean()
            assert importance[n, c] == pytest.approx(change, abs=1e-5)
        slope = np.asarray(f.gradient_times_input(logits, spans))[n]
        for c in range(6):
            up, down = own.copy(), own.copy()
            up[:, c] += eps * (own[:, c] - absent[c])
            down[:, c] -= eps * (own[:, c] - absent[c])
            z = [np.asarray(event_logits(params, p))[:, event].mean() for p in (up, down)]
            assert slope[c] == pytest.approx((z[0] - z[1]) / (2 * eps), rel=2e-2, abs=2e-3)


def test_models_of_one_form_are_compiled_once():
    before = f._curves._cache_size()
    for scale in (1.0, 2.0, 3.0):
        f.faithfulness_curves(Partial(additive, scale * WEIGHTS), SPAN, [EFFECTS])
    assert f._curves._cache_size() - before <= 1


def test_bad_input():
    with pytest.raises(InputError, match="no span"):
        f.pad_spans([np.ones((4, 2))], [], np.zeros(2))
    with pytest.raises(InputError, match="one without frames"):
        f.pad_spans([np.ones((4, 2))], [(0, 0, 3, 3)], np.zeros(2))
    with pytest.raises(ValueError, match=r"importance has shape \(1, 3\), needs \[S, C\]"):
        f.faithfulness_curves(Partial(additive, WEIGHTS), SPAN, np.ones((1, 3)))
    with pytest.raises(InputError, match=r"ks \[0\]"):
        f.faithfulness(f.Curves(np.ones((1, 3)), np.ones((1, 3))), ks=(0,))
