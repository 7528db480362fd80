"""The neutral prompts of an ontology that names none: everyday scenes, in its own templates."""

import functools
from collections.abc import Iterable, Sequence

from jaxvlm import resources
from jaxvlm.errors import InputError
from jaxvlm.ontology.captions import singular
from jaxvlm.ontology.document import read_document

FILE = "configs/ontology/neutral.yaml"


@functools.cache
def everyday_phrases() -> tuple[str, ...]:
    """The shipped phrases. Raises InputError for a file that holds something else."""
    path = resources.path(FILE)
    content = read_document(path).content
    phrases = content.get("neutral_prompts") if isinstance(content, dict) else None
    if not isinstance(phrases, list) or not all(isinstance(text, str) for text in phrases):
        raise InputError(f"{path}: no list of neutral_prompts; install jaxvlm anew")
    return tuple(phrases)


def everyday_prompts(atoms: Iterable[str], templates: Sequence[str]) -> tuple[str, ...]:
    """Each shipped phrase in each template, but the phrases that are atoms themselves: their
    presence could never exceed one half.

    The templates are the atoms' own, so that what they say cancels out.
    """
    own = {singular(atom) for atom in atoms}
    phrases = [phrase for phrase in everyday_phrases() if singular(phrase) not in own]
    return tuple(template.replace("{}", phrase) for phrase in phrases for template in templates)
