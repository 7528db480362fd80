"""The learned boundary against a grid search over the loss it claims to minimise."""

import numpy as np
import pytest

from jaxvlm.atoms import (
    boundary_learning,
    boundary_probability,
    divergence,
    event_probability,
    segment_presence,
)
from jaxvlm.atoms.boundary_learning import BoundaryParams, SegmentSettings, learn_boundary
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.errors import InputError

# One event, one direct atom (ρ = 0.98) and one that plays no part; P depends on p̄_0 alone.
ROLES = RoleParams(
    theta_direct=np.float32([[4.0], [-8.0]]),
    theta_indirect=np.full((2, 1), -8, np.float32),
    theta_counter=np.full((2, 1), -8, np.float32),
    gamma_direct=np.float32([2.0]),
    gamma_indirect=np.float32([0.0]),
    gamma_counter=np.float32([0.0]),
    bias=np.float32([0.0]),
)


def videos():
    """Short bursts of the direct atom; without a boundary a long quiet past dilutes them."""
    rng = np.random.default_rng(0)
    presences, labels = [], []
    for n in range(8):
        p = 0.05 + 0.02 * rng.random((30, 2))
        if n % 2:
            p[20:24, 0] = 0.6
        presences.append(p.astype(np.float32))
        labels.append([n % 2])
    return presences, np.array(labels)


def video_loss(presences, labels, delta, kappa):
    """The loss written out with the public functions, a video at a time, in float64."""
    total = 0.0
    for p, y in zip(presences, labels, strict=True):
        b = boundary_probability(divergence(p), delta=delta, kappa=kappa)
        probability = np.asarray(
            event_probability(ROLES, segment_presence(p, b, window=20)), np.float64
        )[:, 0]
        absent = np.prod(1 - np.sort(probability)[-10:])
        total -= y[0] * np.log(1 - absent) + (1 - y[0]) * np.log(absent)
    return total / len(presences)


def test_learning_lowers_the_loss_and_comes_near_the_best_threshold_of_a_grid():
    presences, labels = videos()
    start = BoundaryParams(0.6, 8.0)
    learned = learn_boundary(presences, labels, ROLES, start=start, steps=120)
    before = video_loss(presences, labels, *start)
    after = video_loss(presences, labels, float(learned.delta), float(learned.kappa))
    kappa = float(learned.kappa)
    grid = [video_loss(presences, labels, d, kappa) for d in np.linspace(-0.2, 1.0, 25)]
    assert after < before
    assert after < min(grid) + 1e-3
    # A burst begins with d ≈ 0.55² = 0.3; between bursts d stays below 2·0.02² = 8e-4.
    assert 8e-4 < float(learned.delta) < 0.3


def test_learning_is_deterministic_and_keeps_kappa_positive():
    presences, labels = videos()
    runs = [learn_boundary(presences, labels, ROLES, steps=5) for _ in range(2)]
    assert float(runs[0].delta) == float(runs[1].delta)
    assert float(runs[0].kappa) == float(runs[1].kappa) > 0


def test_nan_presence_is_an_input_error():
    presences, labels = videos()
    presences[1][3, 0] = np.nan
    with pytest.raises(InputError, match="video 1.*NaN"):
        learn_boundary(presences, labels, ROLES)


def test_a_second_call_compiles_nothing():
    """Other videos, labels, roles and another start: the data are arguments, not constants."""
    presences, labels = videos()
    learn_boundary(presences, labels, ROLES, steps=3)
    before = boundary_learning._descend._cache_size()
    other = ROLES._replace(theta_direct=ROLES.theta_direct - 1)
    start = BoundaryParams(0.3, 4.0)
    learn_boundary([p[::-1] for p in presences], 1 - labels, other, start=start, steps=3)
    assert boundary_learning._descend._cache_size() == before


def test_the_settings_take_effect():
    """Window and weighting of p̄; k, τ, cooling of the roles, and that they ignore K or do not."""
    presences, labels = videos()
    explicit = ROLES._replace(gamma_explicit=np.float32([-1.0]))
    plain = learn_boundary(presences, labels, explicit, steps=3)
    for settings in (
        {"segments": SegmentSettings(window=3)},
        {"segments": SegmentSettings(weighting="point")},
        {"config": RoleConfig(topk=2)},
        {"config": RoleConfig(temperature=0.5)},
        {"config": RoleConfig(cooled=True)},
        {"config": RoleConfig(reference=True)},
    ):
        other = learn_boundary(presences, labels, explicit, steps=3, **settings)
        assert float(other.kappa) != float(plain.kappa), settings
