"""OpenVINO, imported so that nobody is told of it; InputError where it is not installed.

``import openvino`` sends an event to a statistics service through the package openvino_telemetry,
which it brings, unless a file in the home folder says no. Where that package cannot be imported it
takes a stub of its own, which sends nothing; so it is hidden while openvino is imported here.
"""

import sys

import jax

from jaxvlm.errors import InputError

_TELEMETRY = "openvino_telemetry"


def _imported():
    hidden = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None
    try:
        import openvino
        from openvino import opset13
    except ImportError as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"backend openvino: cannot be imported ({cause}); pip install 'jaxvlm[cpu]', or take "
            "backend jax"
        ) from None
    finally:
        del sys.modules[_TELEMETRY]
        if hidden is not None:
            sys.modules[_TELEMETRY] = hidden
    return openvino, opset13


openvino, opset = _imported()


def require_cpu() -> None:
    """Raises InputError where JAX computes elsewhere, as all does that is behind the towers."""
    if (platform := jax.default_backend()) != "cpu":
        raise InputError(
            f"backend openvino: is for one CPU device, and JAX computes on a {platform} here; take "
            "backend jax, or set JAX_PLATFORMS=cpu"
        )
