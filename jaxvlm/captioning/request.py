"""What a model is asked about every frame, and the form of its answers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

MAX_PIXELS = 1280 * 28 * 28  # 1,280 visual tokens of Qwen2.5-VL, its processor's own default

# An answer that ends for its length is no answer: the last phrase is torn, or it is all thought. It
# is asked for again with so many times the tokens.
MORE = (4, 16)
MORE_TOKENS = "raise --max_new_tokens"

_PROMPT = """\
This is one frame of a video. Which of these are visible in it?

{atoms}

Answer with one line in this form and nothing else:
ATOMS: phrase; phrase; phrase
Copy the phrases from the list as they are written, and name only what is clearly visible. You may \
add up to three short phrases of your own for other striking things. If nothing on the list is \
visible, and nothing else is striking, answer:
ATOMS: none"""


class Request(NamedTuple):
    """What an answer depends on beside the frame; answers to another request are not mixed in."""

    model: str
    prompt: str
    max_new_tokens: int = 128
    max_pixels: int = MAX_PIXELS  # larger frames are made smaller, their shape kept


class Answer(NamedTuple):
    """A frame with the model's text, or with the reason why there is none."""

    frame: Path
    text: str | None
    failure: str = ""


# A backend takes frames as it needs them and gives answers in batches, in any order. It takes a
# new frame only after the answers that it has are given, so that a stop loses no more than what
# is in flight. It raises InputError for what would fail for every frame.
Ask = Callable[[Iterable[Path]], Iterator[list[Answer]]]


def build_prompt(atoms: Sequence[str]) -> str:
    """The question: the ontology's atoms, one a line, and the form ``ATOMS: a; b``."""
    return _PROMPT.format(atoms="\n".join(f"- {atom}" for atom in atoms))


def one_line(text: object, length: int = 200) -> str:
    """A text that others wrote, fit for one line of a message: printable, and cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= length else line[: length - 1] + "…"
