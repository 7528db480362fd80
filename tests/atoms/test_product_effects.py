import numpy as np

from jaxvlm.atoms import training
from jaxvlm.atoms.product_effects import ProductFit, fit_products
from jaxvlm.atoms.role_start import linear_effects
from tests.atoms.test_rule_start import LABELS, SPECIFIC, VIDEOS


def fitted(labels: np.ndarray, *, products: bool = True) -> ProductFit:
    data = training.pack(VIDEOS, labels, config=SPECIFIC)
    return fit_products(data, linear_effects(data, SPECIFIC), SPECIFIC, products=products)


def test_effects_find_the_pair_and_what_cancels_an_atom() -> None:
    effects = fitted(LABELS).effects
    place = {int(atom): n for n, atom in enumerate(effects.atoms[0])}
    alone = {atom: float(effects.alone[0, n]) for atom, n in place.items()}

    def together(i: int, j: int) -> float:
        return float(effects.together[0, place[i], place[j]])

    assert together(0, 1) > max(together(0, 4), together(1, 4)) + 2.0
    assert together(0, 1) - alone[0] - alone[1] > 1.0  # more than the sum
    assert together(2, 3) < alone[2] + alone[3] - 1.0  # less than the sum
    np.testing.assert_allclose(together(2, 3), together(3, 2), rtol=1e-5)


def test_without_products_two_atoms_add_up() -> None:
    """And no other sum would: the law has a pair."""
    effects = fitted(LABELS, products=False).effects
    sums = effects.alone[0][:, None] + effects.alone[0][None, :]
    known = np.isfinite(effects.together[0])
    np.testing.assert_allclose(effects.together[0][known], sums[known], rtol=1e-5)


def test_products_predict_a_law_of_pairs_better_than_a_sum() -> None:
    with_products, without = (fitted(LABELS, products=on).left_out for on in (True, False))
    assert np.nanmean(with_products) < 0.6 * np.nanmean(without)


def test_what_is_left_out_was_not_fitted() -> None:
    """Labels of a coin cannot be told: a fit of them predicts worse than the base rate does."""
    coin = np.random.default_rng(0).integers(0, 2, LABELS.shape).astype(np.float32)
    rate = coin.mean()
    entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    left_out = np.asarray(fitted(coin).left_out)
    # A video is in each of 8 samples with probability 1 − 1/e.
    np.testing.assert_allclose(np.isnan(left_out).mean(), (1 - np.exp(-1)) ** 8, atol=0.05)
    assert np.nanmean(left_out) > entropy
