"""Streams as indices."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.streams.orders import ORDERS, Arrival, plan

LABELS = np.repeat(np.arange(10), 60)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("share", "ids", "oods"), [(0.5, 600, 600), (0.1, 594, 66), (0.9, 90, 810)]
)
def test_a_stream_has_the_share_and_no_picture_twice(order, share, ids, oods):
    found = plan(Arrival(order, share), 600, [405, 405], seed=0)
    assert len(set(found.indices)) == len(found.indices)
    assert (found.source == 0).sum() == ids and (found.source > 0).sum() == oods
    assert (found.source == 1).sum() == (found.source == 2).sum()
    starts = np.array([0, 600, 1005, 1410])  # ID, then the two sets
    np.testing.assert_array_equal(np.searchsorted(starts, found.indices, "right") - 1, found.source)


def test_the_same_seed_gives_the_same_stream_and_another_does_not():
    one, same, other = (plan(Arrival(), 50, [50], seed=s).indices for s in (3, 3, 4))
    assert (one == same).all() and (one != other).any()


def test_id_pictures_come_first():
    source = plan(Arrival("id_first", 0.25), 90, [20, 20], seed=0).source
    assert not source[:90].any() and source[90:].all()
    assert set(source[90:100]) == {1, 2}  # the sets are mixed


def test_blocks_are_runs_of_one_side():
    source = plan(Arrival("blocks", block=25), 200, [200], seed=1).source
    runs = source.reshape(-1, 25)
    assert (runs == runs[:, :1]).all() and 2 < (np.diff(runs[:, 0]) != 0).sum()


def test_a_temporal_shift_shows_one_set_after_another_among_the_id_pictures():
    source = plan(Arrival("temporal_shift", 0.5), 300, [100, 100, 100], seed=2).source
    late = source[source > 0].reshape(3, 100)
    assert (late == late[:, :1]).all() and set(late[:, 0]) == {1, 2, 3}
    thirds = (source == 0).reshape(3, 200).mean(axis=1)
    assert (abs(thirds - 0.5) < 0.15).all()


def test_a_skew_keeps_a_zipf_share_of_each_class():
    found = plan(Arrival(class_skew=1.0), 600, [600], seed=0, id_labels=LABELS)
    counts = np.bincount(LABELS[found.indices[found.source == 0]], minlength=10)
    assert sorted(counts, reverse=True) == [round(60 / rank) for rank in range(1, 11)]


def test_a_warm_start_is_not_counted():
    found = plan(Arrival(warm_start=30), 50, [50], seed=0)
    assert not found.counted[:30].any() and found.counted[30:].all()


@pytest.mark.parametrize(
    ("arrival", "message"),
    [
        (Arrival("sorted"), "unknown"),
        (Arrival(ood_share=1.0), "between 0 and 1"),
        (Arrival(class_skew=1.0), "labels"),
        (Arrival(warm_start=100), "leaves no picture"),
        (Arrival("id_first", warm_start=60), "leaves no picture of ID"),
    ],
)
def test_what_cannot_be_is_refused(arrival, message):
    with pytest.raises(InputError, match=message):
        plan(arrival, 50, [50], seed=0)


def test_no_picture_on_a_side_is_refused():
    with pytest.raises(InputError, match="no picture on one side"):
        plan(Arrival(), 50, [50, 0], seed=0)
