"""Texts that are looked for in a folder: which pictures match each, if any does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jax.typing import ArrayLike
from scipy.special import expit, logit

from jaxvlm import clip, files, runs
from jaxvlm.arrays import unit
from jaxvlm.clip import familiarity
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError
from jaxvlm.names import number_of, printable
from jaxvlm.ood import queries as scores
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.doubts import encoder_doubts
from jaxvlm.pictures.embedded import EmbeddedSet, check_dimensions
from jaxvlm.pictures.encoder_use import encoded_sentence, used, used_so_far
from jaxvlm.pictures.encoding import kept_pictures
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.query_search import Found, best_pictures, resembled
from jaxvlm.pictures.query_texts import QueryTexts, embed_queries, read_queries
from jaxvlm.pictures.tables import picture_name
from jaxvlm.progress import Progress, advancing, ignore, stage

LEAST = 10  # pictures of a query that have one whether they match or not


class QueryMatches(NamedTuple):
    """What was found.

    queries: a row per query, in their order: ``matches``, ``anything_matches``, the best picture.
    matches: a row per query and picture, best first: ``score``, ``cosine``, ``matches``, and what
    else the picture resembles. paths: of the readable pictures, to which ``picture`` of these rows
    counts. failures: a line per picture that was left out. record: for ``run.json``.
    """

    queries: pd.DataFrame
    matches: pd.DataFrame
    texts: QueryTexts
    paths: tuple[Path, ...]
    threshold: float
    failures: list[str]
    encoding: clip.EncodingStatistics | None
    record: dict[str, Any]
    warnings: list[str]

    def __repr__(self) -> str:
        """One line."""
        return f"QueryMatches({len(self.queries)} queries, {len(self.paths)} pictures)"

    def to_pandas(self) -> pd.DataFrame:
        """The matches, a row per query and picture."""
        return self.matches

    @property
    def rule(self) -> str:
        """What is called a match, in a sentence."""
        return (
            f"A picture matches from a score of {self.threshold:g} on, the same for all queries: "
            f"{int(self.queries['anything_matches'].eq('yes').sum())} of "
            f"{len(self.queries)} match something"
        )

    def lines(self, count: int, out_dir: str | os.PathLike) -> list[str]:
        """For a terminal: the first ``count`` queries, what was done, and where it is."""
        found = [told(row) for row in self.queries.head(count).to_dict("records")]
        where = ", ".join(f"{out_dir}/{name}" for name in ("queries.csv", "matches.csv"))
        asked, pictures = len(self.queries), number_of(len(self.paths), "picture")
        what = f"{asked} {'query' if asked == 1 else 'queries'}, {pictures}"
        return [
            *found,
            *self.texts.told,
            encoded_sentence(self.encoding),
            self.rule,
            f"{what}: {where}, {out_dir}/report.html",
        ]


def shown(score: float) -> str:
    """A score for a reader, who has nothing of its twelfth place."""
    return "<0.001" if score < 0.001 else ">0.999" if score > 0.999 else f"{score:.3f}"


def told(row: dict[str, Any]) -> str:
    """A row of the queries' table as a sentence."""
    best = f"{row['best_path']} ({shown(row['best_score'])})"
    like = f", which is like {row['best_resembles']}" if row["best_resembles"] else ""
    if not row["matches"]:
        return f"{row['query']}: nothing matches; nearest is {best}{like}"
    verb = "matches" if row["matches"] == 1 else "match"
    return f"{row['query']}: {number_of(row['matches'], 'picture')} {verb}, {best} first"


def check_threshold(threshold: float) -> None:
    """Raises InputError for what no score is compared with."""
    if not 0 < threshold < 1:
        raise InputError(f"threshold {threshold:g}: scores lie between 0 and 1; give one between")


def match_folder(
    encoder: clip.Encoder,
    image_set: ImageSet | EmbeddedSet,
    queries: str | os.PathLike | Sequence[str],
    words: Words,
    config: OodConfig,
    *,
    threshold: float = scores.THRESHOLD,
    on_progress: Progress = ignore,
) -> QueryMatches:
    """Which pictures of a set match each query, by `ood.queries`, and what else these resemble.

    Writes nothing but the encoder's store and cache: `write_matches` does.

    Args:
      queries: a file or texts, see `query_texts.read_queries`. words: of these the negatives count.
      config: of its fields the prompts, the logit scale and the batch size count.
      threshold: score from which on a picture matches.

    Raises InputError: inputs that do not fit, or no readable picture.
    """
    check_threshold(threshold)
    asked = read_queries(queries)
    before, seconds = used_so_far(encoder), {}
    check_dimensions(encoder, [image_set])
    with runs.timed(seconds, "texts"), stage(on_progress, "embed the queries"):
        texts = embed_queries(encoder, asked, words, config)
    with runs.timed(seconds, "encode"):
        kept, rows, failures = _rows(encoder, image_set, on_progress)
    scale, limit = config.negalign.logit_scale, float(logit(threshold))
    with runs.timed(seconds, "compare"), stage(on_progress, "compare"):
        found = best_pictures(rows, texts, scale=scale, limit=limit)
        matches = _matches(kept, rows, texts, found, scale, limit)
    if isinstance(image_set, EmbeddedSet):
        doubts = encoder_doubts([rows], texts.rows, "negative label")
    else:
        doubts = familiarity.doubts(
            encoder.model.familiar,
            {kept.name: rows},
            what="pictures",
            made="those that the encoder was made on",
            cure="its scores say nothing about them; take another --clip",
        )
    warnings = [*doubts, *texts.doubts]
    statistics, encoding, made_with = used(encoder, [image_set], since=before)
    record = {
        "queries": len(asked),
        "pictures": len(kept.paths),
        "unreadable": failures,
        "threshold": threshold,
        "near": scores.NEAR,
        "share": scores.SHARE,
        "offset": scores.OFFSET,
        **encoding,
        **runs.run_record(config, seed=None, seconds=seconds, made_with=made_with),
        "warnings": warnings,
    }
    return QueryMatches(
        _queries(texts, matches, found.count),
        matches,
        texts,
        tuple(kept.paths),
        threshold,
        failures,
        statistics,
        record,
        warnings,
    )


def write_matches(out_dir: str | os.PathLike, found: QueryMatches) -> None:
    """``queries.csv``, ``matches.csv`` and ``run.json``; of several processes one has to write.

    `pages.query_page` draws the page.
    """
    files.write_csv(Path(out_dir) / "queries.csv", found.queries)
    files.write_csv(Path(out_dir) / "matches.csv", found.matches.drop(columns="picture"))
    files.write_json(Path(out_dir) / "run.json", found.record)


def _rows(
    encoder: clip.Encoder, image_set: ImageSet | EmbeddedSet, on_progress: Progress
) -> tuple[Any, ArrayLike, list[str]]:
    """The set without unreadable pictures, unit rows [N, D], and a line for each that is lost.

    No query has a part in the rows, so that the store serves every later list of them.
    """
    if isinstance(image_set, EmbeddedSet):
        return image_set, image_set.rows, []
    advance = advancing(on_progress, image_set.name, len(image_set.paths))
    rows, lost = clip.encode_all(
        encoder, image_set.paths, computed={"name": "image"}, advance=advance
    )
    total = len(image_set.paths)
    on_progress(image_set.name, total, total)
    rows = unit(np.asarray(rows))
    kept = kept_pictures(image_set, lost, rows)
    paths = tuple(image_set.paths[i] for i in kept)
    failures = [*image_set.left_out, *(printable(message) for _, message in lost)]
    return image_set._replace(paths=paths, labels=None), rows, failures


def _matches(
    kept: Any, rows: ArrayLike, texts: QueryTexts, found: Found, scale: float, limit: float
) -> pd.DataFrame:
    """A row per query and picture that is listed."""
    listed = np.minimum(np.maximum(found.count, LEAST), len(found.index))
    rank, query = np.nonzero(np.arange(len(found.index))[:, None] < listed)
    order = np.lexsort((rank, query))
    rank, query = rank[order], query[order]
    picture, odds = found.index[rank, query], found.odds[rank, query]
    near, others = resembled(rows, texts, picture, query, scale, limit)
    return pd.DataFrame(
        {
            "query": [texts.queries[q] for q in query],
            "rank": rank + 1,
            "path": [picture_name(kept, i) for i in picture],
            "score": expit(odds.astype(np.float64)),
            "cosine": found.cosine[rank, query],
            "matches": np.where(odds >= limit, "yes", "no"),
            "nearest_negatives": near,
            "other_queries": others,
            "picture": picture,
        }
    )


def _queries(texts: QueryTexts, matches: pd.DataFrame, count: np.ndarray) -> pd.DataFrame:
    """A row per query, in their order."""
    best = matches[matches["rank"] == 1].set_index("query").loc[list(texts.queries)]
    return pd.DataFrame(
        {
            "query": texts.queries,
            "matches": count,
            "anything_matches": np.where(count > 0, "yes", "no"),
            "best_path": list(best["path"]),
            "best_score": list(best["score"]),
            "best_cosine": list(best["cosine"]),
            "best_resembles": [text.split("; ")[0] for text in best["nearest_negatives"]],
            "compared_as": ["; ".join(prompts) for prompts in texts.prompts],
            "words_left_out": texts.left_out.sum(axis=1),
        }
    )
