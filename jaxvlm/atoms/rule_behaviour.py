"""What frames that show few atoms look like to roles with rules."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.atoms.members import event_columns
from jaxvlm.atoms.roles import RoleParams, event_logits, role_strengths
from jaxvlm.atoms.rules import NOBODY, Rules

BACKGROUND = 0.05  # calibrated presence of an atom that is not shown


def shown_probability(
    params: RoleParams,
    event: ArrayLike,
    shown: jax.Array,
    *,
    candidates: jax.Array,
    temperature: float,
) -> jax.Array:
    """P [F] of one event in F frames that show these atoms [F, S], −1: none, and nothing else.

    A shown atom has a calibrated presence of 1, all others one of 0.05.
    """
    num_atoms = candidates.shape[0]
    seen = jnp.any(shown[..., None] == jnp.arange(num_atoms), axis=1)
    presence = jnp.where(seen, 1.0, BACKGROUND)
    calibrated = params._replace(presence_scale=None, presence_center=None)
    own = event_columns(calibrated, jnp.arange(num_atoms), event)
    logits = event_logits(
        own, presence, candidates=candidates[:, event][:, None], temperature=temperature
    )
    return jax.nn.sigmoid(logits[:, 0])


def behaviour_with_rules(
    params: RoleParams, candidates: ArrayLike | None, *, temperature: float, share: float
) -> tuple[jax.Array, ...]:
    """The fields of `role_tables.RoleBehaviour`, every frame of which is computed.

    An atom's partners are the one of largest ρⁱ and those of its rules, none of which may suffice
    alone. It opposes as much as it does beside the best atom or pair, or beside the atoms of a rule
    that has it as a counter, whichever is more.
    """
    num_atoms, num_events = jnp.shape(params.theta_direct)
    allowed = jnp.ones((num_atoms, num_events)) if candidates is None else jnp.asarray(candidates)
    strengths = role_strengths(params, allowed)
    every = jnp.arange(num_atoms)

    def of_event(event: jax.Array) -> tuple[jax.Array, ...]:
        probability = functools.partial(
            shown_probability,
            params,
            event,
            candidates=allowed,
            temperature=temperature,
        )
        rules = Rules(*(jnp.asarray(field)[event] for field in params.rules))
        strength = strengths.rules.strength[event]
        rule_atoms = jnp.where(strength[:, None] > 0, rules.atoms, NOBODY)  # [R, 2]
        nobody = jnp.full((num_atoms, 1), NOBODY)
        background = probability(jnp.full((1, 1), NOBODY))[0]
        alone = probability(every[:, None])
        rho = strengths.indirect[:, event]
        top = jax.lax.top_k(rho, min(2, num_atoms))[1]
        sets = jnp.concatenate(
            [
                jnp.stack([every, nobody[:, 0]], axis=1),
                top[None, [0, -1]],
                rule_atoms,
            ]
        )  # [C + 1 + R, 2]
        of_sets = jnp.concatenate([alone, probability(sets[num_atoms:])])
        best, strongest = jnp.max(of_sets), sets[jnp.argmax(of_sets)]

        weak = alone < share * best
        ranked = jnp.where(weak, rho, -1.0)
        values, partners = jax.lax.top_k(ranked, min(2, num_atoms))
        first = every == partners[0]
        partner = jnp.where(first, partners[-1], partners[0])
        known = (jnp.where(first, values[-1], values[0]) >= 0.0) & (partner != every)
        partner = jnp.where(known, partner, NOBODY)
        paired = probability(jnp.stack([every, partner], axis=1))
        is_pair = (rule_atoms[:, 1] != NOBODY) & jnp.all(weak[rule_atoms], axis=1)
        of_rules = of_sets[num_atoms + 1 :]
        in_rule = jnp.any(rule_atoms[:, :, None] == every, axis=1) & is_pair[:, None]  # [R, C]
        paired = jnp.maximum(
            paired, jnp.max(jnp.where(in_rule, of_rules[:, None], 0.0), axis=0, initial=0.0)
        )

        beside = jnp.broadcast_to(strongest, (num_atoms, 2))
        shown = jnp.any(every[:, None] == beside, axis=1)
        added = jnp.where(shown, NOBODY, every)
        opposed = probability(jnp.concatenate([beside, added[:, None]], axis=1))
        counters = jnp.where(strengths.rules.unless[event] > 0, rules.unless, NOBODY)
        num_rules, num_counters = counters.shape
        with_counter = jnp.concatenate(
            [
                jnp.repeat(rule_atoms, num_counters, axis=0),
                counters.reshape(-1, 1),
            ],
            axis=1,
        )
        held_back = probability(with_counter).reshape(num_rules, num_counters)
        # As a share of what the rule would give, so that it compares with the best's.
        held_back = best * held_back / jnp.maximum(of_rules, 1e-9)[:, None]
        counts = (of_rules >= share * best)[:, None, None] & (counters[..., None] == every)
        own = jnp.min(
            jnp.where(counts, held_back[..., None], jnp.inf), axis=(0, 1), initial=jnp.inf
        )
        return background, best, alone, paired, jnp.minimum(opposed, own)

    return jax.vmap(of_event, out_axes=(0, 0, 1, 1, 1))(jnp.arange(num_events))
