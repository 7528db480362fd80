"""What an encoder did for one run, and what the run was made with."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxvlm import clip
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.pictures.embedded import EmbeddedSet


def used_so_far(encoder: clip.Encoder | None) -> clip.EncodingStatistics | None:
    """A copy of the encoder's statistics, from which a run counts its own."""
    return None if encoder is None else dataclasses.replace(encoder.statistics)


def used(
    encoder: clip.Encoder | None,
    sets: Sequence[ImageSet] | Sequence[EmbeddedSet],
    *,
    since: clip.EncodingStatistics | None,
) -> tuple[clip.EncodingStatistics | None, dict[str, Any], dict[str, Any]]:
    """What was encoded, None where the pictures are given as embeddings; the same for a run's JSON;
    and what made it: the encoder, and which arrays the embeddings are.

    since: from `used_so_far`. Of several processes all have to call it.
    """
    made_with: dict[str, Any] = {"clip": encoder and clip.clip_record(encoder.model)}
    if isinstance(sets[0], EmbeddedSet):
        made_with["embeddings"] = {
            own.name: {
                "key": own.file.key,
                "rows": len(own.paths),
                "dimension": own.file.rows.shape[1],
                "type": str(own.file.rows.dtype),
                "unit": own.file.is_unit,
            }
            for own in sets
        }
        return None, {}, made_with
    statistics = clip.total_statistics(encoder, since=since)
    return statistics, {"encoding": clip.encoding_record(encoder, statistics)}, made_with


def encoded_sentence(statistics: clip.EncodingStatistics | None) -> str:
    """For a terminal."""
    return "embeddings as given, nothing encoded" if statistics is None else statistics.sentence()
