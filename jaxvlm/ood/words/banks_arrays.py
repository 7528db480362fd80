"""The unit text embeddings that pictures are compared with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig


class LabelBanks(NamedTuple):
    """Unit text embeddings that images are compared with.

    positive [K, D]; negative [M, D], all negative labels; negative_object [M_obj, D] and
    negative_background [M_bg, D], the object-leaning and the background-leaning ones.
    positive_prompts [K, R, D]: the class's single prompts, or None, when ``positive`` stands for
    them. object_weights [M_obj], background_weights [M_bg]: soft weights, or None for 1.
    """

    positive: ArrayLike
    negative: ArrayLike
    negative_object: ArrayLike
    negative_background: ArrayLike
    positive_prompts: ArrayLike | None = None
    object_weights: ArrayLike | None = None
    background_weights: ArrayLike | None = None


def check_banks(banks: LabelBanks, config: NegAlignConfig) -> None:
    """Checks that the banks are unit rows of one width, with all that ``config`` asks for.

    Raises InputError, naming the bank: another shape, a row that is NaN or not of unit length,
    weights or prompts that do not go with their bank, no class, no background-leaning word where
    P_align needs one, or a ``logit_scale`` of 0 (see `with_logit_scale`).
    """
    if not config.logit_scale:
        raise InputError(
            "logit_scale 0: stands for the model's own; resolve it with with_logit_scale"
        )
    width = jnp.shape(banks.positive)[-1]
    for name in ("positive", "negative", "negative_object", "negative_background"):
        _check_rows(name, getattr(banks, name), (None, width))
    if not len(banks.positive):
        raise InputError("label bank positive: empty; give at least one class name")
    if banks.positive_prompts is not None:
        _check_rows("positive_prompts", banks.positive_prompts, (len(banks.positive), None, width))
    for name, bank in (
        ("object_weights", banks.negative_object),
        ("background_weights", banks.negative_background),
    ):
        weights = getattr(banks, name)
        if weights is not None and (
            jnp.shape(weights) != (len(bank),) or not _true(jnp.isfinite(jnp.asarray(weights)))
        ):
            raise InputError(
                f"label bank {name}: not {len(bank)} finite numbers; give one per word of its bank"
            )
    if config.use_p_align and not len(banks.negative_background):
        raise InputError(
            "label bank negative_background: empty; lower the split's threshold or set "
            "use_p_align=False"
        )


def _check_rows(name: str, bank: ArrayLike, shape: tuple[int | None, ...]) -> None:
    found = jnp.shape(bank)
    fits = len(found) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, found, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"label bank {name}: shape {found}, expected ({expected}); "
            "embed all labels with one model"
        )
    if not _true(jnp.abs(jnp.linalg.norm(jnp.asarray(bank), axis=-1) - 1) < 1e-2):
        raise InputError(
            f"label bank {name}: a row is NaN or not of unit length; "
            "check the weights and normalise the embeddings"
        )


def _true(values: jax.Array) -> bool:
    """Whether all are true; traced values, which nobody can look at yet, pass."""
    return isinstance(values, jax.core.Tracer) or bool(values.all())
