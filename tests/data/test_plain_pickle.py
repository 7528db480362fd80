"""Pickles as data: what plain values survive, and that nothing in a file is ever called."""

import os
import pickle
import struct
from collections import Counter, OrderedDict, namedtuple
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from jaxvlm.data import plain_pickle
from jaxvlm.data.plain_pickle import PickleError

leaves = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**300), 2**300)
    | strategies.floats(allow_nan=False)
    | strategies.text()
)
keys = strategies.text() | strategies.integers() | strategies.tuples(strategies.text())
values = strategies.recursive(
    leaves,
    lambda inner: (
        strategies.lists(inner)
        | strategies.dictionaries(keys, inner)
        | strategies.tuples(inner, inner, inner, inner)
    ),
    max_leaves=20,
)


@hypothesis.given(values, strategies.sampled_from([2, 4, 5]))
@hypothesis.settings(deadline=None, max_examples=150)
def test_plain_values_come_back(value, protocol):
    assert plain_pickle.loads(pickle.dumps(value, protocol)) == value


def test_sets_come_back_unless_they_are_a_call():
    assert plain_pickle.loads(pickle.dumps({"a", "b"}, 4)) == {"a", "b"}
    with pytest.raises(PickleError, match="set'"):  # as protocol 2 writes them
        plain_pickle.loads(pickle.dumps({"a", "b"}, 2))


@hypothesis.given(strategies.binary(max_size=60) | values.map(lambda v: pickle.dumps(v, 4)[:-3]))
@hypothesis.settings(deadline=None, max_examples=300)
def test_senseless_bytes_end_in_one_error(code):
    try:
        plain_pickle.loads(code)
    except PickleError as error:
        assert str(error) and "\n" not in str(error)


class Evil:
    """Calls whatever it is given when it is unpickled."""

    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


class Stateful:
    pass


Point = namedtuple("Point", "x")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_no_call_is_made(tmp_path, protocol):
    mark = tmp_path / "ran"
    for call in ((os.system, f"touch {mark}"), (Path.touch, mark), (eval, "1"), (dict,)):
        with pytest.raises(PickleError):
            plain_pickle.loads(pickle.dumps([Evil(*call)], protocol))
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(os.mkdir, str(mark)), protocol))  # the same by Python itself
    assert mark.exists()


@pytest.mark.parametrize("value", [Stateful(), Point(1), Counter("ab"), len, Stateful, b"bytes"])
def test_objects_are_refused(value):
    with pytest.raises(PickleError, match="no data"):
        plain_pickle.loads(pickle.dumps({"a": value}, 4))


def test_only_named_functions_are_called_and_only_as_functions():
    ordered = OrderedDict(a=1)
    code = pickle.dumps(ordered, 2)
    with pytest.raises(PickleError, match="names 'collections.OrderedDict'"):
        plain_pickle.loads(code)
    assert plain_pickle.loads(code, functions={"collections.OrderedDict": dict}) == {"a": 1}
    # A value that the caller knows but did not give as a function cannot be called.
    code = b"\x80\x02cmodule\nname\n)R."
    with pytest.raises(PickleError, match="uses a type as a Function"):
        plain_pickle.loads(code, constants={"module.name": dict})
    # Nor can a function be what another one is called with.
    with pytest.raises(PickleError, match="uses a _Function as a tuple"):
        plain_pickle.loads(b"\x80\x02cm\nf\ncm\nf\nR.", functions={"m.f": lambda *args: args})
    # Neither can a state be set on anything but a dict.
    with pytest.raises(PickleError, match="uses a list as a dict"):
        plain_pickle.loads(b"\x80\x02]}b.")
    with pytest.raises(PickleError, match="BINPERSID"):
        plain_pickle.loads(b"\x80\x02K\x01Q.")


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x05\x96" + struct.pack("<Q", 2**62),  # BYTEARRAY8 of 4 EiB
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62),  # BINUNICODE8
        b"\x80\x02X" + struct.pack("<I", 2**32 - 1),
        b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1),  # LONG4
        b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b"0",  # a memo of 4 billion
    ],
)
def test_declared_sizes_are_not_believed(code):
    with pytest.raises(PickleError):
        plain_pickle.loads(code)


DOUBLING = b"K\x01\x85q\x00" + b"h\x00h\x00\x86q\x00" * 60  # 2**60 values by reference
BOMBS = {
    "nested tuple as a key": (b"})" + b"\x85" * 1_000_000 + b"Ns.", "uses a tuple as a key"),
    "tuple in a tuple as a key": (b"})\x85\x85Ns.", "uses a tuple as a key"),
    "nested lists": (b"]" * 100_001 + b"a" * 100_000 + b".", "nested in itself, or over 100 deep"),
    "itself": (b"]q\x00h\x00a.", "nested in itself"),
    "doubling": (DOUBLING + b".", "repeats its values over 16,777,216 times"),
    "opcodes": (b"](" + b"K\x01" * 2**22 + b"e.", "has over 4,194,304 opcodes"),
    "bytes": (b"X" + struct.pack("<I", 2**26) + b"a" * 2**26 + b".", "pickle of over 67,108,864"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name):
    code, cause = BOMBS[name]
    with pytest.raises(PickleError, match=cause):
        plain_pickle.loads(b"\x80\x02" + code)


def test_what_is_shared_is_read():
    shared = ["a"] * 1000
    value = {"one": [shared] * 90, (1, "two"): (shared, shared)}
    assert plain_pickle.loads(pickle.dumps(value, 2)) == value
