"""Texts that are looked for: whether a picture matches, by one number for all texts.

The text is NegLabel's only ID class. Its number depends on the picture, the text and the negative
labels, and on no other text that is looked for.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError

# Chosen on one half of the texts of OpenAI's ViT-B/32; docs/results.md, queries, reports the other.
NEAR = 0.85  # cosine of two texts above which a word is no alternative to a query
SHARE = 0.2  # α, of the query's own log-odds, that a matching picture shows
OFFSET = 4.6  # β, log-odds that alternatives have by their number alone
THRESHOLD = 0.5  # of S

_BLOCK = 1024  # pictures at a time: [N, M] need not fit into memory


class QueryBank(NamedTuple):
    """Q queries and their alternatives, laid out so that what all share is summed once.

    queries [Q, D]; prior [Q]: b_q. shared [R, D]: the words that are an alternative to every query.
    own [U, D] the others, kept [Q, U]: 1 where a word is an alternative to the query, else 0.
    """

    queries: jax.Array
    prior: jax.Array
    shared: jax.Array
    own: jax.Array
    kept: jax.Array


def near_words(queries: ArrayLike, words: ArrayLike, *, near: float = NEAR) -> np.ndarray:
    """Which words say nearly what a query says, so that they are no alternative to it, [Q, M].

    cos(t_q, t_n) > near; where these are more than half of the words, the nearer half. Synonyms and
    kinds of the thing ("puppy" for "dog") would otherwise take a true match away.

    Args:
      queries: [Q, D] unit rows. words: [M, D] unit rows.
    """
    check_shapes("near_words", queries=(queries, "Q D"), words=(words, "M D"))
    cosine = np.asarray(queries) @ np.asarray(words).T
    half = cosine.shape[1] // 2
    if not half:
        return np.zeros(cosine.shape, bool)
    limit = np.partition(cosine, -half - 1, axis=1)[:, -half - 1]  # half of the words are above
    return cosine > np.maximum(limit, near)[:, None]


def query_bank(
    queries: ArrayLike, words: ArrayLike, left_out: ArrayLike, *, scale: float
) -> QueryBank:
    """The queries with their alternatives, and the prior log-odds of each.

    b_q = β − α·(s − LSE_n s⟨t_q, t_n⟩), over the words that are not left out. The bracket is the
    log-odds that the query's own text would have if it were a picture: large for a text that
    nothing resembles, small for "dog" among breeds and beasts.

    Args:
      queries: [Q, D] unit rows. words: [M, D] unit rows. left_out: [Q, M] bool, see `near_words`.
      scale: s.

    Raises InputError: a query without an alternative.
    """
    sizes = check_shapes(
        "query_bank", queries=(queries, "Q D"), words=(words, "M D"), left_out=(left_out, "Q M")
    )
    queries, words = np.asarray(queries, np.float32), np.asarray(words, np.float32)
    out = np.asarray(left_out, bool)
    if out.all(axis=1).any() or not sizes["M"]:
        raise InputError("negative labels: none that a query does not say itself; give others")
    similar = scale * (queries @ words.T)
    similar[out] = -np.inf
    top = similar.max(axis=1)
    alternatives = top + np.log(np.exp(similar - top[:, None], dtype=np.float64).sum(axis=1))
    prior = OFFSET - SHARE * (scale - alternatives)
    own = out.any(axis=0)
    return QueryBank(
        *jax.device_put(
            (
                queries,
                prior.astype(np.float32),
                words[~own],
                words[own],
                (~out[:, own]).astype(np.float32),
            )
        )
    )


@jax.jit
def query_log_odds(
    query_sim: ArrayLike, shared_sim: ArrayLike, own_sim: ArrayLike, bank: QueryBank
) -> jax.Array:
    """Log-odds of every query against its alternatives, of one picture: log S/(1 − S), [Q].

    z_q − log(Σ_shared e^{z_n} + Σ_own k_qn e^{z_n}) + b_q, the one with S = e^{z_q + b_q} /
    (e^{z_q + b_q} + Σ_n e^{z_n}). The first sum is the same for all queries. The second adds what a
    query keeps, and never takes away from a sum over all, which cancels where a word that is left
    out is the largest.

    Args:
      query_sim: [Q]. shared_sim: [R]. own_sim: [U]. bank: of its arrays the prior and k are used.

    Source: Jiang et al. 2024 (NegLabel), equation 6, with one ID class; over a fixed bank of texts
    also Bogolin et al. 2022 (QB-Norm), the inverted softmax.
    """
    check_shapes(
        "query_log_odds",
        query_sim=(query_sim, "Q"),
        shared_sim=(shared_sim, "R"),
        own_sim=(own_sim, "U"),
        kept=(bank.kept, "Q U"),
    )
    other = jnp.full(jnp.shape(query_sim), -jnp.inf)
    if len(shared_sim):
        other = jnp.full_like(other, logsumexp(jnp.asarray(shared_sim)))
    if len(own_sim):
        top = jnp.max(jnp.asarray(own_sim))
        kept = jnp.matmul(bank.kept, jnp.exp(own_sim - top), precision="highest")
        # What is smaller than float32's least is 87 below the largest: as good as nothing.
        floor = jnp.where(bank.kept.any(axis=1), jnp.finfo(jnp.float32).tiny, 0.0)
        other = jnp.logaddexp(other, top + jnp.log(jnp.maximum(kept, floor)))
    return query_sim - other + bank.prior


def match_queries(
    images: ArrayLike, bank: QueryBank, *, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds and cosines of every query on N pictures, [N, Q] each; S = σ(log-odds).

    A block of pictures is compared with the words at a time: beside the result memory has
    [block, M + Q].

    Args:
      images: [N, D] unit rows, an array or what gives rows when it is sliced. scale: s.
    """
    count = len(images)
    check_shapes("match_queries", images=(images, f"N {bank.queries.shape[1]}"))
    size = min(_BLOCK, 1 << max(count - 1, 0).bit_length())
    parts = [np.zeros((2, 0, len(bank.queries)), np.float32)]
    for start in range(0, count, size):
        rows = np.asarray(images[start : start + size], np.float32)
        block = np.pad(rows, ((0, size - len(rows)), (0, 0)))
        parts.append(np.asarray(_match(block, bank, np.float32(scale)))[:, : len(rows)])
    return tuple(np.concatenate(parts, axis=1))


@jax.jit
def _match(images: jax.Array, bank: QueryBank, scale: jax.Array) -> jax.Array:
    def cosines(texts: jax.Array) -> jax.Array:
        return jnp.matmul(images, texts.T, precision="highest")  # no TF32, no bfloat16

    cosine = cosines(bank.queries)
    odds = jax.vmap(query_log_odds, in_axes=(0, 0, 0, None))(
        scale * cosine, scale * cosines(bank.shared), scale * cosines(bank.own), bank
    )
    return jnp.stack([odds, cosine])
