"""Which settings still apply where roles are given, which the roles decide, and what is told."""

import dataclasses

import numpy as np
import pytest

from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.errors import InputError
from jaxvlm.video import role_settings
from jaxvlm.video.config import AtomsConfig, AtomsSettings, SegmentConfig
from jaxvlm.video.role_model import RoleModel

OWN = AtomsConfig(fps=2.0, segments=SegmentConfig(window=7))
ROLES = RoleModel(
    roles_from_strengths(*np.full((3, 1, 1), 0.5)), ("smoke",), ("fire",), config=OWN,
    training={"seed": 0},
)  # fmt: skip


def apply(file=None, captions=False, **given):
    fields = {name.replace("__", "."): value for name, value in given.items()}
    return role_settings.of_trained_roles(ROLES, file, fields, captions=captions)


def test_what_can_apply_applies_and_is_told():
    roles, told = apply(fps=0.5, boundary__delta="auto", segments__window=3, batch_size=4)
    assert (roles.config.fps, roles.config.boundary.delta) == (0.5, "auto")
    assert (roles.config.segments.window, roles.config.batch_size) == (3, 4)
    assert told == [
        "fps is 0.5; the roles were trained with 2.0",
        "boundary.delta is auto; the roles were trained with 0.02",
        "segments.window is 3; the roles were trained with 7",
    ]
    assert apply(fps=2.0) == (ROLES, []), "what it is anyway is no difference"


@pytest.mark.parametrize(
    "field, value, cause",
    [
        ("presence__kind", "cosine", "the role model decides .--roles: contrast"),
        ("presence__kind", "contrast", "the role model decides"),  # given, though it is so
        ("roles__epochs", 3, "the role model decides .--roles: 60"),
        ("presence__guard", 0.1, "no captions .* --qwen_json"),
        ("boundary__delta", "learned", "train-role-learning learns it"),
        ("boundary__delta", "banana", "neither a number"),
        ("segments__window", "3", "not of type int"),
        ("windows", 3, "no such setting"),
    ],
)
def test_what_cannot_apply_is_refused_and_what_decides_is_named(field, value, cause):
    with pytest.raises(InputError, match=cause):
        apply(**{field: value})


def test_of_a_whole_config_what_differs_counts():
    same = dataclasses.replace(OWN, roles=dataclasses.replace(OWN.roles, epochs=3))
    assert apply(file=same) == (ROLES, [])
    slow = dataclasses.replace(OWN, fps=1.0)
    roles, told = apply(file=slow)
    assert roles.config.fps == 1.0 and told == ["fps is 1.0; the roles were trained with 2.0"]
    other = dataclasses.replace(OWN, presence=dataclasses.replace(OWN.presence, kind="cosine"))
    with pytest.raises(InputError, match="presence.kind=cosine: the role model decides"):
        apply(file=other)


def test_captions_make_their_weights_apply():
    roles, told = apply(captions=True, presence__lambda_atoms=0.5)
    assert roles.config.presence.lambda_atoms == 0.5 and len(told) == 1


@pytest.mark.parametrize(
    "given, cause",
    [
        ({"roles.epochs": 3}, "not trained"),
        ({"presence.guard": 0.1}, "no captions"),
        ({"presence.patches": 2}, "presence.kind=contrast looks at no patches"),
        ({"boundary.kappa": "learned"}, "train-role-learning learns it"),
    ],
)
def test_written_roles_refuse_what_would_do_nothing(given, cause):
    values = role_settings.nested(role_settings.flat(AtomsSettings()) | given)
    with pytest.raises(InputError, match=cause):
        role_settings.of_written_roles(values, given, captions=False)
    free = {"fps": 3.0, "presence.kind": "cosine", "roles.temperature": 1.0}
    values = role_settings.nested(role_settings.flat(AtomsSettings()) | free)
    config = role_settings.of_written_roles(values, free, captions=False)
    assert (config.fps, config.presence.kind, config.roles.temperature) == (3.0, "cosine", 1.0)
