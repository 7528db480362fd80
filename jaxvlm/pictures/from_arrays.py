"""Pictures, classes and negatives as arrays of embeddings: scores and tables in one call."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.embedded import config_for, embedded_set
from jaxvlm.pictures.evaluating import Run, run_evaluation
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.scoring import FolderScores, score_folder


def score_embeddings(
    rows: ArrayLike,
    *,
    class_embeddings: ArrayLike,
    negative_embeddings: ArrayLike,
    class_names: str | os.PathLike | Sequence[str] | None = None,
    negatives: str | os.PathLike | Sequence[str] | None = None,
    id_rows: ArrayLike | None = None,
    settings: Any = None,
) -> FolderScores:
    """`jaxvlm.score_images` of pictures that are given as embeddings: no encoder, no picture.

    Args:
      rows: [N, D], any length of rows. id_rows: [R, D] of pictures known to be in-distribution.
      class_embeddings, negative_embeddings: [K, D] and [M, D], of one encoder and one prompt.
      class_names, negatives: their words, in this order; None: numbers.
      settings: as of `jaxvlm.score_images`.

    Raises:
      InputError: rows that are not finite or not of one dimension; a method that takes patches.
    """
    words = Words(class_names, negatives, class_embeddings, negative_embeddings)
    return score_folder(
        None,
        embedded_set(rows, "embeddings"),
        words,
        config_for(OodConfig() if settings is None else settings, None, words, embedded=True),
        id_set=None if id_rows is None else embedded_set(id_rows, "id"),
    )


def compare_embeddings(
    id_rows: ArrayLike,
    ood_rows: Mapping[str, ArrayLike],
    *,
    class_embeddings: ArrayLike,
    negative_embeddings: ArrayLike,
    class_names: str | os.PathLike | Sequence[str] | None = None,
    negatives: str | os.PathLike | Sequence[str] | None = None,
    settings: Any = None,
    methods: Sequence[str] | None = None,
) -> Run:
    """Every method that needs no patches on pictures that are given as embeddings.

    ``result.to_pandas()`` has a row per method and OOD set: AUROC, AUPR and FPR@95 with intervals.

    Args:
      id_rows: [N, D]; ood_rows: [N, D] by the name of the set; any length of rows.
      methods: keys of `jaxvlm.ood.METHODS`; None: all. The others: as of `score_embeddings`.

    Raises:
      InputError: as `score_embeddings`.
    """
    words = Words(class_names, negatives, class_embeddings, negative_embeddings)
    return run_evaluation(
        None,
        [embedded_set(id_rows, "id")],
        [embedded_set(rows, name) for name, rows in ood_rows.items()],
        words,
        config_for(OodConfig() if settings is None else settings, None, words, embedded=True),
        methods=methods,
    )
