"""The models of the study of rules: roles of every form, and the baselines, behind one shape."""

import dataclasses
import functools
import typing
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial

from benchmarks.rules_data import LawWorld, Written
from jaxvlm.atoms.learned_roles import train_roles
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams, event_logits
from jaxvlm.evaluation.mil import fit_mil, mil_inputs, row_model
from jaxvlm.evaluation.mil_forms import NAMES as BASELINES

_ROWS = 2048  # frames at a time: compiled once

# (frames [T, C], the whole video they are of, or None where they are it) -> inputs [T, C].
Read = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


class Fitted(NamedTuple):
    """A model of frames: what it reads, and the logits of that, row by row."""

    read: Read
    logits: Partial  # [T, C] -> [T, E]

    def probability(self, video: np.ndarray) -> np.ndarray:
        """[T, E] of one video."""
        return self.of_videos([video])[0]

    def of_videos(self, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """[T, E] of each video."""
        inputs = np.concatenate([self.read(np.asarray(video), None) for video in videos])
        padded = np.zeros((-(-len(inputs) // _ROWS) * _ROWS, inputs.shape[1]), np.float32)
        padded[: len(inputs)] = inputs
        parts = [
            _probability(self.logits, part) for part in padded.reshape(-1, _ROWS, inputs.shape[1])
        ]
        ends = np.cumsum([len(video) for video in videos])
        return np.split(np.concatenate(parts)[: len(inputs)], ends[:-1])


def forms() -> tuple[str, ...]:
    """The forms that `RoleConfig` knows, as it names them."""
    (field,) = (own for own in dataclasses.fields(RoleConfig) if own.name == "form")
    return typing.get_args(field.type)


def fit_roles(
    world: LawWorld,
    index: np.ndarray,
    *,
    form: str,
    seed: int,
    written: Written | None = None,
) -> Fitted:
    """Roles from some of the training videos, towards what is written, if anything."""
    params = train_roles(
        [world.train[n] for n in index],
        world.labels[index],
        config=RoleConfig(form=form),
        candidates=world.candidates,
        prior=None if written is None else written.prior(),
        seed=seed,
    )
    return roles_of(params, world)


def roles_of(params: RoleParams, world: LawWorld) -> Fitted:
    """Role parameters as a model; they read p̄ as it is."""
    params = jax.tree.map(np.asarray, params)
    return Fitted(lambda rows, _: rows, Partial(_role_logits, params, world.candidates))


def fit_baseline(world: LawWorld, index: np.ndarray, *, name: str, seed: int) -> Fitted:
    """A baseline of `mil_forms.NAMES` from some of the training videos."""
    model = fit_mil(
        [world.train[n] for n in index],
        world.labels[index],
        form=BASELINES[name],
        seed=seed,
        candidates=world.candidates,
    )
    return Fitted(lambda rows, of: mil_inputs(model, rows, of=of), row_model(model))


def _role_logits(params: RoleParams, candidates: jax.Array, presence: jax.Array) -> jax.Array:
    return event_logits(params, presence, candidates=candidates)


@jax.jit
def _probability(logits: Partial, rows: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(logits(rows))


def all_models(world: LawWorld, *, seed: int) -> dict[str, Callable[[np.ndarray], Fitted]]:
    """What fits each model from the videos of some numbers, without anything written."""
    found = {
        f"roles, {form}": functools.partial(fit_roles, world, form=form, seed=seed)
        for form in forms()
    }
    return found | {
        name: functools.partial(fit_baseline, world, name=name, seed=seed) for name in BASELINES
    }
