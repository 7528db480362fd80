"""A frozen config, the same open to flags, and the way back."""

import dataclasses
from typing import Literal

import pytest

from jaxvlm import settings
from jaxvlm.errors import InputError


@dataclasses.dataclass(frozen=True)
class PartConfig:
    kind: Literal["one", "two"] = "one"
    weight: float | None = None


@dataclasses.dataclass(frozen=True)
class WholeConfig:
    count: int = 3
    rate: float = 0.5
    is_on: bool = True
    part: PartConfig = PartConfig()
    weights: tuple[float, ...] = (1.0,)


def test_what_is_open_has_the_fields_and_defaults_and_freezes_again():
    opened = settings.open_to_flags(WholeConfig)
    assert opened.__name__ == "WholeSettings"
    value = opened()
    assert dataclasses.asdict(value) == dataclasses.asdict(WholeConfig())
    value.part.kind, value.part.weight, value.rate = "two", 2.5, 1
    frozen = settings.freeze(WholeConfig, value)
    assert frozen == WholeConfig(rate=1, part=PartConfig("two", 2.5))
    assert opened() != value  # parts are not shared
    types = {field.name: field.type for field in dataclasses.fields(type(value.part))}
    assert types["kind"] is str  # flags know no Literal


def test_a_part_has_the_defaults_that_the_whole_has_for_it():
    @dataclasses.dataclass(frozen=True)
    class OtherConfig:
        part: PartConfig = PartConfig("two", 7.0)

    opened = settings.open_to_flags(OtherConfig)
    assert settings.freeze(OtherConfig, opened()) == OtherConfig()
    assert (opened().part.kind, opened().part.weight) == ("two", 7.0)
    read = settings.freeze(OtherConfig, {"part": {"weight": 1.0}})
    assert read.part == PartConfig("two", 1.0)
    with pytest.raises(InputError, match="config part.weigth: no such setting"):
        settings.freeze(OtherConfig, {"part": {"weigth": 1.0}})


def test_a_list_of_json_becomes_a_tuple():
    frozen = settings.freeze(WholeConfig, {"weights": [1, 0.5]})
    assert frozen.weights == (1, 0.5) and hash(frozen)


def test_a_whole_number_of_a_float_is_a_float():
    frozen = settings.freeze(WholeConfig, {"rate": 2**31, "part": {"weight": 2}, "count": 2})
    assert (type(frozen.rate), type(frozen.part.weight), type(frozen.count)) == (float, float, int)


def test_what_is_left_out_has_its_default():
    assert settings.freeze(WholeConfig, {"part": {"weight": 1}}) == WholeConfig(
        part=PartConfig(weight=1)
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"count": 1.5}, "config count=1.5: not of type int"),
        ({"count": True}, "config count=True: not of type int"),
        ({"count": "3"}, "config count=3: not of type int"),
        ({"rate": None}, "config rate=None: not of type float"),
        ({"is_on": 1}, "config is_on=1: not of type bool"),
        ({"part": {"weight": "heavy"}}, r"config part.weight=heavy: not of type float \| None"),
        ({"part": {"kind": ["one"]}}, "unknown; use one or two"),
        ({"part": {"kid": "one"}}, "config part.kid: no such setting"),
        ({"part": 3}, "config part=3: not a table"),
        ({"weights": 1.0}, r"config weights=1.0: not of type tuple\[float, ...\]"),
        ({"weights": [1.0, "2"]}, r"not of type tuple\[float, ...\]"),
        ([1], r"config \[1\]: not a table"),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_field(values, says):
    with pytest.raises(InputError, match=says) as caught:
        settings.freeze(WholeConfig, values)
    assert "\n" not in str(caught.value) and ";" in str(caught.value)
