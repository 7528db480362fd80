"""What tests compile is kept for the other processes of a run, and for the next one.

Compiling is most of what tests take. JAX finds a program again by all that it depends on. How
quickly it is done: see `tests.compiling`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import compiling

compiling.set_up()

_MAPS = Path("/proc/self/maps")  # Linux
_MOST_MAPS = 20_000


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs() -> Iterator[None]:
    """Forgets compiled programs before they are too many.

    Each holds several memory mappings, of which Linux gives a process 65,530 (vm.max_map_count);
    the next program is a segmentation fault.
    """
    yield
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MOST_MAPS:
        import jax

        jax.clear_caches()
