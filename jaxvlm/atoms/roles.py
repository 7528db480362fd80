"""Roles: how the atoms of a frame add up to the probability of an event.

An atom can be direct (one suffices), indirect (two together suffice) or counter (its presence
argues against). Everything is computed from noisy-OR exponents, x = −Σ log(1 − strength), so the
logits need no clamp: logit(1 − e^{−x}) = log(expm1(x)).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.pairs import clip_strength, pairwise_noisy_or
from jaxvlm.atoms.rules import Rules, RuleStrengths, check_rules, rule_exponents, rule_strengths

ROLES = DIRECT, INDIRECT, COUNTER = ("direct", "indirect", "counter")
NO_ROLE = "none"

# The smallest noisy-OR exponent whose logit is told apart. log(expm1(x)) → −∞ as x → 0; below
# this the logit is constant, −13.8, which is also where the prototype's clip of 1e-6 puts it.
_SMALLEST_EXPONENT = 1e-6
# K never falls below 1 − e^{−0.1} = 0.095. Without this leak the logit of K is a large positive
# vote for the event wherever no counter atom is seen, and its noise hides the evidence.
_COUNTER_LEAK = 0.1
_REFERENCE_CLIP = 1e-6
_REFERENCE_LOGIT = 8.0
_REFERENCE_TEMPERATURE = 2.0


class RoleParams(NamedTuple):
    """Role parameters, as they take effect (no hidden reparametrisation). None: that part is off.

    θ are logits of the role strengths, ρ = σ(θ). γ weigh the logits of the evidence.
    """

    theta_direct: ArrayLike  # [C, E]
    theta_indirect: ArrayLike | None  # [C, E]; None while rules are trained instead of ρ_i ρ_j
    theta_counter: ArrayLike  # [C, E]
    gamma_direct: ArrayLike  # [E]
    gamma_indirect: ArrayLike  # [E]
    gamma_counter: ArrayLike  # [E], weight of the absence of evidence, C
    bias: ArrayLike  # [E]
    gamma_explicit: ArrayLike | None = None  # [E], weight of counter evidence, K; ≤ 0 if signed
    presence_scale: ArrayLike | None = None  # [C]
    presence_center: ArrayLike | None = None  # [C]
    rules: Rules | None = None  # evidence beside that of the roles, see `atoms.rules`


_AXES = RoleParams("C E", "C E", "C E", "E", "E", "E", "E", "E", "C", "C")


class Strengths(NamedTuple):
    """ρ = σ(θ) per role, 0 where an atom is no candidate. [C, E] each."""

    direct: jax.Array
    indirect: jax.Array
    counter: jax.Array
    rules: RuleStrengths | None = None


class Evidence(NamedTuple):
    """Probability of each kind of evidence per frame. [T, E] each, in [0, 1]."""

    direct: jax.Array
    indirect: jax.Array
    counter: jax.Array
    explicit: jax.Array | None = None


class Exponents(NamedTuple):
    """Noisy-OR exponents x = −log(1 − evidence) ≥ 0. [T, E] each."""

    direct: jax.Array
    indirect: jax.Array
    explicit: jax.Array | None = None


def check_roles(
    function: str,
    params: RoleParams,
    presence: ArrayLike | None = None,
    candidates: ArrayLike | None = None,
) -> None:
    """`check_shapes` of role parameters, and of presence [T, C] and candidates [C, E] with them."""
    fields = zip(_AXES._fields[:-1], params, _AXES, strict=False)
    sizes = check_shapes(
        function,
        **{name: (value, axes) for name, value, axes in fields},
        presence=(presence, "T C"),
        candidates=(candidates, "C E"),
    )
    check_rules(function, params.rules, sizes["E"])


@jax.jit
def role_strengths(params: RoleParams, candidates: ArrayLike | None = None) -> Strengths:
    """ρ = σ(θ), and 0 for an atom outside the event's candidates [C, E] (0/1; None: all)."""
    mask = 1.0 if candidates is None else jnp.asarray(candidates, jnp.float32)

    def rho(theta: ArrayLike | None) -> jax.Array | None:
        return None if theta is None else jax.nn.sigmoid(jnp.asarray(theta)) * mask

    rules = None if params.rules is None else rule_strengths(params.rules, candidates)
    thetas = (params.theta_direct, params.theta_indirect, params.theta_counter)
    return Strengths(*map(rho, thetas), rules)


@jax.jit
def calibrated_presence(params: RoleParams, presence: ArrayLike) -> jax.Array:
    """σ(s_c (p̄_c − m_c)) [T, C], or p̄ itself where the parameters hold no calibration."""
    presence = jnp.asarray(presence)
    if params.presence_scale is None:
        return presence
    return jax.nn.sigmoid(params.presence_scale * (presence - params.presence_center))


def noisy_or(strengths: ArrayLike, presence: ArrayLike) -> jax.Array:
    """x = −Σ_c log(1 − ρ_ce p_c): strengths [C, E], presence [T, C] in [0, 1] -> [T, E]."""
    # Frames last: the logarithms of a compiled loop are vectors, also of one event.
    a = jnp.asarray(strengths)[:, :, None] * jnp.asarray(presence).T[:, None, :]
    return jnp.sum(-jnp.log1p(-clip_strength(a)), axis=0).T


def sum_of_others(shares: jax.Array) -> jax.Array:
    """Σ over all other atoms, [..., C, E]: sums before plus sums after it, so nothing cancels."""
    zeros = jnp.zeros_like(shares[..., :1, :])
    before = jnp.cumsum(jnp.concatenate([zeros, shares[..., :-1, :]], axis=-2), axis=-2)
    after = jnp.concatenate([zeros, shares[..., :0:-1, :]], axis=-2)
    return before + jnp.cumsum(after, axis=-2)[..., ::-1, :]


def exponents(params: RoleParams, presence: ArrayLike, strengths: Strengths) -> Exponents:
    """The noisy-OR exponents of *calibrated* presences [T, C]; Exponents of [T, E]."""
    direct = noisy_or(strengths.direct, presence)
    indirect = jnp.zeros_like(direct)
    if strengths.indirect is not None:
        a = strengths.indirect.T * jnp.asarray(presence)[:, None, :]
        indirect = pairwise_noisy_or(a)
    if params.rules is not None:
        single, pairs = rule_exponents(params.rules, presence, strengths.rules)
        direct, indirect = direct + single, indirect + pairs
    explicit = None
    if params.gamma_explicit is not None:
        explicit = noisy_or(strengths.counter, presence)
    return Exponents(direct, indirect, explicit)


def evidence_logit(x: ArrayLike) -> jax.Array:
    """g(x) = log(eˣ − 1) = logit(1 − e^{−x}), with x floored at 1e-6 (g = −13.8).

    Written as x + log(1 − e^{−x}), which neither overflows nor cancels. The gradient,
    1/(1 − e^{−x}), is finite above the floor and 0 below it.
    """
    x = jnp.maximum(x, _SMALLEST_EXPONENT)
    return x + jnp.log(-jnp.expm1(-x))


def logits_from_exponents(params: RoleParams, x: Exponents, temperature: float) -> jax.Array:
    """(γ_dir g(x_D) + γ_ind g(x_I) − γ_ctr g(x_D + x_I) + γ_exp g(x_K + 0.1))/τ + b."""
    total = (
        params.gamma_direct * evidence_logit(x.direct)
        + params.gamma_indirect * evidence_logit(x.indirect)
        - params.gamma_counter * evidence_logit(x.direct + x.indirect)
    )
    if x.explicit is not None:
        total = total + params.gamma_explicit * evidence_logit(x.explicit + _COUNTER_LEAK)
    return total / temperature + params.bias


@functools.partial(jax.jit, static_argnames=("reference",))
def role_evidence(
    params: RoleParams,
    presence: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    reference: bool = False,
) -> Evidence:
    """Direct, indirect and counter evidence of every frame for every event.

    D = 1 − Π_c (1 − ρᵈ_c p̄_c),  I = 1 − Π_{i<j} (1 − a_i a_j) with a = ρⁱ p̄,
    C = (1 − D)(1 − I), and if `gamma_explicit` is set K = 1 − Π_c (1 − ρᶜ_c p̄_c).
    p̄ passes σ(s(p̄ − m)) first if the parameters hold a calibration.

    Args:
      params: role parameters for C atoms and E events.
      presence: [T, C] p̄ in [0, 1]; in reference mode any p̄ ≥ 0.
      candidates: [C, E] 0/1; an atom outside its event's list takes no part. None: all do.
      reference: the prototype's arithmetic: D from p̄ as it is, with factors ≥ 1e-6; I from p̄
        clipped to [0, 1]; no explicit counter and no calibration.

    Returns:
      Evidence of [T, E] probabilities.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Roles.
    """
    check_roles("role_evidence", params, presence, candidates)
    strengths = role_strengths(params, candidates)
    if reference:
        return _reference_evidence(reference_exponents(strengths, presence))
    x = exponents(params, calibrated_presence(params, presence), strengths)
    return Evidence(
        direct=-jnp.expm1(-x.direct),
        indirect=-jnp.expm1(-x.indirect),
        counter=jnp.exp(-(x.direct + x.indirect)),
        explicit=None if x.explicit is None else -jnp.expm1(-x.explicit),
    )


@functools.partial(jax.jit, static_argnames=("temperature", "reference"))
def event_logits(
    params: RoleParams,
    presence: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
    reference: bool = False,
) -> jax.Array:
    """Logit of P(e|u), exact in the log domain; arguments and errors as `event_probability`."""
    check_roles("event_logits", params, presence, candidates)
    strengths = role_strengths(params, candidates)
    if reference:
        return reference_logits(params, reference_exponents(strengths, presence))
    x = exponents(params, calibrated_presence(params, presence), strengths)
    return logits_from_exponents(params, x, temperature)


def event_probability(
    params: RoleParams,
    presence: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
    reference: bool = False,
) -> jax.Array:
    """Probability of every event at every frame.

    P(e|u) = σ((γ_dir logit D + γ_ind logit I + γ_ctr logit C + γ_exp logit K)/τ + b_e)
    with logit D = g(x_D), logit I = g(x_I), logit C = −g(x_D + x_I), logit K = g(x_K + 0.1),
    g(x) = log(eˣ − 1); the last term only if `gamma_explicit` is set. x below 1e-6 counts as 1e-6;
    0.1 is the leak of the counter evidence, so that its absence says little.

    Args:
      params: role parameters for C atoms and E events.
      presence: [T, C] p̄ in [0, 1]; in reference mode any p̄ ≥ 0.
      candidates: [C, E] 0/1; None: every atom is a candidate for every event.
      temperature: τ.
      reference: the prototype's arithmetic: evidence clipped to [1e-6, 1 − 1e-6] before the
        logit, the sum clipped to ±8, τ = 2.

    Returns:
      [T, E] probabilities.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Roles.
    """
    check_roles("event_probability", params, presence, candidates)
    return jax.nn.sigmoid(
        event_logits(
            params, presence, candidates=candidates, temperature=temperature, reference=reference
        )
    )


def reference_shares(strengths: ArrayLike, presence: ArrayLike) -> jax.Array:
    """−log max(1 − ρ_ce p̄_c, 1e-6) [T, C, E]: what each atom adds to the prototype's x_D."""
    factors = 1.0 - strengths * jnp.asarray(presence)[:, :, None]
    return -jnp.log(jnp.maximum(factors, _REFERENCE_CLIP))


def reference_exponents(strengths: Strengths, presence: ArrayLike) -> Exponents:
    """The prototype's exponents: D from p̄ as it is, I from p̄ clipped to [0, 1]."""
    direct = jnp.sum(reference_shares(strengths.direct, presence), axis=1)
    a = strengths.indirect.T * jnp.clip(presence, 0.0, 1.0)[:, None, :]
    return Exponents(direct, pairwise_noisy_or(a))


def reference_logits(params: RoleParams, x: Exponents) -> jax.Array:
    """The prototype's logit P(e|u): clipped to ±8, of evidence clipped to [1e-6, 1 − 1e-6]."""

    def logit(probability: jax.Array) -> jax.Array:
        clipped = jnp.clip(probability, _REFERENCE_CLIP, 1.0 - _REFERENCE_CLIP)
        return jnp.log(clipped) - jnp.log1p(-clipped)

    evidence = _reference_evidence(x)
    total = (
        params.gamma_direct * logit(evidence.direct)
        + params.gamma_indirect * logit(evidence.indirect)
        + params.gamma_counter * logit(evidence.counter)
    )
    total = total / _REFERENCE_TEMPERATURE + params.bias
    return jnp.clip(total, -_REFERENCE_LOGIT, _REFERENCE_LOGIT)


def _reference_evidence(x: Exponents) -> Evidence:
    direct, indirect = 1.0 - jnp.exp(-x.direct), 1.0 - jnp.exp(-x.indirect)
    return Evidence(direct, indirect, (1.0 - direct) * (1.0 - indirect))
