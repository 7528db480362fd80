"""What a function forms on its way, as JAX traces it."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import jaxprs_in_params


def avals(jaxpr: Any) -> Iterator[Any]:
    """Every value formed in a jaxpr and in the jaxprs inside it."""
    for equation in jaxpr.eqns:
        yield from (variable.aval for variable in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from avals(inner)
