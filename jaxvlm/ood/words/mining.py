"""Negative labels: the candidate words that are farthest from all ID classes."""

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm import files, runs
from jaxvlm.arrays import check_shapes
from jaxvlm.clip import ClipModel, Encoder, clip_record, embed_names, token_ids, weights_hash
from jaxvlm.errors import InputError
from jaxvlm.ood.words.lists import normalize_word, write_negatives
from jaxvlm.ood.words.prompts import PROMPT_SETS, PromptSet, conjugate
from jaxvlm.ood.words.rules import RULES, MiningRule
from jaxvlm.progress import stage

_CHUNK = 512  # words at a time: 512 x 1,000 similarities and their sorted copy are 4 MB


class Removed(NamedTuple):
    """How many words a rule removed, and up to ten of them in alphabetical order."""

    count: int
    examples: tuple[str, ...]


class Candidates(NamedTuple):
    """Words that may become negative labels, sorted, and what each rule took away."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    removed: dict[str, Removed]


class MinedNegatives(NamedTuple):
    """Negative labels, nouns before adjectives, each kind from the farthest to the nearest.

    words, kinds ("noun" or "adjective"), similarity: M each; the similarity is the q-quantile to
    the ID classes. removed: rule -> count and examples. sha256: of the words joined by newlines.
    ties: kind -> where words of one similarity are both kept and left, how many of them are kept,
    and how many there are: there the alphabet chose.
    """

    words: tuple[str, ...]
    kinds: tuple[str, ...]
    similarity: tuple[float, ...]
    removed: dict[str, Removed]
    sha256: str
    ties: dict[str, tuple[int, int]]

    def warnings(self) -> list[str]:
        """A line per kind of words whose choice the alphabet made."""
        return [
            f"{kind}s: {kept} of the {self.kinds.count(kind)} kept are as similar to the classes "
            f"as {tied - kept} that were left out; the alphabet chose among these {tied}"
            for kind, (kept, tied) in self.ties.items()
        ]


def mine_negatives(
    encoder: Encoder,
    classes: Sequence[str],
    candidates: Candidates,
    *,
    fraction: float = 0.15,
    rule: MiningRule = RULES["csp"],
    prompts: PromptSet = PROMPT_SETS["csp"],
) -> MinedNegatives:
    """The ``fraction`` of candidate nouns, and of adjectives, that is least like the ID classes.

    s(w) = Q_q({cos(t_w, t_k)}_k), the q-quantile over the K classes; by the rules of CSP and
    NegRefine s(w) = 1 where max_k cos(t_w, t_k) > 0.95, so that such a word comes last. The lowest
    ⌊fraction·n⌋ of the n nouns are kept, and of the adjectives likewise; ties by alphabet, counted
    in ``ties``: an encoder whose texts lie close has most words at 1.

    Args:
      encoder: whose text embeddings decide.
      classes: the K ID classes.
      candidates: from ``wordnet_candidates`` or ``list_candidates``.
      fraction: in (0, 1].
      rule: one of `RULES`, or another. An adjective becomes "<adjective> <superclass>", see
        `prompts.conjugate`.
      prompts: of classes, nouns and adjectives, one of `prompts.PROMPT_SETS` or others.

    Raises:
      InputError: fraction or quantile out of range, classes as ``check_banks_words``, or no word
        left to keep.

    Source: Jiang et al. 2024 (NegLabel), NegMining; Chen et al. 2024 (CSP).
    """
    if not 0 < fraction <= 1:
        raise InputError(f"fraction {fraction:g}: outside (0, 1]; NegLabel takes 0.15")
    if not 0 <= rule.quantile <= 1:
        raise InputError(f"quantile {rule.quantile:g}: outside [0, 1]; NegLabel takes 0.95")
    check_banks_words(classes, ())
    embed = functools.partial(embed_names, encoder, raw_mean=prompts.raw_mean)
    class_embeddings = embed(classes, prompts.nouns)
    report = dict(candidates.removed)
    adjectives = [conjugate(word, rule.superclasses) for word in candidates.adjectives]
    banks = {
        "noun": (candidates.nouns, prompts.nouns),
        "adjective": (adjectives, prompts.phrases if rule.superclasses else prompts.adjectives),
    }
    words, kinds, similarity, ties = [], [], [], {}
    seen = {normalize_word(name) for name in classes}
    for kind, (bank, templates) in banks.items():
        fresh, repeated = _unseen(bank, seen)
        if repeated:
            report[f"{kind} seen before"] = removed(repeated)
        with stage(encoder.on_progress, f"count the tokens of {len(fresh):,} {kind}s"):
            readable, too_long = _readable(encoder.model, fresh, templates)
        if too_long:
            report[f"{kind} too long"] = removed(too_long)
        embedded = embed(readable, templates)
        with stage(encoder.on_progress, f"compare {len(readable):,} {kind}s with the classes"):
            scores = class_similarity(
                embedded, class_embeddings, quantile=rule.quantile, near=rule.near
            )
        order = sorted(range(len(readable)), key=lambda i: (scores[i], readable[i]))
        kept = order[: int(len(order) * fraction)]
        if 0 < len(kept) < len(order) and scores[order[len(kept)]] == scores[kept[-1]]:
            last = scores[kept[-1]]
            ties[kind] = int((scores[kept] == last).sum()), int((scores == last).sum())
        words += [readable[i] for i in kept]
        kinds += [kind] * len(kept)
        similarity += [float(scores[i]) for i in kept]
        if len(readable):
            report[f"{kind} near a class"] = removed(readable[i] for i in order[len(kept) :])
    if not words:
        count = len(candidates.nouns) + len(candidates.adjectives)
        raise InputError(
            f"candidates: fraction {fraction:g} of {count} words keeps none; give more words "
            "or a larger fraction"
        )
    return MinedNegatives(
        tuple(words), tuple(kinds), tuple(similarity), report, words_sha256(words), ties
    )


def class_similarity(
    words: ArrayLike, classes: ArrayLike, *, quantile: float = 0.95, near: float | None = None
) -> np.ndarray:
    """The q-quantile of each word's cosines to the ID classes; 1 where the largest exceeds near.

    Args:
      words: [M, D] unit rows, any M: they pass in chunks, so memory beyond the input is small.
      classes: [K, D] unit rows.
      near: None: no word is set to 1 (NegLabel).

    Returns:
      float32 [M]; the quantile interpolates linearly.

    Raises:
      InputError: a value is not finite; ValueError: other shapes.
    """
    check_shapes("class_similarity", words=(words, "M D"), classes=(classes, "K D"))
    quantile = float(quantile)  # jnp.quantile refuses the integer 1
    words, classes = np.asarray(words, np.float32), jnp.asarray(classes, jnp.float32)
    parts = [np.empty(0, np.float32)]
    for first in range(0, len(words), _CHUNK):
        chunk = words[first : first + _CHUNK]
        padded = np.pad(chunk, ((0, _CHUNK - len(chunk)), (0, 0)))
        scores = _chunk_similarity(padded, classes, quantile=quantile, near=near)
        parts.append(np.asarray(scores)[: len(chunk)])
    scores = np.concatenate(parts)
    if not np.isfinite(scores).all():
        raise InputError("text embeddings: not finite; check the weights of the encoder")
    return scores


def list_candidates(words: Sequence[str], classes: Sequence[str]) -> Candidates:
    """Candidates from a word list, all as nouns: sorted, without the ID classes."""
    names = {normalize_word(name) for name in classes}
    kept = tuple(sorted(word for word in set(words) if normalize_word(word) not in names))
    return Candidates(kept, (), {"class": removed(set(words) - set(kept))})


def removed(words: Iterable[str]) -> Removed:
    """The record of a rule that removed ``words``."""
    ordered = sorted(words)
    return Removed(len(ordered), tuple(ordered[:10]))


def check_banks_words(classes: Sequence[str], negatives: Sequence[str]) -> None:
    """Raises InputError for an empty or repeated class, or a class that is also a negative.

    Words are compared by ``normalize_word``.
    """
    if not classes:
        raise InputError("classes: there is none; name at least one")
    first: dict[str, str] = {}
    for name in classes:
        key = normalize_word(name)
        if not key:
            raise InputError("classes: one has no name; write it or remove it")
        if key in first:
            raise InputError(
                f"classes: {name!r} repeats {first[key]!r}; remove it or rename one of the two"
            )
        first[key] = name
    both = [word for word in negatives if normalize_word(word) in first]
    if both:
        more = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise InputError(
            f"negative labels: {both[0]!r}{more} also names a class "
            f"({first[normalize_word(both[0])]!r}); remove it from the list or mine again"
        )


def words_sha256(words: Iterable[str]) -> str:
    """SHA-256 of words joined by newlines: what a list is frozen by."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


WRITTEN = ("neg_labels_noun.txt", "neg_labels_adj.txt", "mining.json", "run.json")


def write_mined(
    out_dir: str | os.PathLike, mined: MinedNegatives, encoder: Encoder, settings: dict
) -> None:
    """Writes ``neg_labels_noun.txt``, ``neg_labels_adj.txt``, ``mining.json`` and ``run.json``."""
    both = list(zip(mined.words, mined.kinds, strict=True))
    by_kind = {k: [w for w, kind in both if kind == k] for k in ("noun", "adjective")}
    write_negatives(out_dir, by_kind["noun"], by_kind["adjective"])
    record = {
        "settings": settings,
        "kept": {kind: len(words) for kind, words in by_kind.items()},
        "removed": {rule: part._asdict() for rule, part in mined.removed.items()},
        "ties": {kind: dict(kept=k, all=n) for kind, (k, n) in mined.ties.items()},
        "words_sha256": mined.sha256,
        "clip_sha256": weights_hash(encoder.model),
    }
    files.write_json(os.path.join(out_dir, "mining.json"), record)
    runs.write_record(out_dir, settings, made_with={"clip": clip_record(encoder.model)})


@functools.partial(jax.jit, static_argnames=("quantile", "near"))
def _chunk_similarity(words: jax.Array, classes: jax.Array, *, quantile: float, near: float | None):
    cosines = jnp.matmul(words, classes.T, precision="highest")
    scores = jnp.quantile(cosines, quantile, axis=-1)
    if near is None:
        return scores
    return jnp.where(cosines.max(axis=-1) > near, 1.0, scores)


def _unseen(words: Iterable[str], seen: set[str]) -> tuple[list[str], list[str]]:
    """Splits words into new ones, which join ``seen``, and repeated ones."""
    fresh, repeated = [], []
    for word in words:
        key = normalize_word(word)
        (repeated if key in seen else fresh).append(word)
        seen.add(key)
    return fresh, repeated


def _readable(
    model: ClipModel, words: Sequence[str], templates: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Splits words into those whose prompts fit into the text tower and the others."""
    if model.tokenizer is None:
        raise InputError("model: it came without a tokenizer; take a CLIP folder that has one")
    limit = model.config.text_config.max_position_embeddings
    longest = np.zeros(len(words), int)
    for template in templates:
        prompts = [template.replace("{}", word) for word in words]
        lengths = [len(ids) for ids in token_ids(model.tokenizer, prompts)]
        longest = np.maximum(longest, np.asarray(lengths, int))
    fits = [word for word, length in zip(words, longest, strict=True) if length <= limit]
    return fits, [word for word, length in zip(words, longest, strict=True) if length > limit]
