import numpy as np
import pytest

from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_fits import refit_rules
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import role_model, role_rules, role_sentences
from jaxvlm.video.config import AtomsConfig
from tests.atoms.test_rule_start import LABELS, VIDEOS

ONTOLOGY = """
events:
  crash: [car, truck, glass, skid]
"""
CAR, GLASS, SKID, TRUCK = range(4)  # atoms are sorted


def rules_of(*rows: tuple[tuple[int, ...], tuple[int, ...], float]) -> Rules:
    """(atoms, counters, strength) of one event; counters hold it back for sure."""
    atoms = np.full((1, len(rows), 2), NOBODY, np.int32)
    unless = np.full((1, len(rows), 1), NOBODY, np.int32)
    for r, (own, counters, _) in enumerate(rows):
        atoms[0, r, : len(own)], unless[0, r, : len(counters)] = own, counters
    strength = np.array([[row[2] for row in rows]])
    theta = np.log(strength) - np.log1p(-strength)
    return Rules(atoms, np.float32(theta), unless, np.full(unless.shape, 20.0, np.float32))


def params_of(rules: Rules) -> RoleParams:
    tables, one = np.full((3, 4, 1), -30.0, np.float32), np.zeros(1, np.float32)
    return RoleParams(*tables, one, one, one - 4.0, one, rules=rules)


@pytest.fixture
def ontology(tmp_path):
    path = tmp_path / "ontology.yaml"
    path.write_text(ONTOLOGY)
    return load_ontology(path)


RULES = rules_of(((CAR,), (TRUCK,), 0.9), ((GLASS, SKID), (), 0.4), ((TRUCK,), (), 0.01))


def video(*shown: int) -> np.ndarray:
    frames = np.zeros((3, 4), np.float32)
    frames[1, list(shown)] = 0.9
    return frames


def test_support_and_precision_are_counts_of_videos(ontology) -> None:
    videos = [video(CAR), video(CAR), video(CAR, TRUCK), video(GLASS, SKID), video(GLASS), video()]
    labels = np.array([[1], [0], [0], [1], [0], [0]])
    figures = role_rules.figures_of_training(params_of(RULES), ontology, videos, labels)
    assert [one["atoms"] for one in figures] == [["car"], ["glass", "skid"], ["truck"]]
    assert [one["support"] for one in figures] == [2, 1, 1]  # the truck holds the car back
    assert [one["precision"] for one in figures] == [0.5, 1.0, 0.0]
    assert all(one["stability"] is None for one in figures)


def test_stability_is_the_share_of_fits_that_tell_the_rule(ontology) -> None:
    fits = [
        rules_of(((CAR,), (TRUCK,), 0.8), ((SKID, GLASS), (), 0.5)),
        rules_of(((CAR,), (GLASS,), 0.8), ((SKID, GLASS), (), 0.1)),  # too weak beside the car
        rules_of(((GLASS, SKID), (), 0.3)),
        rules_of(((CAR, SKID), (), 0.9)),
    ]
    figures = role_rules.figures_of_training(params_of(RULES), ontology, VIDEO, LABEL, fits)
    assert [one["stability"] for one in figures] == [0.5, 0.5, 0.0]


VIDEO, LABEL = [video(CAR), video()], np.array([[1], [0]])


def test_figures_come_back_with_the_model_and_into_its_table(ontology, tmp_path) -> None:
    figures = role_rules.figures_of_training(params_of(RULES), ontology, VIDEO, LABEL)
    training = {"seed": 0, role_rules.FIGURES: figures}
    model = role_model.of_ontology(ontology, params_of(RULES), AtomsConfig(), training)
    role_model.save_role_model(tmp_path / "model", model)
    again = role_model.load_role_model(tmp_path / "model")
    table = role_sentences.rules_table(again)
    assert list(table["rule"]) == ["car unless truck", "glass with skid", "truck"]
    assert list(table["support"]) == [1, 0, 0]
    assert table["precision"][0] == 1.0 and table["precision"].isna()[1]
    told = role_sentences.told_of_atoms(again)
    assert told["crash", "truck"] == "car unless truck"  # 0.01 says next to nothing


@pytest.mark.parametrize(
    "bad",
    [
        "rules",
        [{"event": "crash"}],
        [{"event": "crash", "atoms": ["car"], "support": -1}],
        [{"event": "crash", "atoms": ["car"], "support": 1, "precision": "all"}],
        [{"event": "crash", "atoms": ["car"], "support": 1, "stability": 2.0}],
    ],
)
def test_figures_that_are_none_are_refused(bad) -> None:
    with pytest.raises(InputError, match="folder: rules is no list of figures; train"):
        role_rules.read_figures(bad, "folder")


def test_rules_come_back_from_other_samples_of_the_videos() -> None:
    config = RoleConfig(epochs=20, topk=3, prior_weight=0.0)
    fits = refit_rules(VIDEOS, LABELS, config=config, fits=3)
    assert len(fits) == 3
    law = [
        any(
            rule.event == 0 and set(rule.atoms) == {0, 1} and rule.strength > 0.3 for rule in listed
        )
        for listed in (role_rules.listed_rules(fit, None) for fit in fits)
    ]
    assert sum(law) >= 2
    assert not np.array_equal(fits[0].theta, fits[1].theta)
    assert not refit_rules(VIDEOS, LABELS, config=config, fits=0)
    product = RoleConfig(form="product", prior_weight=0.0)
    assert not refit_rules(VIDEOS, LABELS, config=product, fits=3)
