"""Pickles read as data: an interpreter of the opcodes that build plain values, and of no others.

`pickle.Unpickler` can be kept from importing what a file names, but still calls `__setstate__`
and allocates what a file declares. Here nothing is imported, nothing is called but the functions
that the caller names, and nothing is allocated that the file does not hold.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxvlm import bounds

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set, "EMPTY_TUPLE": tuple}
_ARGUMENTS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEYS = (str, int, float, bool, type(None))  # Python hashes a deep tuple until the stack overflows
# A checkpoint's list of tensors, and 150,000 words, take 2 MB and 300,000 opcodes.
MAX_BYTES = bounds.PICKLE_BYTES
_MAX_OPCODES = bounds.PICKLE_OPCODES
_MAX_DEPTH = bounds.PICKLE_DEPTH
_MAX_VALUES = bounds.PICKLE_VALUES


class PickleError(ValueError):
    """Why a pickle is not plain data, in a few words without the file's name."""


class _Function(NamedTuple):
    """A function that the caller named, on the stack: it can be called and nothing else."""

    call: Callable[..., Any]


def loads(
    code: bytes,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    constants: Mapping[str, Any] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value of a pickle of dicts, lists, tuples, sets, text, numbers, True, False and None.

    Args:
      code: the pickle, protocol 2 or newer; what follows its end is not read.
      functions: by "module.name", what the pickle may call in place of what it names. A state
        that is set on a dict afterwards (as OrderedDict has) is left out.
      constants: by "module.name", what stands for a name that is only mentioned.
      persistent: gives the value of a persistent id.

    Raises:
      PickleError: an opcode or a name that is not data; truncated or senseless bytes; values that
        are nested deep, hold themselves, or repeat each other without end; a pickle larger than any
        that is needed. What the given functions raise passes through if it is a PickleError.
    """
    if len(code) > MAX_BYTES:
        raise PickleError(f"is a pickle of over {MAX_BYTES:,} bytes")
    functions, constants = functions or {}, constants or {}
    stack: list[Any] = []
    marked: list[list[Any]] = []  # the stacks below each mark
    memo: dict[int, Any] = {}

    def named(name: str) -> Any:
        if name in functions:
            return _Function(functions[name])
        if name in constants:
            return constants[name]
        raise PickleError(f"names {name[:80]!r}, which is no data and is not loaded")

    def since_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, marked.pop()
        return items

    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(code)):
            if number == _MAX_OPCODES:
                raise PickleError(f"has over {_MAX_OPCODES:,} opcodes")
            match opcode.name:
                case "PROTO" | "FRAME":
                    pass
                case name if name in _CONSTANTS:
                    stack.append(_CONSTANTS[name])
                case name if name in _EMPTY:
                    stack.append(_EMPTY[name]())
                case name if name in _ARGUMENTS:
                    stack.append(argument)
                case "MARK":
                    marked.append(stack)
                    stack = []
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "TUPLE":
                    items = since_mark()
                    stack.append(tuple(items))
                case name if name in _TUPLES:
                    count = _TUPLES[name]
                    stack[-count:] = [_exactly(stack, count)]
                case "APPEND":
                    item = stack.pop()
                    _require(stack[-1], list).append(item)
                case "APPENDS":
                    items = since_mark()
                    _require(stack[-1], list).extend(items)
                case "ADDITEMS":
                    items = since_mark()
                    _require(stack[-1], set).update(map(_key, items))
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _require(stack[-1], dict)[_key(key)] = value
                case "SETITEMS":
                    items = since_mark()
                    pairs = zip(map(_key, items[::2]), items[1::2], strict=True)
                    _require(stack[-1], dict).update(pairs)
                case "GLOBAL":
                    stack.append(named(argument.replace(" ", ".", 1)))
                case "STACK_GLOBAL":
                    name, module = stack.pop(), stack.pop()
                    stack.append(named(f"{module}.{name}"))
                case "REDUCE":
                    arguments = _require(stack.pop(), tuple)
                    stack.append(_require(stack.pop(), _Function).call(*arguments))
                case "BUILD":
                    stack.pop()
                    _require(stack[-1], dict)
                case "BINPERSID" if persistent is not None:
                    stack.append(persistent(stack.pop()))
                case "STOP":
                    return _checked(stack.pop())
                case name:
                    raise PickleError(f"holds the opcode {name}, which is no data")
    except PickleError:
        raise
    # Of senseless bytes: an empty stack or memo, a key that cannot be one, wrong arguments.
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise PickleError(f"is damaged ({' '.join(str(error).split())[:120]})") from None
    raise PickleError("has no end")


def _require(value: Any, kind: type) -> Any:
    # Exactly: a _Function is a tuple, too.
    if type(value) is not kind:
        raise PickleError(f"uses a {type(value).__name__} as a {kind.__name__.strip('_')}")
    return value


def _exactly(stack: list[Any], count: int) -> tuple:
    if len(stack) < count:
        raise PickleError("is damaged (the stack is empty)")
    return tuple(stack[-count:])


def _key(value: Any) -> Any:
    if any(type(part) not in _KEYS for part in (value if type(value) is tuple else (value,))):
        raise PickleError(f"uses a {type(value).__name__.strip('_')} as a key")
    return value


def _checked(value: Any) -> Any:
    """The value, once it is sure that whoever walks through it comes to an end."""
    sizes: dict[int, int] = {}  # of each container, what it holds at all depths
    path: list[tuple[Any, list[Any]]] = []  # the containers that are walked through, what is left
    inside: set[int] = set()

    def enter(container: Any) -> None:
        items = [*container.keys(), *container.values()] if type(container) is dict else container
        path.append((container, [item for item in items if type(item) in _CONTAINERS]))
        inside.add(id(container))
        sizes[id(container)] = 1 + len(container)

    if type(value) in _CONTAINERS:
        enter(value)
    while path:
        container, left = path[-1]
        if left:
            item = left[-1]
            if id(item) in inside or len(path) > _MAX_DEPTH:
                raise PickleError(f"is nested in itself, or over {_MAX_DEPTH} deep")
            if id(item) not in sizes:
                enter(item)
                continue
            left.pop()
            sizes[id(container)] += sizes[id(item)]
            if sizes[id(container)] > _MAX_VALUES:
                raise PickleError(f"repeats its values over {_MAX_VALUES:,} times")
        else:
            inside.discard(id(container))
            path.pop()
    return value


_CONTAINERS = (dict, list, tuple, set)
