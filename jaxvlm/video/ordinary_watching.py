"""What is done beside the events while a source runs: whether it still fits its ordinary footage,
and learning what is ordinary from it."""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxvlm import outputs
from jaxvlm.atoms.drift import instability, instability_bound, occupancy_edges
from jaxvlm.atoms.ordinary import margin
from jaxvlm.names import number_of
from jaxvlm.video.ordinary_learning import STRETCH_SECONDS, learn
from jaxvlm.video.ordinary_model import (
    FOLDER,
    LEAST_FRAMES,
    PARTS,
    OrdinaryModel,
    save_ordinary,
)
from jaxvlm.video.ordinary_reading import Ordinary
from jaxvlm.video.ordinary_sources import begin
from jaxvlm.video.scoring import Scorer

# Takes seconds of the source, p [C] as the encoder and the texts give it, and the image embedding
# [D]; gives lines that warn.
Look = Callable[[float, np.ndarray, np.ndarray], list[str]]

_PERSISTENT = 180  # seconds that a change has to last before it is told
_BLOCK = 60  # frames that are learned at a time
_WRITTEN_EVERY = 600  # seconds
_GAP = 10.0  # seconds between frames, from which on footage is not one


class Learning(NamedTuple):
    """Where what is learned goes, what the camera is called, a model to go on with, and what gives
    the second of the day; None: it is not known."""

    out_dir: str | os.PathLike
    name: str = "camera"
    model: OrdinaryModel | None = None
    clock: Callable[[], float] | None = None


def second_of_day() -> float:
    """Of this machine's local time."""
    now = datetime.datetime.now()
    return 3600.0 * now.hour + 60.0 * now.minute + now.second


def on_the_clock(scorer: Scorer, learning: Learning | None) -> tuple[Scorer, Learning | None]:
    """Both with the time of day of this machine, for a source that is live."""
    if scorer.ordinary is not None:
        scorer = scorer._replace(ordinary=scorer.ordinary._replace(clock=second_of_day))
    return scorer, learning and learning._replace(clock=second_of_day)


@contextlib.contextmanager
def beside(scorer: Scorer, learning: Learning | None = None) -> Iterator[Look]:
    """A function to call with every frame, in order.

    It tells once, where the scorer has an ordinary model, that the source no longer fits it, and
    once when it fits again. With ``learning`` it learns from every frame and writes the model every
    ten minutes of footage and at the end, each time in one step. Memory is constant.

    Raises InputError: a model to go on with that does not fit, or a place that cannot be written.
    """
    judge = None if scorer.ordinary is None else drift_judge(scorer.ordinary)
    keep, finish = (None, None) if learning is None else _learner(scorer, learning)

    def look(seconds: float, presence: np.ndarray, embedding: np.ndarray) -> list[str]:
        if keep is not None:
            keep(seconds, presence, embedding)
        return [] if judge is None else judge(presence)

    try:
        yield look
    finally:
        if finish is not None:
            finish()


def drift_judge(ordinary: Ordinary) -> Callable[[np.ndarray], list[str]] | None:
    """A function of the p [C] of each frame that tells where footage stops fitting or fits again.

    The latest two minutes are compared with the ordinary footage of this part of the day, see
    `atoms.drift.instability`; the bound is of the held-out stretches, which are as long. Beyond it
    for three minutes: it no longer fits; within it for as long: it fits again. None where too
    little was held out for a bound.
    """
    model = ordinary.model
    size = max(1, round(STRETCH_SECONDS * model.fps))
    whole = occupancy_edges(model.counts.sum(axis=0))
    edges = {part: whole for part in range(1 + PARTS)}
    edges |= {part: occupancy_edges(model.counts[part]) for part in model.daily}
    bound = instability_bound(_held_instabilities(ordinary, size, edges))
    if bound is None:
        return None
    latest = np.zeros((size, len(model.atoms)), np.float32)
    state = {"seen": 0, "since": 0, "fits": True}
    least = max(1, round(_PERSISTENT * model.fps))

    def judge(presence: np.ndarray) -> list[str]:
        latest[state["seen"] % size] = margin(np.asarray(presence)[None])[0]
        state["seen"] += 1
        if state["seen"] < size or state["seen"] % max(1, size // 24):
            return []
        value = instability(latest, edges[ordinary.part_now()])
        if (value <= bound) == state["fits"]:
            state["since"] = state["seen"]
            return []
        if state["seen"] - state["since"] < least:
            return []
        state["fits"] = not state["fits"]
        if state["fits"]:
            return [f"fits its ordinary footage again ({value:.2f}, {bound:.2f} at most)"]
        return [
            f"no longer fits its ordinary footage ({value:.2f}, {bound:.2f} at most): was the "
            "camera moved, is it night, is the lens covered? Alarms mean little until it fits "
            "again; if it stays so, learn its ordinary anew"
        ]

    return judge


def _held_instabilities(ordinary: Ordinary, size: int, edges: dict[int, np.ndarray]) -> list[float]:
    """Of every held-out stretch that is whole."""
    held, found = ordinary.model.held, []
    for stretch in np.unique(held.stretch):
        own = (held.stretch == stretch) & ~held.leads
        if own.sum() >= size:
            part = int(held.part[own][0])
            found.append(instability(held.margins[own].astype(np.float32), edges[part]))
    return found


def _learner(scorer: Scorer, learning: Learning) -> tuple[Callable, Callable[[], None]]:
    """The function that learns from a frame, and the one that learns the rest and writes."""
    outputs.require_replaceable(learning.out_dir, kind=FOLDER)
    model = begin(scorer, learning.model, learning.name)
    rows: list[tuple[np.ndarray, np.ndarray, float]] = []
    state = {"model": model, "last": -np.inf, "continues": False, "written": sum(model.frames)}
    every = _WRITTEN_EVERY * model.fps

    def take() -> None:
        if rows:
            presence, embeddings, clock = (np.stack(each) for each in zip(*rows, strict=True))
            state["model"] = learn(
                state["model"],
                presence,
                embeddings,
                continues=state["continues"],
                second_of_day=None if learning.clock is None else clock,
            )
            rows.clear()
            state["continues"] = True

    def write() -> None:
        frames = state["model"].frames
        if min(frames) >= LEAST_FRAMES and sum(frames) > state["written"]:
            save_ordinary(learning.out_dir, state["model"])
            state["written"] = sum(frames)

    def keep(seconds: float, presence: np.ndarray, embedding: np.ndarray) -> None:
        if seconds - state["last"] > _GAP:
            take()
            state["continues"] = False
        state["last"] = seconds
        clock = 0.0 if learning.clock is None else learning.clock()
        rows.append((np.asarray(presence), np.asarray(embedding), np.float64(clock)))
        if len(rows) == _BLOCK:
            take()
            if sum(state["model"].frames) - state["written"] >= every:
                write()

    def finish() -> None:
        take()
        write()

    return keep, finish


def learned_line(out_dir: str | os.PathLike) -> str:
    """What became of learning, when it is over."""
    if os.path.isdir(out_dir):
        return f"ordinary model: {out_dir}"
    return f"no ordinary model: fewer than {number_of(LEAST_FRAMES, 'frame')} to learn from"
