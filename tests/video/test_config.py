"""Settings: what cannot be is refused by name, and what is written comes back."""

import dataclasses
import json

import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import config_flags

from configs import default, reference, world
from jaxvlm import resources
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.command import cli
from jaxvlm.errors import InputError
from jaxvlm.video import config
from jaxvlm.video.config import AtomsConfig, AtomsSettings
from jaxvlm.video.role_model import load_role_model


@pytest.mark.parametrize(
    ("field", "value", "cure"),
    [
        ("presence.kind", "contrats", "contrast or cosine or local or sparse"),
        ("presence.penalty", 0.0, "above 0"),
        ("boundary.divergence", "max", "mean or sum"),
        ("presence.reference", "median", "log_mean_exp or max"),
        ("segments.weighting", "mean", "running_mean or point or recurrent"),
        ("segments.window", 0, "above 0"),
        ("presence.patches", 0, "above 0"),
        ("fps", 0.0, "above 0"),
        ("fps", float("nan"), "not finite"),
        ("fps", float("inf"), "not finite"),
        ("batch_size", 10**8, "from 0 to 65,536"),
        ("roles.batch_size", 0, "from 1 to 65,536"),
        ("boundary.delta", "nan", "neither a number"),
        ("boundary.kappa", "1e999", "neither a number"),
        ("batch_size", -1, "measured"),
        ("presence.lambda_atoms", 1.5, r"in \[0, 1\]"),
        ("presence.lambda_resemble", -0.1, r"in \[0, 1\]"),
        ("presence.guard", float("nan"), "not finite"),
        ("boundary.delta", "automatic", "neither a number nor auto nor learned"),
        ("boundary.kappa", "", "neither a number nor auto nor learned"),
        ("boundary.kappa", 8.0, "not of type str"),
        ("roles.counter", "none", "explicit or absence"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_with_its_field(field, value, cure):
    wrong = cli.override(AtomsSettings(), {field: value})
    with pytest.raises(InputError, match=cure) as caught:
        config.check(wrong)
    assert f"config {field}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("get_config", [default.get_config, reference.get_config, world.get_config])
def test_the_shipped_configs_pass_and_are_frozen(get_config):
    made = get_config()
    checked = config.check(made)
    assert dataclasses.asdict(checked) == dataclasses.asdict(made)
    assert hash(checked) == hash(config.check(made))
    with pytest.raises(dataclasses.FrozenInstanceError):
        checked.fps = 2.0
    made.presence.patches = 5  # as a flag does
    assert get_config().presence.patches == checked.presence.patches == 3


def test_the_reference_config_is_the_prototype():
    made = reference.get_config()
    assert made.presence.kind == "cosine" and made.roles.reference
    assert not made.presence.renormalize and not made.segments.normalize
    assert made.boundary == type(made.boundary)("0.6", "8.0", "sum")


def test_a_boundary_of_before_there_was_a_choice_is_of_the_sum():
    """Role models and pipelines name δ and κ of ‖Δp‖²; as a mean over atoms they would not fire."""
    old = json.loads(json.dumps(dataclasses.asdict(AtomsConfig())))
    old["boundary"] = {"delta": "0.6", "kappa": "8.0"}
    assert config.check(old).boundary == config.BoundaryConfig("0.6", "8.0", "sum")
    assert config.check({"fps": 2.0}).boundary == config.BoundaryConfig()
    embedded = load_role_model(resources.path("checkpoints/roles"))
    assert embedded.config.boundary.divergence == "sum"


@pytest.mark.parametrize(
    ("text", "value"), [("0.6", 0.6), ("-1", -1.0), ("auto", "auto"), ("learned", "learned")]
)
def test_thresholds(text, value):
    assert config.threshold("boundary.delta", text) == value


CONFIGS = st.builds(
    AtomsConfig,
    fps=st.floats(0.1, 30),
    batch_size=st.integers(0, 100),
    presence=st.builds(
        config.PresenceConfig,
        kind=st.sampled_from(["contrast", "cosine", "local", "sparse"]),
        renormalize=st.booleans(),
        guard=st.floats(0, 1),
    ),
    boundary=st.builds(config.BoundaryConfig, delta=st.sampled_from(["auto", "0.25", "learned"])),
    segments=st.builds(config.SegmentConfig, window=st.integers(1, 50), normalize=st.booleans()),
    roles=st.builds(
        RoleConfig,
        epochs=st.integers(1, 99),
        rho_l1=st.none() | st.floats(0, 1),
        counter=st.sampled_from(["explicit", "absence"]),
    ),
)


@settings(deadline=None)
@given(CONFIGS)
def test_a_config_comes_back_from_json(chosen):
    value = json.loads(json.dumps(dataclasses.asdict(chosen)))
    assert config.check(value) == chosen


def test_a_choice_of_words_is_a_flag(monkeypatch):
    line = ["program", "--config.roles.counter=absence", "--config.presence.kind=local"]
    monkeypatch.setattr("sys.argv", line)  # where config_flags looks for fields
    values = flags.FlagValues()
    path = str(resources.path("configs/default.py"))
    config_flags.DEFINE_config_file("config", path, flag_values=values)
    values(line)
    made = config.check(values.config)
    assert (made.roles.counter, made.presence.kind) == ("absence", "local")


def test_the_settings_open_to_flags_have_the_defaults_of_the_frozen_config():
    assert config.check(AtomsSettings()) == AtomsConfig()
    one, other = AtomsSettings(), AtomsSettings()
    one.presence.kind = "cosine"
    assert other.presence.kind == "contrast"  # no shared parts


@pytest.mark.parametrize(
    ("told", "given", "added"),
    [
        ({}, (), {}),
        ({"delta": "0.7"}, (), {"divergence": "sum", "kappa": "8.0"}),
        ({"kappa": "5"}, (), {"divergence": "sum", "delta": "0.6"}),
        ({"delta": "0.6", "kappa": "8.0"}, (), {"divergence": "sum"}),
        ({"delta": "auto"}, (), {}),
        ({"delta": "0.7"}, ("boundary.divergence",), {}),
        ({"delta": "0.7"}, ("boundary.kappa",), {"divergence": "sum"}),
    ],
)
def test_the_prototypes_flags_mean_the_prototypes_boundary(told, given, added):
    def fields(values):
        return {f"boundary.{name}": value for name, value in values.items()}

    values = fields({"delta": None, "kappa": None} | told)
    found = config.with_prototype_boundary(values, given)
    assert found == values | fields(added)
