"""Every method that a user compares with, from arrays that were encoded once."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxvlm.ood import scores
from jaxvlm.ood.alignment import VARIANTS, align_score
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import alignment_parts, neglabel_scores
from jaxvlm.ood.encoding import Encoded
from jaxvlm.ood.words.label_banks import LabelBanks

_BLOCK = 1024  # pictures scored at a time

# What `method_scores` computes, in the order of a table; NegAlign itself is a base and a P_align.
METHODS: Mapping[str, str] = {
    "mcm": "MCM",
    "max_logit": "MaxLogit",
    "energy": "Energy",
    "gl_mcm": "GL-MCM",
    "neglabel": "NegLabel",
    "neglabel_m1": "NegLabel + M1 (top-k mean)",
    "neglabel_star": "NegLabel* (M2: object negatives)",
    "neglabel_star_m1": "NegLabel* (M1 + M2)",
    "neglabel_star_soft": "NegLabel* (soft weights)",
    "foreground_star": "foreground-star",
    "csp": "CSP",
    "negrefine": "NegRefine",
}


class Permutations(NamedTuple):
    """Orders in which the banks fill the groups; None keeps the order given."""

    negative: ArrayLike | None = None
    negative_object: ArrayLike | None = None


def base_method(config: NegAlignConfig) -> str:
    """The key of `METHODS` that P_align is added to: S* with the parts that are on (M1, M2)."""
    if not config.use_neglabel_star:
        return "neglabel"
    name = "neglabel_star" if config.use_role_aware_negatives else "neglabel"
    return f"{name}_m1" if config.topk_aggregation_k else name


def method_scores(
    encoded: Encoded,
    banks: LabelBanks,
    config: NegAlignConfig,
    *,
    permutations: Permutations = Permutations(),  # noqa: B008 (immutable)
    multi_matching: ArrayLike | None = None,
    soft_banks: LabelBanks | None = None,
    mesh: Mesh | None = None,
) -> dict[str, np.ndarray]:
    """Scores [N] of all `METHODS`, without P_align; higher means in-distribution.

    M1 uses k = ``config.topk_aggregation_k``, 10 where that is off. ``negrefine`` is there only
    with ``multi_matching`` [N] (see `pairs.multi_matching_scores`), ``neglabel_star_soft`` only
    with ``soft_banks`` (all words on both sides, soft_weighting ``all``), the methods of M2 only
    where the object-leaning negatives fill the groups. mesh: with a ``label`` axis above 1 the
    banks of negatives are split over it.
    """
    plain = dataclasses.replace(config, topk_aggregation_k=0, use_role_aware_negatives=False)
    topk = dataclasses.replace(plain, topk_aggregation_k=config.topk_aggregation_k or 10)
    star = dataclasses.replace(plain, use_role_aware_negatives=True)
    star_topk = dataclasses.replace(topk, use_role_aware_negatives=True)
    csp = dataclasses.replace(plain, num_groups=1)  # CSP is NegLabel without groups
    fills_groups = len(banks.negative_object) >= config.num_groups

    def neglabel(embeddings, setting, banks=banks):
        order = permutations.negative
        if setting.use_role_aware_negatives and banks is not soft_banks:
            order = permutations.negative_object
        if setting.num_groups == 1:
            order = None
        return neglabel_scores(embeddings, banks, setting, permutation=order, mesh=mesh)

    def score(part: Encoded) -> dict[str, jax.Array]:
        cosine = jnp.matmul(part.image, jnp.asarray(banks.positive).T, precision="highest")
        positive = config.logit_scale * cosine
        found = {
            "mcm": jax.vmap(scores.mcm_score)(100.0 * cosine),
            "max_logit": jax.vmap(scores.max_logit_score)(positive),
            "energy": jax.vmap(scores.energy_score)(positive),
            "gl_mcm": jax.vmap(scores.glmcm_score)(100.0 * cosine, part.local_mcm),
            "neglabel": neglabel(part.image, plain),
            "neglabel_m1": neglabel(part.image, topk),
            "csp": neglabel(part.image, csp),
        }
        if fills_groups:
            found["neglabel_star"] = neglabel(part.image, star)
            found["neglabel_star_m1"] = neglabel(part.image, star_topk)
            found["foreground_star"] = neglabel(part.foreground, star)
        if soft_banks is not None:
            found["neglabel_star_soft"] = neglabel(part.image, star, soft_banks)
        return found

    found = _in_blocks(score, encoded)
    if multi_matching is not None:
        found["negrefine"] = scores.negrefine_score(found["neglabel"], multi_matching)
    return {name: np.asarray(found[name]) for name in METHODS if name in found}


def alignment_scores(
    encoded: Encoded, banks: LabelBanks, config: NegAlignConfig, *, mesh: Mesh | None = None
) -> dict[str, np.ndarray]:
    """P_align [N] of every variant, and the parts ``bg_pos``, ``bg_neg``, ``fg_pos`` (cosines)."""

    def score(part: Encoded) -> dict[str, jax.Array]:
        parts = alignment_parts(
            part,
            banks,
            pos_topk=config.pos_topk,
            neg_topk=config.neg_topk,
            approximate=config.approximate_topk,
            mesh=mesh,
        )
        variants = {
            name: align_score(parts.bg_pos, parts.bg_neg, variant=name, fg_pos=parts.fg_pos)
            for name in VARIANTS
        }
        return {**variants, **parts._asdict()}

    return _in_blocks(score, encoded)


def _in_blocks(
    score: Callable[[Encoded], dict[str, jax.Array]], encoded: Encoded
) -> dict[str, np.ndarray]:
    """Scores [N], a block of pictures at a time: [N, M] similarities need not fit into memory, and
    few shapes are compiled."""
    count = len(encoded.image)
    size = min(_BLOCK, 1 << max(count - 1, 0).bit_length())
    parts = []
    for start in range(0, count, size):
        stop = min(start + size, count)
        fill = size - (stop - start)
        block = jax.tree.map(
            lambda rows: np.pad(
                np.asarray(rows)[start:stop],  # noqa: B023 (used in this turn)
                [(0, fill), *[(0, 0)] * (np.ndim(rows) - 1)],  # noqa: B023
            ),
            encoded,
        )
        parts.append(
            {name: np.asarray(values)[: stop - start] for name, values in score(block).items()}
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
