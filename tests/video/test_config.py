"""Settings: what cannot be is refused by name, and what is written comes back."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import default, reference, world
from jaxvlm.atoms.training import RoleConfig
from jaxvlm.command import cli
from jaxvlm.errors import InputError
from jaxvlm.video import config
from jaxvlm.video.config import AtomsConfig, RoleSettings


@pytest.mark.parametrize(
    ("field", "value", "cure"),
    [
        ("presence.kind", "contrats", "contrast or cosine or local"),
        ("presence.reference", "median", "log_mean_exp or max"),
        ("segments.weighting", "mean", "running_mean or point or recurrent"),
        ("segments.window", 0, "above 0"),
        ("presence.patches", 0, "above 0"),
        ("fps", 0.0, "above 0"),
        ("fps", float("nan"), "above 0"),
        ("batch_size", -1, "measured"),
        ("presence.lambda_atoms", 1.5, r"in \[0, 1\]"),
        ("presence.lambda_resemble", -0.1, r"in \[0, 1\]"),
        ("presence.guard", float("nan"), r"in \[0, 1\]"),
        ("boundary.delta", "automatic", "neither a number nor auto nor learned"),
        ("boundary.kappa", "", "neither a number nor auto nor learned"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_with_its_field(field, value, cure):
    wrong = cli.override(AtomsConfig(), {field: value})
    with pytest.raises(InputError, match=cure) as caught:
        config.check(wrong)
    assert f"config {field}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("get_config", [default.get_config, reference.get_config, world.get_config])
def test_the_shipped_configs_pass(get_config):
    made = get_config()
    assert config.check(made) is made
    assert get_config() is not made  # flags change it


def test_the_reference_config_is_the_prototype():
    made = reference.get_config()
    assert made.presence.kind == "cosine" and made.roles.reference
    assert not made.presence.renormalize and not made.segments.normalize


@pytest.mark.parametrize(
    ("text", "value"), [("0.6", 0.6), ("-1", -1.0), ("auto", "auto"), ("learned", "learned")]
)
def test_thresholds(text, value):
    assert config.threshold("boundary.delta", text) == value


SETTINGS = st.builds(
    AtomsConfig,
    fps=st.floats(0.1, 30),
    batch_size=st.integers(0, 100),
    presence=st.builds(
        config.PresenceConfig,
        kind=st.sampled_from(["contrast", "cosine", "local"]),
        renormalize=st.booleans(),
        guard=st.floats(0, 1),
    ),
    boundary=st.builds(config.BoundaryConfig, delta=st.sampled_from(["auto", "0.25", "learned"])),
    segments=st.builds(config.SegmentConfig, window=st.integers(1, 50), normalize=st.booleans()),
    roles=st.builds(
        RoleSettings,
        epochs=st.integers(1, 99),
        rho_l1=st.none() | st.floats(0, 1),
        counter=st.sampled_from(["explicit", "absence"]),
    ),
)


@settings(deadline=None)
@given(SETTINGS)
def test_a_config_comes_back_from_json(chosen):
    value = dataclasses.asdict(chosen)
    assert config.from_dict(value) == chosen
    assert config.from_dict(json.loads(json.dumps(value))) == chosen


def test_from_dict_checks():
    value = dataclasses.asdict(AtomsConfig())
    value["segments"]["window"] = 0
    with pytest.raises(InputError, match="segments.window=0"):
        config.from_dict(value)


@settings(deadline=None)
@given(SETTINGS)
def test_role_settings_are_the_frozen_ones_open_to_flags(chosen):
    frozen = config.role_config(chosen)
    assert isinstance(frozen, RoleConfig) and hash(frozen) == hash(config.role_config(chosen))
    assert dataclasses.asdict(frozen) == dataclasses.asdict(chosen.roles)


def test_the_defaults_are_those_of_training():
    assert config.role_config(AtomsConfig()) == RoleConfig()
    one, other = AtomsConfig(), AtomsConfig()
    one.presence.kind = "cosine"
    assert other.presence.kind == "contrast"  # no shared parts
