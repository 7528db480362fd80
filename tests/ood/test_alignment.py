"""P_align by hand: every variant has its formula and its numbers here."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvlm.errors import InputError
from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.choices import VARIANTS, check_lambda, check_variant

# S⁺, S⁻ and S_fg⁺ of four pictures: the class prevails, the words prevail, and a negative cosine
# on either side, which the ratios floor at 1e-8: log(1e-8 / 0.25) = −17.0343864.
POSITIVE = np.array([0.3, 0.2, -0.1, 0.25], np.float32)
NEGATIVE = np.array([0.2, 0.3, 0.25, -0.1], np.float32)
FOREGROUND = np.array([0.5, 0.1, 0.4, 0.25], np.float32)
BY_HAND = {
    "v1_original": [0.1, -0.1, -0.35, 0.35],
    "v2_sign_flip": [-0.1, 0.1, 0.35, -0.35],
    "v3_ratio": [1.5, 0.6666667, 4e-8, 2.5e7],
    "v4_log_ratio": [0.4054651, -0.4054651, -17.0343864, 17.0343864],
    "v5_neg_only": [-0.2, -0.3, -0.25, 0.1],
    "v6_pos_only": [0.3, 0.2, -0.1, 0.25],
    "v7_normalized": [0.2, -0.2, -1.0, 1.0],
    "v8_squared_diff": [0.01, -0.01, -0.1225, 0.1225],
    "v9_fg_bg_contrast": [0.2, -0.1, 0.5, 0.0],
}


def every_variant(positive, negative, foreground):
    return {
        variant: align_score(positive, negative, variant=variant, fg_pos=foreground)
        for variant in VARIANTS
    }


compiled = jax.jit(every_variant)
cosines = st.floats(-1, 1, width=32, allow_subnormal=False)


class AlignScoreTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_numbers(self):
        actual = self.variant(every_variant)(POSITIVE, NEGATIVE, FOREGROUND)
        for variant, expected in BY_HAND.items():
            np.testing.assert_allclose(
                actual[variant], expected, rtol=1e-5, atol=1e-7, err_msg=variant
            )


def test_the_table_has_every_variant():
    assert tuple(BY_HAND) == VARIANTS


@settings(max_examples=25, deadline=None)
@given(positive=cosines, negative=cosines)
def test_relations(positive, negative):
    score = compiled(positive, negative, positive)
    opposite = compiled(negative, positive, positive)
    chex.assert_tree_all_finite(score)
    assert score["v1_original"] == -score["v2_sign_flip"]
    assert score["v3_ratio"] > 0
    assert abs(score["v7_normalized"]) <= 1
    assert score["v9_fg_bg_contrast"] == 0
    for variant in ("v1_original", "v7_normalized", "v8_squared_diff"):
        np.testing.assert_allclose(opposite[variant], -score[variant], rtol=1e-6)


def test_both_cosines_below_the_floor():
    """Equal as far as the floor sees; v7 keeps the sign."""
    below = compiled(-0.1, -0.2, 0.0)
    assert below["v3_ratio"] == 1 and below["v4_log_ratio"] == 0
    np.testing.assert_allclose(below["v7_normalized"], 1 / 3, rtol=1e-6)
    zero = compiled(0.0, 0.0, 0.0)
    assert zero["v3_ratio"] == 1 and zero["v4_log_ratio"] == 0 and zero["v7_normalized"] == 0


def test_gradients_are_finite():
    values = np.array([-1.0, -0.1, 0.0, 0.1, 1.0], np.float32)
    pairs = np.meshgrid(values, values, values)
    jacobian = jax.jit(jax.vmap(jax.jacrev(every_variant, argnums=(0, 1, 2))))
    chex.assert_tree_all_finite(jacobian(*(axis.ravel() for axis in pairs)))


def test_names():
    for number, name in enumerate(VARIANTS, 1):
        assert check_variant(name) == check_variant(f"v{number}") == name
    assert align_score(0.3, 0.2, variant="v3") == align_score(0.3, 0.2, variant="v3_ratio")
    for wrong in ("v10", "v", "", "ratio", "v3_log_ratio", "V1"):
        with pytest.raises(InputError, match=f"p_align_variant '{wrong}': unknown.*v9_fg_bg"):
            check_variant(wrong)
    with pytest.raises(InputError, match="'v0'"):
        align_score(0.3, 0.2, variant="v0")


@pytest.mark.parametrize("name", ["v9", "v9_fg_bg_contrast"])
def test_the_contrast_needs_a_foreground(name):
    with pytest.raises(InputError, match="needs fg_pos"):
        align_score(0.3, 0.2, variant=name)


def test_lambda_is_a_finite_number():
    assert check_lambda(-2.5) == -2.5 and check_lambda(0) == 0
    for wrong in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(InputError, match="lambda_bg .*not a finite number"):
            check_lambda(wrong)
