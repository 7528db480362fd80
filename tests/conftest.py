"""What tests compile is kept for the other processes of a run, and for the next one.

Compiling is most of what tests take. JAX finds a program again by all that it depends on.
"""

import os
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla"

# Before JAX is imported; programs that tests start have them too.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_FOLDER))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# JAX computes; threads of BLAS in every process of a test run only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
