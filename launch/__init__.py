"""The programs: ``jaxvlm NAME``, or in a clone ``python -m launch.NAME``."""

import sys

from jaxvlm.command import process

if sys.argv[0] == "-m":  # before the launcher's own imports, which take seconds
    process.prepare()
