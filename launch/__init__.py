"""The programs: ``jaxvlm NAME``, or in a clone ``python -m launch.NAME``."""
