"""Contrastive training of a small CLIP on pictures whose captions are known to be true or false.

In a batch of rendered pictures most captions describe several pictures, so the usual "the other
captions are wrong" does not hold. The truth is known, and used: caption j is a positive of picture
i if everything that it names is there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from flax import linen as nn

from jaxvlm.arrays import unit
from jaxvlm.clip import build_module
from jaxvlm.clip.config import ClipConfig
from jaxvlm.world.train_config import TrainConfig


class ContrastiveBatch(NamedTuple):
    """pixel_values [N,3,H,W]; token_ids [N,L]; described [N,N]: caption j is true of picture i.

    prompt_ids [K,L']: one prompt per concept; patch_concepts [N,P]: the concept that a patch shows,
    −1 where it shows none (needed only for ``patch_weight`` > 0).
    """

    pixel_values: jax.Array
    token_ids: jax.Array
    described: jax.Array
    prompt_ids: jax.Array
    patch_concepts: jax.Array


class TrainState(NamedTuple):
    """Weights and the optimiser's state."""

    params: Any
    opt_state: Any


def multi_positive_loss(logits: jax.Array, described: jax.Array) -> jax.Array:
    """Contrastive loss with several positives, averaged over both directions.

    L = −(1/N) Σ_i Σ_j y_ij log softmax_j(z_i)_j,  y_ij = described_ij / Σ_j described_ij

    logits [N,M]: s·cosine; described [N,M] in {0, 1}. A row without a positive adds nothing.
    With exactly one positive per row this is CLIP's loss (Radford et al. 2021); the general form
    is UniCL's (Yang et al. 2022).
    """
    described = jnp.asarray(described, logits.dtype)

    def one_way(z: jax.Array, y: jax.Array) -> jax.Array:
        target = y / jnp.maximum(y.sum(-1, keepdims=True), 1.0)
        return -(target * jax.nn.log_softmax(z, -1)).sum(-1).mean()

    return 0.5 * (one_way(logits, described) + one_way(logits.T, described.T))


def patch_loss(logits: jax.Array, concepts: jax.Array, things: int) -> jax.Array:
    """Cross-entropy of each patch's concept among the concept prompts.

    The mean over patches that show a thing (concept < ``things``) plus a quarter of the mean over
    those that show a place, which are many and easy; patches of −1 take no part.

    logits [N,P,K], concepts [N,P] integer.
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(concepts, 0))

    def mean_over(chosen: jax.Array) -> jax.Array:
        return jnp.where(chosen, losses, 0.0).sum() / jnp.maximum(chosen.sum(), 1)

    of_things = (concepts >= 0) & (concepts < things)
    return mean_over(of_things) + 0.25 * mean_over(concepts >= things)


def embed(
    module: nn.Module, pixel_values: jax.Array, token_ids: jax.Array, prompt_ids: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Unit embeddings of pictures [N,D], captions [N,D], concept prompts [K,D], patches [N,P,D].

    Called as a method of the bound module. The patch embeddings take CLIP's own way out:
    post-layernorm and visual projection.
    """
    tower = module.vision_model
    hidden = tower(jnp.moveaxis(pixel_values, 1, -1), deterministic=True).last_hidden_state
    outputs = unit(module.visual_projection(tower.post_layernorm(hidden)))

    def embed_text(ids: jax.Array) -> jax.Array:
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
        text = module.text_model(ids, jnp.ones_like(ids), positions, deterministic=True)
        return unit(module.text_projection(text.pooler_output))

    return outputs[:, 0], embed_text(token_ids), embed_text(prompt_ids), outputs[:, 1:]


def make_step(
    module: nn.Module, config: TrainConfig, things: int
) -> tuple[Callable[[Any], TrainState], Callable[[TrainState, ContrastiveBatch], tuple]]:
    """Returns (init, step): ``init(params)`` and the jitted ``step(state, batch)``.

    things: how many of the concept prompts, the first ones, name things and not places.
    """
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.contrib.muon(
            _schedule(config, config.learning_rate),
            weight_decay=config.weight_decay,
            adam_b2=0.98,
            adam_learning_rate=_schedule(config, config.adam_learning_rate),
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=0.2,
        ),
    )

    def loss_of(params: Any, batch: ContrastiveBatch) -> tuple[jax.Array, dict]:
        image, text, prompt, patch = module.apply(
            {"params": params}, batch.pixel_values, batch.token_ids, batch.prompt_ids, method=embed
        )
        scale = jnp.exp(jnp.minimum(params["logit_scale"], jnp.log(100.0)))
        parts = {
            "contrastive": multi_positive_loss(scale * image @ text.T, batch.described),
            "patch": patch_loss(scale * patch @ prompt.T, batch.patch_concepts, things),
        }
        return parts["contrastive"] + config.patch_weight * parts["patch"], parts

    def init(params: Any) -> TrainState:
        return TrainState(params, optimiser.init(params))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, batch: ContrastiveBatch) -> tuple[TrainState, dict]:
        (_, parts), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params, batch)
        updates, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), opt_state), parts

    return init, step


def _schedule(config: TrainConfig, rate: float) -> optax.Schedule:
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, rate, config.warmup_steps),
            optax.linear_schedule(rate, 0.0, config.decay_steps),
        ],
        [max(config.constant_steps, config.warmup_steps)],
    )


def _matrices(params: Any) -> Any:
    """Which leaves Muon moves: the matrices of attention and MLP. The others are Adam's."""

    def dimensions(path: tuple, leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        inner = any(getattr(key, "key", None) == "layers" for key in path)
        return optax.contrib.MuonDimensionNumbers() if inner and leaf.ndim == 2 else None

    return jax.tree_util.tree_map_with_path(dimensions, params)


def train(
    clip_config: ClipConfig,
    batches: Iterator[ContrastiveBatch],
    config: TrainConfig,
    *,
    things: int,
    examples: np.ndarray,
    seed: int,
    report: Callable[[int, dict, Any], None] = lambda *_: None,
) -> Any:
    """Trains from `initial_params`; returns the Flax parameters.

    report(step, losses, params) is called after every step; losses are device arrays, so a
    report that does not look does not wait.
    """
    init, step = make_step(build_module(clip_config), config, things)
    state = init(initial_params(clip_config, seed, examples))
    for index, batch in zip(
        range(config.constant_steps + config.decay_steps), batches, strict=False
    ):
        state, losses = step(state, batch)
        report(index, losses, state.params)
    return state.params


def initial_params(clip_config: ClipConfig, seed: int, examples: np.ndarray) -> Any:
    """Parameters of a Flax CLIP, random but for three places in the vision tower.

    A small tower that learns from few pictures cannot afford CLIP's start. The patch embedding
    whitens the patches of ``examples`` [N,3,H,W]: their raw pixels are nearly all brightness, and
    what tells things apart is the faint rest. Position embeddings are 2-D sines and cosines as
    strong as the patch embeddings (CLIP's are a tenth of that). Keys equal queries, so that a
    patch first attends to patches that are near and alike (cf. Trockman & Kolter 2023).
    """
    vision = clip_config.vision_config
    ids = jnp.zeros((1, 8), jnp.int32)
    variables = build_module(clip_config).init(
        jax.random.key(seed),
        ids,
        jnp.zeros((1, vision.image_size, vision.image_size, 3)),
        jnp.ones_like(ids),
        jnp.broadcast_to(jnp.arange(8), ids.shape),
    )
    params = flax.core.unfreeze(variables["params"])
    side = vision.image_size // vision.patch_size
    tower = params["vision_model"]
    positions = np.zeros((1 + side * side, vision.hidden_size), np.float32)
    positions[1:] = 0.5 * sincos_positions(side, vision.hidden_size)
    tower["embeddings"]["position_embedding"]["embedding"] = jnp.asarray(positions)
    filters = 0.5 * whitening_filters(examples, vision.patch_size)[..., : vision.hidden_size]
    kernel = tower["embeddings"]["patch_embedding"]["kernel"]
    tower["embeddings"]["patch_embedding"]["kernel"] = kernel.at[..., : filters.shape[-1]].set(
        filters
    )
    for layer in tower["encoder"]["layers"].values():
        layer["self_attn"]["k_proj"] = layer["self_attn"]["q_proj"]
    return jax.tree.map(jnp.array, params)  # copies: no two leaves share a buffer


def whitening_filters(pixel_values: np.ndarray, patch_size: int) -> np.ndarray:
    """[h, w, 3, F] filters, F = 3·patch_size², whose responses to patches are uncorrelated.

    Row i is v_i / √(λ_i + 0.01·mean λ), v_i and λ_i the eigenvectors and eigenvalues of the
    covariance of patches, largest first: unit variance for what is strong, less for noise.

    pixel_values: [N, 3, H, W].
    """
    num, channels, height, width = pixel_values.shape
    rows, columns = height // patch_size, width // patch_size
    patches = (
        pixel_values.reshape(num, channels, rows, patch_size, columns, patch_size)
        .transpose(0, 2, 4, 3, 5, 1)
        .reshape(num * rows * columns, -1)
        .astype(np.float64)
    )
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    values, vectors = values[::-1], vectors[:, ::-1]
    filters = vectors / np.sqrt(np.maximum(values, 0) + 0.01 * values.mean())
    return filters.reshape(patch_size, patch_size, channels, -1).astype(np.float32)


def sincos_positions(side: int, width: int) -> np.ndarray:
    """[side², width]: sines and cosines of row and column at width/4 frequencies from 1 to 1/side.

    Raises ValueError if the width is no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width {width} is no multiple of 4")
    frequencies = np.pi * np.float32(side) ** -np.linspace(0, 1, width // 4)
    row, column = np.divmod(np.arange(side * side), side)
    angles = [place[:, None] * frequencies for place in (row, column)]
    return np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)], 1)


def described_by(truth: np.ndarray, named: np.ndarray) -> np.ndarray:
    """described[i, j] = 1 if caption j names nothing that picture i lacks.

    truth [N,K] and named [M,K] are multi-hot over concepts. Returns [N,M] uint8.
    """
    missing = (1 - truth.astype(np.int32)) @ named.astype(np.int32).T
    return (missing == 0).astype(np.uint8)
