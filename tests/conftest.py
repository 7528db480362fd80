"""What tests compile is kept for the other processes of a run, and for the next one.

Compiling is most of what tests take. JAX finds a program again by all that it depends on.

In the processes of pytest itself programs are small and run a few times, so LLVM does not optimise
them there, and XLA writes their loops in its older way: half the time. What JAX traces is the same;
what a kernel rounds may differ in the last bits. Programs that tests start (launchers, the
documents' blocks, several devices) are compiled as a user's are, and with
JAX_DISABLE_MOST_OPTIMIZATIONS=0 all are.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"

# Before JAX is imported; programs that tests start have them too.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_FOLDER))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# JAX computes; threads of BLAS in every process of a test run only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _compile_quickly() -> None:
    import jax

    jax.config.update("jax_compilation_cache_dir", str(_FOLDER / "quick"))
    jax.config.update("jax_disable_most_optimizations", True)
    given = os.environ.get("XLA_FLAGS")
    # Of the jaxlib in constraints.txt; one that does not know it would end the process and say so.
    os.environ["XLA_FLAGS"] = f"{given or ''} --xla_cpu_use_fusion_emitters=false"
    jax.devices()  # reads the flags, which programs that tests start do not get
    del os.environ["XLA_FLAGS"]
    if given is not None:
        os.environ["XLA_FLAGS"] = given


if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
    _compile_quickly()

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
