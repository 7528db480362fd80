"""From words to label banks: what the scores compare a picture with, by name."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.text_cache import embed_prompts_cached
from jaxvlm.errors import InputError
from jaxvlm.ood import split as splitting
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import LabelBanks
from jaxvlm.ood.label_files import NegativeSplit
from jaxvlm.ood.vocabulary import check_banks_words


class LabelNames(NamedTuple):
    """The words behind the rows of the banks, in their order."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    negative_object: tuple[str, ...]
    negative_background: tuple[str, ...]


def build_banks(
    model: ClipModel,
    classes: Sequence[str],
    negatives: Sequence[str],
    split: NegativeSplit,
    config: NegAlignConfig,
    *,
    templates: Sequence[str],
    cache_dir: str | os.PathLike | None = None,
) -> tuple[LabelBanks, LabelNames]:
    """Embeds class names and negative labels and sorts the negatives into their roles.

    Args:
      classes: K names. negatives: M words. split: their roles, words of it that are no negative
        are left out.
      templates: prompts with ``{}``; a label's embedding is the mean over them, of unit length;
        a class's single prompts are kept for P_align.

    Raises InputError: a name given twice, a class that is also a negative, or too few negatives
    for ``config.num_groups`` (says which side and which option).
    """
    check_banks_words(classes, negatives)
    wanted = set(negatives)
    groups = {
        role: tuple(word for word in getattr(split, role) if word in wanted)
        for role in ("object", "background", "ambiguous")
    }
    if config.neg_use_ambiguous_in_obj:
        groups["object"] += groups["ambiguous"]
    _check_counts(groups, len(wanted), config)
    rows = {word: row for row, word in enumerate(negatives)}
    negative = embed_prompts_cached(model, negatives, templates, cache_dir=cache_dir)
    prompts = [
        embed_prompts_cached(model, classes, [template], cache_dir=cache_dir)
        for template in templates
    ]

    def bank(words: Sequence[str]) -> np.ndarray:
        return negative[[rows[word] for word in words]]

    names = LabelNames(tuple(classes), tuple(negatives), groups["object"], groups["background"])
    banks = LabelBanks(
        positive=embed_prompts_cached(model, classes, templates, cache_dir=cache_dir),
        negative=negative,
        negative_object=bank(names.negative_object),
        negative_background=bank(names.negative_background),
        positive_prompts=np.stack(prompts, axis=1),
    )
    if config.soft_weighting == "none":
        return banks, names
    return _soft(banks, names, groups["ambiguous"], split, config)


def group_permutation(count: int, num_groups: int, seed: int) -> np.ndarray:
    """A random order of the count − count mod G negatives that fill the groups."""
    return np.random.default_rng(seed).permutation(count - count % num_groups)


def nearest_labels(
    embeddings: np.ndarray, bank: np.ndarray, names: Sequence[str], count: int
) -> list[list[tuple[str, float]]]:
    """Per embedding [N, D] the ``count`` labels of a bank [M, D] nearest to it, with cosines."""
    similarity = np.asarray(embeddings) @ np.asarray(bank).T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return [
        [(names[m], float(row[m])) for m in best]
        for row, best in zip(similarity, order, strict=True)
    ]


def _soft(
    banks: LabelBanks,
    names: LabelNames,
    ambiguous: Sequence[str],
    split: NegativeSplit,
    config: NegAlignConfig,
) -> tuple[LabelBanks, LabelNames]:
    """Banks with weights: of the ambiguous words on both sides, or of all words on both sides."""
    rows = {word: row for row, word in enumerate(names.negative)}
    negative = np.asarray(banks.negative)
    if config.soft_weighting == "all":
        missing = [word for word in names.negative if word not in split.r_scores]
        if missing:
            raise InputError(
                f"soft_weighting: {missing[0]!r} has no r-score; run split_negatives on these words"
            )
        r = np.array([split.r_scores[word] for word in names.negative])
        sides = tuple(
            np.asarray(side) for side in splitting.soft_weights(r, scale=config.soft_weight_scale)
        )
        words = names.negative, names.negative
    else:
        r = np.array([split.r_scores[word] for word in ambiguous])
        background = np.asarray(splitting.background_probability(r, beta=config.soft_beta))
        sides = (
            np.concatenate([np.ones(len(names.negative_object)), 1 - background]),
            np.concatenate([np.ones(len(names.negative_background)), background]),
        )
        words = (
            (*names.negative_object, *ambiguous),
            (*names.negative_background, *ambiguous),
        )
    object_words, background_words = words
    return (
        banks._replace(
            negative_object=negative[[rows[word] for word in object_words]],
            negative_background=negative[[rows[word] for word in background_words]],
            object_weights=sides[0].astype(np.float32),
            background_weights=sides[1].astype(np.float32),
        ),
        names._replace(
            negative_object=tuple(object_words), negative_background=tuple(background_words)
        ),
    )


def _check_counts(groups: dict[str, tuple[str, ...]], total: int, config: NegAlignConfig) -> None:
    if total < config.num_groups:
        raise InputError(
            f"negative labels: {total} cannot fill {config.num_groups} groups; "
            f"set num_groups to at most {total} or mine more words"
        )
    if config.use_role_aware_negatives and len(groups["object"]) < config.num_groups:
        raise InputError(
            f"object-leaning negatives: {len(groups['object'])} cannot fill {config.num_groups} "
            "groups; lower the split's threshold, set num_groups lower, or set "
            "use_role_aware_negatives=False"
        )
    if config.use_p_align and not groups["background"]:
        raise InputError(
            "background-leaning negatives: none; lower the split's threshold or set "
            "use_p_align=False"
        )
