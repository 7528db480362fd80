"""Prompts of classes, nouns and adjectives, each set under the name of the method that has it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxvlm.errors import InputError

if TYPE_CHECKING:
    from jaxvlm.clip import Encoder

# The superclasses that CSP puts behind an adjective (Chen et al. 2024 and their code).
SUPERCLASSES = (
    "area", "creature", "environment", "item", "landscape", "object", "pattern", "place",
    "scene", "space", "structure", "thing", "view", "vista",
)  # fmt: skip


class PromptSet(NamedTuple):
    """Templates with ``{}``: of nouns and class names, of bare adjectives, and of phrases, an
    adjective with its superclass.

    raw_mean: an embedding is the unit mean of what the text tower gave, not of unit vectors. With
    real prompts the two hardly differ (least cosine 0.9997).
    """

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    phrases: tuple[str, ...]
    raw_mean: bool = False


_CSP_NOUNS = (
    "{}", "the {}", "the good {}", "the nice {}", "a photo of the nice {}.",
    "a photo with the nice {}.", "a good photo with the nice {}.",
    "a close-up photo of the nice {}.",
)  # fmt: skip
_CSP_PHRASES = ("{}", "a nice photo of {}", "a good photo of {}", "a close-up photo of {}")
_CSP = PromptSet(_CSP_NOUNS, _CSP_PHRASES, _CSP_PHRASES, raw_mean=True)

# Facts of the published codes, taken down from: XueJiang16/NegLabel at 3253db68,
# MengyuanChen21/NeurIPS2024-CSP at 3a7bdabe, ah-ansari/NegRefine at 72e4b82d and
# kahyeon17/NegAlign at 8c51f72e, which gives adjective phrases the templates of nouns.
PROMPT_SETS: Mapping[str, PromptSet] = {
    "neglabel": PromptSet(("the nice {}",), ("this is a {} photo",), ("this is a {} photo",)),
    "csp": _CSP,
    "negrefine": _CSP,
    "negalign": _CSP._replace(adjectives=_CSP_NOUNS, phrases=_CSP_NOUNS),
}


def prompt_set(name: str, nouns: Sequence[str] | None = None) -> PromptSet:
    """The set of this name, with ``nouns`` instead of its templates of nouns and classes.

    Raises InputError for a set that there is not.
    """
    if name not in PROMPT_SETS:
        raise InputError(f"prompts {name!r}: unknown; use one of {', '.join(PROMPT_SETS)}")
    return PROMPT_SETS[name]._replace(**({"nouns": tuple(nouns)} if nouns else {}))


def same_for_all(templates: Sequence[str]) -> PromptSet:
    """The same templates for nouns, adjectives and phrases, unit means."""
    return PromptSet(tuple(templates), tuple(templates), tuple(templates))


def is_phrase(adjective: str) -> bool:
    """Whether an adjective stands with one of `SUPERCLASSES`: ``"furry creature"``."""
    first, _, last = adjective.strip().rpartition(" ")
    return bool(first) and last in SUPERCLASSES


def conjugate(adjective: str, superclasses: Sequence[str] = SUPERCLASSES) -> str:
    """``"furry"`` -> ``"furry creature"``; the superclass follows from the adjective's hash, so
    that neither seed nor order decides it (CSP draws at random)."""
    if not superclasses:
        return adjective
    digest = hashlib.sha256(adjective.encode()).digest()
    return f"{adjective} {superclasses[int.from_bytes(digest[:8], 'big') % len(superclasses)]}"


def embed_negatives(
    encoder: Encoder, words: Sequence[str], adjectives: Sequence[str], prompts: PromptSet
) -> np.ndarray:
    """Unit embeddings [M, D] of negative labels, each under the templates of its kind.

    adjectives: which of the words are adjectives, bare or with a superclass; others are nouns.
    """
    from jaxvlm.clip import embed_names  # the sets are told by `--help`, too

    listed = set(adjectives)
    kinds = [
        "nouns" if word not in listed else "phrases" if is_phrase(word) else "adjectives"
        for word in words
    ]
    by_templates: dict[tuple[str, ...], list[int]] = {}
    for row, kind in enumerate(kinds):
        by_templates.setdefault(getattr(prompts, kind), []).append(row)
    found = np.empty((len(words), encoder.model.config.projection_dim), np.float32)
    for templates, rows in by_templates.items():
        own = [words[row] for row in rows]
        found[rows] = embed_names(encoder, own, templates, raw_mean=prompts.raw_mean)
    return found


def embed_agents(encoder: Encoder, num_classes: int) -> np.ndarray:
    """CMA's neutral texts as they are, one a class: unit rows [K, D]."""
    from jaxvlm.clip import embed_names  # as above
    from jaxvlm.ood.text_scores import agent_texts

    texts = agent_texts(num_classes)
    own = list(dict.fromkeys(texts))
    rows = embed_names(encoder, own, ["{}"])
    return rows[[own.index(text) for text in texts]]
