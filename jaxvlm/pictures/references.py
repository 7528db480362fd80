"""The ID pictures that the methods of `ood.referenced` look at: held out, or given apart."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxvlm.errors import InputError
from jaxvlm.ood.referenced import REFERENCED, References
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.sets import plain


def class_indices(scored: ScoredSet, names: Sequence[str]) -> np.ndarray:
    """The class [N] of each picture: by its label, or as predicted where that names no class."""
    predicted = np.asarray(scored.encoded.predicted_class_idx)
    if scored.labels is None:
        return predicted
    known = {plain(name): k for k, name in enumerate(names)}
    own = np.array([known.get(plain(label), -1) for label in scored.labels])
    return np.where(own < 0, predicted, own)


def references_of(
    id_sets: Sequence[ScoredSet],
    masks: Mapping[str, np.ndarray] | None,
    labels: Labels,
    config: OodConfig,
) -> References:
    """Of the masked pictures of ID sets; masks None: of all."""
    parts = [(s, slice(None) if masks is None else masks[s.name]) for s in id_sets]
    return References(
        np.concatenate([np.asarray(s.encoded.image[own]) for s, own in parts]),
        np.concatenate([class_indices(s, labels.names.positive)[own] for s, own in parts]),
        np.asarray(labels.banks.positive),
        np.asarray(labels.banks.negative),
        config.negalign.logit_scale,
        config.negalign.num_groups,
    )


def with_referenced(
    sides: Sequence[Sequence[ScoredSet]],
    references: References,
    *,
    asked: Sequence[str],
    must: bool,
) -> tuple[list[list[ScoredSet]], list[str]]:
    """Each side's sets with the scores of ``asked``, keys of `REFERENCED`, and a line on each that
    is left out.

    must: whether one that these pictures do not serve raises its InputError.
    """
    sets = [own for side in sides for own in side]
    found: dict[str, dict[str, np.ndarray]] = {own.name: {} for own in sets}
    notes = []
    for key in asked:
        try:
            for scored in sets:
                found[scored.name][key] = REFERENCED[key][1](scored.encoded.image, references)
        except InputError as error:
            if must:
                raise
            notes.append(f"{REFERENCED[key][0]} is left out: {error}")
            for own in found.values():
                own.pop(key, None)

    def added(scored: ScoredSet) -> ScoredSet:
        return scored._replace(scores=scored.scores | found[scored.name])

    return [[added(own) for own in side] for side in sides], notes
