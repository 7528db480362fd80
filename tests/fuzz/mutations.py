"""Mutations of files: some for any bytes, some that know JSON, lines of text, or binary numbers.

Everything is drawn from the random.Random that is given, so that a seed tells a case.
"""

import json
import random
from collections.abc import Callable

Mutation = Callable[[random.Random, bytes, bytes], bytes]  # (rng, content, another file's content)

_NUMBERS = (
    *("-1", "0", "1", "2", "-0.0", "1.5", "1e308", "-1e308", "1e400", "NaN", "-Infinity", "nan"),
    *("inf", "1e-320", "2147483648", "-9223372036854775809", "18446744073709551616", "1e6", "0x10"),
    *("1_000", "٣", "²", "007", "1,5", "9" * 400, "9" * 5_000, "1" + "0" * 30, "true", "True"),
)
_CHARACTERS = (
    *("\x00", "\x07", "\x1b[31m", "\x1b]0;x\x07", "\r", "\r\n", "\n", "\n\n", "\t", "\x0b", "\x0c"),
    *("\x85", "\u2028", "\u2029", "\u202e", "\ufeff", "\u200b", "\u0301", "é", "\U0001f600", " "),
    *("\ud800", '"', "'", "\\", "/", "..", "../../x", "%s", "{}", "{0}", "$(x)", "<b>", "=1+1"),
    *("A" * 3_000, "A" * 100_000, " " * 5_000, "ß" * 300, "\x00" * 500),
)
_YAML = (
    *("&a [*a]", "*nothing", "!!python/object/apply:os.system [x]", "? [a, b]\n: c", "<<: {a: 1}"),
    *("- ", ": ", "#", "---\n", "...\n", "%YAML 9.9\n", "|\n", ">-\n", "2001-01-01", "0o17", "~"),
    *("!!binary x", "!!set {a}", "1:30", ".inf", ".nan", "yes", "{", "[", "}", "]", "@", "`"),
    "[" * 200 + "]" * 200,
    "".join(f"x{n}: &x{n} [{f'*x{n - 1},*x{n - 1}' if n else 'a'}]\n" for n in range(30)),
)
_SEPARATORS = (",", ";", "\t", '"', '""', "|", " ", ",,", "\n", "\r", '"\n', "#", "=", ":", "-")
_JSON_VALUES = (
    *("null", "true", "[]", "{}", '""', '" "', '"x"', "[[]]", '[""]', "[null]", '{"":null}', "[1]"),
    *('{"0":1}', '"\\u0000"', '"\\ud800"', '"\\n\\u001b[2J"', '"../../x"', '["a","a"]', '{"a":{}}'),
    "[" * 99 + "]" * 99,
    "[" * 5_000 + "]" * 5_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    "[" + ",".join(["0"] * 20_000) + "]",
    *(number for number in _NUMBERS if number.isascii()),
)


def flip_bits(rng: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_place(rng, len(changed) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A run of bytes becomes zeros, ones, or noise."""
    at, size = _place(rng, len(content)), rng.choice((1, 2, 4, 8, 64, 1_000))
    size = min(size, len(content) - at)
    value = rng.choice((b"\x00" * size, b"\xff" * size, b"\x7f" * size, rng.randbytes(size)))
    return content[:at] + value + content[at + size :]


def cut(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def take_out(rng: random.Random, content: bytes, other: bytes) -> bytes:
    at = _place(rng, len(content))
    return content[:at] + content[at + rng.choice((1, 2, 4, 16, 500)) :]


def duplicate(rng: random.Random, content: bytes, other: bytes) -> bytes:
    at, end = sorted((_place(rng, len(content)), rng.randrange(len(content) + 1)))
    return content[:end] + content[at:end] * rng.choice((1, 1, 3, 20)) + content[end:]


def splice(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def append(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content + rng.choice((b"\x00" * 600, b"\n", b"x", rng.randbytes(50), other, content))


def swap(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A good file of another kind, nothing, or noise."""
    return rng.choice((other, other, other, b"", b"\n", b"\x00", rng.randbytes(300)))


def set_integer(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A length or a count in a header: any four bytes as a number, in either order of bytes."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40))
    value = rng.choice((value, -1, 2**63 - 1, len(content), 2**62)) % 2 ** (8 * width)
    at = _place(rng, max(len(content) - width, 0))
    new = value.to_bytes(width, rng.choice(("little", "big")))
    return content[:at] + new + content[at + width :]


def set_digits(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A number that is written out becomes another one, also in a binary file's header."""
    return _replace_one(rng, content, b"0123456789", rng.choice(_NUMBERS))


def set_word(rng: random.Random, content: bytes, other: bytes) -> bytes:
    new = rng.choice((*_CHARACTERS, *_NUMBERS, "", "x", "A"))
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
    return _replace_one(rng, content, letters, new)


def insert(tokens: tuple[str, ...]) -> Mutation:
    """A mutation that puts some of the tokens somewhere."""

    def mutate(rng: random.Random, content: bytes, other: bytes) -> bytes:
        for _ in range(rng.choice((1, 1, 1, 3))):
            at = rng.choice((0, len(content), rng.randrange(len(content) + 1)))
            token = rng.choice(tokens).encode("utf-8", "surrogatepass")
            content = content[:at] + token + content[at:]
        return content

    return mutate


def change_lines(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Lines are repeated, dropped, exchanged, emptied, joined, or end in another way."""
    lines = content.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(8)
    if how == 0:
        lines.insert(a, lines[b])
    elif how == 1:
        del lines[a]
    elif how == 2:
        lines[a], lines[b] = lines[b], lines[a]
    elif how == 3:
        lines[a] = rng.choice((b"", b" ", b"  " + lines[a], lines[a].strip(), lines[a] * 200))
    elif how == 4:
        lines += lines[a : a + 1] * rng.choice((2, 3_000))
    ends = {5: b"\r\n", 6: b"\r", 7: rng.choice((b"", b"\x00\n", b"\x0b", b"\xe2\x80\xa8"))}
    return ends.get(how, b"\n").join(lines)


def change_cells(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A cell of a table, or a whole column, becomes something else."""
    rows = [line.split(b",") for line in content.split(b"\n")]
    row = rng.choice(rows)
    at = rng.randrange(len(row))
    new = rng.choice((*_NUMBERS, *_CHARACTERS, "", "x", "yes")).encode("utf-8", "surrogatepass")
    how = rng.randrange(5)
    if how == 0:
        for each in rows[rng.randrange(2) :]:
            if at < len(each):
                each[at] = new
    elif how == 1:
        for each in rows:
            del each[at : at + 1]
    elif how == 2:
        for each in rows:
            each.insert(at, each[at] if at < len(each) else b"")
    else:
        row[at] = new
    return b"\n".join(b",".join(each) for each in rows)


def change_encoding(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """UTF-16, UTF-32, a mark in front, or Latin-1."""
    text = content.decode("utf-8", "replace")
    name = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1"))
    return text.encode(name, "replace")


def change_json(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A part of a JSON text becomes another value, goes, moves, or gets another key."""
    try:
        value = json.loads(content)
        places = list(_places(value))
    except (ValueError, RecursionError):
        return insert(_JSON_VALUES)(rng, content, other)
    if not places:
        return rng.choice(_JSON_VALUES).encode("utf-8", "surrogatepass")
    mark = "@mark@"
    for _ in range(rng.choice((1, 1, 1, 2))):
        holder, key = rng.choice(places)
        how = rng.randrange(6)
        old = holder[key] if _is_in(holder, key) else None
        if how == 0 and _is_in(holder, key):
            del holder[key]
        elif how == 1:
            source, name = rng.choice(places)
            held = source[name] if _is_in(source, name) else None
            holder_put(holder, key, json.loads(json.dumps(held)))
        elif how == 2 and isinstance(holder, dict):
            holder[rng.choice(("", "\x00", "x", "é" * 300, f"{key} ", str(key).upper()))] = old
        elif how == 3:
            holder_put(holder, key, [old] if rng.random() < 0.5 else {"x": old})
        else:
            holder_put(holder, key, mark)
    try:
        text = json.dumps(value, indent=rng.choice((None, 1)))
    except (ValueError, RecursionError):  # it holds itself, or is deep
        return insert(_JSON_VALUES)(rng, content, other)
    while f'"{mark}"' in text:
        text = text.replace(f'"{mark}"', rng.choice(_JSON_VALUES), 1)
    return text.encode("utf-8", "surrogatepass")


def holder_put(holder: dict | list, key, value) -> None:
    if isinstance(holder, dict) or _is_in(holder, key):
        holder[key] = value


def mutations(suffix: str) -> tuple[Mutation, ...]:
    """What is done to files with this suffix; the likelier ones stand there twice."""
    plain = (flip_bits, set_bytes, cut, take_out, duplicate, splice, append, swap)
    text = (set_digits, set_digits, set_word, change_lines, change_encoding, insert(_CHARACTERS))
    if suffix in (".json", ".jsonl"):
        return (*plain, *text, *[change_json] * 14)
    if suffix in (".yaml", ".yml"):
        return (*plain, *text, *[insert(_YAML), change_lines] * 3)
    if suffix == ".csv":
        return (*plain, *text, *[change_cells] * 8, insert(_SEPARATORS))
    if suffix in (".txt", ".list", ".py", ".noun", ".adj"):
        return (*plain, *text, *[change_lines] * 3, insert(_SEPARATORS))
    return (*plain, *[set_integer] * 5, set_digits, set_digits, set_word)


def mutate(rng: random.Random, suffix: str, content: bytes, other: bytes) -> bytes:
    """One to three mutations in a row; of 30 files one stays as it is."""
    if rng.random() < 1 / 30:
        return content
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            content = rng.choice(mutations(suffix))(rng, content, other)[:4_000_000]
        except RecursionError:  # JSON that an earlier one has nested
            return content
    return content


def _place(rng: random.Random, end: int) -> int:
    """A place from 0 to ``end``; half of them where headers are."""
    return min(rng.randrange(200), end) if rng.random() < 0.5 else rng.randrange(end + 1)


def _replace_one(rng: random.Random, content: bytes, letters: bytes, new: str) -> bytes:
    """Replaces a run of these letters, often the first ones."""
    start = _place(rng, len(content))
    at = next((i for i in range(start, len(content)) if content[i] in letters), len(content))
    end = at
    while end < len(content) and content[end] in letters:
        end += 1
    return content[:at] + new.encode("utf-8", "surrogatepass") + content[end:]


def _places(value):
    """(holder, key) of every part of a JSON value."""
    if not isinstance(value, dict | list):
        return
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _is_in(holder, key) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)
