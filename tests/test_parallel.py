"""One process's part of `parallel`; several processes and devices: tests/devices."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxvlm import parallel
from jaxvlm.errors import InputError


@pytest.fixture
def mesh():
    return parallel.make_mesh(devices=jax.devices()[:1])


def test_rows_come_in_the_order_of_their_indices():
    tree = {"a": np.array([[30.0], [10.0], [20.0]], np.float32), "b": np.array([True, False, True])}
    rows, indices = parallel.gather_rows(tree, np.array([7, 2, 4]), 9)
    assert indices.tolist() == [2, 4, 7]
    assert rows["a"].tolist() == [[10.0], [20.0], [30.0]] and rows["a"].dtype == np.float32
    assert rows["b"].tolist() == [False, True, True]


def test_no_rows_stay_no_rows():
    rows, indices = parallel.gather_rows(np.zeros((0, 3), np.float32), np.zeros(0), 5)
    assert rows.shape == (0, 3) and indices.tolist() == []


def test_one_process_gathers_its_own():
    value = {"failed": [[1, "é"]]}
    assert parallel.gather(value) == [value]
    assert parallel.largest(3) == parallel.first(3) == 3
    assert parallel.own_items("abc") == "abc" and parallel.is_writer()


def test_the_mesh_has_two_axes(mesh):
    assert dict(mesh.shape) == {"data": 1, "label": 1}
    assert parallel.rows_here(mesh) == parallel.rows_here(None) == 1
    assert not parallel.spans_processes(mesh) and not parallel.spans_processes(None)


@pytest.mark.parametrize("label", [0, -1, 2, 3])
def test_a_label_axis_that_does_not_divide_the_devices(label):
    with pytest.raises(InputError, match=f"label axis of {label}: .*choose a divisor"):
        parallel.make_mesh(label=label, devices=jax.devices()[:1])


def test_trees_are_placed_whole_and_rows_split(mesh):
    tree = {"w": np.arange(6.0, dtype=np.float32), "key": jax.random.key(3)}
    placed = parallel.replicate(tree, mesh)
    assert placed["w"].sharding.spec == P() and placed["w"].sharding.mesh == mesh
    np.testing.assert_array_equal(placed["w"], tree["w"])
    np.testing.assert_array_equal(
        jax.random.normal(placed["key"], 4), jax.random.normal(tree["key"], 4)
    )
    assert parallel.replicate(tree, None) is tree
    rows = np.arange(12, dtype=np.uint8).reshape(4, 3)
    split = parallel.shard_rows(rows, mesh)
    assert split.sharding.spec == P("data")
    np.testing.assert_array_equal(parallel.own_rows(split), rows)
    np.testing.assert_array_equal(parallel.own_rows(parallel.shard_rows(rows, None)), rows)


def test_what_differs_between_processes_is_not_taken_for_equal(mesh, monkeypatch):
    tree = {"w": np.arange(3.0), "key": jax.random.key(3)}
    seen = []
    monkeypatch.setattr(parallel, "spans_processes", lambda mesh: True)
    monkeypatch.setattr(parallel, "gather", lambda value: [value, value])
    np.testing.assert_array_equal(parallel.replicate(tree, mesh)["w"], tree["w"])
    monkeypatch.setattr(parallel, "gather", lambda value: seen.append(value) or [value, "other"])
    message = "^process 1 of 2 has other weights, .* the same to all"
    for other in (
        tree,
        tree | {"w": np.array([0.0, 1.0, 3.0])},
        {**tree, "key": jax.random.key(4)},
    ):
        with pytest.raises(InputError, match=message):
            parallel.replicate(other, mesh)
    assert len({*seen}) == 3


class Part:
    def __init__(self, index, data):
        self.index, self.data = index, data


class OfTwoProcesses:
    """What a process sees of an array of two processes, as much as `own_rows` looks at."""

    is_fully_addressable = False
    sharding = "how it is split"

    def __init__(self, shape, *parts):
        self.shape, self.addressable_shards = shape, parts


def test_own_rows_are_those_of_the_own_devices_only(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    rows = np.arange(16).reshape(8, 2)
    # Rows 4 to 8, on two devices each, in no order.
    parts = [Part((slice(i, i + 2), slice(None)), rows[i : i + 2]) for i in (6, 4, 6, 4)]
    np.testing.assert_array_equal(parallel.own_rows(OfTwoProcesses((8, 2), *parts)), rows[4:])
    everywhere = OfTwoProcesses((8, 2), Part((slice(None), slice(None)), rows))
    with pytest.raises(ValueError, match="not split by rows"):
        parallel.own_rows(everywhere)
    columns = OfTwoProcesses((8, 2), Part((slice(0, 4), slice(0, 1)), rows[:4, :1]))
    with pytest.raises(ValueError, match="not split by rows"):
        parallel.own_rows(columns)


def test_processes_that_nobody_started():
    jax.devices()  # it is too late to join any: another test would find itself in a cluster
    with pytest.raises(InputError, match="cannot be joined .*--coordinator_address") as caught:
        parallel.start()
    assert "\n" not in str(caught.value)
