"""How present each atom is in each frame, from embeddings and, if there are any, captions."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit


@functools.partial(jax.jit, static_argnames=["renormalize"])
@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def cosine_presence(
    image_embeddings: ArrayLike, atom_embeddings: ArrayLike, *, renormalize: bool = True
) -> jax.Array:
    """Presence as the rescaled cosine of frame and atom.

    p_c(t) = (⟨v_t, t_c⟩ + 1) / 2

    CLIP's cosines lie in about [0.1, 0.35], so these presences lie in [0.55, 0.68] for every
    atom; see `contrast_presence`.

    Args:
      image_embeddings: [T, D] frames, any length; rows are normalised here.
      atom_embeddings: [C, D] atoms, likewise, unless ``renormalize`` is False: then they count as
        they are, as the prototype's plain mean over templates, shorter than 1, does.

    Returns:
      [T, C] presence in [0, 1] to rounding; a row of zeros counts as cosine 0.

    Raises:
      ValueError: shapes that do not fit.

    Source: the prototype; docs/mathematics.md, Presence.
    """
    check_shapes(
        "cosine_presence",
        image_embeddings=(image_embeddings, "T D"),
        atom_embeddings=(atom_embeddings, "C D"),
    )
    return (unit(image_embeddings) @ _texts(atom_embeddings, renormalize).T + 1.0) / 2.0


@functools.partial(jax.jit, static_argnames=["reference", "renormalize"])
@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def contrast_presence(
    image_embeddings: ArrayLike,
    atom_embeddings: ArrayLike,
    neutral_embeddings: ArrayLike,
    *,
    logit_scale: ArrayLike,
    reference: str = "log_mean_exp",
    renormalize: bool = True,
) -> jax.Array:
    """Presence as the probability that the atom describes the frame better than neutral prompts.

    p_c(t) = σ(s (⟨v_t, t_c⟩ − ν(t))),  s = logit_scale
    log_mean_exp: ν(t) = (1/s) log mean_l exp(s ⟨v_t, n_l⟩);  max: ν(t) = max_l ⟨v_t, n_l⟩

    Args:
      image_embeddings: [T, D] frames, any length; rows are normalised here.
      atom_embeddings: [C, D] atoms, likewise, unless ``renormalize`` is False.
      neutral_embeddings: [L, D] prompts true of any frame ("a photo"), likewise; L ≥ 1.
      logit_scale: s itself, about 100: the exponential of the parameter that CLIP stores.
      reference: "log_mean_exp" or "max".

    Returns:
      [T, C] presence in [0, 1].

    Raises:
      ValueError: shapes that do not fit, no neutral prompt, or an unknown reference.

    Source: docs/mathematics.md, Presence.
    """
    sizes = check_shapes(
        "contrast_presence",
        image_embeddings=(image_embeddings, "T D"),
        atom_embeddings=(atom_embeddings, "C D"),
        neutral_embeddings=(neutral_embeddings, "L D"),
        logit_scale=(logit_scale, ""),
    )
    if sizes["L"] == 0:
        raise ValueError("contrast_presence: neutral_embeddings [L, D] needs L >= 1")
    frames, neutral = unit(image_embeddings), unit(neutral_embeddings)
    scale = jnp.asarray(logit_scale, frames.dtype)
    neutral_logits = scale * frames @ neutral.T
    if reference == "log_mean_exp":
        level = jax.nn.logsumexp(neutral_logits, axis=1) - jnp.log(sizes["L"])
    elif reference == "max":
        level = jnp.max(neutral_logits, axis=1)
    else:
        raise ValueError(f"contrast_presence: reference {reference!r}; use 'log_mean_exp' or 'max'")
    return jax.nn.sigmoid(scale * frames @ _texts(atom_embeddings, renormalize).T - level[:, None])


@functools.partial(jax.jit, static_argnames=["patches", "renormalize"])
@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def local_presence(
    patch_embeddings: ArrayLike,
    atom_embeddings: ArrayLike,
    neutral_embeddings: ArrayLike,
    *,
    logit_scale: ArrayLike,
    patches: int = 3,
    renormalize: bool = True,
) -> jax.Array:
    """Presence of each atom as the share that it wins of the patches that show it most.

    q_c(t, p) = exp(s⟨v_tp, t_c⟩) / (Σ_c' exp(s⟨v_tp, t_c'⟩) + Σ_l exp(s⟨v_tp, n_l⟩))
    p_c(t) = mean of the k largest q_c(t, ·)

    An image embedding has to hold all that a frame shows; a patch shows one thing. Needs an
    encoder whose patches are aligned with text, as the embedded one's are.

    Args:
      patch_embeddings: [T, P, D]; made unit here, as all others.
      atom_embeddings: [C, D]; as they are if ``renormalize`` is False.
      neutral_embeddings: [L, D], L may be 0.
      logit_scale: s.
      patches: k ≥ 1, how many patches have to show an atom; at most P count.

    Returns:
      [T, C] in [0, 1].

    Raises:
      ValueError: shapes that do not fit, or k < 1.

    Source: the local concept matching of GL-MCM (Miyai et al. 2023), with k patches instead of one
    and with the encoder's patch embeddings instead of its value path.
    """
    sizes = check_shapes(
        "local_presence",
        patch_embeddings=(patch_embeddings, "T P D"),
        atom_embeddings=(atom_embeddings, "C D"),
        neutral_embeddings=(neutral_embeddings, "L D"),
        logit_scale=(logit_scale, ""),
    )
    if patches < 1:
        raise ValueError(f"local_presence: patches {patches}; use at least 1")
    local = unit(patch_embeddings)
    texts = jnp.concatenate([_texts(atom_embeddings, renormalize), unit(neutral_embeddings)])
    share = jax.nn.softmax(logit_scale * local @ texts.T, axis=-1)[..., : sizes["C"]]
    strongest, _ = jax.lax.top_k(jnp.moveaxis(share, 1, 2), min(patches, sizes["P"]))
    return jnp.mean(strongest, axis=-1)


@jax.jit
def add_caption_evidence(
    presence: ArrayLike,
    named: ArrayLike,
    resembled: ArrayLike,
    *,
    lambda_atoms: ArrayLike = 0.25,
    lambda_resemble: ArrayLike = 0.1,
    guard: ArrayLike = 0.18,
) -> jax.Array:
    """Raises the presence of atoms that a caption names or resembles.

    p ← p + λ (1 − p) where p ≥ guard,
    λ = λ_atoms · named where the atom is named, else λ_resemble · resembled.

    Args:
      presence: [T, C] in [0, 1].
      named: [T, C] bool, or a strength in [0, 1].
      resembled: [T, C] similarity to a named phrase in [0, 1]; 0 where none is similar enough.
      lambda_atoms: share of the missing presence that a named atom gains.
      lambda_resemble: the same for one that only resembles a phrase, per unit of similarity.
      guard: presence below which a caption is not believed.

    Returns:
      [T, C] presence in [0, 1], never below `presence`.

    Raises:
      ValueError: shapes that do not fit.

    Source: the prototype (named, guard); docs/mathematics.md, Presence.
    """
    check_shapes(
        "add_caption_evidence",
        presence=(presence, "T C"),
        named=(named, "T C"),
        resembled=(resembled, "T C"),
        lambda_atoms=(lambda_atoms, ""),
        lambda_resemble=(lambda_resemble, ""),
        guard=(guard, ""),
    )
    presence, named = jnp.asarray(presence), jnp.asarray(named, float)
    weight = jnp.where(named > 0, lambda_atoms * named, lambda_resemble * jnp.asarray(resembled))
    return jnp.where(presence >= guard, presence + weight * (1.0 - presence), presence)


def _texts(rows: ArrayLike, renormalize: bool) -> jax.Array:
    if renormalize:
        return unit(rows)
    rows = jnp.asarray(rows)
    return rows.astype(jnp.promote_types(rows.dtype, jnp.float32))
