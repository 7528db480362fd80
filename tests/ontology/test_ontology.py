"""Ontologies are written by hand here; the two that are shipped are held against the world's."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.world import vocabulary

CONFIGS = Path(__file__).parents[2] / "configs" / "ontology"

FULL = """
events:
  riot:
    direct: [burning barricade]
    indirect: [angry crowd, thrown stones: 0.8]
    counter: [carnival parade]
    candidates: [balloons]
  explosion: [fireball, smoke plume]
ambiguous: [smoke plume: [explosion, riot], siren]
clutter: [street  vendor]
templates: ["a photo of {}", "{} at night"]
neutral_prompts: [a road, a person]
neutral_templates: ["a photo of {}", "a picture of {}"]
"""


def load(tmp_path, text, name="o.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load_ontology(tmp_path / name)


def pairs(ontology, matrix):
    return {
        (ontology.atoms[c], ontology.events[e]): float(matrix[c, e]) for c, e in np.argwhere(matrix)
    }


def test_everything_a_file_may_state(tmp_path):
    o = load(tmp_path, FULL)
    assert o.events == ("riot", "explosion")
    assert o.atoms == (
        "angry crowd",
        "balloons",
        "burning barricade",
        "carnival parade",
        "fireball",
        "siren",
        "smoke plume",
        "street vendor",
        "thrown stones",
    )
    assert set(pairs(o, o.candidates)) == {
        ("burning barricade", "riot"),
        ("angry crowd", "riot"),
        ("thrown stones", "riot"),
        ("carnival parade", "riot"),
        ("balloons", "riot"),
        ("smoke plume", "riot"),
        ("siren", "riot"),
        ("fireball", "explosion"),
        ("smoke plume", "explosion"),
        ("siren", "explosion"),
    }
    assert o.candidates.dtype == np.uint8
    assert pairs(o, o.strengths["direct"]) == {("burning barricade", "riot"): 1}
    assert pairs(o, o.strengths["indirect"]) == {
        ("angry crowd", "riot"): 1,
        ("thrown stones", "riot"): pytest.approx(0.8),
    }
    assert pairs(o, o.strengths["counter"]) == {("carnival parade", "riot"): 1}
    assert o.has_roles
    assert o.templates == ("a photo of {}", "{} at night")
    assert o.neutral_prompts == (
        "a photo of a road",
        "a picture of a road",
        "a photo of a person",
        "a picture of a person",
    )


def test_least_file_and_json(tmp_path):
    o = load(tmp_path, "events: {riot: [angry crowd]}")
    assert o.atoms == ("angry crowd",) and o.candidates.tolist() == [[1]] and not o.has_roles
    assert o.templates == ("a photo of {}",)
    same = load(tmp_path, json.dumps({"events": {"riot": ["angry crowd"]}}, indent="\t"), "o.json")
    assert same.atoms == o.atoms and same.events == o.events


def test_listed_atoms_are_kept_and_bound(tmp_path):
    o = load(tmp_path, "events: {riot: [crowd]}\natoms: [crowd, road]")
    assert o.atoms == ("crowd", "road") and o.candidates.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("events: {riot: [a, b, a]}", ["event 'riot' lists 'a' twice"]),
        ("events: {riot: {direct: [a], counter: [a]}}", ["event 'riot' lists 'a' twice"]),
        ("events: {riot: [Smoke], abuse: [smoke]}", ["'smoke' is also written 'Smoke'"]),
        ("events: {riot: [Smoke, smoke]}", ["'smoke' is also written 'Smoke'"]),
        ("events: {riot: [crowd]}\nevnts: []", ["unknown key 'evnts'", "did you mean 'events'"]),
        ("events: {riot: {directs: [a]}}", ["unknown key 'directs'", "did you mean 'direct'"]),
        ("events: {riot: [croud]}\natoms: [crowd]", ["unknown atom 'croud'", "'crowd'"]),
        ("events: {riot: [a]}\nclutter: [b]\natoms: [a]", ["unknown atom 'b'"]),
        ("events: {riot: [a]}\nambiguous: [b: [roit]]", ["unknown event 'roit'", "'riot'"]),
        ("events: {riot: []}", ["event 'riot' has no atoms"]),
        ("events: {riot: }", ["event 'riot' has no atoms"]),
        ("events: {riot: {direct: []}}", ["event 'riot' has no atoms"]),
        ("events: {}", ["no events"]),
        ("templates: ['{}']", ["no events"]),
        ("- riot", ["must be a mapping"]),
        ("events: {riot: [a]}\nevents: {riot: [b]}", ["key 'events' is there twice"]),
        ("events:\n  riot: [a]\n  riot: [b]", ["key 'riot' is there twice"]),
        ("events: {riot: [yes]}", ["event 'riot', candidates: True is no name"]),
        ("events: {riot: [12]}", ["12 is no name"]),
        ('events: {riot: ["\\uD800ball"]}', ["has the control character \\ud800"]),
        ('events: {"ri\\aot": [ball]}', ["line 1: ", "has the control character \\x07; drop it"]),
        ('events:\n  riot: ["ba\\ell"]', ["line 2: ", "has the control character \\x1b"]),
        (
            'events: {riot: [ball]}\nneutral_prompts: ["a ro\\u202ead"]',
            ["line 2: ", "has the control character \\u202e"],
        ),
        ("events: {on: [a]}", ["events: True is no name"]),
        ("events: {riot: ['']}", ["'' is no name"]),
        ("events: {[a]: [b]}", ["['a'] is no name"]),
        ("events: {riot: {direct: fire}}", ["event 'riot', direct: must be a list"]),
        ("events: {riot: {direct: [a: 2]}}", ["the strength of 'a' is 2"]),
        ("events: {riot: {direct: [a: 0]}}", ["the strength of 'a' is 0"]),
        ("events: {frame: [a]}", ["line 1: the event 'frame' is a column", "rename it"]),
        ("events:\n  a: [b]\n  time_seconds: [a]", ["line 3: the event 'time_seconds'"]),
        ("events:\n  video_id: [b]", ["line 2: the event 'video_id'"]),
        ("events:\n  a: [b]\n  2001-01-01: [c]", ["line 3: events: datetime.date(2001, 1, 1) is"]),
        ("events:\n  a: [b]\n  ? [1, 2]\n  : [c]", ["line 3: [1, 2] is no name"]),
        ("events:\n  a: [b]\n  ? {c: d}\n  : [c]", ["line 3: {'c': 'd'} is no name"]),
        ("events:\n  a: [b]\n  2001-13-41: [c]", ["line 3: month must be in"]),
        ("events:\n  a: [" + "9" * 5_000 + "]", ["line 2: a whole number of too many digits"]),
        ("events:\n  a: [" + "x" * 900 + "]\n  b: [" + "x" * 900 + "s]", ["x" * 200 + "…"]),
        ("events: {riot: {direct: [a: .nan]}}", ["the strength of 'a' is nan"]),
        ("events: {riot: {direct: [a: high]}}", ["the strength of 'a' is 'high'"]),
        ("events: {riot: {direct: [a: yes]}}", ["the strength of 'a' is True"]),
        ("events: {riot: [a: 0.5]}", ["'a' has a strength"]),
        ("events: {riot: [a]}\ntemplates: [a photo]", ["templates: 'a photo' must hold {} once"]),
        ("events: {riot: [a]}\nclutter: [b, b]", ["clutter lists 'b' twice"]),
        ("events: [riot", ["not valid YAML"]),
        ("events: !!python/object/apply:os.getcwd []", ["not valid YAML"]),
    ],
)
def test_bad_file_is_one_line(tmp_path, text, causes):
    with pytest.raises(InputError) as error:
        load(tmp_path, text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'o.yaml'}: ") and "\n" not in message
    assert "; " in message
    for cause in causes:
        assert cause in message


def test_bad_json_and_missing_file(tmp_path):
    with pytest.raises(InputError, match="key 'riot' is there twice"):
        load(tmp_path, '{"events": {"riot": ["a"], "riot": ["b"]}}', "o.json")
    with pytest.raises(InputError, match="o.json: not valid JSON"):
        load(tmp_path, "{", "o.json")
    with pytest.raises(InputError, match="no.yaml: no such file"):
        load_ontology(tmp_path / "no.yaml")


def test_world_ontologies_state_the_world():
    plain, roles = (load_ontology(CONFIGS / f"{n}.yaml") for n in ("world", "world_roles"))
    assert plain.events == roles.events == vocabulary.EVENTS
    assert plain.atoms == roles.atoms == vocabulary.ATOMS
    assert not plain.has_roles and roles.has_roles
    assert np.array_equal(plain.candidates, roles.candidates)
    for role in ("direct", "indirect", "counter"):
        assert pairs(roles, roles.strengths[role]) == {
            (atom, event): 1
            for event, groups in vocabulary.EVENT_ROLES.items()
            for atom in getattr(groups, role)
        }
    # Every event also lists the clutter and three atoms of other events.
    role_free = roles.candidates - sum(roles.strengths.values())
    assert role_free.sum(axis=0).tolist() == [len(vocabulary.CLUTTER_ATOMS) + 3] * 6
    assert len(plain.neutral_prompts) == len(vocabulary.BACKGROUNDS) + len(vocabulary.OBJECTS)
