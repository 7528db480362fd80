"""The study of what is told, on scores whose answer can be counted."""

import numpy as np

from benchmarks import reported_share as study


def test_what_is_told_of_twenty_known_pictures():
    known = np.arange(20.0)
    # Below all: 20 of 21 lie higher, 95.2 %; above the lowest alone: 19 of 21, 90.5 %.
    new = np.array([-0.5, 0.5, 1.5, 30.0])
    np.testing.assert_array_equal(
        study.told_shares(known, new), [[0.5, 0.25, 0.0], [0.75, 0.5, 0.25]]
    )


def test_random_splits_keep_to_what_is_expected():
    scores = np.random.default_rng(0).normal(size=400)
    rows = study.split_rows(scores, None, 60)
    assert {row["known"] for row in rows} == {10, 20, 50, 200}
    for row in rows:
        assert abs(row["told"] - row["expected"]) < 2 * row["told_half"] + 1e-9
    few = [row for row in rows if row["known"] == 20 and row["share"] == 0.95]
    assert few[0]["expected"] == 1 / 21 and few[0]["plain"] > 0.08


def test_known_pictures_of_another_kind_hold_nothing():
    rng = np.random.default_rng(1)
    rows = study.split_rows(rng.normal(1, 1, 400), rng.normal(0, 1, 300), 20)
    (row,) = (row for row in rows if row["known"] == 200 and row["share"] == 0.95)
    assert row["told"] > 0.15
