"""Pictures in uncompressed tars, as WebDataset's shards: read in place, nothing is unpacked.

A member is named by a path that leads through its tar, ``shards/000000.tar/0001.jpg``. Only its
place in the tar is taken from the file, never a path on the disk, so a member called
``../../passwd.jpg`` is the picture that the tar holds, under the name ``passwd.jpg``. Every
member can be read on its own and from any thread.
"""

import functools
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from jaxvlm import bounded_json, bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import unreadable

SUFFIX = ".tar"
LABEL_SUFFIXES = (".cls", ".json")  # of a sample's label, in this order
LABEL_KEYS = ("label", "cls", "class_name", "class")  # of a sample's JSON, in this order
_MAX_LABEL = bounds.TAR_LABEL
_KEPT = 256  # indexes of shards in memory
_MAX_MEMBERS = bounds.TAR_MEMBERS
_MAX_HEADER = bounds.TAR_HEADER
_MAX_GLOBAL = bounds.TAR_GLOBAL_HEADER
_MAX_CHAIN = bounds.TAR_CHAIN


class Index(NamedTuple):
    """name -> (offset, size) in bytes, in the tar's order; what is wrong with the tar, and cure."""

    members: dict[str, tuple[int, int]]
    damage: str | None


def read_index(shard: str | os.PathLike) -> Index:
    """Where the regular, visible members of a tar lie. Of a name that is there twice, the last.

    A tar that is cut off keeps its whole samples (a sample: members that differ in what follows
    the first dot); the last one, which may lack a member, is left out.
    """
    status = os.stat(shard)
    return _read_index(os.fspath(shard), status.st_mtime_ns, status.st_size)


def complaint(shard: str | os.PathLike) -> str:
    """What is wrong with a tar that was given where a picture is expected, in one line."""
    damage = read_index(shard).damage
    if damage is not None:
        return f"{shard}: {damage}"
    return f"{shard}: a tar, not a picture; name one of its members, or give it as a set"


def read_member(path: str | os.PathLike) -> bytes:
    """The bytes of a member, by a path that leads through its tar.

    Raises InputError: no tar on the path, no such member, or a tar that ends inside it.
    """
    path = Path(path)
    shard = _shard_of(path)
    if shard is None:
        raise InputError(f"{path}: no such file; check the path")
    name = path.relative_to(shard).as_posix()
    place = read_index(shard).members.get(name)
    if place is None:
        raise InputError(f"{path}: {shard.name} has no member {name}; check the name")
    try:
        with shard.open("rb") as file:
            file.seek(place[0])
            content = file.read(place[1])
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) != place[1]:
        raise InputError(f"{path}: {shard.name} ends inside it; download the shard again")
    return content


def member_size(path: str | os.PathLike) -> int | None:
    """The size of a member in bytes; None if there is no such member."""
    path = Path(path)
    shard = _shard_of(path)
    if shard is None:
        return None
    place = read_index(shard).members.get(path.relative_to(shard).as_posix())
    return None if place is None else place[1]


def read_shards(
    shards: Sequence[Path], suffixes: tuple[str, ...]
) -> tuple[list[Path], list[str | None]]:
    """The pictures of tars, in the tars' order, and the label of each, None where it has none.

    The label is the text of the sample's ``.cls``, or of its ``.json`` the first of `LABEL_KEYS`.
    Where a sample has several pictures, one that is named by its suffix alone (``0001.jpg``
    beside ``0001.mask.png``) is the sample's picture. A damaged tar is an entry too, labelled
    "", so that reading it reports the damage.

    Raises InputError: a label that is not UTF-8 or JSON.
    """
    paths: list[Path] = []
    labels: list[str | None] = []
    for shard in shards:
        index = read_index(shard)
        samples: dict[str, list[str]] = {}
        for name in index.members:
            samples.setdefault(_key(name), []).append(name)
        for key, names in samples.items():
            pictures = [name for name in names if name.lower().endswith(suffixes)]
            plain = [name for name in pictures if name[len(key) :].lower() in suffixes]
            for name in plain or pictures:
                paths.append(shard / name)
                labels.append(_label(shard, key, names))
        if index.damage is not None:
            paths.append(shard)
            labels.append("")
    return paths, labels


@functools.lru_cache(maxsize=_KEPT)
def _read_index(shard: str, _modified: int, size: int) -> Index:
    members: dict[str, tuple[int, int]] = {}
    last, damage = "", None
    try:
        with tarfile.open(shard, "r:", tarinfo=_checked_header()) as archive:
            for _ in range(_MAX_MEMBERS + 1):
                if (member := archive.next()) is None:
                    break
                archive.members.clear()  # 1 kB each, which tarfile would keep
                if member.size < 0 or member.issparse():  # as an extended header has it
                    raise ValueError(_SPARSE if member.issparse() else _NEGATIVE)
                name = _safe_name(member.name)
                if not member.isreg() or not name:
                    continue
                last = _key(name)
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("it ends inside a member")
                members.pop(name, None)
                members[name] = member.offset_data, member.size
            else:
                raise tarfile.ReadError(f"over {_MAX_MEMBERS:,} members; write several tars")
            # Without the blocks of zeros that end it, whole members may be missing.
            if not _ends(shard, archive.offset, size):
                raise tarfile.ReadError("it has no end")
    except (tarfile.TarError, OSError, EOFError, OverflowError, ValueError, LookupError) as error:
        if members:
            whole = {name: place for name, place in members.items() if _key(name) != last}
            cause = f"cut off or damaged after {len(whole)} members ({_short(error)})"
            damage = f"{cause}; download it again"
            members = whole
        elif type(error) is ValueError:  # a tar, with a header that is refused
            damage = f"damaged ({_short(error)}); download it again"
        else:
            damage = f"not an uncompressed tar ({_short(error)}); unpack .tar.gz to .tar"
    return Index(members, damage)


def _checked_header() -> type[tarfile.TarInfo]:
    """A class of headers for one archive that refuses what `tarfile` would loop or recurse over.

    A negative size leads back to the same header, for ever (CVE-2025-8194).
    """
    chain = 0

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buffer: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
            nonlocal chain
            header = super().frombuf(buffer, encoding, errors)
            extended = header.type in _EXTENDED
            chain = chain + 1 if extended else 0
            limit = _MAX_GLOBAL if header.type == tarfile.XGLTYPE else _MAX_HEADER
            if header.size < 0:
                raise ValueError(_NEGATIVE)
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise ValueError(_SPARSE)
            if extended and (header.size > limit or chain > _MAX_CHAIN):
                raise ValueError("an extended header larger than any that is needed")
            return header

        def _proc_gnusparse_10(self, *args) -> None:  # called before a header can be looked at
            raise ValueError(_SPARSE)

    return Header


_EXTENDED = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
_NEGATIVE = "a member of negative size"
_SPARSE = "a sparse member: write the tar without --sparse"


def _ends(shard: str, offset: int, size: int) -> bool:
    """Whether a block of zeros stands where `tarfile` stopped reading."""
    with open(shard, "rb") as file:
        file.seek(min(offset, size))
        block = file.read(tarfile.BLOCKSIZE)
    return len(block) == tarfile.BLOCKSIZE and not any(block)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


def _safe_name(name: str) -> str:
    """The name without what leads out of a folder; nothing for hidden and empty names."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "//", "..", ".")]
    return "" if not parts or parts[-1].startswith(".") else "/".join(parts)


def _key(name: str) -> str:
    """WebDataset's key: the name up to the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _shard_of(path: Path) -> Path | None:
    parents = (parent for parent in path.parents if parent.suffix == SUFFIX)
    return next((parent for parent in parents if os.path.isfile(parent)), None)


def _label(shard: Path, key: str, names: Sequence[str]) -> str | None:
    for suffix in LABEL_SUFFIXES:
        if key + suffix not in names:
            continue
        path = shard / (key + suffix)
        if (member_size(path) or 0) > _MAX_LABEL:
            raise InputError(f"{path}: not a label, it has over {_MAX_LABEL:,} bytes; remove it")
        try:
            text = read_member(path).decode("utf-8")
            value: Any = text if suffix == ".cls" else bounded_json.parse(text, path)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not a label ({_short(error)}); correct it") from None
        if suffix == ".cls":
            return text.strip()
        if isinstance(value, dict):
            found = [value[name] for name in LABEL_KEYS if name in value]
            if found and isinstance(found[0], str | int):
                return str(found[0])
    return None
