"""Trained roles as an ontology file: the same probabilities again, from what a person can edit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from jaxvlm import atoms
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rules import Rules
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import role_file, role_settings, scoring
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, AtomsSettings, PresenceConfig
from jaxvlm.video.one_kind import OneKind
from jaxvlm.video.role_export import export_roles, quoted
from jaxvlm.video.role_model import RoleModel
from tests.atoms.role_fixtures import random_params, small_world
from tests.launch.one_process import run_all

NAMES = ("a: b", "crowd, angry", "door with lock unless open", "fire", "no", "tree #1", "é “x”")
EVENTS = ("fire: big", "riot")


def presence(num_atoms: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    few = (rng.random((400, num_atoms)) < 0.2) * rng.random((400, num_atoms))
    return np.concatenate([few, rng.random((100, num_atoms))]).astype(np.float32)


def with_rules(params: RoleParams) -> RoleParams:
    """A pair, one atom with two counters, and places for rules that there are not."""
    rng = np.random.default_rng(2)
    rules = Rules(
        jnp.array([[[0, 3], [2, -1], [-1, -1]], [[1, -1], [-1, -1], [-1, -1]]]),
        jnp.asarray(rng.normal(0, 3, (2, 3)), jnp.float32),
        jnp.array([[[-1, -1], [5, 1], [-1, -1]], [[3, -1], [0, 0], [-1, -1]]]),
        jnp.asarray(rng.normal(0, 3, (2, 3, 2)), jnp.float32),
    )
    return params._replace(rules=rules)


def model(**fields) -> RoleModel:
    candidates = np.ones((7, 2), np.uint8)
    candidates[6], candidates[4, 0] = 0, 0  # one of no event, one of the second alone
    config = AtomsConfig(
        fps=2.5, presence=PresenceConfig(kind="local"), roles=RoleConfig(temperature=0.5)
    )
    training = {"seed": 3, "videos": 2, "training_videos": ["a/b", "no"]}
    prompts = ("a {}", "the {}: seen"), ("a road", "yes")
    made = RoleModel(random_params(0, 7, 2), NAMES, EVENTS, candidates, config, *prompts, training)
    return made._replace(**fields)


def assert_same(again: RoleModel, made: RoleModel) -> None:
    p = presence(len(made.atoms))
    np.testing.assert_allclose(again.probability(p), made.probability(p), rtol=0, atol=1e-6)
    assert np.ptp(made.logits(p)) > 1.0


PLAIN = random_params(0, 7, 2)
EXTREME = PLAIN._replace(
    theta_direct=12 * PLAIN.theta_direct, theta_indirect=PLAIN.theta_direct - 90
)


@pytest.mark.parametrize(
    "params",
    [
        PLAIN,
        with_rules(PLAIN),
        PLAIN._replace(gamma_explicit=None),
        PLAIN._replace(presence_scale=None, presence_center=None),
        EXTREME,
    ],
    ids=["product", "rules", "no counter", "uncalibrated", "extreme"],
)
@pytest.mark.parametrize("reference", [False, True])
def test_the_file_gives_the_probabilities_again(tmp_path, params, reference):
    form = RoleConfig(temperature=0.5, reference=reference)
    made = model(params=params, config=dataclasses.replace(model().config, roles=form))
    export_roles(made, tmp_path / "roles.yaml")
    again, told = scoring.read_roles("ontology", tmp_path / "roles.yaml", AtomsSettings())
    assert told == []
    assert_same(again, made)
    assert (again.atoms, again.events) == (made.atoms, made.events)
    assert (again.templates, again.neutral_prompts) == (made.templates, made.neutral_prompts)
    assert again.config == made.config and again.training == made.training
    np.testing.assert_array_equal(again.candidates, made.candidates)
    assert again.reasons(presence(7)[:5], "riot") == made.reasons(presence(7)[:5], "riot")


@pytest.mark.parametrize(
    "own", [{"form": "product"}, {"form": "specific"}, {"reference": True}], ids=str
)
def test_trained_roles_come_back(tmp_path, own):
    videos, labels = small_world()
    num_atoms, num_events = videos[0].shape[1], labels.shape[1]
    config = RoleConfig(epochs=6, batch_size=4, freeze_bias_epochs=1, **own)
    params = atoms.train_roles(videos, labels, config=config, seed=1)
    names = tuple(f"atom {n:02d}" for n in range(num_atoms))
    events = tuple(f"event {n}" for n in range(num_events))
    made = RoleModel(params, names, events, config=AtomsConfig(roles=config))
    export_roles(made, tmp_path / "roles.yaml")
    again = role_file.written_roles(tmp_path / "roles.yaml")
    for video in videos:
        np.testing.assert_allclose(again.probability(video), made.probability(video), atol=1e-6)
    assert float(jnp.std(jax.nn.sigmoid(params.theta_direct))) > 0.001
    assert (params.rules is not None) == (own.get("form") == "specific")


def test_what_a_person_changes_counts_as_it_is_written(tmp_path):
    export_roles(model(), tmp_path / "roles.yaml")
    content = yaml.safe_load((tmp_path / "roles.yaml").read_text())
    own = content["events"]["riot"]
    own["direct"] = [{"fire": 0.25}]
    own["rules"] = ["fire with no unless a: b"]
    own["weights"]["bias"] = 1.25
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    params = role_file.written_roles(tmp_path / "mine.yaml").params
    direct = np.asarray(jax.nn.sigmoid(params.theta_direct))[:, 1]
    np.testing.assert_allclose(direct, np.eye(7)[3] * 0.25, atol=1e-7)
    assert params.rules.atoms[1, 0].tolist() == [3, 4] and params.rules.unless[1, 0, 0] == 0
    assert params.bias[1] == 1.25 and params.bias[0] == model().params.bias[0]


def test_written_events_beside_learned_ones_keep_their_calibration(tmp_path):
    kinds = (OneKind("riot", 1, 24, "ontology"), OneKind("flood", 0, 24, "nothing"))
    made = model(one_kind=kinds)
    export_roles(made, tmp_path / "roles.yaml")
    assert (
        "weights" not in (tmp_path / "roles.yaml").read_text().split("riot:")[-1].split("\n\n")[0]
    )
    again = role_file.written_roles(tmp_path / "roles.yaml")
    assert again.one_kind == kinds
    # Of the written event the strengths are kept from 0 and 1, and γ are those of written roles;
    # its presence is read with their calibration, that of the learned one with its own.
    p = presence(7)
    np.testing.assert_allclose(again.probability(p)[:, 0], made.probability(p)[:, 0], atol=1e-6)
    alone = again._replace(
        params=again.params._replace(
            presence_scale=jnp.full(7, 10.0), presence_center=jnp.full(7, 0.5)
        ),
        one_kind=(),
        training={},
    )
    np.testing.assert_allclose(again.probability(p)[:, 1], alone.probability(p)[:, 1], atol=1e-6)
    role_models.save_role_model(tmp_path / "model", again)
    saved = role_models.load_role_model(tmp_path / "model")
    np.testing.assert_array_equal(saved.probability(p), again.probability(p))


def test_settings_are_the_files_and_a_difference_is_told(tmp_path):
    export_roles(model(), tmp_path / "roles.yaml")
    read = role_file.read_role_file
    roles, told = read(tmp_path / "roles.yaml", AtomsSettings(), given={"fps": 5.0})
    assert roles.config.fps == 5 and told == ["fps is 5.0; the roles were trained with 2.5"]
    with pytest.raises(InputError, match="presence.kind=cosine: the role model decides"):
        read(tmp_path / "roles.yaml", AtomsSettings(), given={"presence.kind": "cosine"})
    text = (tmp_path / "roles.yaml").read_text().replace("fps: 2.5", "fps: -1")
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=r"bad.yaml: settings: config fps=-1.0: must be above 0"):
        read(tmp_path / "bad.yaml", AtomsSettings())
    with pytest.raises(InputError, match="no list of events"):
        (tmp_path / "bad.yaml").write_text(text.replace("seed: 3", "one_kind: [3]"))
        role_file.check_trained(
            tmp_path / "bad.yaml",
            load_ontology(tmp_path / "bad.yaml")._replace(
                trained=load_ontology(tmp_path / "bad.yaml").trained._replace(settings=None)
            ),
        )


def test_the_encoder_of_the_training_is_asked_for(tmp_path):
    known = {"embedding_dimension": 8, "weights_sha256": "00"}
    export_roles(model(training={"clip": known}), tmp_path / "roles.yaml")
    roles = role_file.written_roles(tmp_path / "roles.yaml")
    with pytest.raises(InputError, match="trained with another encoder"):
        role_models.check_encoder(roles, {"embedding_dimension": 8, "weights_sha256": "11"})
    given = role_settings.flat(roles.config)["presence.kind"]
    assert given == "local"


def test_names_that_no_ontology_can_hold_are_refused(tmp_path):
    twice = ("The fire", *NAMES[1:])
    with pytest.raises(InputError, match=r"cannot be written as an ontology file: the atom"):
        export_roles(model(atoms=twice), tmp_path / "roles.yaml")
    assert not (tmp_path / "roles.yaml").exists()


@pytest.mark.parametrize("name", ["fire", "no", "12", "1e3", "a: b", "- a", "#x", "é", "a, b", "~"])
def test_any_name_is_quoted_as_it_has_to_be(name):
    assert yaml.safe_load(f"- {quoted(name)}: 1") == [{name: 1}]
    assert yaml.safe_load(f"[{quoted(name)}]") == [name]


def test_program(tmp_path):
    role_models.save_role_model(tmp_path / "model", model(params=with_rules(PLAIN)))
    done = run_all(
        {
            "good": ["export_roles", "--roles=model", "--out=roles.yaml"],
            "check": ["check_ontology", "--ontology=roles.yaml"],
            "missing": ["export_roles", "--roles=none", "--out=other.yaml"],
        },
        cwd=tmp_path,
    )
    last = done["good"].stdout.splitlines()[-1]
    assert done["good"].returncode == 0 and last == "2 events, 33 strengths, 3 rules: roles.yaml"
    assert done["check"].returncode == 0 and "3 rules" in done["check"].stdout
    assert done["missing"].stderr.startswith("error: none: no such folder")
