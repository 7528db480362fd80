"""Lines of text files as editors on any system write them."""

import codecs
import os
import re
from pathlib import Path

from jaxvlm.errors import InputError

MAX_BYTES = 2**28  # the longest list in use, of 1.3 million pictures, has 50 MB


def read_lines(path: str | os.PathLike, *, cure: str) -> list[str]:
    """The lines of a text in UTF-8, or UTF-16 with its mark as Windows writes it, unstripped.

    A line ends with LF, CR LF (Windows) or CR (old Macs).

    Args:
      cure: what to do, for the message on what is no such text.

    Raises:
      InputError: no such file; neither encoding (with the line); over `MAX_BYTES`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: a list of over {MAX_BYTES:,} bytes; {cure}")
    code = path.read_bytes()
    utf16 = code.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = code.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = code[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} is not UTF-8; {cure}") from None
    return re.split("\r\n|\r|\n", text)
