"""Text that others wrote, as a terminal may show it."""

import codecs
import io
import json
import os
import re
from typing import Any

# C0 with tab and line ends, DEL, C1; line and paragraph separator; what reorders text (Unicode's
# bidirectional embeddings, overrides and isolates); halves of surrogate pairs, which are no text.
_HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def control_character(text: str) -> str | None:
    """The first character of a text that no name or line has, spelled: a control character that
    is no blank, one that reorders text, or half a surrogate pair. None where all is well.

    The rule for all that is read as a name, a label, a prompt or a line of text."""
    found = _CONTROL.search(text)
    return found and shown(found[0])


def without_control(text: str) -> str:
    """A text with a blank for each `control_character`."""
    return _CONTROL.sub(" ", text)


def shown(text: object) -> str:
    r"""A text on one line, its control characters spelled: ``a\x1b[2J``, ``a\nb``, ``\u202e``.

    Names of files, classes, events and atoms come from others. Written raw they could clear the
    screen, forge a line or hide what they are (CWE-150; for the order of text CVE-2021-42574).
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def json_line(value: Any) -> str:
    """JSON on one line in printable ASCII."""
    return json.dumps(value).replace("\x7f", "\\u007f")  # the one that json leaves as it is


class Lasting:
    """A standard stream that outlives its reader: ``| head -1`` ends what is shown, not the work.

    After the first error nothing more is written; ``lost`` is that error, None where the reader
    has just gone. Characters that the stream's encoding lacks are spelled (`spelled`). ``stream``
    is the stream itself, which raises.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.stream = stream
        self.lost: OSError | None = None
        if stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=_SPELLED)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes as much as somebody reads; the length of the text all the same."""
        try:
            self.stream.write(text)
        except OSError as error:
            self._leave(error)
        return len(text)

    def flush(self) -> None:
        """Flushes what somebody reads."""
        try:
            self.stream.flush()
        except OSError as error:
            self._leave(error)

    def _leave(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.lost = error
        leave_reader(self.stream)


def leave_reader(stream: io.TextIOWrapper) -> None:
    """Sends what is still in a stream's buffer, and all to come, to nobody."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)


def spelled(error: UnicodeError) -> tuple[str, int]:
    r"""What an encoding without a character shows in its place: ``-`` for a minus sign, ``...`` for
    an ellipsis, Greek letters by name, ``\u4e2d`` for others. A handler for `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escaped(c) for c in characters), error.end


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


# What our own lines are made of beside ASCII.
_PLAIN = {
    "−": "-", "–": "-", "—": "-", "·": ".", "…": "...", "×": "x", "±": "+/-", "½": "1/2",
    "≤": "<=", "≥": ">=", "→": "->", "’": "'", "“": '"', "”": '"', "\u0304": "_",
    "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "Σ": "sum", "τ": "tau",
}  # fmt: skip
_SPELLED = "jaxvlm.spelled"
codecs.register_error(_SPELLED, spelled)
