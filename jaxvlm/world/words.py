"""The word list of the rendered world: candidates for negative labels that its encoder has read."""

import re

from jaxvlm.world.language import EVENT_PARAPHRASES, LIGHTING, PARAPHRASES
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, EVENTS, OBJECTS


def world_words() -> tuple[str, ...]:
    """Every noun and noun phrase of the captions without its article, sorted, each once.

    Atoms, objects, events, their paraphrases, places, empty places and places in a light.
    """
    said = (
        *ATOMS,
        *OBJECTS,
        *EVENTS,
        *BACKGROUNDS,
        *(phrase for phrases in PARAPHRASES.values() for phrase in phrases),
        *(phrase for phrases in EVENT_PARAPHRASES.values() for phrase in phrases),
        *(f"empty {place}" for place in BACKGROUNDS),
        *(f"{light} {place}" for light in LIGHTING for place in BACKGROUNDS),
    )
    return tuple(sorted({re.sub(r"^(a|an|the) ", "", phrase) for phrase in said}))
