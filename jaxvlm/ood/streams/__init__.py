"""Methods that adapt while pictures arrive; `running.run` takes a stream through one."""

from jaxvlm.ood.streams.methods import ADAPTIVE, BASES, Adaptive, base_scores
from jaxvlm.ood.streams.orders import ORDERS, Arrival, Plan, plan
from jaxvlm.ood.streams.running import Batch, Texts, run

__all__ = [
    "ADAPTIVE",
    "BASES",
    "ORDERS",
    "Adaptive",
    "Arrival",
    "Batch",
    "Plan",
    "Texts",
    "base_scores",
    "plan",
    "run",
]
