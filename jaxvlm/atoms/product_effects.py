"""Effects of atoms, alone and in pairs, in a model with products, and how well it predicts."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxvlm.arrays import top_indices
from jaxvlm.atoms.descent import gradient_steps
from jaxvlm.atoms.quadratic import as_known, quadratic, quadratic_of_many
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_start import base_rate, standardised
from jaxvlm.atoms.training_data import TrainingData, videos_alone

# Atoms of an event whose products are fitted: those with the largest linear effects.
_MOST_ATOMS = 48
_STEPS = 400  # of Adam, of a batch of videos each
_RATE = 0.05
_L1 = 0.03
_SAMPLES = 8  # bootstrap samples of the videos, whose fits are averaged


class ProductEffects(NamedTuple):
    """What switching on atoms of an event adds to its logit. K atoms of each, by number."""

    atoms: jax.Array  # [E, K]
    alone: jax.Array  # e_i [E, K]
    together: jax.Array  # e_ij [E, K, K], symmetric; its diagonal means nothing


class ProductFit(NamedTuple):
    """The effects, and Σ_e of the cross-entropy of each video's labels [N] where it was left out:
    the mean over the samples that lack it, NaN where none does."""

    effects: ProductEffects
    left_out: jax.Array


class Samples(NamedTuple):
    """Bootstrap samples of the videos: the batches of every step, and which videos one lacks."""

    batches: np.ndarray  # [S, steps, B]
    lacking: np.ndarray  # [S, N]


def fit_products(
    data: TrainingData, linear: jax.Array, config: RoleConfig, *, products: bool = True
) -> ProductFit:
    """Fits z = Σ w_i x_i + Σ_{i<j} W_ij x_i x_j + b, x the z-scores of calibrated presence.

    σ of the mean of a video's k largest z is fitted to its label by Adam, with an L1 pull on w and
    W; w and W are the mean of `_SAMPLES` such fits, each of a bootstrap sample of the videos. An
    atom is switched on from a presence of 0 to 1 while all others are off: with Δ_i = 1/std_i and
    o_i the z-score of 0, e_i = Δ_i (w_i + Σ_j W_ij o_j) and e_ij = e_i + e_j + W_ij Δ_i Δ_j.

    Args:
      data: the training videos.
      linear: `linear_effects` [C, E]; the products of the `_MOST_ATOMS` largest are fitted.
      config: its batch_size, topk and calibrate.
      products: False: W = 0, a linear model, by the same program.
    """
    batches, lacking = _samples(data.labels.shape[0], config.batch_size)
    calibrated = config.calibrate and not config.reference
    sizes = {"topk": config.topk, "calibrated": calibrated}
    return _fit(videos_alone(data), linear, batches, lacking, float(products), **sizes)


def _samples(num_videos: int, batch_size: int) -> Samples:
    # By NumPy: to draw them inside takes as long to compile as the fits themselves.
    rng, size = np.random.default_rng(0), min(batch_size, num_videos)
    per_epoch = num_videos // size
    taken = rng.integers(num_videos, size=(_SAMPLES, num_videos))
    epochs = np.repeat(taken[:, None], -(-_STEPS // per_epoch), axis=1)
    order = rng.permuted(epochs, axis=2)[..., : size * per_epoch]
    lacking = np.ones(taken.shape, np.float32)
    np.put_along_axis(lacking, taken, 0.0, axis=1)
    return Samples(order.reshape(_SAMPLES, -1, size)[:, :_STEPS].astype(np.int32), lacking)


@functools.partial(jax.jit, static_argnames=("topk", "calibrated"))
def _fit(
    data: TrainingData,
    linear: jax.Array,
    batches: ArrayLike,
    lacking: ArrayLike,
    products: ArrayLike,
    *,
    topk: int,
    calibrated: bool,
) -> ProductFit:
    num_atoms = data.candidates.shape[0]
    most = min(_MOST_ATOMS, num_atoms if data.members is None else data.members.shape[1])
    rank = jnp.where(data.candidates > 0, jnp.abs(linear), -1.0)
    atoms = jax.lax.top_k(rank.T, most)[1]  # [E, K]
    known = jnp.take_along_axis(data.candidates.T, atoms, axis=1)
    pairs = known[:, :, None] * known[:, None, :] * (1.0 - jnp.eye(most))
    x = jax.nn.sigmoid(data.presence) if calibrated else data.presence
    scores, mean, std = standardised(x, data.mask)
    k = min(topk, data.presence.shape[1])

    def symmetric(weights: jax.Array) -> jax.Array:
        return 0.5 * products * (weights + jnp.swapaxes(weights, 1, 2)) * pairs

    def logits_of(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        """Of w and W, and of z-scores [E, B, T, K]: [E, B, T] without b."""
        each = jax.vmap(function)

        def logits(params: tuple[jax.Array, jax.Array], own: jax.Array) -> jax.Array:
            return each(own, params[0] * known, symmetric(params[1]))

        return logits

    logits, logits_of_many = logits_of(quadratic), logits_of(quadratic_of_many)

    def costs(params: tuple[jax.Array, ...], index: jax.Array) -> jax.Array:
        """[B, E] of videos ``index``."""
        *weights, bias = params
        own, mask = jnp.moveaxis(scores[index][..., atoms], 2, 0), data.mask[index]
        of_all = jax.lax.stop_gradient(logits_of_many(weights, own))
        # The frames that count alone are differentiated: those of the padding are the last of k.
        strongest = top_indices(jnp.where(mask > 0, of_all, -jnp.inf), k)
        own = jnp.take_along_axis(own, strongest[..., None], axis=2)
        top = as_known(logits, weights, own, jnp.take_along_axis(of_all, strongest, axis=2))
        there = jnp.arange(k) < jnp.sum(mask, axis=1)[:, None]
        pooled = jnp.sum(jnp.where(there, top, 0.0), axis=-1) / jnp.sum(there, axis=-1)
        return optax.sigmoid_binary_cross_entropy(pooled.T + bias, data.labels[index])

    def loss(params: tuple[jax.Array, ...], index: jax.Array) -> jax.Array:
        alone, together, _ = params
        weights = jnp.sum(jnp.abs(alone * known)) + 0.5 * jnp.sum(jnp.abs(symmetric(together)))
        return jnp.sum(jnp.mean(costs(params, index), axis=0)) + _L1 * weights

    def fit(batches: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """w and W of a sample of the videos, and what each video costs [N]."""
        params, _ = gradient_steps(slopes, state, optimizer, batches)[0]
        blocks = -(-num_videos // size)
        index = jnp.minimum(jnp.arange(blocks * size), num_videos - 1).reshape(blocks, size)
        cost = jax.lax.map(lambda block: jnp.sum(costs(params, block), axis=1), index)
        return params[0], symmetric(params[1]), cost.ravel()[:num_videos]

    num_videos, size = data.labels.shape[0], jnp.shape(batches)[2]
    rate = base_rate(data.labels)
    start = (jnp.zeros(atoms.shape), jnp.zeros(pairs.shape), jnp.log(rate) - jnp.log1p(-rate))
    optimizer = optax.adam(optax.cosine_decay_schedule(_RATE, _STEPS))
    state, slopes = (start, optimizer.init(start)), jax.value_and_grad(loss)
    *fitted, cost = jax.vmap(fit)(jnp.asarray(batches))
    left_out = jnp.sum(cost * lacking, axis=0) / jnp.sum(jnp.asarray(lacking), axis=0)
    alone, weights = (jnp.mean(fits, axis=0) for fits in fitted)
    slope, off = (1.0 / std)[atoms], (-mean / std)[atoms]
    alone = slope * (alone + jnp.einsum("ekl,el->ek", weights, off * known)) * known
    together = alone[:, :, None] + alone[:, None, :]
    together = together + weights * slope[:, :, None] * slope[:, None, :]
    together = jnp.where(pairs > 0, together, -jnp.inf)
    return ProductFit(ProductEffects(atoms, alone, together), left_out)
