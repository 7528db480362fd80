"""Flags of the programs that read videos against a camera's ordinary footage."""

from collections.abc import Callable
from typing import NamedTuple

from absl import flags

from jaxvlm.command import given
from jaxvlm.errors import InputError
from jaxvlm.video.ordinary_model import OrdinaryModel, load_ordinary
from jaxvlm.video.ordinary_reading import Budget, choose_thresholds
from jaxvlm.video.ordinary_watching import Learning, learned_line
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
        return None if path is None else load_ordinary(path)

    def budget(scorer: Scorer) -> Budget | None:
        if rate.value is None:
            return None
        return choose_thresholds(scorer.ordinary, scorer.roles, rate.value)

    def learning(scorer: Scorer) -> Learning | None:
        if out_dir is None or out_dir.value is None:
            return None
        old = None if scorer.ordinary is None else scorer.ordinary.model
        return Learning(out_dir.value, model=old)

    def learned() -> list[str]:
        """A line about what was learned."""
        return [] if out_dir is None or out_dir.value is None else [learned_line(out_dir.value)]

    return AskedOrdinary(model, budget, learning, learned)
