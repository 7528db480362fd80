"""Sources that are fast, slow, stuck and broken, read together."""

import itertools
import threading

import pytest

from jaxvlm.data.waiting import Arrival, Over, read_ahead, read_together


def one(items, *, size=16, policy="wait", stop=None):
    """(item, dropped so far) of a single source; raises what it raised."""
    for taken in read_together([items], size=size, policies=[policy], most=1, stop=stop):
        for entry in taken:
            if isinstance(entry, Over):
                if entry.error is not None:
                    raise entry.error
            else:
                yield entry.item, entry.dropped


def test_drop_keeps_the_newest_and_counts_the_others():
    all_read = threading.Event()

    def fast():
        yield 0
        consumer_has_one.wait(10)
        yield from range(1, 21)
        all_read.set()

    consumer_has_one = threading.Event()
    queue = one(fast(), size=4, policy="drop")
    assert next(queue) == (0, 0)
    consumer_has_one.set()
    assert all_read.wait(10)
    assert list(queue) == [(17, 16), (18, 16), (19, 16), (20, 16)]


def test_wait_drops_nothing_and_reads_no_further_than_the_queue():
    drawn = []
    produced = threading.Semaphore(0)

    def source():
        for i in range(20):
            drawn.append(i)
            produced.release()
            yield i

    queue = one(source(), size=3, policy="wait")
    assert next(queue) == (0, 0)
    for _ in range(5):  # the one taken, three in the queue, and one that waits for room
        assert produced.acquire(timeout=10)
    assert not produced.acquire(timeout=0.3) and drawn == [0, 1, 2, 3, 4]
    assert list(queue) == [(i, 0) for i in range(1, 20)]


def test_an_error_of_the_source_comes_after_its_items():
    def broken():
        yield from (0.0, 1.0)
        raise ValueError("broken")

    queue = one(broken(), size=8)
    assert [item for item, _ in itertools.islice(queue, 2)] == [0.0, 1.0]
    with pytest.raises(ValueError, match="^broken$"):
        next(queue)


def test_a_stop_ends_the_queue_and_its_thread():
    stop = threading.Event()
    queue = one(itertools.count(), size=2, stop=stop)
    assert next(queue) == (0, 0)
    stop.set()
    assert list(queue) == []
    assert not any(thread.name.startswith("read ") for thread in threading.enumerate())


@pytest.mark.parametrize("options", [{"size": 0}, {"policies": ["hope"]}, {"most": 0}])
def test_a_queue_that_cannot_be(options):
    with pytest.raises(ValueError, match="read_together"):
        next(read_together([[]], **({"size": 1, "policies": ["wait"], "most": 1} | options)))


def test_the_oldest_of_the_source_with_the_longest_queue_is_dropped():
    """Room for six: a flood of one source pushes out its own, and no other's only frame."""
    quiet_is_in, flood_is_in = threading.Event(), threading.Event()

    def quiet():
        yield "q0"
        quiet_is_in.set()
        flood_is_in.wait(10)
        yield "q1"

    def flood():
        quiet_is_in.wait(10)
        yield from (f"f{n}" for n in range(8))
        flood_is_in.set()

    def late():
        flood_is_in.wait(10)
        yield "l0"

    sources, policies = [quiet(), flood(), late()], ["drop"] * 3
    reader = read_together(sources, size=2, policies=policies, most=3)
    first = next(reader)  # only "q0" can be there, or "q0" with the flood's first
    assert first[0][:3] == (0, "q0", 0)
    assert flood_is_in.wait(10)
    entries = [entry for taken in [first[1:], *reader] for entry in taken]
    items = [entry.item for entry in entries if isinstance(entry, Arrival)]
    over = {entry.place: entry.dropped for entry in entries if isinstance(entry, Over)}
    assert {"q1", "l0"} <= set(items) and over[0] == over[2] == 0
    flooded = [item for item in items if item.startswith("f")]
    assert flooded == sorted(flooded) and flooded[-1] == "f7"  # the newest stay, in order
    assert over[1] == 8 - len(flooded) > 0


def test_a_source_that_hangs_or_breaks_delays_no_other():
    release = threading.Event()

    def stuck():
        release.wait(30)
        yield "late"

    def broken():
        raise OSError("unplugged")
        yield

    reader = read_together(
        [stuck(), broken(), iter(range(50))], size=4, policies=["drop", "drop", "wait"], most=2
    )
    entries = []
    for taken in reader:
        entries += taken
        if Over(2, 0, None) in taken:  # all fifty have come while the first still hangs
            release.set()
    assert [e.item for e in entries if isinstance(e, Arrival)] == [*range(50), "late"]
    (failed,) = [e for e in entries if isinstance(e, Over) and e.place == 1]
    assert str(failed.error) == "unplugged"


def test_items_that_have_waited_longest_come_first_and_few_at_a_time():
    order, turns = [threading.Event() for _ in range(4)], [2, 0, 3, 1]
    gate = threading.Event()

    def source(n):
        place = turns.index(n)
        if place:
            order[place - 1].wait(10)
        yield n
        order[place].set()
        gate.wait(10)

    reader = read_together([source(n) for n in range(4)], size=1, policies=["drop"] * 4, most=3)
    found = []
    for taken in reader:
        assert len([e for e in taken if isinstance(e, Arrival)]) <= 3
        found += [e.item for e in taken if isinstance(e, Arrival)]
        if len(found) == 4:
            gate.set()
    assert found == turns


def test_ahead_of_who_works_on_an_item():
    """A thread reads on until there is no room, in the order of the items."""
    drawn, produced = [], threading.Semaphore(0)

    def source():
        for i in range(9):
            drawn.append(threading.current_thread())
            produced.release()
            yield i

    items = read_ahead(source(), 3)
    assert next(items) == 0
    for _ in range(5):  # the one taken, three that wait, and one for which there is no room
        assert produced.acquire(timeout=10)
    assert not produced.acquire(timeout=0.2)
    assert list(items) == list(range(1, 9))
    assert threading.current_thread() not in drawn and len(set(drawn)) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_ahead_of_an_error(error):
    def broken():
        yield from "ab"
        raise error("broken")

    items, seen = read_ahead(broken(), 8), []
    with pytest.raises(error, match="^broken$"):
        for item in items:
            seen.append(item)
    assert seen == ["a", "b"]


def test_ahead_and_left_early():
    closed, before = [], set(threading.enumerate())

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    items = read_ahead(source(), 2)
    assert next(items) == 0
    items.close()
    assert closed == [True] and set(threading.enumerate()) <= before
