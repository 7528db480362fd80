"""Names that users and files give: as parts of paths, as text, matched with known ones."""

import difflib
import re
from collections.abc import Collection, Iterable

from jaxvlm.errors import InputError

_LONGEST = 200  # bytes of a name that becomes part of a file's; file systems take 255
_SHOWN = 3
_SURROGATES = re.compile("[\ud800-\udfff]")


def part_of_path(name: str, place: object) -> str:
    """The name, if it can name one file or folder inside another folder.

    Raises InputError, which begins with ``place``, if it is empty, ``.`` or ``..``, holds a slash,
    a backslash or NUL, or is longer than 200 bytes: as a part of a path it would lead elsewhere.
    """
    size = len(name.encode("utf-8", "surrogateescape"))
    if name in ("", ".", "..") or set(name) & set("/\\\0") or size > _LONGEST:
        shown = repr(name if len(name) <= 60 else name[:59] + "…")
        raise InputError(
            f"{place}: the name {shown} cannot be a file's; take one without slashes that is not "
            f". or .., of at most {_LONGEST} bytes"
        )
    return name


def free_name(name: str, place: object, taken: Collection[str]) -> str:
    """The name of a video as that of its folder beside the files that are ``taken``.

    Raises InputError, which begins with ``place``, if it is one of these, or ``.`` or ``..``.
    """
    if name in (".", "..", *taken):
        raise InputError(
            f"{place}: its results would be called {name!r}, which is taken; rename it"
        )
    return name


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unmatched(place: object, given: Iterable[str], known: Iterable[str]) -> str | None:
    """One line about the given video ids that no video has, with the nearest that one has.

    None where every one is known.
    """
    known = sorted(set(known))
    unknown = sorted(set(given) - set(known))
    if not unknown:
        return None
    told = ", ".join(f"{name!r}{nearest(name, known)}" for name in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return f"{place}: no such video here: {told}{more}"


def printable(text: str) -> str:
    """Text with names in it as it can be written: a byte that is not UTF-8 as ``\\xe9``.

    A name on the disk need not be UTF-8; what is written has to be.
    """

    def escaped(found: re.Match) -> str:
        code = ord(found[0])
        # Python gives such a byte as a surrogate (PEP 383); other surrogates are no bytes.
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return _SURROGATES.sub(escaped, text)
