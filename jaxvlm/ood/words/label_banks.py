"""Label banks: the unit text embeddings that pictures are compared with, and their words."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.clip import Encoder, embed_names
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.words import split as splitting
from jaxvlm.ood.words.lists import NegativeSplit
from jaxvlm.ood.words.mining import check_banks_words
from jaxvlm.ood.words.prompts import PromptSet, conjugate, embed_agents, embed_negatives, is_phrase

_BLOCK = 1024  # pictures compared at a time: [N, M] need not fit into memory


class LabelBanks(NamedTuple):
    """Unit text embeddings that images are compared with.

    positive [K, D]; negative [M, D], all negative labels; negative_object [M_obj, D] and
    negative_background [M_bg, D], the object-leaning and the background-leaning ones.
    positive_prompts [K, R, D]: the class's single prompts, or None, when ``positive`` stands for
    them. object_weights [M_obj], background_weights [M_bg]: soft weights, or None for 1.
    object_rows [M_obj]: which rows of ``negative`` the object-leaning ones are, so that no
    similarity is computed twice; None: unknown, they may be others.
    conjugated [M_c, D]: CSP's words, nouns and adjectives with a superclass; None: there is no
    adjective. conjugated_rows [M_c]: which rows of ``negative`` they are, −1 for a phrase that was
    made of an adjective that stands there alone.
    agents [K, D]: CMA's neutral texts, one a class; None: there is none.
    """

    positive: ArrayLike
    negative: ArrayLike
    negative_object: ArrayLike
    negative_background: ArrayLike
    positive_prompts: ArrayLike | None = None
    object_weights: ArrayLike | None = None
    background_weights: ArrayLike | None = None
    object_rows: ArrayLike | None = None
    conjugated: ArrayLike | None = None
    conjugated_rows: ArrayLike | None = None
    agents: ArrayLike | None = None


class LabelNames(NamedTuple):
    """The words behind the rows of the banks, in their order; CSP's words, or none."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    negative_object: tuple[str, ...]
    negative_background: tuple[str, ...]
    conjugated: tuple[str, ...] = ()


class GivenRows(NamedTuple):
    """Unit rows [K, D] of the classes and [M, D] of the negatives that need not be embedded."""

    positive: np.ndarray | None = None
    negative: np.ndarray | None = None


def build_banks(
    encoder: Encoder | None,
    classes: Sequence[str],
    negatives: Sequence[str],
    split: NegativeSplit,
    config: NegAlignConfig,
    *,
    prompts: PromptSet,
    adjectives: Sequence[str] = (),
    given: GivenRows = GivenRows(),  # noqa: B008 (immutable)
) -> tuple[LabelBanks, LabelNames]:
    """Embeds class names and negative labels and sorts the negatives into their roles.

    Args:
      classes: K names. negatives: M words. split: their roles, words of it that are no negative
        are left out.
      prompts: a label's embedding is the mean over those of its kind, of unit length; a class's
        single prompts are kept for P_align.
      adjectives: which negatives are adjectives, bare or with a superclass. Where there is one the
        banks hold CSP's words too; a bare adjective gets its superclass by `prompts.conjugate`.
      given: rows that are known; ``encoder`` embeds the others and CMA's agents, and may be None
        where there are no others. Classes that are given have no single prompts.

    Raises InputError: a name given twice, a class that is also a negative, or too few negatives
    for ``config.num_groups`` (says which side and which option).
    """
    check_banks_words(classes, negatives)
    rows = {word: row for row, word in enumerate(negatives)}
    if len(rows) < len(negatives):
        raise InputError("negative labels: one stands there twice; keep its first occurrence")
    sides = _sides(negatives, split, config)
    _check_counts(sides, len(negatives), config)
    negative = given.negative
    if negative is None:
        negative = embed_negatives(encoder, negatives, adjectives, prompts)
    positive, single = given.positive, None
    if positive is None:
        parts = [embed_names(encoder, classes, [template]) for template in prompts.nouns]
        single = np.stack(parts, axis=1)
        positive = embed_names(encoder, classes, prompts.nouns, raw_mean=prompts.raw_mean)
    if positive.shape[1] != negative.shape[1]:
        raise InputError(
            f"embeddings: the classes have {positive.shape[1]} dimensions, the negatives "
            f"{negative.shape[1]}; take both from one encoder"
        )
    listed = set(adjectives)
    phrases = {w: w if is_phrase(w) else conjugate(w) for w in negatives if w in listed}
    conjugated = tuple(dict.fromkeys(phrases.get(word, word) for word in negatives))

    def bank(words: Sequence[str]) -> np.ndarray:
        return negative[[rows[word] for word in words]]

    names = LabelNames(tuple(classes), tuple(negatives), sides.object, sides.background)
    pool = {}
    if phrases and (encoder is not None or {*phrases.values()} <= {*phrases}):
        names = names._replace(conjugated=conjugated)
        own = [word for word in conjugated if word not in rows]
        pool_rows = np.array([rows.get(word, -1) for word in conjugated], np.int32)
        pool = {"conjugated": negative[pool_rows], "conjugated_rows": pool_rows}
        if own:
            pool["conjugated"][pool_rows < 0] = embed_negatives(encoder, own, own, prompts)
    banks = LabelBanks(
        positive=positive,
        negative=negative,
        negative_object=bank(names.negative_object),
        negative_background=bank(names.negative_background),
        positive_prompts=single,
        object_rows=np.array([rows[word] for word in names.negative_object], np.int32),
        object_weights=sides.object_weights,
        background_weights=sides.background_weights,
        agents=None if encoder is None else embed_agents(encoder, len(classes)),
        **pool,
    )
    return banks, names


def check_banks(banks: LabelBanks, config: NegAlignConfig) -> None:
    """Checks that the banks are unit rows of one width, with all that ``config`` asks for.

    Raises InputError, naming the bank: another shape, a row that is NaN or not of unit length,
    weights or prompts that do not go with their bank, no class, no background-leaning word where
    P_align needs one, or a ``logit_scale`` of 0 (see `with_logit_scale`).
    """
    if not config.logit_scale:
        raise InputError(
            "logit_scale 0: stands for the model's own; resolve it with with_logit_scale"
        )
    width = jnp.shape(banks.positive)[-1]
    for name in ("positive", "negative", "negative_object", "negative_background"):
        _check_rows(name, getattr(banks, name), (None, width))
    for name in ("conjugated", "agents"):
        if getattr(banks, name) is not None:
            _check_rows(name, getattr(banks, name), (None, width))
    if not len(banks.positive):
        raise InputError("label bank positive: empty; give at least one class name")
    if banks.positive_prompts is not None:
        _check_rows("positive_prompts", banks.positive_prompts, (len(banks.positive), None, width))
    for name, bank in (
        ("object_weights", banks.negative_object),
        ("background_weights", banks.negative_background),
    ):
        weights = getattr(banks, name)
        if weights is not None and (
            jnp.shape(weights) != (len(bank),) or not _true(jnp.isfinite(jnp.asarray(weights)))
        ):
            raise InputError(
                f"label bank {name}: not {len(bank)} finite numbers; give one per word of its bank"
            )
    _check_object_rows(banks)
    if config.use_p_align and not len(banks.negative_background):
        raise InputError(
            "label bank negative_background: empty; lower the split's threshold or set "
            "use_p_align=False"
        )


def object_weights(
    negatives: Sequence[str], split: NegativeSplit, config: NegAlignConfig
) -> np.ndarray:
    """σ(s r) of every negative (V3), [M]; s is ``soft_weight_scale``. All must have an r-score."""
    r = np.array([split.r_scores[word] for word in negatives])
    weights, _ = splitting.soft_weights(r, scale=config.soft_weight_scale)
    return np.asarray(weights, np.float32)


def group_permutation(count: int, num_groups: int, seed: int) -> np.ndarray:
    """A random order of the count − count mod G negatives that fill the groups."""
    return np.random.default_rng(seed).permutation(count - count % num_groups)


def nearest_labels(
    embeddings: ArrayLike, bank: ArrayLike, names: Sequence[str], count: int
) -> list[list[tuple[str, float]]]:
    """Per embedding [N, D] the ``count`` labels of a bank [M, D] nearest to it, with cosines.

    Of equals the first one listed comes first. Raises ValueError: other shapes, or not M names.
    """
    bank = np.asarray(bank)
    check_shapes("nearest_labels", embeddings=(embeddings, "N D"), bank=(bank, f"{len(names)} D"))
    found = []
    for start in range(0, len(embeddings), _BLOCK):
        for row in np.asarray(embeddings[start : start + _BLOCK]) @ bank.T:
            near = np.arange(len(row))
            if count < len(row):  # sorting all is most of the work
                near = np.flatnonzero(row >= np.partition(row, -count)[-count])
            best = near[np.argsort(-row[near], kind="stable")[:count]]
            found.append([(names[m], float(row[m])) for m in best])
    return found


class _Sides(NamedTuple):
    """The object- and the background-leaning negatives and their weights, None for 1."""

    object: tuple[str, ...]
    background: tuple[str, ...]
    object_weights: np.ndarray | None = None
    background_weights: np.ndarray | None = None


def _sides(negatives: Sequence[str], split: NegativeSplit, config: NegAlignConfig) -> _Sides:
    """The hard split, the ambiguous words on both sides, or all words on both sides."""
    if config.soft_weighting == "all":
        missing = [word for word in negatives if word not in split.r_scores]
        if missing:
            raise InputError(
                f"soft_weighting: {missing[0]!r} has no r-score; "
                "run jaxvlm split-negatives on these words"
            )
        r = np.array([split.r_scores[word] for word in negatives])
        weights = splitting.soft_weights(r, scale=config.soft_weight_scale)
        words = tuple(negatives)
        return _Sides(words, words, *(np.asarray(side, np.float32) for side in weights))
    wanted = set(negatives)
    objects, backgrounds, ambiguous = (
        tuple(word for word in group if word in wanted)
        for group in (split.object, split.background, split.ambiguous)
    )
    if config.soft_weighting == "ambiguous":
        if config.neg_use_ambiguous_in_obj:
            raise InputError(
                "neg_use_ambiguous_in_obj: soft_weighting='ambiguous' places these words too; "
                "set one of the two off"
            )
        r = np.array([split.r_scores[word] for word in ambiguous])
        background = np.asarray(splitting.background_probability(r, beta=config.soft_beta))
        return _Sides(
            objects + ambiguous,
            backgrounds + ambiguous,
            np.append(np.ones(len(objects)), 1 - background).astype(np.float32),
            np.append(np.ones(len(backgrounds)), background).astype(np.float32),
        )
    return _Sides(objects + ambiguous * config.neg_use_ambiguous_in_obj, backgrounds)


def _check_counts(sides: _Sides, total: int, config: NegAlignConfig) -> None:
    if total < config.num_groups:
        raise InputError(
            f"negative labels: {total} cannot fill {config.num_groups} groups; "
            f"set num_groups to at most {total} or mine more words"
        )
    if config.use_role_aware_negatives and len(sides.object) < config.num_groups:
        raise InputError(
            f"object-leaning negatives: {len(sides.object)} cannot fill {config.num_groups} "
            "groups; lower the split's threshold, set num_groups lower, or set "
            "use_role_aware_negatives=False"
        )
    if config.use_p_align and not sides.background:
        raise InputError(
            "background-leaning negatives: none; lower the split's threshold or set "
            "use_p_align=False"
        )


def _check_rows(name: str, bank: ArrayLike, shape: tuple[int | None, ...]) -> None:
    found = jnp.shape(bank)
    fits = len(found) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, found, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"label bank {name}: shape {found}, expected ({expected}); "
            "embed all labels with one model"
        )
    if not _true(jnp.abs(jnp.linalg.norm(jnp.asarray(bank), axis=-1) - 1) < 1e-2):
        raise InputError(
            f"label bank {name}: a row is NaN or not of unit length; "
            "check the weights and normalise the embeddings"
        )


def _check_object_rows(banks: LabelBanks) -> None:
    rows, objects = banks.object_rows, banks.negative_object
    if rows is None or isinstance(rows, jax.core.Tracer):
        return
    rows = np.asarray(rows)
    fits = rows.shape == (len(objects),) and np.issubdtype(rows.dtype, np.integer)
    if fits and len(rows):
        fits = 0 <= rows.min() and rows.max() < len(banks.negative)
    if not fits or not _true(jnp.asarray(banks.negative)[rows] == jnp.asarray(objects)):
        raise InputError(
            "label bank object_rows: not the rows of negative that negative_object has; correct "
            "them or leave them out"
        )


def _true(values: jax.Array) -> bool:
    """Whether all are true; traced values, which nobody can look at yet, pass."""
    return isinstance(values, jax.core.Tracer) or bool(values.all())
