"""What speaks against trusting the scores of pictures, decided from embeddings that are there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm import clip
from jaxvlm.clip import familiarity
from jaxvlm.clip.similar_texts import similar_pairs, unknown_words
from jaxvlm.pictures.embedded import EmbeddedSet
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels

_TOP_COSINE = 0.15
_COMMON, _CLASSES = 0.39, 30
_MEAN_LENGTH = 0.995
_SEEN = 4096  # rows of a set that are looked at


def picture_doubts(model: clip.ClipModel, scored: ScoredSet, labels: Labels) -> list[str]:
    """A line for each reason for doubt; none where nothing is known against the scores.

    The pictures, taken together, are unlike what the encoder was made on; or it does not know the
    words of the classes. Single classes may well be near to each other.
    """
    lines = familiarity.doubts(
        model.familiar,
        {scored.name: scored.encoded.image},
        what="pictures",
        made="those that the encoder was made on",
        cure="its scores say nothing about them; take another --clip",
    )
    classes = np.asarray(labels.banks.positive)
    unknown = unknown_words(similar_pairs(classes), len(classes), "classes")
    return lines if unknown is None else [*lines, f"{unknown}; take another --clip"]


def embedding_doubts(
    scored: Sequence[ScoredSet], sets: Sequence[EmbeddedSet], labels: Labels
) -> list[str]:
    """A line for each reason to doubt scores of embeddings that others made.

    Pictures and texts may be of two encoders; classes and negatives may have been embedded in
    other prompts; the rows of one set may be means of several views, of another single views.

    Source of the limits: OpenAI's ViT-B/32 and B/16 on ImageNet, DTD, pets, UCF101, Food101 and
    LVIS (docs/results.md, embeddings). Highest cosine of a picture to 1,000 classes, median: 0.26
    to 0.32 by one encoder, 0.08 to 0.10 by two. Share of the difference between a class and its
    nearest negative that all classes have in common (`prompt_difference`), 50 to 200 classes:
    0.19 to 0.27 with one prompt, 0.34 to 0.36 with two ensembles, 0.41 to 0.48 with two prompts.
    """
    positive = np.asarray(labels.banks.positive)
    lines = encoder_doubts([own.encoded.image for own in scored], positive, "class")
    common = prompt_difference(positive, np.asarray(labels.banks.negative))
    if len(positive) >= _CLASSES and common > _COMMON:
        lines.append(
            f"embeddings: classes and negatives differ by one common direction ({common:.2f} of "
            f"the difference, {_COMMON:g} and more where their prompts differ): embed both with "
            "the same templates, or it may cost up to ten points of AUROC (classes of one narrow "
            "kind look the same)"
        )
    lengths = {own.name: own.file.norms for own in sets}
    means = [name for name, (_, largest) in lengths.items() if largest < _MEAN_LENGTH]
    unit = [own.name for own in sets if own.file.is_unit]
    if means and unit:
        lines.append(
            f"embeddings: the rows of {', '.join(means)} are shorter than 1, as means of several "
            f"views are, those of {', '.join(unit)} are not: scores of means are higher; compare "
            "like with like"
        )
    return lines


def prompt_difference(positive: np.ndarray, negative: np.ndarray) -> float:
    """‖mean_k δ_k‖ / √(mean_k ‖δ_k‖²), δ_k = t_k − its nearest negative; in [0, 1].

    positive [K, D], negative [M, D]: unit rows. What a prompt adds to a text is the same for all
    texts; what a word adds is not. 0 where every class is among the negatives.
    """
    difference = positive - negative[(positive @ negative.T).argmax(axis=1)]
    length = float(np.sqrt((difference**2).sum(axis=1).mean()))
    return float(np.linalg.norm(difference.mean(axis=0))) / length if length > 1e-6 else 0.0


def encoder_doubts(sets: Sequence[ArrayLike], texts: np.ndarray, what: str) -> list[str]:
    """A line if pictures [N, D] and texts [M, D] seem to be of two encoders; see
    `embedding_doubts`. what: a text is one."""
    top = float(np.median(np.concatenate([_top_cosines(rows, texts) for rows in sets])))
    if top >= _TOP_COSINE:
        return []
    return [
        f"embeddings: the highest cosine of a picture to a {what} is {top:.2f} in the median; "
        "CLIPs have 0.2 to 0.35: pictures and texts may be of two encoders; take both from one "
        "(a SigLIP has such low ones by itself)"
    ]


def _top_cosines(rows: ArrayLike, texts: np.ndarray) -> np.ndarray:
    return (np.asarray(rows[:_SEEN]) @ texts.T).max(axis=1)
