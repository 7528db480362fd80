import dataclasses

import numpy as np

from jaxvlm.atoms import training
from jaxvlm.atoms.rules import NOBODY, Rules
from tests.atoms.role_fixtures import SMALL

ATOMS = 6
PAIRS = dataclasses.replace(SMALL, form="pairs", batch_size=16)
SPECIFIC = dataclasses.replace(PAIRS, form="specific")


def lawful_world(count: int = 96) -> tuple[list[np.ndarray], np.ndarray]:
    """The event is 0 with 1, or 2 unless 3; 0 with 4 and 1 with 4 are harmless; 5 is noise."""
    rng = np.random.default_rng(0)
    shown = [
        ((0, 1), 1),
        ((2,), 1),
        ((2, 3), 0),
        ((0, 4), 0),
        ((1, 4), 0),
        ((3,), 0),
        ((0,), 0),
        ((), 0),
    ]
    videos, labels = [], []
    for n in range(count):
        atoms, label = shown[n % len(shown)]
        video = rng.uniform(0.0, 0.2, (8, ATOMS)).astype(np.float32)
        video[2:6, list(atoms)] += 0.7
        video[:, 5] = rng.uniform(0.0, 1.0, 8)
        videos.append(video)
        labels.append([label])
    return videos, np.array(labels, np.float32)


VIDEOS, LABELS = lawful_world()


def rules_of(config, **given) -> tuple[training.TrainingData, dict]:
    data = training.prepare(VIDEOS, LABELS, config=config, **given)
    sigma = 1 / (1 + np.exp(-np.asarray(data.rules.theta[0])))
    found = {
        tuple(int(c) for c in atoms if c != NOBODY): float(s)
        for atoms, s in zip(np.asarray(data.rules.atoms[0]), sigma, strict=True)
        if atoms[0] != NOBODY
    }
    return data, found


def test_pairs_start_as_rules_and_direct_atoms_as_roles() -> None:
    data, found = rules_of(PAIRS)
    assert all(len(atoms) == 2 for atoms in found)
    by_atoms = {frozenset(atoms): s for atoms, s in found.items()}
    harmless = [by_atoms.get(frozenset(pair), 0.0) for pair in ((0, 4), (1, 4))]
    assert by_atoms[frozenset({0, 1})] > max(harmless) + 0.1
    assert data.rules.unless.shape[-1] == 0
    assert data.start.indirect is None and int(np.argmax(data.start.direct[:, 0])) == 2
    params = training.role_params(training.initial_state(data, PAIRS), data, PAIRS)
    rho = 1 / (1 + np.exp(-np.asarray(params.theta_indirect)))
    np.testing.assert_array_less(rho, 1e-12)


def test_a_direct_atom_with_a_counter_of_its_own_is_a_rule_alone() -> None:
    data, found = rules_of(SPECIFIC)
    assert (2,) in found and data.start.direct[2, 0] == 0.0
    row = [tuple(pair) for pair in np.asarray(data.rules.atoms[0]).tolist()].index((2, NOBODY))
    assert int(data.rules.unless[0, row, 0]) == 3
    kappa = 1 / (1 + np.exp(-np.asarray(data.rules.theta_unless[0, row])))
    assert kappa[0] == kappa.max() > 0.5


def written_rules() -> Rules:
    """A rule that the labels know, and one that they do not."""
    atoms = np.array([[[1, 0], [5, 4]]], np.int32)
    unless = np.array([[[NOBODY], [3]]], np.int32)
    return Rules(
        atoms, np.full((1, 2), 2.0, np.float32), unless, np.full((1, 2, 1), 2.0, np.float32)
    )


def test_written_rules_stand_beside_those_that_the_labels_suggest() -> None:
    nothing = np.zeros((ATOMS, 1))
    direct = nothing.copy()
    direct[2] = 0.7
    prior = [direct, nothing, nothing, written_rules()]
    config = dataclasses.replace(SPECIFIC, prior_weight=1.0)
    data, found = rules_of(config, prior=prior)
    pairs = [frozenset(atoms) for atoms in found]
    assert len(set(pairs)) == len(pairs)  # none twice
    rows = [frozenset(p) - {NOBODY} for p in np.asarray(data.rules.atoms[0]).tolist()]
    strength = 1 / (1 + np.exp(-2.0))
    of = {row: float(s) for row, s in zip(rows, data.prior.rules.strength[0], strict=True)}
    np.testing.assert_allclose([of[frozenset({0, 1})], of[frozenset({4, 5})]], strength, rtol=1e-5)
    # What is written of a direct atom goes to its rule, and to no other place.
    np.testing.assert_allclose([of[frozenset({2})], data.prior.direct[2, 0]], [0.7, 0.0], rtol=1e-5)
    own = rows.index(frozenset({4, 5}))
    counters = dict(
        zip(
            data.rules.unless[0, own].tolist(),
            data.prior.rules.unless[0, own].tolist(),
            strict=True,
        )
    )
    np.testing.assert_allclose(counters[3], strength, rtol=1e-5)
    # The labels do not know it, a person does; a prior of weight 1 is worth as much as all labels.
    np.testing.assert_allclose(data.written.rules.theta[0, own], 2.0, rtol=1e-5)
    start = training.initial_state(data, config).params
    np.testing.assert_allclose(
        start.rules.theta[0, own], (2.0 + float(data.rules.theta[0, own])) / 2, rtol=1e-5
    )


def test_the_product_form_has_no_rules_but_written_ones() -> None:
    assert training.prepare(VIDEOS, LABELS, config=SMALL).rules is None
    nothing = np.zeros((ATOMS, 1))
    config = dataclasses.replace(SMALL, prior_weight=1.0)
    _, found = rules_of(config, prior=[nothing, nothing, nothing, written_rules()])
    assert {frozenset(atoms) for atoms in found} == {frozenset({0, 1}), frozenset({4, 5})}
    reference = training.RoleConfig(reference=True)
    data = training.prepare(
        VIDEOS, LABELS, config=reference, prior=[nothing] * 3 + [written_rules()]
    )
    assert data.rules is None
