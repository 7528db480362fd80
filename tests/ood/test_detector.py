"""The detector on the golden model: batches, switches, weights, refusals."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jaxvlm import ood
from jaxvlm.errors import InputError
from jaxvlm.ood import background, detector, encoding, scores
from tests.clip.test_tap import INPUTS, SlowTower, tapped
from tests.ood.test_cam import between_variance, slow_dilate, slow_grad_cam
from tests.ood.test_golden import (
    arrays,
    encode_golden,
    golden_banks,
    golden_model,
    permutations,
    reference_config,
)

BLOCK = -2
CONFIG = reference_config(BLOCK)


@functools.cache
def encoded() -> ood.Encoded:
    return encode_golden(BLOCK)


def score(config: ood.NegAlignConfig = CONFIG, banks: ood.LabelBanks | None = None, **options):
    return ood.score_encoded(encoded(), banks or golden_banks(), config, **options)


def change(**changes) -> ood.NegAlignConfig:
    return dataclasses.replace(CONFIG, **changes)


def score_pixels(pixels: np.ndarray, config: ood.NegAlignConfig = CONFIG) -> dict[str, jax.Array]:
    return ood.score_images(golden_model(), golden_banks(), pixels, config, **permutations())


def test_batch_size_changes_no_score():
    pixels = arrays()["pixel_values"]
    together = score_pixels(pixels)
    assert {value.shape for value in together.values()} == {(6,)}
    for i in range(len(pixels)):
        for name, value in score_pixels(pixels[i : i + 1]).items():
            np.testing.assert_allclose(value, together[name][i : i + 1], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("batch_size", [4, 6])
def test_many_pictures_go_through_in_batches(batch_size):
    pixels = arrays()["pixel_values"]
    together = score_pixels(pixels)
    parts = ood.score_images(
        golden_model(), golden_banks(), pixels, CONFIG, batch_size=batch_size, **permutations()
    )
    for name, value in parts.items():
        np.testing.assert_allclose(value, together[name], atol=1e-5, err_msg=name)


def test_an_approximate_top_k_is_exact_on_the_cpu():
    config = {"topk_aggregation_k": 3, "neg_topk": 5}
    exact, approximate = (score(change(approximate_topk=on, **config)) for on in (False, True))
    for name, value in exact.items():
        np.testing.assert_allclose(approximate[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("padding", ["zeros", "noise", "nan"])
def test_padding_changes_no_score(padding):
    pixels = arrays()["pixel_values"].copy()
    noise = np.random.default_rng(0).normal(size=pixels[4:].shape)
    pixels[4:] = {"zeros": 0.0, "noise": noise, "nan": np.nan}[padding]
    padded, whole = score_pixels(pixels), score_pixels(arrays()["pixel_values"])
    for name, value in padded.items():
        np.testing.assert_allclose(value[:4], whole[name][:4], atol=1e-5, err_msg=name)


def test_one_compilation_per_number_of_pictures():
    pixels = arrays()["pixel_values"]
    score_pixels(pixels)
    functions = (encoding._encode, detector._neglabel, background._alignment_parts)
    before = [function._cache_size() for function in functions]
    score_pixels(pixels[::-1].copy())
    ood.score_images(  # other weights and other settings of the scores, not of the map
        dataclasses.replace(
            golden_model(), params=jax.tree.map(lambda leaf: 0.9 * leaf, golden_model().params)
        ),
        golden_banks(),
        pixels,
        change(lambda_bg=0.5, p_align_variant="v7"),
        **permutations(),
    )
    assert [function._cache_size() for function in functions] == before


FEATURES = ("value_only", "value_block", "output")


def slow_local_mcm(cosines):
    shares = np.exp(cosines) / np.exp(cosines).sum(1, keepdims=True)
    return shares.max()


def slow_encode(weights: tuple[float, ...]) -> ood.Encoded:
    """Otsu, one dilation, value path and post-layernorm, from what the tapped pass gave."""
    found, tower = tapped(INPUTS, FEATURES), SlowTower(golden_model())
    norm = tower.vision["post_layernorm"]
    pooled_from, *local = found.patches

    def unit(vectors):
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    positive, image = arrays()["pos_features"].astype(np.float64), unit(found.image)
    rows = []
    for n in range(len(image)):
        layers = [
            slow_grad_cam(a[n], g[n])
            for a, g in zip(found.activations, found.gradients, strict=True)
        ]
        cam = sum(weight * layer for weight, layer in zip(weights, layers, strict=True))
        cam = (cam / cam.max()).reshape(8, 8)
        limit = max(np.unique(cam), key=lambda t: between_variance(cam, t))
        foreground = slow_dilate(cam >= limit, 1).ravel()
        pooled = [pooled_from[n][mask].mean(0) for mask in (foreground, ~foreground)]
        fg, bg = (unit(tower.norm(tokens, norm) @ tower.projection) for tokens in pooled)
        mcm, mcm_output = (
            slow_local_mcm(unit(tower.norm(patches[n], norm) @ tower.projection) @ positive.T)
            for patches in local
        )
        best = int((image[n] @ positive.T).argmax())
        valid = not foreground.all()
        rows.append((image[n], fg, bg, best, mcm, cam, valid, mcm_output, fg))
    return ood.Encoded(*(np.array(column) for column in zip(*rows, strict=True)))


def test_every_other_way_to_pool():
    """Blocks averaged at the attention's input, Otsu, value path, post-layernorm."""
    config = ood.NegAlignConfig(
        cam_block_weights=(0.5, 0.3, 0.2),
        cam_threshold="otsu",
        patch_features="value_only",
        pooled_layernorm=True,
    )
    pixels = arrays()["pixel_values"][:2]
    actual = ood.encode(golden_model(), golden_banks().positive, pixels, config.cam)
    expected = slow_encode(config.cam_block_weights)
    for name in ood.Encoded._fields:
        np.testing.assert_allclose(
            getattr(actual, name), getattr(expected, name), rtol=0, atol=1e-5, err_msg=name
        )
    assert actual.cam_valid.all()


def test_all_switches_off_is_plain_to_the_bit():
    off = change(
        topk_aggregation_k=0, use_role_aware_negatives=False, use_scale_stabilization=False
    )
    for topk in (0, None):
        found = score(dataclasses.replace(off, topk_aggregation_k=topk), **permutations())
        np.testing.assert_array_equal(found["s_neglabel_star"], found["s_neglabel_plain"])
    for on in ({"topk_aggregation_k": 3}, {"use_role_aware_negatives": True}):
        found = score(dataclasses.replace(off, **on), **permutations())
        assert (found["s_neglabel_star"] != found["s_neglabel_plain"]).all(), on


def test_the_base_is_what_lambda_zero_leaves():
    for config, base in (
        (change(lambda_bg=0.0), "s_neglabel_star"),
        (change(use_p_align=False), "s_neglabel_star"),
        (change(lambda_bg=0.0, use_neglabel_star=False), "s_neglabel_plain"),
    ):
        found = score(config)
        np.testing.assert_array_equal(found["s_final"], found[base])
    np.testing.assert_array_equal(score(change(use_p_align=False))["p_align"], np.zeros(6))
    with_both = score(change(use_neglabel_star=False, lambda_bg=3.0))
    expected = with_both["s_neglabel_plain"] + 3.0 * with_both["p_align"]
    np.testing.assert_allclose(with_both["s_final"], expected, rtol=1e-6)


def test_topk_and_role_aware_negatives_reach_the_score():
    banks, found = golden_banks(), score(change(topk_aggregation_k=4))
    for i, image in enumerate(np.asarray(encoded().image)):
        positive = 100 * banks.positive @ image
        star = scores.neglabel_score(
            positive, 100 * banks.negative_object @ image, num_groups=10, topk=4
        )
        plain = scores.neglabel_score(positive, 100 * banks.negative @ image, num_groups=10)
        np.testing.assert_allclose(found["s_neglabel_star"][i], star, rtol=1e-4)
        np.testing.assert_allclose(found["s_neglabel_plain"][i], plain, rtol=1e-4)


@pytest.mark.parametrize("variant", ood.VARIANTS)
def test_variants_reach_the_score(variant):
    banks, found = golden_banks(), score(change(p_align_variant=variant, lambda_bg=0.5))
    for i in range(6):
        own = banks.positive[int(encoded().predicted_class_idx[i])]
        words = banks.negative_background @ np.asarray(encoded().background[i])
        parts = own @ np.asarray(encoded().background[i]), np.sort(words)[-5:].mean()
        contrast = own @ np.asarray(encoded().foreground[i])
        expected = ood.align_score(*parts, variant=variant, fg_pos=contrast)
        np.testing.assert_allclose(found["p_align"][i], expected, rtol=1e-4, atol=1e-6)
    final = found["s_neglabel_star"] + 0.5 * found["p_align"]
    np.testing.assert_allclose(found["s_final"], final, rtol=1e-6)


def test_logit_scale():
    """z = scale·cosine; 0 takes the model's own."""
    banks, found = golden_banks(), score(change(logit_scale=30.0))
    for i, image in enumerate(np.asarray(encoded().image)):
        plain = scores.neglabel_score(
            30 * banks.positive @ image, 30 * banks.negative @ image, num_groups=10
        )
        np.testing.assert_allclose(found["s_neglabel_plain"][i], plain, rtol=1e-4)
    own = float(np.exp(np.asarray(golden_model().params["logit_scale"])))
    of_model = score_pixels(arrays()["pixel_values"], change(logit_scale=0.0))
    expected = score(change(logit_scale=own), **permutations())
    for name, value in of_model.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found["p_align"], score()["p_align"])


def test_prompts_of_the_class_replace_its_embedding():
    rng = np.random.default_rng(1)
    prompts = golden_banks().positive[:, None] + 0.1 * rng.normal(size=(20, 4, 32))
    prompts = (prompts / np.linalg.norm(prompts, axis=-1, keepdims=True)).astype(np.float32)
    banks = golden_banks()._replace(positive_prompts=prompts)
    parts = ood.alignment_parts(encoded(), banks, pos_topk=3, neg_topk=60)
    for i, best in enumerate(np.asarray(encoded().predicted_class_idx)):
        for actual, side in ((parts.bg_pos, "background"), (parts.fg_pos, "foreground")):
            cosines = sorted(float(row @ getattr(encoded(), side)[i]) for row in prompts[best])
            np.testing.assert_allclose(actual[i], np.mean(cosines[-3:]), atol=1e-6)
        everything = banks.negative_background @ np.asarray(encoded().background[i])
        np.testing.assert_allclose(parts.bg_neg[i], everything.mean(), atol=1e-6)


def test_soft_weights():
    plain, banks = score(), golden_banks()
    ones = banks._replace(object_weights=np.ones(212), background_weights=np.ones(60))
    for name, value in score(banks=ones).items():
        # To rounding: where the factor is multiplied in differs between processors.
        np.testing.assert_allclose(value, plain[name], rtol=2e-5, err_msg=name)

    rng = np.random.default_rng(2)
    of_objects, of_places = rng.uniform(size=212), rng.uniform(size=60)
    weighted = banks._replace(object_weights=of_objects, background_weights=of_places)
    found, parts = score(banks=weighted), encoded()
    assert (found["s_neglabel_star"] != plain["s_neglabel_star"]).all()
    np.testing.assert_array_equal(found["s_neglabel_plain"], plain["s_neglabel_plain"])
    for i in range(6):
        image, background = np.asarray(parts.image[i]), np.asarray(parts.background[i])
        similarity = 100 * of_objects * (banks.negative_object @ image)
        star = scores.neglabel_score(100 * banks.positive @ image, similarity, num_groups=10)
        np.testing.assert_allclose(found["s_neglabel_star"][i], star, rtol=1e-4)
        words = np.sort(of_places * (banks.negative_background @ background))[-5:].mean()
        own = banks.positive[int(parts.predicted_class_idx[i])] @ background
        np.testing.assert_allclose(found["p_align"][i], own - words, atol=1e-6)


def test_scale_of_a_calibration_set():
    star = np.asarray(score()["s_neglabel_star"])
    calibration = np.array([0.2, 0.5, 0.9])
    statistics = ood.fit_scale(calibration)
    np.testing.assert_allclose(statistics, (np.mean(calibration), np.std(calibration, ddof=1)))
    found = score(change(use_scale_stabilization=True), scale=statistics)
    expected = (star - np.mean(calibration)) / np.std(calibration, ddof=1)
    np.testing.assert_allclose(found["s_neglabel_star"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["s_final"], expected + 2 * found["p_align"], rtol=1e-5)
    with pytest.raises(InputError, match="use_scale_stabilization: needs statistics.*fit_scale"):
        score(change(use_scale_stabilization=True))
    for too_few in ([], [0.4], [0.4, 0.4]):
        with pytest.raises(InputError, match=f"calibration set: {len(too_few)} pictures"):
            ood.fit_scale(too_few)
