"""What speaks against trusting the scores of pictures, decided from embeddings that are there."""

import numpy as np

from jaxvlm import clip
from jaxvlm.clip import familiarity
from jaxvlm.clip.similar_texts import similar_pairs, unknown_words
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels


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
