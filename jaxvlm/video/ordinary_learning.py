"""Learns what a camera ordinarily shows, from footage that comes in pieces, in constant memory."""

import numpy as np

from jaxvlm.arrays import unit
from jaxvlm.atoms.novelty import remember
from jaxvlm.atoms.ordinary import margin
from jaxvlm.atoms.quantile_sketch import sketch
from jaxvlm.errors import InputError
from jaxvlm.video.ordinary_model import (
    LEAST_FRAMES,
    PARTS,
    Held,
    OrdinaryModel,
)

STRETCH_SECONDS, OCCASION_SECONDS = 120, 600
_HELD_BYTES = 24 << 20  # of held-out frames
_DAY = 86_400


def learn(
    model: OrdinaryModel,
    presence: np.ndarray,
    embeddings: np.ndarray,
    *,
    continues: bool,
    second_of_day: np.ndarray | None = None,
) -> OrdinaryModel:
    """The model after more frames of its camera, at its frames per second.

    How the frames are cut into calls changes nothing of the result.

    Args:
      presence: p [T, C], as the encoder and the texts give it, not lifted by captions.
      embeddings: [T, D] of any length.
      continues: whether the first frame follows the last one of the call before; else a new
        stretch and a new occasion begin.
      second_of_day: [T] local time; None: not known.

    Raises:
      ValueError: shapes that do not fit.
    """
    margins, rows = margin(presence), np.asarray(unit(np.asarray(embeddings, np.float32)))
    part = np.zeros(len(rows), np.int8)
    if second_of_day is not None:
        part = (1 + np.asarray(second_of_day) % _DAY // (_DAY // PARTS)).astype(np.int8)
    if not continues:
        model = _begun(model)
    size = {"stretch": _frames(model, STRETCH_SECONDS), "last": _frames(model, OCCASION_SECONDS)}
    start = 0
    while start < len(rows):
        place = model.place
        stop = start + min(
            len(rows) - start, size["stretch"] - place.filled, size["last"] - place.lasted
        )
        piece = slice(start, stop)
        model = _piece(model, margins[piece], rows[piece], part[piece])
        start = stop
        place = model.place
        if place.filled == size["stretch"]:
            place = place._replace(stretch=place.stretch + 1, filled=0)
        if place.lasted == size["last"]:
            place = place._replace(occasion=place.occasion + 1, lasted=0)
        model = model._replace(place=place)
    return model


def require_enough(model: OrdinaryModel) -> None:
    """Raises InputError where there are too few frames to take a zero and thresholds from."""
    if min(model.frames) < LEAST_FRAMES:
        learned, held = model.frames
        raise InputError(
            f"{learned} frames of ordinary footage to learn from and {held} to hold out, "
            f"{LEAST_FRAMES} are needed of each, which four minutes give, and hours are worth "
            "having; give more footage, or more frames per second (--config.fps)"
        )


def _frames(model: OrdinaryModel, seconds: float) -> int:
    return max(1, round(seconds * model.fps))


def _begun(model: OrdinaryModel) -> OrdinaryModel:
    """The model where other footage begins."""
    place, none = model.place, Held(*(field[:0] for field in model.recent))
    stretch = place.stretch + (place.filled > 0)
    occasion = place.occasion
    if sum(model.frames):  # more than a neighbour, for it was filmed at another time
        occasion += 2 if place.lasted else 1
    place = place._replace(stretch=stretch, filled=0, occasion=occasion, lasted=0)
    return model._replace(place=place, recent=none)


def _piece(
    model: OrdinaryModel, margins: np.ndarray, rows: np.ndarray, part: np.ndarray
) -> OrdinaryModel:
    """The model after frames of one stretch and one occasion."""
    place, count = model.place, len(rows)
    own = Held(
        margins.astype(np.float16),
        rows.astype(np.float16),
        part,
        np.full(count, place.stretch, np.int32),
        np.zeros(count, bool),
    )
    learned, held_out = model.frames
    if place.stretch % 2 == 0:
        counts = model.counts.copy()
        for each in np.unique(part):
            counts[each] += sketch(margins[part == each])
        memory = remember(model.memory, rows, place.occasion)
        model = model._replace(counts=counts, memory=memory, frames=(learned + count, held_out))
    else:
        lead = model.recent if place.filled == 0 else Held(*(f[:0] for f in model.recent))
        lead = lead._replace(
            stretch=np.full_like(lead.stretch, place.stretch), leads=np.ones_like(lead.leads)
        )
        held = _joined(_joined(model.held, lead), own)
        model = model._replace(held=_bounded(held), frames=(learned, held_out + count))
    recent = _joined(model.recent, own)
    recent = Held(*(field[-model.window :] for field in recent))
    lasting = place._replace(filled=place.filled + count, lasted=place.lasted + count)
    return model._replace(recent=recent, place=lasting)


def _joined(first: Held, then: Held) -> Held:
    return Held(*(np.concatenate(pair) for pair in zip(first, then, strict=True)))


def _bounded(held: Held) -> Held:
    """Within the bytes that there are: the stretches go that stand out least.

    A stretch is ranked by the highest margin of each atom in it, and its best rank counts. What
    goes would have no alarm at thresholds that only the highest stretches reach.
    """
    a_frame = 2 * (held.margins.shape[1] + held.embeddings.shape[1])
    most = max(_HELD_BYTES // a_frame, 1024)
    if len(held.stretch) <= most:
        return held
    ids, starts = np.unique(held.stretch, return_index=True)
    if len(ids) < 2:
        return held
    highest = np.maximum.reduceat(held.margins.astype(np.float32), starts)[:-1]  # the last one runs
    order = np.argsort(-highest, axis=0, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(highest))[:, None], axis=0)
    goes = ids[:-1][int(np.argmax(ranks.min(axis=1)))]
    kept = held.stretch != goes
    return _bounded(Held(*(field[kept] for field in held)))
