"""The best pictures of every query, and what else these resemble, a block of pictures at a time."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.ood import queries as scores
from jaxvlm.pictures.query_texts import QueryTexts

LISTED = 1000  # matches of a query that are listed; all are counted
ELSE = 3  # words and other queries named beside a picture
_BLOCK = 4096  # pictures at a time
_DEEP = 64  # words looked at for the nearest that are an alternative


class Found(NamedTuple):
    """The best K pictures of each of Q queries, best first, [K, Q] each: their places among the
    pictures, log-odds and cosines. count [Q]: how many pictures match."""

    index: np.ndarray
    odds: np.ndarray
    cosine: np.ndarray
    count: np.ndarray


def best_pictures(rows: ArrayLike, texts: QueryTexts, *, scale: float, limit: float) -> Found:
    """The best `LISTED` pictures of each query, and how many reach the limit, a block at a time.

    rows: [N, D] unit rows, an array or what is sliced like one. limit: log-odds. Of equals the
    first comes first.
    """
    total = len(texts.queries)
    index, count = np.zeros((0, total), np.int64), np.zeros(total, np.int64)
    odds, cosine = np.zeros((2, 0, total), np.float32)
    for start in range(0, len(rows), _BLOCK):
        new_odds, new_cosine = _compare(rows[start : start + _BLOCK], texts, scale)
        count += (new_odds >= limit).sum(axis=0)
        places = np.broadcast_to(start + np.arange(len(new_odds))[:, None], new_odds.shape)
        every = [
            np.concatenate(pair)
            for pair in ((index, places), (odds, new_odds), (cosine, new_cosine))
        ]
        order = np.argsort(-every[1], axis=0, kind="stable")[:LISTED]
        index, odds, cosine = (np.take_along_axis(part, order, axis=0) for part in every)
    return Found(index, odds, cosine, count)


def _compare(images: np.ndarray, texts: QueryTexts, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and cosines [n, Q], the two forms of queries together."""
    odds, cosine = np.zeros((2, len(images), len(texts.queries)), np.float32)
    for own, bank in texts.forms:
        odds[:, own], cosine[:, own] = scores.match_queries(images, bank, scale=scale)
    return odds, cosine


def resembled(
    rows: ArrayLike,
    texts: QueryTexts,
    picture: np.ndarray,
    query: np.ndarray,
    scale: float,
    limit: float,
) -> tuple[list[str], list[str]]:
    """For each pair the nearest words that are an alternative to the query, and the other queries
    that the picture matches, best first."""
    near, others = [""] * len(picture), [""] * len(picture)
    order = np.argsort(picture, kind="stable")
    distinct, first = np.unique(picture[order], return_index=True)
    ends = np.append(first[1:], len(order))
    for start in range(0, len(distinct), _BLOCK):
        chosen = distinct[start : start + _BLOCK]
        images = np.asarray(rows[chosen], np.float32)
        odds, _ = _compare(images, texts, scale)
        similar = images @ texts.rows.T
        deep = min(_DEEP, similar.shape[1])
        for n in range(len(chosen)):
            top = np.argpartition(-similar[n], deep - 1)[:deep]
            top = top[np.argsort(-similar[n, top], kind="stable")]
            matched = np.argsort(-odds[n], kind="stable")
            matched = matched[odds[n, matched] >= limit][: ELSE + 1]
            for pair in order[first[start + n] : ends[start + n]]:
                out = texts.left_out[query[pair]]
                words = top[~out[top]][:ELSE]
                if len(words) < ELSE:
                    every = np.argsort(-similar[n], kind="stable")
                    words = every[~out[every]][:ELSE]
                near[pair] = "; ".join(texts.words[m] for m in words)
                also = [q for q in matched if q != query[pair]][:ELSE]
                others[pair] = "; ".join(texts.queries[q] for q in also)
    return near, others
