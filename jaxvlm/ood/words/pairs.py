"""NegRefine's multi-matching: does "a dog and a field" explain a picture better than "a field"?"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.arrays import check_shapes
from jaxvlm.clip import Encoder, embed_names
from jaxvlm.ood.scores import multi_matching_score
from jaxvlm.ood.words.label_banks import LabelBanks, LabelNames

_CHUNK = 4096  # images whose pair embeddings [chunk, I·J, D] are held at once


def multi_matching_scores(
    encoder: Encoder,
    embeddings: np.ndarray,
    banks: LabelBanks,
    names: LabelNames,
    *,
    templates: Sequence[str],
    raw_mean: bool = False,
    logit_scale: float = 100.0,
    topk: int = 5,
) -> np.ndarray:
    """S_MM of unit image embeddings [N, D], [N].

    S_MM = max_{i,j} σ(z("p_i and n_j") − z(n_j)), p_i and n_j the ``topk`` classes and negative
    labels nearest to the picture. Each pair of words is embedded once for all pictures. raw_mean:
    see `prompts.PromptSet`.

    Raises ValueError: embeddings of another shape.

    Source: Ansari et al. 2025 (NegRefine), section 4.2, with their five and five.
    """
    check_shapes(
        "multi_matching_scores",
        embeddings=(embeddings, "N D"),
        positive=(banks.positive, "K D"),
        negative=(banks.negative, "M D"),
    )
    embeddings = np.asarray(embeddings, np.float32)
    if not len(embeddings):
        return np.empty(0, np.float32)
    parts = [
        _nearest(embeddings[start : start + _CHUNK], banks, topk)
        for start in range(0, len(embeddings), _CHUNK)
    ]
    classes, negatives, negative_sim = (np.concatenate(part) for part in zip(*parts, strict=True))
    codes = classes[:, :, None] * len(names.negative) + negatives[:, None, :]
    unique, inverse = np.unique(codes, return_inverse=True)
    texts = [
        f"{names.positive[code // len(names.negative)]} and "
        f"{names.negative[code % len(names.negative)]}"
        for code in unique
    ]
    pairs = embed_names(encoder, texts, templates, raw_mean=raw_mean)
    inverse = inverse.reshape(codes.shape)
    found = [
        _score(
            embeddings[start : start + _CHUNK],
            pairs[inverse[start : start + _CHUNK]],
            negative_sim[start : start + _CHUNK],
            logit_scale,
        )
        for start in range(0, len(embeddings), _CHUNK)
    ]
    return np.concatenate(found)


def _nearest(embeddings: np.ndarray, banks: LabelBanks, topk: int) -> tuple[np.ndarray, ...]:
    """Indices of the nearest classes and negatives, and the cosines of the latter."""
    positive, negative = np.asarray(banks.positive), np.asarray(banks.negative)
    _, classes = jax.lax.top_k(embeddings @ positive.T, min(topk, len(positive)))
    similarity, negatives = jax.lax.top_k(embeddings @ negative.T, min(topk, len(negative)))
    return np.asarray(classes), np.asarray(negatives), np.asarray(similarity)


def _score(
    embeddings: np.ndarray, pairs: np.ndarray, negative_sim: np.ndarray, logit_scale: float
) -> np.ndarray:
    cosines = jnp.einsum("nijd,nd->nij", pairs, embeddings, precision="highest")
    similarity = logit_scale * cosines
    return np.asarray(jax.vmap(multi_matching_score)(similarity, logit_scale * negative_sim))
