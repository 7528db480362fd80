"""The page of texts that were looked for: per query the best matches, or that nothing matches."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from jaxvlm import clip, files, parallel
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.names import number_of
from jaxvlm.pages import style
from jaxvlm.pages.folder_page import THUMBNAIL_BYTES, thumbnails
from jaxvlm.pictures.config import check
from jaxvlm.pictures.embedded import EmbeddedSet
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.queries import QueryMatches, match_folder, shown, write_matches
from jaxvlm.pictures.unused import refuse_unused_of_queries
from jaxvlm.progress import Progress, ignore

SHOWN = 12  # matches of a query that have a card
NEAREST = 3  # pictures that have one where nothing matches


def look_for(
    encoder: clip.Encoder,
    image_set: ImageSet | EmbeddedSet,
    queries: tuple[str | os.PathLike | Sequence[str], float, Collection[str]],
    words: Words,
    values: Any,
    out_dir: str | os.PathLike,
    *,
    on_progress: Progress = ignore,
) -> QueryMatches:
    """`match_folder` with all that it writes; of several processes the first one writes.

    Args:
      queries: what is looked for, the threshold, and the settings that were given, by name.
      values: open settings.

    Raises InputError: as `match_folder`, and for a setting that does nothing here.
    """
    source, threshold, fields = queries
    config = check(values, encoder.model)
    refuse_unused_of_queries(fields, config, embedded=isinstance(image_set, EmbeddedSet))
    found = match_folder(
        encoder, image_set, source, words, config, threshold=threshold, on_progress=on_progress
    )
    if parallel.is_writer():
        write_matches(out_dir, found)
        write_queries(out_dir, found, encoder.model.preprocessing, on_progress=on_progress)
    return found


def write_queries(
    out_dir: str | os.PathLike,
    found: QueryMatches,
    preprocessing: Preprocessing,
    *,
    on_progress: Progress = ignore,
) -> Path:
    """Writes the page ``report.html`` of what matches; returns its path.

    One file without a script. All thumbnails together have `folder_page.THUMBNAIL_BYTES`; the best
    picture of every query gets its own first, then the second.

    Args:
      preprocessing: of the encoder: a thumbnail is what it saw.
      on_progress: as of `match_folder`.
    """
    page, rows = Path(out_dir) / "report.html", _shown(found.matches)
    paths = [found.paths[index] for index in rows["picture"]]
    rows = rows.assign(image=list(thumbnails(paths, preprocessing, on_progress)))
    bare = int((rows["image"] == "").sum())
    cards = {query: _cards(own) for query, own in rows.groupby("query", sort=False)}
    sections = [
        {
            "number": number,
            "query": row["query"],
            "count": row["matches"],
            "counted": number_of(row["matches"], "picture"),
            "best": shown(row["best_score"]),
            "as_is": row["compared_as"] == row["query"],
            "cards": cards[row["query"]],
        }
        for number, row in enumerate(found.queries.to_dict("records"), start=1)
    ]
    notes = [
        f"{number_of(len(found.paths), 'picture')}, compared with "
        f"{number_of(len(found.texts.words), 'negative label')}. {found.rule}.",
        "The score weighs a query against the negative labels that say something else; it is "
        "comparable from query to query, which a cosine is not.",
        *found.texts.told,
    ]
    if bare:
        notes.append(
            f"Listed without a thumbnail: {number_of(bare, 'picture')}; all thumbnails together "
            f"have at most {THUMBNAIL_BYTES >> 20} MiB."
        )
    text = style.render(
        "query_page.html.jinja",
        title="What matches in this folder",
        notices=found.warnings,
        notes=notes,
        sections=sections,
    )
    files.write_text(page, text)
    return page


def _shown(matches: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a card, the best of all queries first: a query's matches, or the nearest
    pictures where it has none."""
    none = matches.groupby("query")["matches"].transform(lambda own: (own == "no").all())
    matched = (matches["matches"] == "yes") & (matches["rank"] <= SHOWN)
    return matches[matched | (none & (matches["rank"] <= NEAREST))].sort_values(
        "rank", kind="stable"
    )


def _cards(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "image": row["image"],
            "name": row["path"],
            "score": shown(row["score"]),
            "cosine": style.number(float(row["cosine"])),
            "matches": row["matches"] == "yes",
            "near": row["nearest_negatives"].replace("; ", ", "),
            "others": row["other_queries"].split("; ") if row["other_queries"] else [],
        }
        for row in rows.to_dict("records")
    ]
