"""What is told of a stage, by whom and when."""

import pytest

from jaxvlm import progress


@pytest.fixture
def told():
    """(what was told so far, the function to tell it)."""
    lines = []
    return lines, lambda *words: lines.append(words)


def test_items_count_when_the_next_one_is_asked_for(told):
    lines, tell = told
    for item in progress.counted(["a", "b"], tell, "videos"):
        lines.append(item)
    assert lines == [("videos", 0, 2), "a", ("videos", 1, 2), "b", ("videos", 2, 2)]


def test_items_that_nobody_counted_end_all_the_same(told):
    lines, tell = told
    assert list(progress.counted(iter("ab"), tell, "frames")) == ["a", "b"]
    assert lines == [("frames", 0, 0), ("frames", 1, 0), ("frames", 2, 0), ("frames", 2, 2)]


@pytest.mark.parametrize("items", [[], iter(())])
def test_no_item_is_a_stage_that_ended(told, items):
    lines, tell = told
    assert list(progress.counted(items, tell, "none")) == []
    name, done, total = lines[-1]
    assert done == total > 0


def test_a_stage_ends_where_the_work_fails(told):
    lines, tell = told
    with pytest.raises(ZeroDivisionError), progress.stage(tell, "load"):
        raise ZeroDivisionError
    assert lines == [("load", 0, 1), ("load", 1, 1)]
    with pytest.raises(ZeroDivisionError):
        for _ in progress.counted([1, 2, 3], tell, "videos"):
            raise ZeroDivisionError
    assert lines[-1][1] == lines[-1][2] > 0


def test_whoever_ignores_it_hears_nothing():
    assert list(progress.counted([1], progress.ignore, "")) == [1]
