"""What the tests of roles, training and explanation share."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams

GOLDEN = Path(__file__).parents[1] / "golden" / "atoms.safetensors"
SMALL = RoleConfig(form="product", epochs=4, batch_size=4, topk=3, freeze_bias_epochs=2)


def random_params(seed: int, num_atoms: int, num_events: int) -> RoleParams:
    """All parts on, signed, with strengths from weak to strong."""
    rng = np.random.default_rng(seed)
    thetas = rng.normal(-1.0, 2.0, (3, num_atoms, num_events))
    gammas = rng.uniform(0.3, 2.0, (4, num_events))
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float32),
        RoleParams(
            *thetas,
            gamma_direct=gammas[0],
            gamma_indirect=gammas[1],
            gamma_counter=-gammas[2],
            bias=rng.normal(0.0, 1.0, num_events),
            gamma_explicit=-gammas[3],
            presence_scale=rng.uniform(4.0, 12.0, num_atoms),
            presence_center=rng.uniform(0.3, 0.6, num_atoms),
        ),
    )


def select_atoms(params: RoleParams, index: np.ndarray) -> RoleParams:
    """The same parameters for atoms `index`, in that order."""
    per_atom = [name for name in params._fields if name.startswith(("theta", "presence"))]
    return params._replace(**{name: getattr(params, name)[index] for name in per_atom})


def golden_params(arrays: dict[str, np.ndarray], prefix: str) -> RoleParams:
    names = ("theta_dir", "theta_ind", "theta_ctr", "gamma_dir", "gamma_ind", "gamma_ctr", "bias")
    return RoleParams(*(arrays[f"{prefix}.{name}"] for name in names))


def largest_array(jaxpr: Any) -> int:
    """Size of the largest intermediate of a jaxpr and all jaxprs inside it."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [variable.aval.size for variable in equation.outvars]
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                sizes.append(largest_array(getattr(value, "jaxpr", value)))
    return max(sizes)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "jaxpr") or hasattr(value, "eqns")


@functools.lru_cache
def small_world(num_videos: int = 10) -> tuple[list[np.ndarray], np.ndarray]:
    """Videos of different lengths; atom 0 means event 0, atoms 1 and 2 together event 1."""
    rng = np.random.default_rng(0)
    videos, labels = [], []
    for n in range(num_videos):
        present = np.zeros((int(rng.integers(5, 12)), 5), bool)
        label = [n % 3 == 0, n % 2 == 0]
        start = int(rng.integers(0, 3))
        present[start : start + 3, 0] = label[0]
        present[start : start + 3, 1:3] = label[1]
        present[start : start + 3, 1 + n % 4 // 2] |= n % 4 in (1, 3)
        present[:, 4] = rng.random() < 0.5
        noise = 0.05 * rng.standard_normal(present.shape)
        videos.append(np.clip(0.1 + 0.8 * present + noise, 0, 1).astype(np.float32))
        labels.append(label)
    return videos, np.array(labels, np.float32)
