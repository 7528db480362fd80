"""A package's public names, imported when one is asked for.

The settings of a room are read by flags and by ``--help``, which should not wait for JAX; and with
a module of a package Python imports the package.
"""

import importlib.util
from collections.abc import Callable
from typing import Any


def public(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package (PEP 562) that gives what ``__all__`` of its
    module ``public`` lists; a module of its own is none of these, and is imported alone."""

    def attribute(name: str) -> Any:
        is_module = importlib.util.find_spec(f"{package}.{name}") is not None
        names = () if is_module else (*listed(), "__all__")
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.public"), name)

    def listed() -> list[str]:
        return importlib.import_module(f"{package}.public").__all__

    return attribute, listed
