"""Many sources, a thread each, whose items wait in one bounded room until they are taken together.

A source that is slow, hangs or fails delays no other one.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

POLICIES = ("wait", "drop")
POLL = 0.1  # seconds between two looks at `stop`


class Arrival(NamedTuple):
    """An item of the source ``place``; how many of its items were dropped so far; when it came
    (`time.perf_counter`)."""

    place: int
    item: Any
    dropped: int
    came: float


class Over(NamedTuple):
    """The source ``place`` has no more items; error: what it raised, None where it just ended."""

    place: int
    dropped: int
    error: BaseException | None


def read_together(
    sources: Sequence[Iterable[Any]],
    *,
    size: int,
    policies: Sequence[str],
    most: int,
    stop: threading.Event | None = None,
) -> Iterator[list[Arrival | Over]]:
    """Reads each source in a thread; yields what is there, at most one item of each source.

    A source whose policy is "wait" reads ``size`` items ahead and waits. Those that "drop" share
    room for ``size`` items each: where it is full, the oldest item is dropped of the source with
    the most that wait; of several, the one whose oldest has waited longest.

    Args:
      sources: each iterated in its thread.
      policies: "wait" or "drop", of each source.
      most: items of one yield; those that have waited longest come first.
      stop: once set, nothing more is yielded and what waits is left.

    Yields:
      Arrivals, then `Over` for each source of which nothing more comes; an empty list after `POLL`
      seconds without either. It ends when all sources are over.

    Raises:
      ValueError: size < 1, most < 1, or an unknown policy.
    """
    if size < 1 or most < 1 or not set(policies) <= set(POLICIES):
        raise ValueError(f"read_together: size {size}, most {most}, policies {policies!r}")
    room = _Room(size, policies)
    # Daemons, because a camera that hangs must not keep the program from ending.
    threads = [
        threading.Thread(target=room.read, args=(n, items), name=f"read {n}", daemon=True)
        for n, items in enumerate(sources)
    ]
    for thread in threads:
        thread.start()
    remaining = len(threads)
    try:
        while remaining and not (stop is not None and stop.is_set()):
            taken = room.take(most)
            remaining -= sum(isinstance(entry, Over) for entry in taken)
            yield taken
    finally:
        room.close()
        end = time.monotonic() + 20 * POLL
        for thread in threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))


def read_ahead(items: Generator[Any, None, None], size: int) -> Iterator[Any]:
    """The items in their order; a thread reads up to ``size`` of them before they are asked for.

    An error comes after the items before it, as without the thread. Left early, the generator
    ``items`` is closed once the thread has ended.
    """
    reading = read_together([items], size=size, policies=["wait"], most=1)
    try:
        with contextlib.closing(reading):
            for taken in reading:
                for entry in taken:
                    if isinstance(entry, Arrival):
                        yield entry.item
                    elif entry.error is not None:
                        raise entry.error
    finally:
        with contextlib.suppress(ValueError):  # the thread is in it still, and closes it
            items.close()


class _Room:
    def __init__(self, size: int, policies: Sequence[str]):
        self.size, self.policies = size, policies
        self.capacity = size * sum(policy == "drop" for policy in policies)
        self.waiting: list[deque[tuple[float, Any]]] = [deque() for _ in policies]
        self.dropped = [0] * len(policies)
        self.finished: dict[int, BaseException | None] = {}
        self.told: set[int] = set()
        self.closed = False
        self.changed = threading.Condition()

    def read(self, place: int, items: Iterable[Any]) -> None:
        error = None
        try:
            for item in items:
                if not self._put(place, item):
                    return
        # Whatever it is belongs to whoever takes, and is told there.
        except BaseException as caught:
            error = caught
        finally:
            with self.changed:
                self.finished[place] = error
                self.changed.notify_all()

    def _put(self, place: int, item: Any) -> bool:
        own = self.waiting[place]
        with self.changed:
            if self.policies[place] == "wait":
                self.changed.wait_for(lambda: len(own) < self.size or self.closed)
            elif self._droppable() >= self.capacity:
                slowest = max(self._dropping(), key=self._slowness)
                self.waiting[slowest].popleft()
                self.dropped[slowest] += 1
            if self.closed:
                return False
            own.append((time.perf_counter(), item))
            self.changed.notify_all()
        return True

    def _dropping(self) -> list[int]:
        return [n for n, policy in enumerate(self.policies) if policy == "drop"]

    def _droppable(self) -> int:
        return sum(len(self.waiting[n]) for n in self._dropping())

    def _slowness(self, place: int) -> tuple[int, float]:
        waiting = self.waiting[place]
        return len(waiting), -waiting[0][0] if waiting else 0.0

    def take(self, most: int) -> list[Arrival | Over]:
        with self.changed:
            # With a timeout, because a signal handler may set `stop` but not notify.
            self.changed.wait_for(lambda: any(self.waiting) or self._over(), timeout=POLL)
            oldest = sorted((own[0][0], n) for n, own in enumerate(self.waiting) if own)
            taken: list[Arrival | Over] = []
            for _, place in oldest[:most]:
                came, item = self.waiting[place].popleft()
                taken.append(Arrival(place, item, self.dropped[place], came))
            for place in self._over():
                self.told.add(place)
                taken.append(Over(place, self.dropped[place], self.finished[place]))
            self.changed.notify_all()
        return taken

    def _over(self) -> list[int]:
        return [n for n in self.finished if n not in self.told and not self.waiting[n]]

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
