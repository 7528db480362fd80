"""Frames to p and p̄: what the encoder gives of a frame, what that says of every atom, segments."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvlm import clip
from jaxvlm.atoms.boundary import auto_delta, auto_kappa, boundary_probability, divergence
from jaxvlm.atoms.padding import BLOCK, block, by_blocks, pad_frames
from jaxvlm.atoms.presence import contrast_presence, cosine_presence, local_presence
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.atoms.sparse_coding import sparse_presence
from jaxvlm.clip.text_cache import embed_prompts_cached
from jaxvlm.errors import InputError
from jaxvlm.video.config import AtomsConfig, PresenceConfig, boundary_start


class AtomBank(NamedTuple):
    """The text side, encoded once: unit rows [C, D], neutral unit rows [L, D], CLIP's scale, and
    for centred sparse codes the mean [D] of the unit embeddings that the encoder is familiar with.
    """

    atoms: np.ndarray
    neutral: np.ndarray
    logit_scale: float
    image_mean: np.ndarray | None = None


class FrameFeatures(NamedTuple):
    """What presence is computed from: image embeddings [T, D] and, where it looks at patches, their
    embeddings [T, P, D]. No atom has a part in it, so another ontology needs no forward pass."""

    image: jax.Array
    patches: jax.Array | None


class Segmented(NamedTuple):
    """One video: d [T], b [T], p̄ [T, C], float32."""

    divergence: np.ndarray
    boundary: np.ndarray
    segment_presence: np.ndarray


def embed_atoms(
    model: clip.ClipModel,
    atoms: Sequence[str],
    templates: Sequence[str],
    neutral_prompts: Sequence[str],
    config: AtomsConfig,
    *,
    cache_dir: Path | None = None,
) -> AtomBank:
    """Encodes atoms and neutral prompts, or takes them from ``cache_dir``, where they were encoded
    before.

    Raises InputError for a prompt of more than 77 tokens, contrast without neutral prompts, and
    centring with an encoder that does not say what it was made on.
    """
    centred = config.presence.kind == "sparse" and config.presence.center
    if centred and model.familiar is None:
        raise InputError(
            "config presence.center=True: the encoder's folder has no familiar.safetensors, whose "
            "mean image is subtracted; leave it out"
        )
    if config.presence.kind == "contrast" and not neutral_prompts:
        raise InputError(
            "ontology: no neutral_prompts, which contrast presence is measured against; add some, "
            "leave the key out for everyday scenes, or set config.presence.kind=cosine"
        )
    embed = functools.partial(embed_prompts_cached, model, cache_dir=cache_dir)
    return AtomBank(
        embed(atoms, templates, renormalize=config.presence.renormalize),
        embed(neutral_prompts, ["{}"], renormalize=True)
        if neutral_prompts
        else np.zeros((0, model.config.projection_dim), np.float32),
        model.logit_scale,
        model.familiar.mean if centred else None,
    )


def frame_features(
    model: clip.ClipModel, pixel_values: jax.Array, settings: PresenceConfig
) -> FrameFeatures:
    """One forward pass over preprocessed frames [T, 3, S, S]."""
    if settings.kind == "local":
        return FrameFeatures(*clip.encode_patches(model, pixel_values))
    return FrameFeatures(clip.encode_images(model, pixel_values), None)


def features_key(settings: PresenceConfig) -> Mapping[str, Any]:
    """Which features, for the embedding store: see `clip.encode_items`."""
    return {"name": "frames", "patches": settings.kind == "local"}


def features_presence(
    features: FrameFeatures, bank: AtomBank, settings: PresenceConfig
) -> jax.Array:
    """Presence p [T, C]."""
    if settings.kind == "local":
        return local_presence(
            features.patches,
            bank.atoms,
            bank.neutral,
            logit_scale=bank.logit_scale,
            patches=settings.patches,
            renormalize=settings.renormalize,
        )
    if settings.kind == "sparse":
        return sparse_presence(
            features.image,
            bank.atoms,
            bank.neutral,
            penalty=settings.penalty,
            image_mean=bank.image_mean,
            renormalize=settings.renormalize,
        )
    if settings.kind == "cosine":
        return cosine_presence(features.image, bank.atoms, renormalize=settings.renormalize)
    return contrast_presence(
        features.image,
        bank.atoms,
        bank.neutral,
        logit_scale=bank.logit_scale,
        reference=settings.reference,
        renormalize=settings.renormalize,
    )


def presence_in_blocks(
    features: FrameFeatures, bank: AtomBank, settings: PresenceConfig, *, most: int = BLOCK
) -> np.ndarray:
    """`features_presence` of any number of frames, compiled once for all numbers.

    most: frames that come at a time, see `by_blocks`.
    """
    if not len(features.image):
        return np.zeros((0, len(bank.atoms)), np.float32)
    computed = functools.partial(_presence_of, bank=bank, settings=settings)
    patches = () if features.patches is None else (features.patches,)
    return by_blocks(computed, features.image, *patches, most=min(most, BLOCK))


def score_frames(
    encoder: clip.Encoder, bank: AtomBank, frames: Iterable[Any], config: AtomsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Image embeddings [T, D] and presence p [T, C] of frames given as paths or arrays.

    They are drawn lazily and not kept. Raises InputError for a frame that is unreadable.
    """
    failures: list[tuple[int, str]] = []
    stream = clip.encode_batches(
        encoder, frames, failures=failures, encode=_features_of(config.presence)
    )
    result = _in_order(encoder, bank, stream, config)
    if failures:
        raise InputError(failures[0][1])
    return result


def score_stored_frames(
    encoder: clip.Encoder,
    bank: AtomBank,
    keys: Sequence[bytes],
    draw: Callable[[Sequence[int]], Iterable[np.ndarray]],
    config: AtomsConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """`score_frames` through the encoder's store: ``draw`` is asked for the frames that it lacks.

    keys, draw: see `clip.encode_keyed`.
    """
    stream = clip.encode_keyed(
        encoder,
        keys,
        draw,
        computed=features_key(config.presence) | {"name": "video frames"},
        encode=_features_of(config.presence),
    )
    return _in_order(encoder, bank, stream, config)


def _features_of(settings: PresenceConfig) -> Callable[[clip.ClipModel, jax.Array], FrameFeatures]:
    return lambda model, pixels: frame_features(model, pixels, settings)


def _in_order(
    encoder: clip.Encoder, bank: AtomBank, stream: Iterator[Any], config: AtomsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Image embeddings and presence of all the parts of a stream, in the order of their indices."""
    indices = [np.zeros(0, np.int64)]
    embeddings = [np.zeros((0, encoder.model.config.projection_dim), np.float32)]
    presence = [np.zeros((0, len(bank.atoms)), np.float32)]
    with contextlib.closing(stream):
        for part in stream:
            indices.append(part.indices)
            embeddings.append(part.values.image)
            presence.append(presence_in_blocks(part.values, bank, config.presence))
    order = np.argsort(np.concatenate(indices), kind="stable")
    return np.concatenate(embeddings)[order], np.concatenate(presence)[order]


def segment(presence: np.ndarray, config: AtomsConfig) -> Segmented:
    """d, b and p̄ of one video's presence [T, C].

    A window looks back a fixed number of frames, so the video is computed in pieces of one length,
    each with the frames before it that its window needs: compiled once for all videos. The
    recurrent form and δ = "auto" look at all frames, at one of few lengths (`padding.bucket`).
    """
    delta, kappa = boundary_start(config.boundary)
    reduction = config.boundary.divergence
    if isinstance(delta, str):
        padded = pad_frames(presence)
        change = divergence(padded, reduction=reduction)
        delta = auto_delta(change, mask=np.arange(len(padded)) < len(presence))
    if isinstance(kappa, str):
        kappa = auto_kappa(delta)
    form = dataclasses.asdict(config.segments)
    floor = form.pop("survival_floor")

    def piece(rows: np.ndarray) -> Segmented:
        return Segmented(*_segmented(rows, delta, kappa, floor, reduction=reduction, **form))

    if config.segments.weighting == "recurrent":
        pieces = [(piece(pad_frames(presence)), 0)]
    else:
        before = config.segments.window  # of which the first is there for the change to the second
        size = max(BLOCK, before)
        starts = range(0, max(len(presence) - before, 1), size)
        pieces = [
            (piece(block(presence, start, before + size)), before if start else 0)
            for start in starts
        ]
    kept = [[np.asarray(x)[unasked:] for x in found] for found, unasked in pieces]
    fields = zip(*kept, strict=True)
    return Segmented(*(np.concatenate(parts)[: len(presence)] for parts in fields))


@functools.partial(jax.jit, static_argnames=("reduction", "window", "weighting", "normalize"))
def _segmented(
    presence: jax.Array,
    delta: jax.Array,
    kappa: jax.Array,
    floor: jax.Array,
    *,
    reduction: str,
    **form: Any,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    change = divergence(presence, reduction=reduction)
    boundary = boundary_probability(change, delta=delta, kappa=kappa)
    pbar = segment_presence(presence, boundary, survival_floor=floor, **form)
    return change, boundary, pbar


def _presence_of(
    image: jax.Array, patches: jax.Array | None = None, *, bank: AtomBank, settings: PresenceConfig
) -> jax.Array:
    return features_presence(FrameFeatures(image, patches), bank, settings)
