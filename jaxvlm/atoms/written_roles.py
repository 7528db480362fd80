"""Hand-written roles as a prior: where a training starts between them and the labels, and its pull.

All parameters are drawn to what is written, not the strengths alone: of ten labels γ, b and the
calibration are learned worse than they are without any.
"""

import jax
import jax.numpy as jnp
import optax

from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_tables import roles_from_strengths, written_theta
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rules import NOBODY
from jaxvlm.atoms.training_data import WEIGHTS, TrainingData, constrain, unconstrain


def as_written(data: TrainingData, config: RoleConfig) -> RoleParams:
    """The roles and rules of the prior as they are used without training, unconstrained."""
    *tables, of_rules = data.prior
    rules = None
    if data.rules is not None:
        thetas = map(written_theta, of_rules)
        rules = data.rules._replace(theta=next(thetas), theta_unless=next(thetas))
    return unconstrain(roles_from_strengths(*tables, rules=rules), data, config)


def towards_written(start: RoleParams, data: TrainingData) -> RoleParams:
    """Unconstrained parameters on the way from what labels suggest to what is written.

    A prior of weight w counts as wN videos against N, so it has the share w/(1 + w).
    """
    share = data.prior_weight / (1.0 + data.prior_weight)
    return jax.tree.map(lambda own, theirs: own + share * (theirs - own), start, data.written)


def distance_from_written(params: RoleParams, data: TrainingData, config: RoleConfig) -> jax.Array:
    """How far unconstrained parameters are from what is written.

    Σ BCE(ρ, ρ written) over strengths and Σ of squared differences of γ, b, log s_c and s_c m_c.
    """
    strengths = [
        (getattr(params, name), getattr(data.written, name), data.candidates)
        for name in ("theta_direct", "theta_indirect", "theta_counter")
    ]
    if params.rules is not None:
        known = (data.rules.atoms[..., 0] != NOBODY, data.rules.unless != NOBODY)
        strengths += [
            (getattr(params.rules, name), getattr(data.written.rules, name), there)
            for name, there in zip(("theta", "theta_unless"), known, strict=True)
        ]
    total = sum(
        jnp.sum(optax.sigmoid_binary_cross_entropy(theta, jax.nn.sigmoid(written)) * there)
        for theta, written, there in strengths
        if theta is not None
    )
    own, written = constrain(params, config), constrain(data.written, config)
    for name in WEIGHTS:
        if getattr(own, name) is not None:
            total = total + jnp.sum((getattr(own, name) - getattr(written, name)) ** 2)
    if own.presence_scale is not None:
        scale, moved = (
            params.presence_scale - data.written.presence_scale,
            own.presence_center - written.presence_center,
        )
        total = total + jnp.sum(scale**2) + jnp.sum((written.presence_scale * moved) ** 2)
    return total
