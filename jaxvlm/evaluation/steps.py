"""The steps of `postprocess` as words: their names, what each is, how they are written."""

import re
from typing import NamedTuple

from jaxvlm.errors import InputError

LAVAD, VERA, EVENTVAD, SMOOTH, PRIOR, VIDEO = (
    "lavad", "vera", "eventvad", "smooth", "middle", "video",
)  # fmt: skip
STEPS = {
    LAVAD: "mean of the K most similar (lavad=K, 10), weights exp(cos)",
    VERA: "mean of the most similar 15 %, weights exp(10 cos)",
    EVENTVAD: "mean between two jumps of the embedding",
    SMOOTH: "Gaussian of sigma seconds or frames (smooth=2s, smooth=8f)",
    PRIOR: "times a Gaussian at the middle of the video (VERA, CoReVAD)",
    VIDEO: "times the mean of the video's top sixteenth",
}
HELP = "; ".join(f"{name}: {meaning}" for name, meaning in STEPS.items())
OF_ROWS = (LAVAD, VERA)  # these work on what was scored, before it is spread over frames


class Step(NamedTuple):
    """One step: its name, its text as given, its number (K, or a sigma) and the sigma's unit."""

    name: str
    text: str
    number: float | None = None
    unit: str | None = None

    @property
    def needs_embeddings(self) -> bool:
        return self.name in (LAVAD, VERA, EVENTVAD)

    @property
    def needs_seconds(self) -> bool:
        return self.name == EVENTVAD or self.unit == "s"


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps of ``lavad,smooth=2s,middle``, in their order.

    Raises InputError: an unknown step, a number that it does not take or needs, or a step on what
    was scored behind one on frames.
    """
    steps = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, value = part.partition("=")
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([sf]?)", value)
        number, unit_of = (float(found[1]), found[2]) if found else (None, "")
        if name not in STEPS:
            known = "; ".join(f"{key}: {meaning}" for key, meaning in STEPS.items())
            raise InputError(f"--postprocess: no step {name!r}; there are {known}")
        if name == SMOOTH and not (number and unit_of):
            raise InputError(f"--postprocess={part}: give its sigma, smooth=2s or smooth=8f")
        if name == LAVAD and given and (not number or unit_of or number % 1):
            raise InputError(f"--postprocess={part}: give a number of neighbours, lavad=10")
        if name not in (SMOOTH, LAVAD) and given:
            raise InputError(f"--postprocess={part}: {name} takes no number; leave it out")
        if name in OF_ROWS and steps and steps[-1].name not in OF_ROWS:
            raise InputError(
                f"--postprocess: {name} works on what was scored, {steps[-1].name} on frames; "
                f"put {name} before it"
            )
        steps.append(Step(name, part, number, unit_of or None))
    return tuple(steps)
