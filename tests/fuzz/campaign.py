"""Runs cases in worker processes, so that a crash, a hang or a memory error is one case's end."""

import collections
import faulthandler
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

CPU_SECONDS = 20  # of one case, of all threads
WALL_SECONDS = 300  # for what sleeps; much, because the machine may be busy
MEMORY = 3 * 2**30  # bytes of addresses beyond those that a worker has when it starts

Case = tuple[str, int]  # reader, seed


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


def run(todo: Iterable[Case], *, workers: int = 2, keep: Path | None = None) -> Iterator[Ended]:
    """Yields every case as it ends; with ``keep`` its input stays there."""
    context = multiprocessing.get_context("spawn")
    waiting = collections.deque(todo)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        base = Path(folder)
        preparing = context.Process(target=_prepare, args=(base / "good",))
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            raise RuntimeError("the good inputs cannot be made")
        free = [base / f"worker-{n}" for n in range(min(workers, len(waiting)))]
        busy: dict[Connection, tuple] = {}
        while waiting or busy:
            while waiting and free:
                _begin(context, free.pop(), keep, busy)
            for connection in _ready(busy):
                process, place, case = busy.pop(connection)
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError):
                    process.join()
                    if case is None:
                        raise RuntimeError("a worker cannot start") from None
                    yield Ended(case, _crash(process.exitcode, place))
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


def _begin(context, place: Path, keep: Path | None, busy: dict) -> None:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, place, keep), daemon=True)
    process.start()
    theirs.close()
    busy[ours] = process, place, None


def _ready(busy: dict) -> list[Connection]:
    found = wait(list(busy), timeout=WALL_SECONDS)
    if not found:  # every worker sleeps
        for process, _, _ in busy.values():
            process.kill()
        found = wait(list(busy))
    return found


def _crash(code: int, place: Path) -> Outcome:
    trace = place.with_suffix(".trace")
    where = trace.read_text(errors="replace") if trace.exists() else ""
    if code == -signal.SIGPROF:
        return Outcome(FAILED, f"more than {CPU_SECONDS} s of CPU\n{where}")
    if code == -signal.SIGKILL:
        return Outcome(FAILED, f"killed: no end within {WALL_SECONDS} s, or no memory\n{where}")
    return Outcome(FAILED, f"the process ended with {code}\n{where}")


def _prepare(good: Path) -> None:
    """Makes the good input of every reader."""
    from tests.fuzz.readers import READERS  # here, so that the parent process needs no JAX

    for name, reader in READERS.items():
        (good / name).mkdir(parents=True)
        reader.make(good / name)


def _work(connection: Connection, place: Path, keep: Path | None) -> None:
    from tests.fuzz.readers import READERS

    warm: set[str] = set()
    with open(place.with_suffix(".trace"), "wb", buffering=0) as trace:
        faulthandler.enable(trace)
        faulthandler.register(signal.SIGPROF, file=trace, chain=True)
        connection.send(None)
        while (case := connection.recv()) is not None:
            name, reader = case[0], READERS[case[0]]
            if name not in warm:  # what is loaded and compiled once counts for no case
                good = shutil.copytree(place.with_name("good") / name, _emptied(place))
                first = judge(reader, good, None)
                if first.kind != ACCEPTED:
                    raise RuntimeError(f"{name}: a good input is not accepted: {first.text}")
                warm.add(name)
            connection.send(_one(*case, reader, place, keep))


def _one(name: str, seed: int, reader: Reader, place: Path, keep: Path | None) -> Outcome:
    folder, good = _emptied(place), place.with_name("good")
    mutated = write_case(reader, name, seed, good / name, good, folder)
    if keep is not None:
        shutil.copytree(folder, keep / f"{name}-{seed}", dirs_exist_ok=True)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        return judge(reader, folder, mutated)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _emptied(place: Path) -> Path:
    """Where a worker puts its inputs; a reader may have left something beside them."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place / "input"


def table(ended: Iterable[Ended]) -> list[str]:
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
