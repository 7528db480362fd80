"""What an ontology file has that was written from trained roles: numbers that no person writes.

events: {explosion: {direct: [fireball: 0.9], weights: {direct: 1.2, bias: -3}}}
presence: {fireball: {scale: 12.5, center: 0.4}}   # or uncalibrated
settings: {fps: 1.0, presence: {kind: contrast}}   # what the roles were trained with
training: {videos: 200, clip: {...}}               # which encoder, how many videos
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxvlm.names import nearest
from jaxvlm.ontology.parts import Note, check_keys, read_number

TRAINED_KEYS = PRESENCE, SETTINGS, TRAINING = ("presence", "settings", "training")
CALIBRATION = ("scale", "center")
UNCALIBRATED = "uncalibrated"
FAINT = 0.05  # below it a learned strength says next to nothing


class TrainedParts(NamedTuple):
    """Weights of the events, calibration of the atoms, settings and origin; empty: a person's file.

    An event without ``weights`` (None) is as a person wrote it, its presence calibrated as written
    roles are. What is missing among the weights, or an atom in ``presence``, is as written roles
    have it, too.
    """

    weights: tuple[Mapping[str, float] | None, ...] = ()
    presence: Mapping[str, Mapping[str, float]] = {}
    is_calibrated: bool = True  # False: presence counts as it is
    settings: Mapping[str, Any] | None = None  # unchecked
    training: Mapping[str, Any] = {}  # unchecked

    def weights_of(self, event: int) -> Mapping[str, float] | None:
        """The weights of the event of this number, None if the file has none."""
        return self.weights[event] if self.weights else None

    def of_events(self, kept: Sequence[int]) -> "TrainedParts":
        """The same for some of the events, by their numbers."""
        return self._replace(weights=tuple(self.weights[e] for e in kept) if self.weights else ())


UNTRAINED = TrainedParts()


def read_trained(
    note: Note,
    content: Mapping[str, Any],
    atoms: Sequence[str],
    weights: Sequence[Mapping[str, float] | None],
) -> TrainedParts:
    """The keys that a trained model adds; what is wrong with them is told to ``note``."""
    tables = {}
    for key in (SETTINGS, TRAINING):
        tables[key] = content.get(key)
        if key in content and not isinstance(content[key], dict):
            note((key,), f"{key}: must be a mapping; leave it as export-roles wrote it, or out")
            tables[key] = None
    own = tuple(weights) if any(each is not None for each in weights) else ()
    presence = content.get(PRESENCE, {})
    if PRESENCE in content and not own:
        note((PRESENCE,), f"{PRESENCE}: is of events with weights, and none has any; take it out, "
             "or write weights: {} for those that it is of")  # fmt: skip
    is_calibrated = presence != UNCALIBRATED
    return TrainedParts(
        own,
        _calibration(note, presence, atoms) if is_calibrated else {},
        is_calibrated,
        tables[SETTINGS],
        tables[TRAINING] or {},
    )


def _calibration(note: Note, value: Any, atoms: Sequence[str]) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict):
        note((PRESENCE,), f"{PRESENCE}: must be a mapping of atoms; write ATOM: {{scale: 10, "
             f"center: 0.5}}, or {UNCALIBRATED}")  # fmt: skip
        return {}
    found = {}
    for atom, numbers in value.items():
        place, title = (PRESENCE, atom), f"{PRESENCE}, {atom!r}"
        if atom not in atoms:
            hint = nearest(str(atom), atoms)
            note(place, f"{PRESENCE}: unknown atom {atom!r}{hint}; correct it or take it out")
        elif not isinstance(numbers, dict):
            note(place, f"{title}: must be a mapping; write {{scale: 10, center: 0.5}}")
        else:
            check_keys(note, place, title, numbers, CALIBRATION)
            read = {
                name: read_number(note, (*place, name), f"{title}: {name}", numbers[name])
                for name in CALIBRATION
                if name in numbers
            }
            found[atom] = {name: number for name, number in read.items() if number is not None}
    return found
