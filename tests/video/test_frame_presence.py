"""Presence, boundaries and segments of a run against the formulas, in float64 or by loops."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.errors import InputError
from jaxvlm.video import config as settings
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import embed_atoms, segment
from tests.atoms.test_sparse_coding import by_coordinates
from tests.video.runs import ATOMS, NUM_FRAMES, ONTOLOGY, arrays, unit

CENTRED = settings.PresenceConfig(kind="sparse", center=True)


def text_embeddings(model, names) -> np.ndarray:
    """Mean of the unit embeddings of both templates, unit again."""
    prompts = [[f"a photo of {name}", f"{name} on a road"] for name in names]
    return unit(np.mean([unit(clip.encode_texts(model, pair)) for pair in prompts], axis=1))


def segments_by_loops(p: np.ndarray, b: np.ndarray, window: int) -> np.ndarray:
    """p̄(u) = Σ_t π_{t→u} mean_{s=t..u} p(s) / Σ_t π_{t→u}, in float64."""
    p, b = p.astype(np.float64), b.astype(np.float64)
    pbar = np.zeros_like(p)
    for u in range(len(p)):
        total, mass = 0.0, 0.0
        for t in range(max(0, u - window + 1), u + 1):
            pi = np.prod(1.0 - b[t + 1 : u + 1])
            total = total + pi * p[t : u + 1].mean(0)
            mass += pi
        pbar[u] = total / mass
    return pbar


def test_contrast_presence_is_the_formula_of_the_embeddings(run, model, frames_root, tmp_path):
    """p = σ(s⟨v, t⟩ − log mean_k exp(s⟨v, n_k⟩)), s = exp(logit_scale), in float64."""
    run(presence__reference="log_mean_exp")
    stored = arrays(tmp_path / "out" / "b9", "presence")
    pictures = [clip.read_rgb(path) for path in sorted((frames_root / "b9").glob("*.jpg"))]
    embeddings = clip.encode_images(model, clip.preprocess(model, pictures))
    np.testing.assert_allclose(stored["image_embeddings"], embeddings, rtol=1e-4, atol=1e-5)
    v = unit(embeddings)
    scale = np.exp(float(model.params["logit_scale"]))
    neutral = scale * v @ unit(clip.encode_texts(model, ["a road", "a photo"])).T
    level = np.log(np.exp(neutral).mean(1))
    logits = scale * v @ text_embeddings(model, ATOMS).T - level[:, None]
    np.testing.assert_allclose(stored["presence"], 1 / (1 + np.exp(-logits)), rtol=1e-3, atol=1e-5)


def test_cosine_presence_is_the_formula_of_the_embeddings(run, model, tmp_path):
    run(presence__kind="cosine")
    stored = arrays(tmp_path / "out" / "b9", "presence")
    cosine = unit(stored["image_embeddings"]) @ text_embeddings(model, ATOMS).T
    np.testing.assert_allclose(stored["presence"], (cosine + 1) / 2, rtol=1e-5)


def test_local_presence_is_the_share_of_the_best_patches(run, model, frames_root, tmp_path):
    """p = mean of the k largest softmax shares over patches, neutral prompts beside the atoms."""
    run(presence__kind="local", presence__patches=2)
    stored = arrays(tmp_path / "out" / "b10", "presence")
    pictures = [clip.read_rgb(path) for path in sorted((frames_root / "b10").glob("*.jpg"))]
    pixels = clip.preprocess(model, pictures)
    images, patches = clip.encode_patches(model, pixels)
    np.testing.assert_allclose(images, clip.encode_images(model, pixels), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored["image_embeddings"], images, rtol=1e-4, atol=1e-5)
    assert patches.shape == (3, 4, 8)
    neutral = unit(clip.encode_texts(model, ["a road", "a photo"]))
    texts = np.concatenate([text_embeddings(model, ATOMS), neutral])
    scale = np.exp(float(model.params["logit_scale"]))
    for t in range(3):
        weights = np.exp(scale * unit(patches[t]) @ texts.T)
        share = weights / weights.sum(1, keepdims=True)
        expected = [np.sort(share[:, c])[-2:].mean() for c in range(len(ATOMS))]
        np.testing.assert_allclose(stored["presence"][t], expected, rtol=1e-3)


@pytest.mark.parametrize("center", [False, True])
def test_sparse_presence_is_that_of_the_embeddings(run, model, tmp_path, center):
    """w of a slow solver, over atoms and neutral prompts; p = w/(w + λ)."""
    familiar = np.random.default_rng(2).normal(size=8).astype(np.float32)
    known = dataclasses.replace(model, familiar=SimpleNamespace(mean=familiar))
    run(encoder=clip.make_encoder(known, batch_size=4), presence__kind="sparse",
        presence__penalty=0.05, presence__center=center)  # fmt: skip
    stored = arrays(tmp_path / "out" / "b9", "presence")
    frames = unit(stored["image_embeddings"])
    neutral = unit(clip.encode_texts(model, ["a road", "a photo"]))
    texts = np.concatenate([text_embeddings(model, ATOMS), neutral])
    if center:
        frames, texts = unit(frames - familiar), unit(texts - texts.mean(0))
    for frame, presence in zip(frames, stored["presence"], strict=True):
        w = by_coordinates(frame, texts, 0.05)
        # Seven texts in eight dimensions are nearly dependent: what is explained is sure, not w.
        ours = presence * 0.05 / (1 - presence)
        assert (np.abs(w[: len(ATOMS)] - ours) < 5e-3 * (1 + w.max())).all()
    with pytest.raises(InputError, match=r"presence.center=True: .*no familiar.safetensors"):
        embed_atoms(model, ATOMS, ["{}"], [], AtomsConfig(presence=CENTRED))


@pytest.mark.parametrize(("divergence", "share"), [("sum", 1), ("mean", 1 / len(ATOMS))])
def test_boundaries_and_segments_follow_from_the_presence(run, tmp_path, divergence, share):
    run(presence__kind="cosine", boundary__delta="0.001", boundary__kappa="900",
        segments__window=3, boundary__divergence=divergence)  # fmt: skip
    for name in NUM_FRAMES:
        folder = tmp_path / "out" / name
        p = arrays(folder, "presence")["presence"]
        boundary = arrays(folder, "boundary")
        d = share * np.concatenate([[0], (np.diff(p.astype(np.float64), axis=0) ** 2).sum(1)])
        np.testing.assert_allclose(boundary["divergence"], d, rtol=1e-3, atol=1e-9)
        b = 1 / (1 + np.exp(-900 * (d - 0.001)))
        np.testing.assert_allclose(boundary["boundary"], b, rtol=1e-3)
        pbar = arrays(folder, "seg_presence")["seg_presence"]
        np.testing.assert_allclose(pbar, segments_by_loops(p, b, 3), rtol=1e-4)
        np.testing.assert_array_equal(arrays(folder, "trainpack")["pbar"], pbar)


# Pieces end at window + k·max(64, window); one less, at one, and one more.
PIECES = [
    ("running_mean", "0.05", "40", 5, 0.0, (1, 4, 5, 6, 68, 69, 70, 133, 134, 200)),
    ("running_mean", "0.05", "auto", 1, 0.0, (1, 2, 64, 65, 66, 130)),
    ("point", "0.05", "40", 100, 1e-6, (1, 99, 199, 200, 201, 301)),
    ("running_mean", "auto", "auto", 20, 0.0, (1, 65, 170)),
    ("recurrent", "auto", "auto", 5, 0.0, (1, 65)),
]


@pytest.mark.parametrize(("weighting", "delta", "kappa", "window", "floor", "lengths"), PIECES)
def test_a_video_in_pieces_is_the_video_whole(weighting, delta, kappa, window, floor, lengths):
    config = AtomsConfig(
        boundary=settings.BoundaryConfig(delta, kappa, "sum"),
        segments=settings.SegmentConfig(window, weighting, survival_floor=floor),
    )
    numbers = {"delta": delta, "kappa": kappa}
    numbers = {k: value if value == "auto" else float(value) for k, value in numbers.items()}
    rng = np.random.default_rng(3)
    for length in lengths:
        p = rng.uniform(size=(length, 4)).astype(np.float32)
        d = divergence(p)
        b = boundary_probability(d, **numbers)
        expected = segment_presence(p, b, window=window, weighting=weighting, survival_floor=floor)
        segmented = segment(p, config)
        np.testing.assert_allclose(segmented.divergence, d, rtol=1e-6)
        np.testing.assert_allclose(segmented.boundary, b, rtol=1e-5)
        np.testing.assert_allclose(segmented.segment_presence, expected, rtol=1e-5)


def test_a_learned_threshold_starts_at_the_prototypes():
    p = np.random.default_rng(4).uniform(size=(9, 3)).astype(np.float32)
    for form, numbers in (("sum", ("0.6", "8.0")), ("mean", ("0.02", "240"))):
        results = []
        for delta, kappa in (("learned", "learned"), numbers):
            config = AtomsConfig(boundary=settings.BoundaryConfig(delta, kappa, form))
            results.append(segment(p, config))
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_an_automatic_threshold_is_one_of_each_video(run, tmp_path):
    """δ = max(median + 3·1.4826·MAD of the video's own d, 1e-6), κ = 4.8/δ."""
    run(boundary__delta="auto", boundary__kappa="auto")
    deltas = []
    for name in NUM_FRAMES:
        stored = arrays(tmp_path / "out" / name, "boundary")
        d = stored["divergence"].astype(np.float64)
        deltas.append(max(np.median(d) + 3 * 1.4826 * np.median(np.abs(d - np.median(d))), 1e-6))
        b = 1 / (1 + np.exp(-4.8 * (d / deltas[-1] - 1)))
        np.testing.assert_allclose(stored["boundary"], b, rtol=1e-3)
    assert len(set(deltas)) == 2 and min(deltas) > 1e-6


def test_contrast_needs_neutral_prompts_and_the_others_do_not(run, tmp_path):
    bare = tmp_path / "bare.yaml"
    bare.write_text(ONTOLOGY.replace("neutral_prompts: [a road, a photo]", "neutral_prompts: []"))
    with pytest.raises(InputError, match="no neutral_prompts.*presence.kind=cosine"):
        run(ontology=bare)
    for kind in ("cosine", "local", "sparse"):
        assert run(ontology=bare, presence__kind=kind).done == ["b9", "b10"]


def test_a_prompt_that_is_too_long_is_one_line(run, tmp_path):
    long = tmp_path / "long.yaml"
    long.write_text(ONTOLOGY.replace("[balloons]", f"[{'balloons ' * 80}]"))
    with pytest.raises(InputError, match="tokens.*shorten") as caught:
        run(ontology=long)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
