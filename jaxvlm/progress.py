"""How a function that takes long tells how far it is; who shows it is none of its business."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")

# Is told a stage's name, how many of its items are done, and of how many; 0: nobody knows. A stage
# of one item has no count. It is over when all are done; stages may lie in each other.
Progress = Callable[[str, int, int], object]


def ignore(name: str, done: int, total: int) -> None:
    """Takes no notice of progress."""


@contextlib.contextmanager
def stage(on_progress: Progress, name: str) -> Iterator[None]:
    """Tells of a stage without items, such as loading a model."""
    on_progress(name, 0, 1)
    try:
        yield
    finally:
        on_progress(name, 1, 1)


def advancing(on_progress: Progress, name: str, total: int) -> Callable[[int], None]:
    """Begins a stage, and gives what is told how many more of its items are done."""
    done = 0
    on_progress(name, done, total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(name, done, total)

    return advance


def counted(
    items: Iterable[Item], on_progress: Progress, name: str, total: int | None = None
) -> Iterator[Item]:
    """The items; each is told as done when the next one is asked for.

    total: how many there are; None: as many as ``items`` has, 0 where it cannot say.
    """
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    done = 0
    on_progress(name, done, total)
    try:
        for item in items:
            yield item
            done += 1
            if done < total or not total:
                on_progress(name, done, total)
    finally:  # also where the loop is left early
        on_progress(name, max(done, 1), max(done, 1))
