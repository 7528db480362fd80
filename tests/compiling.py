"""How programs are compiled in tests: quickly, and where a test says so as a user's.

Programs are small and run a few times in tests, so LLVM does not optimise them, and XLA writes
their loops in its older way: half the time. What JAX traces is the same; what a kernel rounds may
differ in the last bits. What the README says and the chain of the programs are compiled as a user
has it, and with JAX_DISABLE_MOST_OPTIMIZATIONS=0 everything is.
"""

import os
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"
# Of the jaxlib in constraints.txt; one that does not know it ends the process and says so.
_OLDER_LOOPS = "--xla_cpu_use_fusion_emitters=false"
_QUICK = "JAX_DISABLE_MOST_OPTIMIZATIONS"
_CACHE = "JAX_COMPILATION_CACHE_DIR"


def set_up() -> None:
    """Sets the environment of this process, before it imports JAX, and of all that it starts."""
    # JAX computes; threads of BLAS in every process of a test run only wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if _QUICK in os.environ:  # as the caller will have it, or of the process that started this one
        os.environ.setdefault(_CACHE, str(_FOLDER))
        return
    os.environ.setdefault(_CACHE, str(_FOLDER / "quick"))
    os.environ[_QUICK] = "1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_OLDER_LOOPS}".strip()


def as_for_users() -> dict[str, str]:
    """The environment of a program that compiles as a user's does."""
    environment = os.environ | {_QUICK: "0", _CACHE: str(_FOLDER)}
    environment["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "").replace(_OLDER_LOOPS, "")
    return environment
