"""Label banks on the devices that score, laid out so that one product serves every method.

The similarities z⁻ of a block of pictures to all negatives are computed once. Their columns stand
in the order of NegLabel's groups, so that the groups are a reshape; one group takes all of them,
soft weights multiply them, NegLabel* picks the object-leaning ones, and CSP its own words. On a
mesh every device of the ``label`` axis has a part of every group.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from jaxvlm import parallel
from jaxvlm.arrays import check_shapes
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.scores import group_negatives
from jaxvlm.ood.words.label_banks import LabelBanks


class Permutations(NamedTuple):
    """Orders in which the banks fill the groups; None keeps the order given."""

    negative: ArrayLike | None = None
    negative_object: ArrayLike | None = None
    conjugated: ArrayLike | None = None


class Negatives(NamedTuple):
    """The negatives on S devices of the label axis, m on each, in the order of G groups.

    rows [S, m, D]. is_real [S, m]: not padding. is_negative [S, m]: one of the M negatives;
    object-leaning and CSP's words that are no rows of these stand behind them.
    star [S, G, s], star_factors [S, G, s]: the groups of the object-leaning ones, as columns of
    their device, −1 for none, and the factors on their similarities; None: too few for the groups.
    conjugated [S, G, s]: the groups of CSP's words likewise; None: there are none, or too few.
    soft [S, m]: factors of all words by the V3 weights, or None.
    """

    rows: jax.Array
    is_real: jax.Array
    is_negative: jax.Array
    star: jax.Array | None
    star_factors: jax.Array | None
    conjugated: jax.Array | None
    soft: jax.Array | None


class Background(NamedTuple):
    """The background-leaning negatives on S devices: rows [S, b, D], factors and is_real [S, b]."""

    rows: jax.Array
    factors: jax.Array
    is_real: jax.Array


class PlacedBanks(NamedTuple):
    """What `methods` compares pictures with. Made once for all sets of pictures.

    positive [K, D]; prompts [K, R, D]; num_groups: G; group_size: columns of a group on each
    device; mesh: None where nothing is split; agents [A, D], None: there are none.
    """

    positive: jax.Array
    prompts: jax.Array
    negatives: Negatives
    background: Background
    num_groups: int
    group_size: int
    mesh: Mesh | None
    agents: jax.Array | None = None


def is_split(mesh: Mesh | None) -> bool:
    """Whether label banks are split on this mesh."""
    return mesh is not None and mesh.shape[parallel.LABEL] > 1


def place_banks(
    banks: LabelBanks,
    config: NegAlignConfig,
    *,
    permutations: Permutations = Permutations(),  # noqa: B008 (immutable)
    soft_weights: ArrayLike | None = None,
    mesh: Mesh | None = None,
) -> PlacedBanks:
    """Puts the banks on the devices, once for all that is scored with them.

    Args:
      config: only its ``num_groups``. permutations: of the negatives, the object-leaning ones and
        CSP's words before they are grouped, [M − M mod G] and so on.
      soft_weights: [M], the weights of all negatives as objects, for ``neglabel_star_soft``.
      mesh: with a ``label`` axis above 1 the negatives are split over it.

    Raises InputError: too few negatives for the groups, a permutation of another length;
    ValueError: other shapes.
    """
    banks = jax.tree.map(np.asarray, banks)
    sizes = check_shapes(
        "place_banks",
        positive=(banks.positive, "K D"),
        positive_prompts=(banks.positive_prompts, "K R D"),
        negative=(banks.negative, "M D"),
        negative_object=(banks.negative_object, "O D"),
        object_rows=(banks.object_rows, "O"),
        object_weights=(banks.object_weights, "O"),
        conjugated=(banks.conjugated, "C D"),
        conjugated_rows=(banks.conjugated_rows, "C"),
        negative_background=(banks.negative_background, "B D"),
        background_weights=(banks.background_weights, "B"),
        soft_weights=(soft_weights, "M"),
        agents=(banks.agents, "A D"),
    )
    mesh = mesh if is_split(mesh) else None
    shards = 1 if mesh is None else mesh.shape[parallel.LABEL]
    prompts = banks.positive_prompts
    background = _shares(np.arange(sizes["B"]), shards)
    factors = np.ones(sizes["B"]) if banks.background_weights is None else banks.background_weights
    split = _put(
        (
            _negatives(banks, config.num_groups, permutations, soft_weights, shards),
            Background(
                _take(banks.negative_background, background),
                _take(np.asarray(factors, np.float32), background),
                background >= 0,
            ),
        ),
        mesh,
    )
    whole = banks.positive, banks.positive[:, None] if prompts is None else prompts, banks.agents
    whole = jax.device_put(whole) if mesh is None else parallel.replicate(whole, mesh)
    positive, prompts, agents = whole
    group_size = -(-(sizes["M"] // config.num_groups) // shards)
    return PlacedBanks(positive, prompts, *split, config.num_groups, group_size, mesh, agents)


def _negatives(
    banks: LabelBanks,
    num_groups: int,
    permutations: Permutations,
    soft_weights: ArrayLike | None,
    shards: int,
) -> Negatives:
    count, objects = len(banks.negative), len(banks.negative_object)
    rows, columns = banks.negative, banks.object_rows
    if columns is None:  # rows of their own, behind the others
        rows = np.concatenate([rows, banks.negative_object])
        columns = count + np.arange(objects)
    words = banks.conjugated_rows
    if banks.conjugated is not None and words is None:
        words = np.full(len(banks.conjugated), -1)
    if words is not None:  # phrases among them may be rows of their own
        own = np.flatnonzero(words < 0)
        words = words.copy()
        words[own] = len(rows) + np.arange(len(own))
        rows = np.concatenate([rows, banks.conjugated[own]])
    groups = _groups(count, permutations.negative, num_groups)
    width = -(-groups.shape[1] // shards)
    padding = ((0, 0), (0, shards * width - groups.shape[1]))
    padded = np.pad(groups, padding, constant_values=-1).reshape(num_groups, shards, width)
    rest = np.setdiff1d(np.arange(len(rows)), groups)
    order = np.concatenate(
        [padded.swapaxes(0, 1).reshape(shards, -1), _shares(rest, shards)], axis=1
    )
    star = star_factors = None
    if objects >= num_groups:
        chosen = _groups(objects, permutations.negative_object, num_groups)
        factors = np.ones(objects) if banks.object_weights is None else banks.object_weights
        star, star_factors = _columns(order, columns[chosen], np.asarray(factors)[chosen])
    conjugated = None
    if words is not None and len(words) >= num_groups:
        chosen = _groups(len(words), permutations.conjugated, num_groups)
        conjugated, _ = _columns(order, words[chosen], np.ones(len(words))[chosen])
    return Negatives(
        _take(rows, order),
        order >= 0,
        (order >= 0) & (order < count),
        star,
        star_factors,
        conjugated,
        None if soft_weights is None else _take(_padded_to(soft_weights, len(rows)), order),
    )


def _groups(count: int, permutation: ArrayLike | None, num_groups: int) -> np.ndarray:
    """[G, count // G]: which of ``count`` labels fill each group."""
    return np.asarray(
        group_negatives(np.arange(count), permutation=permutation, num_groups=num_groups)
    )


def _shares(indices: np.ndarray, shards: int) -> np.ndarray:
    """Indices dealt to S devices, [S, b], padded with −1."""
    padding = -len(indices) % shards
    return np.pad(indices, (0, padding), constant_values=-1).reshape(-1, shards).T


def _columns(
    order: np.ndarray, wanted: np.ndarray, factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows ``wanted`` [G, w] stand on their devices, [S, G, s], and their factors."""
    shards, num_groups = len(order), len(wanted)
    shard, column = np.zeros((2, order.max() + 1), np.int64)
    shard[order[order >= 0]], column[order[order >= 0]] = np.nonzero(order >= 0)
    here = shard[wanted] == np.arange(shards)[:, None, None]  # [S, G, w]
    place = here.cumsum(axis=2) - 1
    size = int(here.sum(axis=2).max())
    columns = np.full((shards, num_groups, size), -1, np.int32)
    found = np.zeros((shards, num_groups, size), np.float32)
    s, g, w = np.nonzero(here)
    columns[s, g, place[s, g, w]] = column[wanted[g, w]]
    found[s, g, place[s, g, w]] = factors[g, w]
    return columns, found


def _take(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """values[order], 0 where the order says −1."""
    if not len(values):
        return np.zeros((*order.shape, *values.shape[1:]), np.float32)
    taken = np.asarray(values, np.float32)[order]
    taken[order < 0] = 0
    return taken


def _padded_to(values: ArrayLike, count: int) -> np.ndarray:
    values = np.asarray(values, np.float32)
    return np.pad(values, (0, count - len(values)))


def _put(tree: Any, mesh: Mesh | None) -> Any:
    """On the device, or with the first axis split over the label axis of the mesh."""
    if mesh is None:
        return jax.device_put(tree)
    return parallel.place(tree, mesh, P(parallel.LABEL))
