"""Sets of pictures through the encoder, once; every score is arithmetic on what comes out."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxvlm import clip
from jaxvlm.data.embedding_files import BLOCK
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.ood import versions
from jaxvlm.ood.config import CamSettings
from jaxvlm.ood.encoding import (
    Encoded,
    encode,
    encode_from_hidden,
    encode_hidden,
    of_embeddings,
)
from jaxvlm.ood.methods import alignment_scores, method_scores
from jaxvlm.ood.versions import COVER
from jaxvlm.ood.words import pairs
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.embedded import EmbeddedSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.progress import Progress, advancing, ignore


class ScoredSet(NamedTuple):
    """A set after the encoder: its readable pictures, what was encoded, and every score [N].

    ``scores`` holds the methods, ``alignment`` P_align of every variant and its parts.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    labels: tuple[str, ...] | None
    encoded: Encoded
    scores: dict[str, np.ndarray]
    alignment: dict[str, np.ndarray]
    group: str = ""  # of an OOD set, if it has one


def score_set(
    encoder: clip.Encoder | None,
    image_set: ImageSet | EmbeddedSet,
    labels: Labels,
    config: OodConfig,
    *,
    methods: Collection[str] | None = None,
    more: Collection[str] = (),
    on_progress: Progress = ignore,
) -> tuple[ScoredSet, list[str]]:
    """Encodes a set in one pass, or reads it from the store, and scores it with every method, or
    with those of ``methods``, and with ``more``, keys of `versions.ON_REQUEST`.

    An `EmbeddedSet` is not encoded; then the methods that look at patches have no scores and, where
    there is no encoder for their texts, NegRefine has none.

    on_progress: is told the set's name, how many pictures are done, and of how many. With several
    processes each encodes a share, and all get all scores.

    Returns the set, without the pictures that could not be read, and one line for each of them
    and for files that are no pictures.
    Raises InputError if none could be read, or for ``more`` of an `EmbeddedSet`.
    """
    if COVER in more and isinstance(image_set, EmbeddedSet):
        raise InputError(
            f"method {COVER!r}: encodes corrupted versions of every picture, and {image_set.name} "
            "is given as embeddings; give the pictures, or leave it out"
        )
    advance = advancing(on_progress, image_set.name, len(image_set.paths))
    if isinstance(image_set, EmbeddedSet):
        return _score_embedded(encoder, image_set, labels, config, methods, advance), []
    encoded, failures = _encode(encoder, image_set.paths, labels, config, advance)
    encoded = jax.tree.map(np.asarray, encoded)
    kept = kept_pictures(image_set, failures, encoded.image)
    matching = _multi_matching(encoder, encoded.image, labels, config, methods)
    scores = method_scores(
        encoded, labels.placed, config.negalign, multi_matching=matching, methods=methods
    )
    if COVER in more:
        paths = [image_set.paths[i] for i in kept]
        told = advancing(on_progress, f"{image_set.name}, 13 versions", len(paths))
        scores[COVER] = _cover(encoder, paths, labels, config, told)
    aligned = {}
    if config.negalign.use_p_align:
        aligned = alignment_scores(encoded, labels.placed, config.negalign)
    scored = ScoredSet(
        image_set.name,
        image_set.root,
        tuple(image_set.paths[i] for i in kept),
        None if image_set.labels is None else tuple(image_set.labels[i] for i in kept),
        encoded,
        scores,
        aligned,
        image_set.group,
    )
    lost_files = [printable(message) for _, message in failures]
    return scored, [*image_set.left_out, *lost_files]


def kept_pictures(
    image_set: ImageSet, failures: Sequence[tuple[int, str]], embeddings: ArrayLike
) -> list[int]:
    """The pictures of a set that were encoded, by number.

    failures: the others, and why. Raises InputError for none, and for embeddings not all finite.
    """
    lost = {index for index, _ in failures}
    kept = [i for i in range(len(image_set.paths)) if i not in lost]
    if not kept:
        raise InputError(f"{image_set.root}: no readable picture; the first: {failures[0][1]}")
    if not np.isfinite(embeddings).all():
        raise InputError(
            f"{image_set.root}: image embeddings are not finite; check the weights of the encoder"
        )
    return kept


def _score_embedded(
    encoder: clip.Encoder | None,
    found: EmbeddedSet,
    labels: Labels,
    config: OodConfig,
    methods: Collection[str] | None,
    advance: Callable[[int], object],
) -> ScoredSet:
    """The scores of embeddings, a block of rows at a time: memory need not hold all."""
    matching = _multi_matching(encoder, found.rows, labels, config, methods)
    predicted, scores = [], []
    for start in range(0, len(found.rows), BLOCK):
        block = of_embeddings(found.rows[start : start + BLOCK], labels.banks.positive)
        part = None if matching is None else matching[start : start + BLOCK]
        own = method_scores(
            block, labels.placed, config.negalign, multi_matching=part, methods=methods
        )
        predicted.append(block.predicted_class_idx)
        scores.append(own)
        advance(len(block.image))
    encoded = block._replace(image=found.rows, predicted_class_idx=np.concatenate(predicted))
    joined = {name: np.concatenate([part[name] for part in scores]) for name in scores[0]}
    own = found.name, found.root, found.paths, found.labels
    return ScoredSet(*own, encoded, joined, {}, found.group)


def _multi_matching(
    encoder: clip.Encoder | None,
    images: ArrayLike,
    labels: Labels,
    config: OodConfig,
    methods: Collection[str] | None,
) -> np.ndarray | None:
    """NegRefine's part, which is texts: None without an encoder, or where it is not wanted."""
    if encoder is None or (methods is not None and "negrefine" not in methods):
        return None
    return pairs.multi_matching_scores(
        encoder,
        images,
        labels.banks,
        labels.names,
        templates=config.prompt_set.nouns,
        raw_mean=config.prompt_set.raw_mean,
        logit_scale=config.negalign.logit_scale,
    )


def _encode(
    encoder: clip.Encoder,
    paths: Sequence[Path],
    labels: Labels,
    config: OodConfig,
    advance: Callable[[int], object],
) -> tuple[Encoded, list[tuple[int, str]]]:
    """What the scores need of the pictures; it depends on the classes, through the map of ĉ.

    With ``store_hidden`` the store keeps what does not, the hidden state below the map's blocks,
    and the last blocks are computed from it, so that other classes need no forward pass either.
    """
    positive, cam = labels.banks.positive, config.negalign.cam

    if config.store_hidden and encoder.store_dir is not None:
        blocks = encoder.model.config.vision_config.num_hidden_layers
        rows = encoder.batch_size  # where it is measured, all processes ask at the same place
        return clip.encode_all(
            encoder,
            paths,
            computed={"name": "hidden", "block": clip.lowest_block(cam.taps(blocks))},
            encode=lambda model, pixels: encode_hidden(model, pixels, cam),
            finish=lambda hidden: _from_hidden(encoder.model, positive, hidden, cam, rows),
            advance=advance,
        )
    return clip.encode_all(
        encoder,
        paths,
        computed={
            "name": "ood",
            "local": ["value_block", "output"],  # of `Encoded.local_mcm` and its companion
            "cam": cam._asdict(),
            "positive": hashlib.sha256(np.asarray(positive).tobytes()).hexdigest(),
        },
        encode=lambda model, pixels: encode(model, labels.placed.positive, pixels, cam),
        advance=advance,
    )


def _cover(
    encoder: clip.Encoder,
    paths: Sequence[Path],
    labels: Labels,
    config: OodConfig,
    advance: Callable[[int], object],
) -> np.ndarray:
    """CoVer [N]. The store keeps the versions' embeddings, which do not depend on the classes."""
    found, failures = clip.encode_all(
        encoder,
        paths,
        computed=versions.computed(config.seed),
        encode=lambda model, pixels: versions.encode_versions(model, pixels, seed=config.seed),
        finish=lambda rows: np.asarray(versions.cover_scores(rows, labels.banks.positive)),
        advance=advance,
    )
    if failures:
        raise InputError(f"{failures[0][1]}; it was read before: let the pictures be")
    return found


def _from_hidden(
    model: clip.ClipModel, positive: ArrayLike, hidden: np.ndarray, cam: CamSettings, rows: int
) -> Encoded:
    """The last blocks of any number of pictures, ``rows`` at a time."""
    parts = []
    for start in range(0, max(len(hidden), 1), rows):
        part = hidden[start : start + rows]
        block = np.zeros((rows, *hidden.shape[1:]), hidden.dtype)
        block[: len(part)] = part
        encoded = encode_from_hidden(model, positive, block, cam)
        parts.append(jax.tree.map(lambda x: np.asarray(x)[: len(part)], encoded))  # noqa: B023
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
