"""Runs cases in worker processes, so that a crash, a hang or a memory error is one case's end."""

import collections
import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.case import ACCEPTED, CLEAN, FAILED, Outcome, Reader, judge, write_case

Case = tuple[str, int]  # reader, seed


class Bounds(NamedTuple):
    """Of one case: seconds of CPU of all its threads; seconds in which anything must end, many
    because the machine may be busy; bytes of addresses that it may take beside those in use."""

    cpu: float = 20.0
    wall: float = 300.0
    memory: int = 3 * 2**30


class Ended(NamedTuple):
    """A case and its outcome."""

    case: Case
    outcome: Outcome

    @property
    def command(self) -> str:
        """What shows it again."""
        return f"python -m tests.fuzz --reader={self.case[0]} --seed={self.case[1]}"


def cases(names: Iterable[str], count: int, seed: int) -> list[Case]:
    """``count`` cases from ``seed`` on, spread evenly over the readers."""
    names = sorted(names)
    return [(names[n % len(names)], seed + n // len(names)) for n in range(count)]


def run(
    todo: Iterable[Case],
    *,
    workers: int = 2,
    keep: Path | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (immutable)
    table: str = "tests.fuzz.readers",
) -> Iterator[Ended]:
    """Yields every case as it ends.

    keep: folder in which the inputs stay. table: the module with the readers, which are imported
    in the workers alone.
    """
    context = multiprocessing.get_context("spawn")
    waiting = collections.deque(todo)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        base = Path(folder)
        preparing = context.Process(target=_prepare, args=(table, base / "good"))
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            raise RuntimeError("the good inputs cannot be made")
        free = [base / f"worker-{n}" for n in range(min(workers, len(waiting)))]
        busy: dict[Connection, tuple] = {}
        while waiting or busy:
            while waiting and free:
                place = free.pop()
                arguments = (table, place, keep, bounds)
                _begin(context, arguments, place, busy)
            for connection in _ready(busy, bounds):
                process, place, case = busy.pop(connection)
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError):
                    process.join()
                    if case is None:
                        raise RuntimeError("a worker cannot start") from None
                    yield Ended(case, _crash(process.exitcode, place, bounds))
                    free.append(place)
                    continue
                if case is not None:
                    yield Ended(case, message)
                if waiting:
                    case = waiting.popleft()
                    connection.send(case)
                    busy[connection] = process, place, case
                else:
                    connection.send(None)
                    process.join()


def _begin(context, arguments: tuple, place: Path, busy: dict) -> None:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    busy[ours] = process, place, None


def _ready(busy: dict, bounds: Bounds) -> list[Connection]:
    found = wait(list(busy), timeout=bounds.wall)
    if not found:  # every worker sleeps
        for process, _, _ in busy.values():
            process.kill()
        found = wait(list(busy))
    return found


def _crash(code: int, place: Path, bounds: Bounds) -> Outcome:
    trace = place.with_suffix(".trace")
    where = trace.read_text(errors="replace") if trace.exists() else ""
    if code == -signal.SIGPROF:
        return Outcome(FAILED, f"more than {bounds.cpu:g} s of CPU\n{where}")
    if code == -signal.SIGKILL:
        return Outcome(FAILED, f"killed: no end within {bounds.wall:g} s, or no memory\n{where}")
    return Outcome(FAILED, f"the process ended with {code}\n{where}")


def _prepare(table: str, good: Path) -> None:
    """Makes the good input of every reader."""
    for name, reader in importlib.import_module(table).READERS.items():
        (good / name).mkdir(parents=True)
        reader.make(good / name)


def _work(
    connection: Connection, table: str, place: Path, keep: Path | None, bounds: Bounds
) -> None:
    readers = importlib.import_module(table).READERS
    warm: set[str] = set()
    with open(place.with_suffix(".trace"), "wb", buffering=0) as trace:
        faulthandler.enable(trace)
        faulthandler.register(signal.SIGPROF, file=trace, chain=True)
        connection.send(None)
        while (case := connection.recv()) is not None:
            name, reader = case[0], readers[case[0]]
            if name not in warm:  # what is loaded and compiled once counts for no case
                good = shutil.copytree(place.with_name("good") / name, _emptied(place))
                first = judge(reader, good, None)
                if first.kind != ACCEPTED:
                    raise RuntimeError(f"{name}: a good input is not accepted: {first.text}")
                warm.add(name)
            folder = _emptied(place)
            mutated = _input(case, reader, folder, place.with_name("good"), keep)
            with _bounded(bounds):
                outcome = judge(reader, folder, mutated)
            connection.send(outcome)


def _input(case: Case, reader: Reader, folder: Path, good: Path, keep: Path | None) -> Path:
    mutated = write_case(reader, *case, good / case[0], good, folder)
    if keep is not None:
        shutil.copytree(folder, keep / f"{case[0]}-{case[1]}", dirs_exist_ok=True)
    return mutated


@contextlib.contextmanager
def _bounded(bounds: Bounds) -> Iterator[None]:
    """Ends the process by SIGPROF after so much CPU; more memory is a MemoryError or a crash."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + bounds.memory, before[1]))
    signal.setitimer(signal.ITIMER_PROF, bounds.cpu)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _emptied(place: Path) -> Path:
    """Where a worker puts its inputs; a reader may have left something beside them."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place / "input"


def summary(ended: Iterable[Ended]) -> list[str]:
    """A line per reader: cases, clean lines, accepted, failures."""
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for each in ended:
        counts[each.case[0]][each.outcome.kind] += 1
    rows = [("reader", "cases", "clean lines", "accepted", "failures")]
    total: collections.Counter = sum(counts.values(), collections.Counter())
    for name, found in (*sorted(counts.items()), ("all", total)):
        rows.append((name, found.total(), found[CLEAN], found[ACCEPTED], found[FAILED]))
    return [f"{name:24}{a:>9}{b:>13}{c:>10}{d:>10}" for name, a, b, c, d in rows]


def limit_threads() -> None:
    """For the workers, who inherit it: a thread each, because they are many."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
