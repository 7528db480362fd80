"""Names of files as text: a name on the disk need not be UTF-8, what is written has to be."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """Text with names in it as it can be written: a byte that is not UTF-8 as ``\\xe9``."""

    def escaped(found: re.Match) -> str:
        code = ord(found[0])
        # Python gives such a byte as a surrogate (PEP 383); other surrogates are no bytes.
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return _SURROGATES.sub(escaped, text)
