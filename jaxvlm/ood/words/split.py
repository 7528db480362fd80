"""Which negative labels name objects and which name backgrounds, by how CLIP reads prompts."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.clip import Encoder, embed_names
from jaxvlm.errors import InputError
from jaxvlm.ood.words.lists import NegativeSplit

WORD_TEMPLATE = "a {}"
OBJECT_TEMPLATES = ("a photo of a {}", "a close-up photo of a {}")
BACKGROUND_TEMPLATES = ("a scene of {}", "a background of {}", "a texture of {}")


class RoleScores(NamedTuple):
    """cos_obj, cos_bg and r = cos_obj − cos_bg, each [M]; cosines."""

    cos_obj: jax.Array
    cos_bg: jax.Array
    r: jax.Array


@jax.jit
def role_scores(
    words: ArrayLike, object_prompts: ArrayLike, background_prompts: ArrayLike
) -> RoleScores:
    """How much more a word resembles its object prompts than its background prompts.

    r(w) = cos(e_w, E_obj(w)) − cos(e_w, E_bg(w)).

    Args:
      words: [M, D], embeddings of "a w".
      object_prompts: [M, D], mean unit embeddings of ``OBJECT_TEMPLATES`` with w; any norm.
      background_prompts: [M, D], the same of ``BACKGROUND_TEMPLATES``.

    Raises ValueError: other shapes.

    Source: NegAlign, its split of negatives by CLIP.
    """
    check_shapes(
        "role_scores",
        words=(words, "M D"),
        object_prompts=(object_prompts, "M D"),
        background_prompts=(background_prompts, "M D"),
    )
    word = unit(words)
    cos_obj = jnp.sum(word * unit(object_prompts), axis=-1)
    cos_bg = jnp.sum(word * unit(background_prompts), axis=-1)
    return RoleScores(cos_obj, cos_bg, cos_obj - cos_bg)


def score_words(encoder: Encoder, words: Sequence[str]) -> RoleScores:
    """Role scores of words under an encoder, each [M]. Raises InputError for too long a word."""

    def embed(*templates: str) -> np.ndarray:
        return embed_names(encoder, words, templates)

    return role_scores(embed(WORD_TEMPLATE), embed(*OBJECT_TEMPLATES), embed(*BACKGROUND_TEMPLATES))


def split_by_threshold(
    words: Sequence[str],
    r: ArrayLike,
    *,
    tau: float = 0.05,
    tau_object: float | None = None,
    tau_background: float | None = None,
) -> NegativeSplit:
    """Object-leaning where r > τ_obj, background-leaning where r < −τ_bg, else ambiguous.

    Args:
      words: M different words; groups keep their order.
      r: [M].
      tau: both thresholds, unless ``tau_object`` or ``tau_background`` says otherwise.

    Raises:
      InputError: r is not [M] or not finite, −τ_bg > τ_obj, or no word leans to one of the sides
        (the message names the threshold and the range of r).
    """
    scores = _checked(words, r)
    above = tau if tau_object is None else tau_object
    below = tau if tau_background is None else tau_background
    if not -below <= above:
        raise InputError(
            f"thresholds: tau_obj {above:g} lies below -tau_bg {-below:g}, a word could be both; "
            "raise one of them"
        )
    low, high = scores.min(), scores.max()
    span = f"r lies in [{low:.4g}, {high:.4g}] over {len(words)} words"
    if not high > above:
        raise InputError(
            f"tau_obj {above:g}: no object-leaning word left, {span}; lower tau_obj "
            "or split by percentile"
        )
    if not low < -below:
        raise InputError(
            f"tau_bg {below:g}: no background-leaning word left, {span}; lower tau_bg "
            "or split by percentile"
        )
    return _grouped(words, scores, scores > above, scores < -below)


def split_by_percentile(
    words: Sequence[str], r: ArrayLike, *, percentile: float = 45.0
) -> NegativeSplit:
    """The n words of highest r are object-leaning, the n of lowest background-leaning.

    n = ⌊M·percentile/100⌋; 45 gives the published 2866, 2866 and 638 of 6370. Equal r: the word
    first in alphabetical order counts as the higher one.

    Raises:
      InputError: r is not [M] or not finite, percentile outside (0, 50], or n = 0.

    Source: NegAlign, its percentile split.
    """
    scores = _checked(words, r)
    if not 0 < percentile <= 50:
        raise InputError(f"percentile {percentile:g}: outside (0, 50]; the published one is 45")
    count = int(len(words) * percentile / 100)
    if count == 0:
        raise InputError(
            f"percentile {percentile:g}: no object-leaning and no background-leaning word left, "
            f"it takes 0 of {len(words)} words; raise it or give more words"
        )
    order = sorted(range(len(words)), key=lambda i: (-scores[i], words[i]))
    top, bottom = np.zeros((2, len(words)), bool)
    top[order[:count]] = True
    bottom[order[len(order) - count :]] = True
    return _grouped(words, scores, top, bottom)


def background_probability(r: ArrayLike, *, beta: float = 10.0) -> jax.Array:
    """Soft assignment of a word to the backgrounds: p_bg = σ(−β r), r [...], elementwise."""
    return jax.nn.sigmoid(-beta * jnp.asarray(r))


def soft_weights(r: ArrayLike, *, scale: float = 20.0) -> tuple[jax.Array, jax.Array]:
    """V3 weights of a word as object and as background: σ(s r) and σ(−s r), r [...]."""
    scaled = scale * jnp.asarray(r)
    return jax.nn.sigmoid(scaled), jax.nn.sigmoid(-scaled)


def _checked(words: Sequence[str], r: ArrayLike) -> np.ndarray:
    scores = np.asarray(r, np.float64)
    if scores.shape != (len(words),) or not len(words):
        raise InputError(f"r: shape {scores.shape} for {len(words)} words; give one score per word")
    if len(set(words)) != len(words):
        raise InputError("words: one stands there twice; keep its first occurrence")
    if not np.isfinite(scores).all():
        word = words[int(np.argmin(np.isfinite(scores)))]
        raise InputError(f"r: not finite for {word!r}; check the weights of the encoder")
    return scores


def _grouped(
    words: Sequence[str], scores: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> NegativeSplit:
    def chosen(mask: np.ndarray) -> tuple[str, ...]:
        return tuple(word for word, yes in zip(words, mask, strict=True) if yes)

    return NegativeSplit(
        object=chosen(top),
        background=chosen(bottom),
        ambiguous=chosen(~top & ~bottom),
        r_scores=dict(zip(words, scores.tolist(), strict=True)),
    )
