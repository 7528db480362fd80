import dataclasses

import jax
import numpy as np
import pytest

from jaxvlm.atoms import learned_roles, role_choice, roles, training
from jaxvlm.atoms.role_config import RoleConfig
from tests.atoms.role_fixtures import SMALL
from tests.atoms.test_rule_start import ATOMS, LABELS, VIDEOS, written_rules

SHORT = dataclasses.replace(SMALL, form="auto", epochs=30, batch_size=16)


def test_a_law_of_pairs_and_own_counters_asks_for_rules() -> None:
    chosen = role_choice.choose(VIDEOS, LABELS, config=SHORT).config
    assert chosen == dataclasses.replace(SHORT, form="specific")


def test_where_a_sum_is_enough_there_are_no_rules() -> None:
    """Four atoms of twelve add to the odds, each a little."""
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 2, (120, 12))
    odds = 3.0 * (shown[:, :4].sum(axis=1) - 2.0)
    labels = (rng.random(120) < 1 / (1 + np.exp(-odds))).astype(np.float32)[:, None]
    noise = rng.uniform(0.0, 0.1, (120, 8, 12))
    videos = list((0.1 + 0.7 * shown[:, None] + noise).astype(np.float32))
    assert role_choice.choose(videos, labels, config=SHORT).config.form == "product"


def test_of_few_videos_nothing_is_held_out() -> None:
    prior = [np.zeros((ATOMS, 1))] * 3
    chosen = role_choice.choose(VIDEOS[:8], LABELS[:8], config=SHORT, prior=prior).config
    assert (chosen.form, chosen.prior_weight) == ("specific", role_choice.PRIOR_VIDEOS[0] / 8)


def test_what_is_said_is_kept() -> None:
    said = dataclasses.replace(SHORT, form="pairs", prior_weight=0.25)
    assert role_choice.choose(VIDEOS, LABELS, config=said) == (said, None)
    reference = RoleConfig(reference=True)
    assert role_choice.choose(VIDEOS, LABELS, config=reference) == (reference, None)


def test_what_was_computed_to_choose_is_what_a_training_starts_from() -> None:
    config, effects = role_choice.choose(VIDEOS, LABELS, config=SHORT)
    given = training.prepare(VIDEOS, LABELS, config=config, effects=effects)
    own = training.prepare(VIDEOS, LABELS, config=config)
    assert effects is not None
    jax.tree.map(np.testing.assert_array_equal, given, own)


def test_a_prior_that_the_labels_deny_gets_little_weight() -> None:
    """It says that the noise, atom 5, is the event."""
    direct, nothing = np.zeros((ATOMS, 1)), np.zeros((ATOMS, 1))
    direct[5] = 1.0
    wrong = [direct, nothing, nothing]
    config = dataclasses.replace(SHORT, form="pairs")
    weight = role_choice.choose(VIDEOS, LABELS, config=config, prior=wrong).config.prior_weight
    assert weight < role_choice.PRIOR_VIDEOS[0] / len(VIDEOS)


@pytest.mark.parametrize(
    ("cost", "kept"),
    [
        ([[1.0, 1.0, 1.0, 1.0], [0.5, 0.4, 0.6, 0.5]], 1),
        ([[1.0, 1.0, 1.0, 1.0], [0.2, 1.9, 0.1, 1.7]], 0),  # better by 0.025 ± 0.48
        ([[1.0, 1.0], [0.9, 0.8], [0.5, 0.6]], 2),
        ([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]], 0),
    ],
)
def test_a_richer_option_has_to_earn_it(cost, kept) -> None:
    assert role_choice.first_good_enough(np.array(cost)) == kept


def test_learned_rules_know_the_law() -> None:
    config = dataclasses.replace(SHORT, form="specific", epochs=60)
    params = learned_roles.train_roles(VIDEOS, LABELS, config=config)
    again = learned_roles.train_roles(VIDEOS, LABELS, config=config)
    jax.tree.map(np.testing.assert_array_equal, params, again)
    frames = np.full((8, ATOMS), 0.1, np.float32)
    shown = [(0, 1), (2,), (2, 3), (0, 4), (1, 4), (3,), (0,), (0, 1, 3)]
    for frame, atoms in zip(frames, shown, strict=True):
        frame[list(atoms)] = 0.8
    logits = np.asarray(roles.event_logits(params, frames))[:, 0]
    assert logits[[0, 1]].min() > logits[[2, 3, 4, 5, 6]].max() + 1.0
    assert logits[7] > logits[2] + 1.0  # the counter of atom 2 does not cancel the pair


def test_written_rules_hold_where_labels_are_few() -> None:
    nothing = np.zeros((ATOMS, 1))
    prior = [nothing, nothing, nothing, written_rules()]
    params = learned_roles.train_roles(VIDEOS[:8], LABELS[:8], config=SHORT, prior=prior)
    strength = 1 / (1 + np.exp(-np.asarray(params.rules.theta[0])))
    atoms = [frozenset(pair) for pair in np.asarray(params.rules.atoms[0]).tolist()]
    for written in ({0, 1}, {4, 5}):
        assert strength[atoms.index(written)] > 0.5


def test_a_config_that_leaves_something_open_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="form 'auto'"):
        training.prepare(VIDEOS, LABELS, config=SHORT)
    with pytest.raises(ValueError, match="without a weight"):
        training.prepare(VIDEOS, LABELS, config=SMALL, prior=[np.zeros((ATOMS, 1))] * 3)
