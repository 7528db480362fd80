"""The model of what many processes cost, against the same by hand and by drawing."""

import numpy as np
import pytest

from benchmarks import scale_model
from benchmarks.scale_model import Costs, Sizes

COSTS = Costs(
    start=10.0, listed=0.5, hashed=1.0, decoded=2.0, encoded=4.0, written=0.25, other=0.75
)
SIZES = Sizes(file=1000.0, stored=30.0, collected=20.0, fixed=500.0)


def test_one_process_pays_everything_once():
    found = scale_model.plan(COSTS, SIZES, 10, 1, cores=2.0, hosts=1, variation=0.3)
    assert found.cpu_seconds == 10 + 10 * (0.5 + 1 + 2 + 4 + 0.25 + 0.75) == 95
    assert found.seconds == 47.5 and found.files_per_second == 10 / 47.5
    assert found.exchanged_bytes == 0 and found.slowest == 1
    assert (found.store_bytes, found.disk_bytes, found.collected_bytes) == (300, 20_300, 200)


@pytest.mark.parametrize(("processes", "hosts"), [(3, 1), (3, 3), (8, 2), (64, 64)])
def test_a_picture_at_a_time(processes, hosts):
    """Each process is charged for what it lists and encodes, one picture after the other."""
    pictures, cores = 100, 2.0
    cpu = np.zeros(processes)
    received = 0.0
    for process in range(processes):
        cpu[process] += COSTS.start
        received += SIZES.fixed if process else 0.0
        for picture in range(pictures):
            cpu[process] += COSTS.listed
            if picture % processes == process:
                cpu[process] += 1.0 + 2.0 + 4.0 + 0.25 + 0.75
            else:
                received += SIZES.collected
    assert scale_model.cpu_seconds(COSTS, pictures, processes) == pytest.approx(cpu.sum())
    assert scale_model.exchanged(SIZES, pictures, processes) == pytest.approx(received)
    largest = cpu.max() * (processes // hosts + (processes % hosts > 0)) / cores
    found = scale_model.seconds(COSTS, pictures, processes, cores, hosts)
    assert found == pytest.approx(largest)


def test_the_slowest_of_equal_hosts():
    """√(2 ln P) is above the mean of the largest of P deviates, and near it."""
    rng, pictures = np.random.default_rng(0), 64 * 100
    costs = rng.gamma(4.0, 0.25, (200, 64, 100)).sum(axis=2)  # mean 1, variation 1/2
    drawn = (costs.max(axis=1) / costs.mean(axis=1)).mean() - 1
    bound = scale_model.slowest(0.5, pictures, 64) - 1
    assert drawn < bound < 1.5 * drawn
    assert scale_model.slowest(0.5, 4 * pictures, 64) - 1 == pytest.approx(bound / 2)


def test_more_of_a_cost_is_never_cheaper():
    def taken(costs):
        return scale_model.seconds(costs, 50, 8, 2.0, 8)

    for name in COSTS._fields:
        assert taken(COSTS._replace(**{name: 2 * getattr(COSTS, name)})) > taken(COSTS)
