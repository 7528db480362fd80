"""Sets of pictures through the encoder, once; every score is arithmetic on what comes out."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxvlm import clip, resources
from jaxvlm.data.image_sets import ImageSet, duplicates
from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError
from jaxvlm.ood.config import CamSettings, NegAlignConfig
from jaxvlm.ood.encoding import Encoded, encode, encode_from_hidden, encode_hidden
from jaxvlm.ood.methods import alignment_scores, method_scores
from jaxvlm.ood.placing import Permutations, PlacedBanks, place_banks
from jaxvlm.ood.words import label_banks, mining, pairs, split
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words.label_banks import LabelBanks, check_banks
from jaxvlm.pictures.config import OodConfig


class Labels(NamedTuple):
    """The words of an evaluation and their embeddings, on the host for tables, on the devices for
    the scores."""

    banks: LabelBanks
    names: label_banks.LabelNames
    placed: PlacedBanks


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


def prepare_labels(
    model: clip.ClipModel,
    class_names: str | os.PathLike,
    negatives: str | os.PathLike | None,
    config: OodConfig,
    negalign: NegAlignConfig,
    *,
    cache_dir: str | os.PathLike | None = None,
    mesh: Mesh | None = None,
) -> Labels:
    """Reads the class list and the negatives, splits these and embeds all.

    negatives: a word list, or a folder as ``mine_negatives`` writes it. A split that lies beside
    the words is read, unless ``neg_split_recompute``; else they are split by the config. None:
    the word list of the rendered world, without the classes.

    Raises InputError: what the files or the split lack; no r-score for soft weights.
    """
    classes = word_lists.read_classes(class_names)
    if negatives is None:
        listed, _ = word_lists.read_words(resources.path("configs/ood/world_words.txt"))
        words = mining.list_candidates(listed, classes).nouns
    else:
        words = word_lists.read_negatives(negatives).words
        mining.check_banks_words(classes, words)
    stored = Path(negatives or "") / word_lists.SPLIT_FOLDER
    if negatives:
        stored = word_lists.find_split(negatives) or stored
    if negatives and stored.is_dir() and not negalign.neg_split_recompute:
        roles = word_lists.read_split(stored)
    else:
        roles = _split(model, words, config, negalign, cache_dir)

    banks, names = label_banks.build_banks(
        model, classes, words, roles, negalign, templates=config.templates, cache_dir=cache_dir
    )
    check_banks(banks, negalign)
    soft = None
    if set(words) <= set(roles.r_scores):
        soft = label_banks.object_weights(words, roles, negalign)
    orders = [
        label_banks.group_permutation(count, negalign.num_groups, config.seed)
        if count >= negalign.num_groups
        else None
        for count in (len(words), len(banks.negative_object))
    ]
    placed = place_banks(
        banks, negalign, permutations=Permutations(*orders), soft_weights=soft, mesh=mesh
    )
    return Labels(banks, names, placed)


def score_set(
    encoder: clip.Encoder,
    image_set: ImageSet,
    labels: Labels,
    config: OodConfig,
    negalign: NegAlignConfig,
    *,
    cache_dir: str | os.PathLike | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> tuple[ScoredSet, list[str]]:
    """Encodes a set in one pass, or reads it from the store, and scores it with every method.

    advance: is told how many pictures are done, as they are. With several processes each encodes a
    share, and all get all scores.

    Returns the set, without the pictures that could not be read, and one line for each of them.
    Raises InputError if none could be read.
    """
    encoded, failures = _encode(
        encoder,
        image_set.paths,
        np.asarray(labels.banks.positive),
        negalign.cam,
        config.store_hidden,
        advance,
    )
    lost = {index for index, _ in failures}
    kept = [i for i in range(len(image_set.paths)) if i not in lost]
    if not kept:
        raise InputError(f"{image_set.root}: no readable picture; the first: {failures[0][1]}")
    if not np.isfinite(encoded.image).all():
        raise InputError(
            f"{image_set.root}: image embeddings are not finite; check the weights of the encoder"
        )
    multi_matching = pairs.multi_matching_scores(
        encoder.model,
        encoded.image,
        labels.banks,
        labels.names,
        templates=config.templates,
        logit_scale=negalign.logit_scale,
        cache_dir=cache_dir,
    )
    scores = method_scores(encoded, labels.placed, negalign, multi_matching=multi_matching)
    aligned = {}
    if negalign.use_p_align:
        aligned = alignment_scores(encoded, labels.placed, negalign)
    scored = ScoredSet(
        image_set.name,
        image_set.root,
        tuple(image_set.paths[i] for i in kept),
        None if image_set.labels is None else tuple(image_set.labels[i] for i in kept),
        jax.tree.map(np.asarray, encoded),
        scores,
        aligned,
    )
    return scored, [printable(message) for _, message in failures]


def _encode(
    encoder: clip.Encoder,
    paths: Sequence[Path],
    positive: np.ndarray,
    cam: CamSettings,
    store_hidden: bool,
    advance: Callable[[int], object],
) -> tuple[Encoded, list[tuple[int, str]]]:
    """What the scores need of the pictures; it depends on the classes, through the map of ĉ.

    store_hidden: keeps what does not, the hidden state below the map's blocks, and computes the
    last blocks from it, so that other classes need no forward pass either.
    """

    def from_hidden(hidden: np.ndarray) -> Encoded:
        parts = []
        for start in range(0, max(len(hidden), 1), rows):
            part = hidden[start : start + rows]
            block = np.zeros((rows, *hidden.shape[1:]), hidden.dtype)
            block[: len(part)] = part
            encoded = encode_from_hidden(encoder.model, positive, block, cam)
            parts.append(jax.tree.map(lambda x: np.asarray(x)[: len(part)], encoded))  # noqa: B023
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    if store_hidden and encoder.store_dir is not None:
        rows = encoder.batch_size
        blocks = encoder.model.config.vision_config.num_hidden_layers
        return clip.encode_all(
            encoder,
            paths,
            computed={"name": "hidden", "block": clip.lowest_block(cam.taps(blocks))},
            encode=lambda model, pixels: encode_hidden(model, pixels, cam),
            finish=from_hidden,
            read=read_image,
            advance=advance,
        )
    return clip.encode_all(
        encoder,
        paths,
        computed={
            "name": "ood",
            "cam": cam._asdict(),
            "positive": hashlib.sha256(positive.tobytes()).hexdigest(),
        },
        encode=lambda model, pixels: encode(model, positive, pixels, cam),
        read=read_image,
        advance=advance,
    )


def check_sets(id_sets: Sequence[ImageSet], ood_sets: Sequence[ImageSet]) -> list[str]:
    """One line per picture that is both in an ID and in an OOD set, by content.

    Raises InputError if one side has no set, or two sets have one name.
    """
    for side, option, sets in (("ID", "id_dir", id_sets), ("OOD", "ood_dirs", ood_sets)):
        if not sets:
            raise InputError(f"{option}: no {side} set; name at least one folder")
    names = [image_set.name for image_set in (*id_sets, *ood_sets)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: two sets of this name; name them, as in NAME=FOLDER")
    return [
        printable(
            f"{copy.ood_path}: also in the ID set, {copy.id_path}, byte for byte; "
            "remove one of them"
        )
        for id_set in id_sets
        for copy in duplicates([id_set, *ood_sets])
    ]


def printable(text: str) -> str:
    """Text with a path in it, as it can be written: a name on the disk need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _split(
    model: clip.ClipModel,
    words: Sequence[str],
    config: OodConfig,
    negalign: NegAlignConfig,
    cache_dir: str | os.PathLike | None,
) -> word_lists.NegativeSplit:
    """Splits words by the config; what is wrong with it is said under the config's own names."""
    r = split.score_words(model, words, cache_dir=cache_dir).r
    try:
        if config.split_percentile:
            return split.split_by_percentile(words, r, percentile=config.split_percentile)
        return split.split_by_threshold(words, r, tau=negalign.neg_split_tau)
    except InputError as error:
        field = "split_percentile" if config.split_percentile else "neg_split_tau"
        raise InputError(f"{field}: {error}") from None
