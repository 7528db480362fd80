"""Flags of the programs that read videos against a camera's ordinary footage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from jaxvlm.command import given
from jaxvlm.errors import InputError

if TYPE_CHECKING:
    from jaxvlm.video.ordinary_model import OrdinaryModel
    from jaxvlm.video.ordinary_reading import Budget
    from jaxvlm.video.ordinary_watching import Learning
    from jaxvlm.video.scoring import Scorer


class AskedOrdinary(NamedTuple):
    """Functions: the model, of a folder or of the flag; the thresholds of a scorer that reads with
    it; where what is learned goes; lines about what was learned. None where none is asked for."""

    model: Callable[..., OrdinaryModel | None]
    budget: Callable[[Scorer], Budget | None]
    learning: Callable[[Scorer], Learning | None]
    learned: Callable[[], list[str]]


def define_ordinary(*, live: bool = False) -> AskedOrdinary:
    """``--ordinary`` and ``--false_alarms_per_day``; live: ``--learn_ordinary``, too."""
    folder = flags.DEFINE_string(
        "ordinary", None, "Model of learn-ordinary: what this camera ordinarily shows is the zero."
    )
    rate = flags.DEFINE_float(
        "false_alarms_per_day", None, "With --ordinary: thresholds that keep it, of all events."
    )

    out_dir = None
    if live:
        out_dir = flags.DEFINE_string(
            "learn_ordinary", None, "Gets a model of what is ordinary here, learned while it runs."
        )

    def model(own: str | None = None) -> OrdinaryModel | None:
        path = own or folder.value
        if rate.value is not None:
            if path is None:
                given.refuse(
                    ["false_alarms_per_day"], "goes with --ordinary=FOLDER, which is not given"
                )
            if rate.value <= 0:
                raise InputError(f"--false_alarms_per_day={rate.value:g}: give a number above 0")
            given.refuse(["threshold", "release"], "--false_alarms_per_day decides; leave it out")
        if path is None:
            return None
        from jaxvlm.video.ordinary_model import load_ordinary

        return load_ordinary(path)

    def budget(scorer: Scorer) -> Budget | None:
        if rate.value is None:
            return None
        from jaxvlm.video.ordinary_reading import choose_thresholds

        return choose_thresholds(scorer.ordinary, scorer.roles, rate.value)

    def learning(scorer: Scorer) -> Learning | None:
        if out_dir is None or out_dir.value is None:
            return None
        from jaxvlm.video.ordinary_watching import Learning

        old = None if scorer.ordinary is None else scorer.ordinary.model
        return Learning(out_dir.value, model=old)

    def learned() -> list[str]:
        """A line about what was learned."""
        if out_dir is None or out_dir.value is None:
            return []
        from jaxvlm.video.ordinary_watching import learned_line

        return [learned_line(out_dir.value)]

    return AskedOrdinary(model, budget, learning, learned)
