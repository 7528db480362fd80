"""The one exception that means "the input is wrong", as opposed to "the program is wrong"."""

import os
import re

from jaxvlm.terminal import shown

_LONGEST = 200  # characters of a quoted text or a word that others wrote; a path may be longer
_LONGEST_MESSAGE = 2_000
# Not the apostrophe of "the video's".
_QUOTED = re.compile(rf"(?<!\w)(['\"])([^'\"]{{{_LONGEST}}})[^'\"]+\1(?!\w)")
_WORD = re.compile(rf"(?<![^\s'\"])([^\s/\\'\"]{{{_LONGEST}}})[^\s/\\'\"]+(?![^\s'\"])")


class InputError(ValueError):
    """Bad input, said in one line: ``FILE: cause; cure``.

    Launchers print it without a traceback and exit with 1. Anything else that escapes is a bug
    and keeps its traceback. Control characters in the message are spelled (`terminal.shown`), and
    of a text that others wrote 200 characters are kept.
    """

    def __init__(self, message: object = "") -> None:
        text = _QUOTED.sub(r"\1\2…\1", shown(message))
        text = _WORD.sub(r"\1…", text)
        if len(text) > _LONGEST_MESSAGE:  # the file and the cure stand at its ends
            half = _LONGEST_MESSAGE // 2
            text = f"{text[:half]} … {text[-half:]}"
        super().__init__(text)


class DiskError(InputError):
    """The disk takes nothing more (full, read-only): the whole batch ends, for what follows would
    be lost, too."""


# What ends one item of a batch, and not the batch. Readers raise InputError with the file's name;
# the system may refuse anything at any time (a disk that fails, a name that is too long).
ITEM_ERRORS = (InputError, OSError)


def item_failure(error: Exception, item: object) -> str:
    """The line about an item of a batch that one of `ITEM_ERRORS` ended. A `DiskError` is raised
    again: it is no item's."""
    if isinstance(error, DiskError):
        raise error
    if isinstance(error, InputError):
        return str(error)
    named = getattr(error, "filename", None)
    name = item if named is None else os.fspath(named)
    return str(InputError(f"{name}: {getattr(error, 'strerror', None) or error}; check the disk"))
