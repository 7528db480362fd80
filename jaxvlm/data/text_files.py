"""Lines of text files as editors on any system write them."""

import codecs
import os
import re
from pathlib import Path

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded
from jaxvlm.terminal import control_character

MAX_BYTES = bounds.TEXT_BYTES


def read_lines(path: str | os.PathLike, *, cure: str) -> list[str]:
    """The lines of a text in UTF-8, or UTF-16 with its mark as Windows writes it, unstripped.

    A line ends with LF, CR LF (Windows) or CR (old Macs).

    Args:
      cure: what to do, for the message on what is no such text.

    Raises:
      InputError: no such file; neither encoding, or a control character, as UTF-16 without its mark
        and binary files have (with the line); over `MAX_BYTES`.
    """
    path = Path(path)
    code = read_bounded(path, MAX_BYTES, cure=cure)
    utf16 = code.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = code.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = code[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} is not UTF-8; {cure}") from None
    lines = re.split("\r\n|\r|\n", text)
    odd = control_character("".join(lines))  # once for all: lists may have a million lines
    for number, line in enumerate(lines if odd else (), 1):
        if found := control_character(line):
            raise InputError(f"{path}: line {number} holds the control character {found}; {cure}")
    return lines
