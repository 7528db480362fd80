"""The forms of a multiple-instance model: logits of frames, start, penalties, pooling of frames.

Each is a function of one event and its own M atoms, x [..., M]; events are batched by `jax.vmap`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.quadratic import quadratic, quadratic_of_many

Params = dict[str, jax.Array]

HIDDEN = 16
_SHARE = 16  # one frame in sixteen, and one more
_SMALL = 0.01


class Penalty(NamedTuple):
    """λ₂ Σ w² + λ₁ Σ |w| over all weights but biases."""

    l2: float = 0.0
    l1: float = 0.0


class Form(NamedTuple):
    """A form, and what cross-validation chooses from."""

    logits: Callable[[Params, jax.Array], jax.Array]
    many_logits: Callable[[Params, jax.Array], jax.Array]  # the same, quickly, without a gradient
    start: Callable[[jax.Array, jax.Array], Params]  # of a key, and which of M are atoms
    poolings: tuple[str, ...]
    penalties: tuple[Penalty, ...]  # the first while inputs and pooling are chosen


def linear_logits(params: Params, x: jax.Array) -> jax.Array:
    """z = Σ_i w_i x_i + b."""
    return x @ params["weights"] + params["bias"]


def quadratic_logits(params: Params, x: jax.Array) -> jax.Array:
    """z = Σ_i w_i x_i + Σ_{i<j} W_ij x_i x_j + b."""
    return quadratic(x, params["weights"], params["pairs"]) + params["bias"]


def many_quadratic_logits(params: Params, x: jax.Array) -> jax.Array:
    """As `quadratic_logits`, where no gradient is asked for."""
    return quadratic_of_many(x, params["weights"], params["pairs"]) + params["bias"]


def mlp_logits(params: Params, x: jax.Array) -> jax.Array:
    """z = Σ_h v_h max(0, Σ_i u_ih x_i + a_h) + b, with 16 hidden units for each event."""
    hidden = jax.nn.relu(x @ params["hidden"] + params["hidden_bias"])
    return hidden @ params["weights"] + params["bias"]


def penalty_of(params: Params, penalty: Penalty) -> jax.Array:
    """What the weights cost."""
    weights = [leaf for name, leaf in sorted(params.items()) if not name.endswith("bias")]
    l2 = sum(jnp.sum(leaf**2) for leaf in weights)
    return penalty.l2 * l2 + penalty.l1 * sum(jnp.sum(jnp.abs(leaf)) for leaf in weights)


def start_bias(rate: jax.Array, k: int, pooling: str) -> jax.Array:
    """The frame bias at which a video of k frames gets the base rate; 0 saturates a noisy-OR."""
    start = 1 - (1 - rate) ** (1 / k) if pooling == "noisy_or" else rate
    return jnp.log(start) - jnp.log1p(-start)


def _linear_start(key: jax.Array, known: jax.Array) -> Params:
    return {"weights": _SMALL * jax.random.normal(key, known.shape)}


def _quadratic_start(key: jax.Array, known: jax.Array) -> Params:
    return _linear_start(key, known) | {"pairs": jnp.zeros(known.shape * 2)}


def _mlp_start(key: jax.Array, known: jax.Array) -> Params:
    first, second = jax.random.split(key)
    spread = jax.lax.rsqrt(jnp.maximum(known.sum(), 1).astype(jnp.float32))
    return {
        "hidden": spread * jax.random.normal(first, (*known.shape, HIDDEN)),
        "hidden_bias": jnp.zeros(HIDDEN),
        "weights": jax.random.normal(second, (HIDDEN,)) / HIDDEN**0.5,
    }


def num_counted(pooling: str, k: int, most_frames: int) -> int:
    """The frames that count at most of a video of T ≤ ``most_frames``."""
    return most_frames // _SHARE + 1 if pooling == "share_mean" else min(k, most_frames)


def _noisy_or_cost(z: jax.Array, y: jax.Array, num_frames: jax.Array) -> jax.Array:
    there = jnp.arange(len(z)) < num_frames
    return video_cross_entropy(z[:, None], y[None], k=len(z), mask=there)[0]


def _mean_cost(z: jax.Array, y: jax.Array, num_frames: jax.Array) -> jax.Array:
    there = jnp.arange(len(z)) < num_frames
    pooled = jnp.where(there, z, 0.0).sum() / there.sum()
    return optax.sigmoid_binary_cross_entropy(pooled, y)


def _share_mean_cost(z: jax.Array, y: jax.Array, num_frames: jax.Array) -> jax.Array:
    rank = jnp.arange(len(z))
    kept = (rank < num_frames // _SHARE + 1) & (rank < num_frames)
    top = jnp.where(kept, z, 0.0)

    def log_mean(values: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(values, where=kept) - jnp.log(kept.sum())

    shows, lacks = log_mean(jax.nn.log_sigmoid(top)), log_mean(jax.nn.log_sigmoid(-top))
    return -y * shows - (1 - y) * lacks


# (logits of the `num_counted` strongest frames, strongest first and any padding last; label; T) ->
# cross-entropy of the video.
# noisy_or: of 1 − Π_{top-k} (1 − σ(z)). mean: of σ of the mean of the top-k logits.
# share_mean: of the mean of the ⌊T/16⌋ + 1 largest σ(z), as VadCLIP trains its first branch
# (Wu et al., AAAI 2024).
POOLINGS = {"noisy_or": _noisy_or_cost, "mean": _mean_cost, "share_mean": _share_mean_cost}

_L2 = tuple(Penalty(l2=value) for value in (1e-3, 1e-2, 1e-4, 1e-5))
_L1 = tuple(Penalty(l1=value) for value in (3e-3, 1e-2, 3e-2))
_BOTH = ("noisy_or", "mean")
FORMS = {
    "linear": Form(linear_logits, linear_logits, _linear_start, _BOTH, _L2),
    "topk_mean": Form(linear_logits, linear_logits, _linear_start, ("share_mean",), _L2),
    "quadratic": Form(
        quadratic_logits, many_quadratic_logits, _quadratic_start, _BOTH, _L2[:3] + _L1
    ),
    "mlp": Form(mlp_logits, mlp_logits, _mlp_start, _BOTH, _L2),
}
# What tables call them; the first two cost little, the others several times as much.
NAMES = {
    "MIL linear": "linear",
    "MIL top-k mean": "topk_mean",
    "MIL quadratic": "quadratic",
    "MIL MLP-16": "mlp",
}
