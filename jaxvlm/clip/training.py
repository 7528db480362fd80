"""Contrastive training of a small CLIP on pictures whose captions are known to be true or false.

In a batch of rendered pictures most captions describe several pictures, so the usual "the other
captions are wrong" does not hold. The truth is known, and used: caption j is a positive of picture
i if everything that it names is there.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from transformers import CLIPConfig
from transformers.models.clip.modeling_flax_clip import FlaxCLIPModule


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


class TrainConfig(NamedTuple):
    """How to train. ``patch_weight`` = 0 and ``masked_steps`` = 0 is plain CLIP.

    During ``masked_steps`` the vision tower sees a random half of the patches, which costs half
    the time (FLIP, Li et al. 2023), at a constant learning rate; in the ``full_steps`` after them
    it sees all, and the rate falls linearly to zero.
    """

    masked_steps: int = 4000
    full_steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.05
    sigmoid_weight: float = 1.0
    patch_weight: float = 1.0


class TrainState(NamedTuple):
    """Weights, the bias of the sigmoid loss (dropped afterwards) and the optimiser's state."""

    params: Any
    sigmoid_bias: jax.Array
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


def sigmoid_loss(logits: jax.Array, bias: jax.Array, described: jax.Array) -> jax.Array:
    """Pairwise sigmoid loss, the mean over pictures: −(1/N) Σ_ij log σ(±(z_ij + b)).

    + for true pairs, − for false ones (SigLIP, Zhai et al. 2023).
    """
    signed = jnp.where(described > 0, 1.0, -1.0) * (logits + bias)
    return -jax.nn.log_sigmoid(signed).sum() / logits.shape[0]


def patch_loss(logits: jax.Array, concepts: jax.Array) -> jax.Array:
    """Cross-entropy of each patch's concept among the concept prompts; −1 patches take no part.

    logits [N,P,K], concepts [N,P] integer.
    """
    known = concepts >= 0
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(concepts, 0))
    return jnp.where(known, losses, 0.0).sum() / jnp.maximum(known.sum(), 1)


def embed(
    module: FlaxCLIPModule,
    pixel_values: jax.Array,
    token_ids: jax.Array,
    prompt_ids: jax.Array,
    kept: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Unit embeddings of pictures [N,D], captions [N,D], concept prompts [K,D], patches [N,P',D].

    Called as a method of the bound module. kept [P']: the patches that the vision tower sees.
    The patch embeddings take CLIP's own way out: post-layernorm and visual projection.
    """
    tower = module.vision_model
    tokens = tower.embeddings(jnp.moveaxis(pixel_values, 1, -1))
    tokens = jnp.concatenate([tokens[:, :1], tokens[:, 1 + kept]], 1)
    hidden = tower.encoder(tower.pre_layrnorm(tokens), deterministic=True).last_hidden_state
    outputs = _unit(module.visual_projection(tower.post_layernorm(hidden)))

    def embed_text(ids: jax.Array) -> jax.Array:
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
        text = module.text_model(ids, jnp.ones_like(ids), positions, deterministic=True)
        return _unit(module.text_projection(text.pooler_output))

    return outputs[:, 0], embed_text(token_ids), embed_text(prompt_ids), outputs[:, 1:]


def make_step(
    module: FlaxCLIPModule, config: TrainConfig
) -> tuple[Callable[[Any], TrainState], Callable[[TrainState, ContrastiveBatch, jax.Array], tuple]]:
    """Returns (init, step): ``init(params)`` and the jitted ``step(state, batch, kept)``."""
    rate = config.learning_rate
    schedule = optax.join_schedules(
        [
            optax.linear_schedule(0.0, rate, config.warmup_steps),
            optax.linear_schedule(rate, 0.0, config.full_steps),
        ],
        [max(config.masked_steps, config.warmup_steps)],
    )
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            schedule,
            b2=0.98,
            weight_decay=config.weight_decay,
            mask=functools.partial(jax.tree.map, lambda leaf: leaf.ndim > 1),
        ),
    )

    def loss_of(
        trained: tuple,
        batch: ContrastiveBatch,
        kept: jax.Array,
    ) -> tuple[jax.Array, dict]:
        params, bias = trained
        image, text, prompt, patch = module.apply(
            {"params": params},
            batch.pixel_values,
            batch.token_ids,
            batch.prompt_ids,
            kept,
            method=embed,
        )
        scale = jnp.exp(jnp.minimum(params["logit_scale"], jnp.log(100.0)))
        logits = scale * image @ text.T
        parts = {
            "contrastive": multi_positive_loss(logits, batch.described),
            "sigmoid": sigmoid_loss(logits, bias, batch.described),
            "patch": patch_loss(scale * patch @ prompt.T, batch.patch_concepts[:, kept]),
        }
        total = (
            parts["contrastive"]
            + config.sigmoid_weight * parts["sigmoid"]
            + config.patch_weight * parts["patch"]
        )
        return total, parts

    def init(params: Any) -> TrainState:
        bias = jnp.float32(-10.0)
        return TrainState(params, bias, optimiser.init((params, bias)))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(
        state: TrainState,
        batch: ContrastiveBatch,
        kept: jax.Array,
    ) -> tuple[TrainState, dict]:
        trained = (state.params, state.sigmoid_bias)
        (_, parts), gradient = jax.value_and_grad(loss_of, has_aux=True)(trained, batch, kept)
        updates, opt_state = optimiser.update(gradient, state.opt_state, trained)
        params, bias = optax.apply_updates(trained, updates)
        return TrainState(params, bias, opt_state), parts

    return init, step


def train(
    clip_config: CLIPConfig,
    batches: Iterator[ContrastiveBatch],
    config: TrainConfig,
    *,
    seed: int,
    report: Callable[[int, dict, Any], None] = lambda *_: None,
) -> Any:
    """Trains from random weights on masked and then full batches; returns the Flax parameters.

    report(step, losses, params) is called after every step; losses are device arrays, so a
    report that does not look does not wait.
    """
    module = FlaxCLIPModule(clip_config)
    params = initial_params(clip_config, seed)
    init, step = make_step(module, config)
    state = init(params)
    rng = np.random.default_rng(seed)
    vision = clip_config.vision_config
    num_patches = (vision.image_size // vision.patch_size) ** 2
    for index, batch in zip(range(config.masked_steps + config.full_steps), batches, strict=False):
        count = num_patches // 2 if index < config.masked_steps else num_patches
        kept = np.sort(rng.permutation(num_patches)[:count])
        state, losses = step(state, batch, kept)
        report(index, losses, state.params)
    return state.params


def initial_params(clip_config: CLIPConfig, seed: int) -> Any:
    """Random parameters of a Flax CLIP."""
    side = clip_config.vision_config.image_size
    ids = jnp.zeros((1, 8), jnp.int32)
    variables = FlaxCLIPModule(clip_config).init(
        jax.random.key(seed),
        ids,
        jnp.zeros((1, side, side, 3)),
        jnp.ones_like(ids),
        jnp.broadcast_to(jnp.arange(8), ids.shape),
    )
    return variables["params"]


def described_by(truth: np.ndarray, named: np.ndarray) -> np.ndarray:
    """described[i, j] = 1 if caption j names nothing that picture i lacks.

    truth [N,K] and named [M,K] are multi-hot over concepts. Returns [N,M] uint8.
    """
    missing = (1 - truth.astype(np.int32)) @ named.astype(np.int32).T
    return (missing == 0).astype(np.uint8)


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)
