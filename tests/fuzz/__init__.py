"""A campaign of mutated files against every reader: ``python -m tests.fuzz --help``."""
