"""Flags of streams: how pictures arrive at the methods that adapt."""

from collections.abc import Callable
from typing import Any

from absl import flags

from jaxvlm.command import given
from jaxvlm.errors import InputError

_DETAILS = (
    "ood_share",
    "class_skew",
    "stream_batch",
    "warm_start",
    "stream_reset",
    "stream_repeats",
    "stream_methods",
)


def define_streams() -> Callable[[Callable[..., Any]], Any]:
    """``--stream`` and its details, and the function that makes settings of them, by the class
    `pictures.streams.StreamSettings` that it is given; None without ``--stream``."""
    orders = flags.DEFINE_list(
        "stream",
        None,
        "Also runs the methods that adapt while pictures arrive, in these orders: shuffled, "
        "id_first, blocks, temporal_shift (all OOD sets, one after another).",
    )
    shares = flags.DEFINE_list("ood_share", ["0.5", "0.1", "0.02"], "Of a stream's pictures.")
    skews = flags.DEFINE_list(
        "class_skew", ["0"], "Zipf exponent of the ID classes; 0: all ID pictures."
    )
    batch = flags.DEFINE_integer(
        "stream_batch", 0, "Pictures that come together; 0: as published.", lower_bound=0
    )
    warm = flags.DEFINE_integer(
        "warm_start", 0, "Pictures at the front that are not counted.", lower_bound=0
    )
    reset = flags.DEFINE_enum(
        "stream_reset",
        "pair",
        ["pair", "never"],
        "When memory is emptied: for each pair of sets, as published, or never.",
    )
    repeats = flags.DEFINE_integer("stream_repeats", 5, "Streams of each kind.", lower_bound=2)
    methods = flags.DEFINE_list(
        "stream_methods", None, "Which; see jaxvlm.ood.streams.ADAPTIVE; default: all."
    )

    def settings(make: Callable[..., Any]) -> Any:
        if not orders.value:
            given.refuse(_DETAILS, "it is of streams; add --stream=shuffled")
            return None
        return make(
            orders=tuple(orders.value),
            ood_shares=_numbers(shares),
            class_skews=_numbers(skews),
            warm_start=warm.value,
            batch_size=batch.value,
            reset=reset.value,
            repeats=repeats.value,
            methods=None if methods.value is None else tuple(methods.value),
        )

    return settings


def _numbers(flag: flags.FlagHolder) -> tuple[float, ...]:
    try:
        return tuple(float(text) for text in flag.value)
    except ValueError:
        raise InputError(f"--{flag.name}={','.join(flag.value)}: give numbers") from None
