"""What a set of pictures costs any number of processes: a model of a few measured figures."""

import math
from typing import NamedTuple


class Costs(NamedTuple):
    """CPU seconds, measured with one process. Of a picture: ``listed`` is paid in every process,
    the others where its share is encoded; ``other`` is what a run takes beside them."""

    start: float  # of a process, until it has its first batch
    listed: float
    hashed: float
    decoded: float
    encoded: float
    written: float
    other: float

    @property
    def shared(self) -> float:
        """Of a picture, of what is paid once: hashed, decoded, encoded, written, other."""
        return self.hashed + self.decoded + self.encoded + self.written + self.other


class Sizes(NamedTuple):
    """Bytes. Of a picture: its file, its row in the store with its share of what a chunk has beside
    rows, and what every process collects of it. Of a run: what the first process gives to each of
    the others, whatever the number of pictures."""

    file: float
    stored: float
    collected: float
    fixed: float


class Plan(NamedTuple):
    """What a run costs; of network bytes those between processes, and those of a shared disk."""

    processes: int
    cpu_seconds: float
    seconds: float
    files_per_second: float
    store_bytes: float
    exchanged_bytes: float
    disk_bytes: float
    collected_bytes: float  # in the memory of each process
    slowest: float


def share(pictures: int, processes: int) -> int:
    """Pictures of the largest share, every P-th one: ⌈N / P⌉."""
    return -(-pictures // processes)


def cpu_seconds(costs: Costs, pictures: int, processes: int) -> float:
    """Of all processes: P·(start + N·listed) + N·shared."""
    each = costs.start + pictures * costs.listed
    return processes * each + pictures * costs.shared


def seconds(costs: Costs, pictures: int, processes: int, cores: float, hosts: int) -> float:
    """From start to end where ``hosts`` share the processes evenly, each host keeping so many of
    its cores busy: (p·(start + N·listed) + p·⌈N / P⌉·shared) / cores, p = ⌈P / hosts⌉."""
    here = -(-processes // hosts)
    each = costs.start + pictures * costs.listed + share(pictures, processes) * costs.shared
    return here * each / cores


def exchanged(sizes: Sizes, pictures: int, processes: int) -> float:
    """Bytes from process to process: (P − 1)·(N·collected + fixed).

    Each process collects the rows of all, and has its own: N·(P − 1) / P rows come to each.
    """
    return (processes - 1) * (pictures * sizes.collected + sizes.fixed)


def from_disk(sizes: Sizes, pictures: int) -> float:
    """Bytes from and to a disk that is shared: N·(2·file + stored); a file is read to be hashed,
    and read again to be decoded."""
    return pictures * (2 * sizes.file + sizes.stored)


def slowest(variation: float, pictures: int, processes: int) -> float:
    """How much the slowest of equal hosts takes against their mean: 1 + v·√(2 ln P / n), n = N / P.

    v: standard deviation of a picture's cost over its mean. The sum of n of them varies by v / √n,
    and √(2 ln P) is where the largest of P normal deviates lies. Shares are fixed, so a host that
    is k times slower than the others makes the run k times as long, whatever this says.
    """
    if processes == 1:
        return 1.0
    each = pictures / processes
    return 1.0 + variation * math.sqrt(2 * math.log(processes) / each)


def plan(
    costs: Costs,
    sizes: Sizes,
    pictures: int,
    processes: int,
    *,
    cores: float,
    hosts: int,
    variation: float,
) -> Plan:
    """All of it, for ``hosts`` with so many busy cores each."""
    late = slowest(variation, pictures, processes)
    taken = seconds(costs, pictures, processes, cores, hosts) * late
    return Plan(
        processes,
        cpu_seconds(costs, pictures, processes),
        taken,
        pictures / taken,
        pictures * sizes.stored,
        exchanged(sizes, pictures, processes),
        from_disk(sizes, pictures),
        pictures * sizes.collected,
        late,
    )
