"""The roles that an ontology file states as parameters, and parameters as strengths to write."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.atoms.roles import ROLES, RoleParams
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.ontology.event_block import WEIGHT_NAMES
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.ontology.rules import WrittenRule
from jaxvlm.ontology.trained import CALIBRATION

# By the names of the file, those of `RoleParams`.
WEIGHTS = dict(
    zip(
        WEIGHT_NAMES,
        ("gamma_direct", "gamma_indirect", "gamma_counter", "gamma_explicit", "bias"),
        strict=True,
    )
)
# θ of strengths 0 and 1: σ(−40) = 4e-18 moves no sum, and σ(20) is 1 in float32.
_NOTHING, _SURE = -40.0, 20.0
_DIGITS = range(9, 18)  # nine tell two numbers of float32 apart, 17 two of float64


def role_params(ontology: Ontology) -> RoleParams:
    """The parameters of all events, for scoring without training.

    An event without weights: as `roles_from_strengths`. With weights the strengths count as they
    are written, 0 where nothing is, and what the weights leave out is as above. The calibration of
    presence is that of the file, and for atoms that it leaves out that of written roles; for an
    event without weights beside others with them, `role_tables.written_calibration` is meant.
    """
    tables = [ontology.strengths[role] for role in ROLES]
    weights = [ontology.trained.weights_of(e) for e in range(len(ontology.events))]
    trained = np.array([own is not None for own in weights], bool)
    params = roles_from_strengths(
        *tables, rules=rule_arrays(ontology.rules, ontology.atoms, trained)
    )
    if not trained.any():
        return params
    found = {}
    for role, table in zip(ROLES, tables, strict=True):
        written = np.asarray(getattr(params, f"theta_{role}"))
        found[f"theta_{role}"] = np.where(trained, exact_theta(table), written)
    for name, field in WEIGHTS.items():
        values = np.array(getattr(params, field))
        for e, own in enumerate(weights):
            values[e] = values[e] if own is None else own.get(name, values[e])
        found[field] = values
    for name in CALIBRATION:
        values = np.array(getattr(params, f"presence_{name}"))
        for atom, own in ontology.trained.presence.items():
            index = ontology.atoms.index(atom)
            values[index] = own.get(name, values[index])
        found[f"presence_{name}"] = values if ontology.trained.is_calibrated else None
    arrays = {k: v if v is None else jnp.asarray(v, jnp.float32) for k, v in found.items()}
    return params._replace(**arrays)


def rule_arrays(
    rules: Sequence[Sequence[WrittenRule]], atoms: Sequence[str], trained: Sequence[bool]
) -> Rules | None:
    """The rules of the events as `atoms.rules.Rules`; None without any.

    trained: of which events the strengths count as they are; of the others written strengths are
    kept from 0 and 1 as those of roles are, see `roles_from_strengths`.
    """
    if not any(rules):
        return None
    most = max(map(len, rules))
    widest = max(len(rule.unless) for own in rules for rule in own)
    numbers = np.full((len(rules), most, 2 + widest), NOBODY, np.int32)
    strengths = np.zeros((len(rules), most, 1 + widest))
    place = {atom: c for c, atom in enumerate(atoms)}
    for e, own in enumerate(rules):
        for r, rule in enumerate(own):
            numbers[e, r, : len(rule.atoms)] = [place[atom] for atom in rule.atoms]
            numbers[e, r, 2 : 2 + len(rule.unless)] = [place[atom] for atom in rule.unless]
            strengths[e, r, : 1 + len(rule.unless)] = [rule.strength, *rule.unless_strengths]
    flat = strengths.reshape(-1, 1)
    written = roles_from_strengths(flat, flat, flat).theta_direct.reshape(strengths.shape)
    exact = np.reshape(np.asarray(trained, bool), (-1, 1, 1))
    theta = np.where(exact, exact_theta(strengths), np.asarray(written)).astype(np.float32)
    return Rules(
        jnp.asarray(numbers[..., :2]),
        jnp.asarray(theta[..., 0]),
        jnp.asarray(numbers[..., 2:]),
        jnp.asarray(theta[..., 1:]),
    )


def exact_theta(strengths: np.ndarray) -> np.ndarray:
    """θ = logit(s) in float64, from −40 for 0 to 20 for 1."""
    s = np.asarray(strengths, np.float64)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(s) - np.log1p(-s), _NOTHING, _SURE)


def written_strength(theta: float) -> str | None:
    """s = σ(θ) in as many digits, at least nine, as `exact_theta` needs to give θ again in float32;
    ``1`` from θ = 20 on, None from −40 down, where it moves nothing."""
    theta = float(theta)
    if theta >= _SURE:
        return "1"
    if theta <= _NOTHING:
        return None
    s = 1.0 / (1.0 + np.exp(-theta))
    texts = (f"{s:.{digits}g}" for digits in _DIGITS)
    same = (t for t in texts if np.float32(exact_theta(float(t))) == np.float32(theta))
    return as_yaml_number(next(same, f"{s:.17g}"))


def written_number(value: float) -> str:
    """A number of float32 in nine digits, which give it again."""
    return as_yaml_number(f"{value:.9g}")


def as_yaml_number(text: str) -> str:
    """YAML 1.1 takes 1e-05 for a text, and 1.0e-05 for a number."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text
