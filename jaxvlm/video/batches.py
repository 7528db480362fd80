"""Frames of many cameras, one batch on the device, each camera with a state of its own."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxvlm.atoms.segments import StreamState
from jaxvlm.video import live
from jaxvlm.video.live import BatchStep, Scores
from jaxvlm.video.scoring import Scorer
from jaxvlm.video.watched import Seen, reasons


class _Group(NamedTuple):
    """Cameras with one scorer: their numbers, and what `live.live_batch` gives."""

    scorer: Scorer
    members: tuple[int, ...]
    step: BatchStep


class Batches:
    """The states of all cameras, and the step that takes those on which have a frame.

    Cameras with the same scorer share its step; the encoder sees the frames of all at once.
    """

    def __init__(self, scorers: Sequence[Scorer], kept: Mapping[int, StreamState] | None = None):
        """kept: states to go on from, by camera. Raises InputError as `live.live_batch`."""
        self.patches = live.looks_at_patches(scorers)
        self.groups: list[_Group] = []
        self.states: list[StreamState] = []
        for scorer in {id(scorer): scorer for scorer in scorers}.values():
            members = tuple(n for n, other in enumerate(scorers) if other is scorer)
            states, step = live.live_batch(scorer, len(members))
            for slot, camera in enumerate(members):
                if kept and camera in kept:
                    states = _with_row(states, slot, kept[camera])
            self.groups.append(_Group(scorer, members, step))
            self.states.append(states)

    def warm_up(self) -> None:
        """Compiles every shape before the first frame, so that no frame waits for it."""
        model = self.groups[0].scorer.encoder.model
        side = model.preprocessing.crop
        crop = np.zeros((side, side, 3), np.uint8)
        for size in live.batch_sizes(sum(len(group.members) for group in self.groups)):
            features = live.encode_crops(model, [crop] * size, patches=self.patches)
            for group, states in zip(self.groups, self.states, strict=True):
                if size in live.batch_sizes(len(group.members)):
                    places = range(min(size, len(group.members)))
                    _, scores = group.step(states, places, features)
                    rows = live.rows_of(scores)
                    reasons(group.scorer.roles, rows[0], group.scorer.roles.events[0])

    def step(self, frames: Mapping[int, Seen]) -> dict[int, Scores]:
        """Scores by camera of a frame of each; at most `live.LARGEST_BATCH`."""
        cameras = list(frames)
        model = self.groups[0].scorer.encoder.model
        crops = [frames[camera].crop for camera in cameras]
        features = live.encode_crops(model, crops, patches=self.patches)
        if len(self.groups) > 1:  # rows are chosen on the host, where no choice is compiled
            features = jax.tree.map(np.asarray, features)
        found: dict[int, Scores] = {}
        for number, group in enumerate(self.groups):
            rows = [row for row, camera in enumerate(cameras) if camera in group.members]
            if not rows:
                continue
            own = features
            if len(self.groups) > 1:
                filled = rows + [rows[0]] * (live.batch_size(len(rows)) - len(rows))
                own = jax.tree.map(lambda leaf, f=filled: leaf[f], features)
            places = [group.members.index(cameras[row]) for row in rows]
            self.states[number], scores = group.step(self.states[number], places, own)
            for row, one in zip(rows, live.rows_of(scores), strict=True):
                found[cameras[row]] = one
        return found

    def state(self, camera: int) -> StreamState:
        """The state of one camera, on the host."""
        for group, states in zip(self.groups, self.states, strict=True):
            if camera in group.members:
                slot = group.members.index(camera)
                return StreamState(*(np.asarray(leaf)[slot] for leaf in states))
        raise KeyError(camera)


def _with_row(states: StreamState, slot: int, row: StreamState) -> StreamState:
    return jax.tree.map(lambda leaf, value: leaf.at[slot].set(value), states, row)
