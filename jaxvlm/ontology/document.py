"""YAML and JSON as plain data, with the line that each part stands on, for messages that help."""

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from jaxvlm import bounded_json, bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded

MAX_BYTES = bounds.YAML_BYTES
MAX_PARTS = bounds.YAML_PARTS
_MAX_BITS = 333  # of a whole number: bounded_json.MAX_DIGITS digits

Place = tuple[Hashable, ...]  # the keys and list indices that lead to a part


class Document(NamedTuple):
    """A file's content; the lines of its parts, from 1; keys that are there twice or no name."""

    content: Any
    lines: dict[Place, int]
    bad_keys: list[tuple[Place, str]]  # (place, cause; cure)

    def line(self, place: Place) -> int | None:
        """The line of a part, or of the nearest one around it whose line is known."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place) if place else None


def read_document(path: Path, *, what: str = "ontology") -> Document:
    """Reads a YAML or JSON file; of a key that is there twice the first counts. what: it should be.

    Raises:
      InputError: no such file, neither YAML nor JSON, or out of bounds: MAX_BYTES, MAX_PARTS when
        aliases are written out, and those of `bounded_json`.
    """
    content = read_bounded(path, MAX_BYTES, cure=f"shorten the {what}")
    try:
        text = content.decode("utf-8-sig")
        is_json = path.suffix.lower() == ".json" or _parses_as_json(path, text)
        return _read_json(path, text) if is_json else _read_yaml(text)
    except InputError:
        raise
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        told = f"line {line}: the character {error.character:#x}, which YAML does not have"
        raise InputError(f"{path}: not valid YAML or JSON ({told}); correct the file") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML or JSON ({cause}); correct the file") from None


def _parses_as_json(path: Path, text: str) -> bool:
    """A run folder's ontology.yaml may be a copy of a JSON file, whose tabs YAML refuses."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        bounded_json.parse(text, path)
    except InputError:
        return False
    return True


def _read_json(path: Path, text: str) -> Document:
    bounded_json.parse(text, path)
    bad: list[tuple[Place, str]] = []

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in pairs:
            if key in mapping:
                bad.append(((), _twice(key)))
            mapping.setdefault(key, value)
        return mapping

    content = json.loads(text, object_pairs_hook=unique)
    try:  # nearly all JSON is YAML, but for tabs, and the YAML parser knows lines
        known = _read_yaml(text.replace("\t", " "))
    except (yaml.YAMLError, ValueError):
        return Document(content, {}, bad)
    return Document(content, known.lines, known.bad_keys)


def _read_yaml(text: str) -> Document:
    loader = yaml.SafeLoader(text)  # builds plain data only
    lines: dict[Place, int] = {}
    bad: list[tuple[Place, str]] = []
    built: dict[int, Any] = {}  # by node: an alias is the same node again

    def build(node: yaml.Node, place: Place) -> Any:
        if len(place) > bounded_json.MAX_DEPTH:
            raise _too_deep(node.start_mark.line + 1)
        lines.setdefault(place, node.start_mark.line + 1)
        if id(node) not in built:
            built[id(node)] = None  # what an alias inside its own anchor finds
            built[id(node)] = construct(node, place)
        return built[id(node)]

    def scalar(node: yaml.Node) -> Any:
        try:
            value = loader.construct_object(node, deep=True)
        except ValueError as error:  # a number or date that there is not, such as 2001-13-01
            digits = "a whole number of too many digits" if "digits" in str(error) else str(error)
            raise ValueError(f"line {node.start_mark.line + 1}: {digits}") from None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            told = f"a whole number of {value.bit_length()} bits"
            raise ValueError(f"line {node.start_mark.line + 1}: {told}")
        return value

    def construct(node: yaml.Node, place: Place) -> Any:
        if node.tag == yaml.resolver.BaseResolver.DEFAULT_SEQUENCE_TAG:
            return [build(item, (*place, i)) for i, item in enumerate(node.value)]
        if node.tag != yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG:
            return scalar(node)
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = scalar(key_node)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                lines[(*place, "no name", line)] = line
                told = f"{key!r} is no name; write a text before the colon"
                bad.append(((*place, "no name", line), told))
                continue
            here = (*place, key)
            if key in mapping:
                lines[(*here, "again")] = line
                bad.append(((*here, "again"), _twice(key)))
            else:
                lines[here] = line
                mapping[key] = build(value_node, here)
        return mapping

    try:
        node = loader.get_single_node()
        if node is not None:
            _parts(node, {})
        return Document(None if node is None else build(node, ()), lines, bad)
    except RecursionError:
        raise _too_deep(_deep_line(text)) from None
    finally:
        loader.dispose()


def _parts(node: yaml.Node, counts: dict[int, int]) -> int:
    """How many parts a node has, itself and an alias at every place of it. Raises ValueError, with
    the line of the first node of more than MAX_PARTS."""
    if id(node) not in counts:
        counts[id(node)] = 0  # for an alias inside its own anchor
        inner = node.value if isinstance(node.value, list) else []
        parts = [each for pair in inner for each in (pair if isinstance(pair, tuple) else (pair,))]
        counts[id(node)] = 1 + sum(_parts(each, counts) for each in parts)
        if counts[id(node)] > MAX_PARTS:
            told = f"more than {MAX_PARTS:,} parts when its aliases are written out"
            raise ValueError(f"line {node.start_mark.line + 1}: {told}")
    return counts[id(node)]


def _too_deep(line: int) -> ValueError:
    return ValueError(f"line {line}: nested too deep, more than {bounded_json.MAX_DEPTH} levels")


def _deep_line(text: str) -> int:
    """The line of the first list or mapping that is too deep; the parser itself does not recur."""
    depth, line = 0, 1
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > bounded_json.MAX_DEPTH:
            break
    return line


def _twice(key: Any) -> str:
    return f"the key {key!r} is there twice; remove one"
