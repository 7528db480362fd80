"""Rules in the ontology file: three forms of one rule, lines that say two things, and faults."""

import json

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology, read_ontology
from jaxvlm.ontology.rules import WrittenRule, divisions, rule_text

FORMS = """
events:
  crash:
    direct: [fireball]
    rules:
      - [smoke plume, people running away]
      - crashed car unless tow truck
      - {atoms: [drums, banner], unless: [brass band: 0.5, flag], strength: 0.8}
      - smoke plume with debris unless film crew, red carpet: 0.7
      - [siren]
  riot: [balloon]
"""


def load(tmp_path, text, name="o.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load_ontology(tmp_path / name)


def rules_of(tmp_path, lines, rest=""):
    text = "events:\n  crash:\n    rules:\n" + "".join(f"      - {line}\n" for line in lines)
    return load(tmp_path, text + rest).rules[0]


def test_every_form_of_a_rule(tmp_path):
    o = load(tmp_path, FORMS)
    assert o.rules == (
        (
            WrittenRule(("smoke plume", "people running away")),
            WrittenRule(("crashed car",), ("tow truck",), 1.0, (1.0,)),
            WrittenRule(("drums", "banner"), ("brass band", "flag"), 0.8, (0.5, 1.0)),
            WrittenRule(("smoke plume", "debris"), ("film crew", "red carpet"), 0.7, (1.0, 1.0)),
            WrittenRule(("siren",)),
        ),
        (),
    )
    assert o.has_roles
    own = {o.atoms[c] for c in np.flatnonzero(o.candidates[:, 0])}
    assert own == {
        *("fireball", "smoke plume", "people running away", "crashed car", "tow truck", "drums"),
        *("banner", "brass band", "flag", "debris", "film crew", "red carpet", "siren"),
    }
    assert own | {"balloon"} == set(o.atoms) and o.candidates[:, 1].sum() == 1


def test_rules_alone_are_roles_and_json_has_them(tmp_path):
    content = {"events": {"crash": {"rules": [["smoke", "people"], "car unless tow truck"]}}}
    o = load(tmp_path, json.dumps(content), "o.json")
    assert o.has_roles and [str(rule) for rule in o.rules[0]] == [
        "smoke with people",
        "car unless tow truck",
    ]


@pytest.mark.parametrize(
    ("atoms", "unless", "text"),
    [
        (("smoke", "people"), (), "smoke with people"),
        (("car",), ("tow truck",), "car unless tow truck"),
        (
            ("smoke", "debris"),
            ("film crew", "carpet"),
            "smoke with debris unless film crew, carpet",
        ),
    ],
)
def test_what_is_printed_is_read(atoms, unless, text):
    assert rule_text(atoms, unless) == text
    assert divisions(text, ()) == [(atoms, unless)]
    assert divisions(text, {*atoms, *unless}) == [(atoms, unless)]


DOOR = "car with open door"


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        # A known atom is never cut, whole or in part of the line.
        ({DOOR}, DOOR, [((DOOR,), ())]),
        ({DOOR}, f"{DOOR} unless tow truck", [((DOOR,), ("tow truck",))]),
        ({DOOR, "dog"}, f"{DOOR} with dog", [((DOOR, "dog"), ())]),
        ({DOOR, "car"}, f"dog with {DOOR}", [(("dog", DOOR), ())]),
        ({DOOR}, f"dog unless {DOOR}", [(("dog",), (DOOR,))]),
        ({DOOR}, f"dog unless cat, {DOOR}", [(("dog",), ("cat", DOOR))]),
        (
            {"man, running"},
            "smoke unless dog, man, running",
            [(("smoke",), ("dog", "man, running"))],
        ),
        ({"closed unless open"}, "closed unless open", [(("closed unless open",), ())]),
        # Without one the words divide, where they divide in one way.
        ((), DOOR, [(("car", "open door"), ())]),
        ((), "car WITH open door Unless dog", [(("car", "open door"), ("dog",))]),
        ((), "without cause", [(("without cause",), ())]),
        ((), f"{DOOR} with dog", []),
        ((), f"dog unless {DOOR}", []),
        ((), "a unless b unless c", []),
        ((), "a with b with c with d with e with f with g with h with i with j with k with l", []),
        # Two readings of known atoms alone: neither.
        ({DOOR, "car", "open door"}, DOOR, [((DOOR,), ()), (("car", "open door"), ())]),
        (
            {"a", "b with c", "a with b", "c"},
            "a with b with c",
            [(("a", "b with c"), ()), (("a with b", "c"), ())],
        ),
        ({"x", "a", "b", "a, b"}, "x unless a, b", [(("x",), ("a", "b")), (("x",), ("a, b",))]),
    ],
)
def test_a_line_is_divided_by_the_atoms_that_are_known(known, text, expected):
    assert sorted(divisions(text, known)) == sorted(expected)


def test_long_lines_are_divided_in_time_that_does_not_double_with_each_comma():
    counters = tuple(f"counter {n}" for n in range(12))
    assert divisions(f"car unless {', '.join(counters)}", ()) == [(("car",), counters)]
    assert divisions("car unless " + ", ".join("x" * 5000), ()) == []


def test_atoms_of_the_whole_file_divide_a_line(tmp_path):
    """Of other events, of the clutter, of rules that are written as data; not of other lines."""
    (rule,) = rules_of(tmp_path, [f"{DOOR} unless dog"], f"clutter: [{DOOR}]")
    assert rule.atoms == (DOOR,)
    (rule,) = rules_of(tmp_path, [f"{DOOR} unless dog"], f"  theft: [{DOOR}]")
    assert rule.atoms == (DOOR,)
    first, last = rules_of(tmp_path, [f"{DOOR} unless dog", f"[{DOOR}, cat]"])
    assert first.atoms == (DOOR,) and last.atoms == (DOOR, "cat")


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["[a, b, c]"], "a rule has one atom or two, this one has 3; write a rule per pair"),
        (["[]"], "a rule has one atom or two, this one has 0"),
        (["{atoms: []}"], "a rule has one atom or two, this one has 0"),
        (["[a, a]"], "'a' is in its rule twice"),
        (["a with a"], "'a' is in its rule twice"),
        (["{atoms: [a], unless: [a]}"], "'a' is its own counter in 'a unless a'"),
        (["a with b unless b"], "'b' is its own counter"),
        (["a unless b, b"], "'b' is twice under unless"),
        (["[a, b]", "b with a"], "'b with a' is there twice; remove one"),
        (["a unless b, c", "{atoms: [a], unless: [c, b], strength: 0.5}"], "is there twice"),
        (["[fireball]"], "'fireball' is a direct atom already; remove the rule"),
        (
            ["{atoms: [a], strength: 0}"],
            "the strength of 'a' is 0; write a number above 0, up to 1",
        ),
        (["{atoms: [a, b], strength: 1.5}"], "the strength of 'a with b' is 1.5"),
        (["{atoms: [a, b], strength: .nan}"], "the strength of 'a with b' is nan"),
        (["a with b: 2"], "the strength of 'a with b' is 2"),
        (["a with b: high"], "the strength of 'a with b' is 'high'"),
        (["{atoms: [a], unless: [b: -1]}"], "the strength of 'b' is -1"),
        (["{atom: [a]}"], "unknown key 'atom' (did you mean 'atoms'?)"),
        (["{unless: [a]}"], "a rule has no atoms; list one or two under atoms"),
        (["{atoms: a}"], "rules, atoms: must be a list"),
        (["{atoms: [a], unless: b}"], "rules, unless: must be a list"),
        (["{atoms: [[a], b]}"], "['a'] is no name"),
        (["yes"], "True is no name"),
        (["[a, 12]"], "12 is no name"),
        (
            ["a with b with c"],
            "'a with b with c' is no 'A with B unless C' of known atoms; write it",
        ),
        (["x with y"], "can be read in two ways, ['x with y'] or ['x', 'y']; write it as data"),
    ],
)
def test_a_fault_is_one_line_with_its_number(tmp_path, lines, cause):
    rest = "    direct: [fireball]\nclutter: [x, y, x with y]\n"
    with pytest.raises(InputError) as error:
        rules_of(tmp_path, lines, rest)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'o.yaml'}: line {3 + len(lines)}: event 'crash', rules")
    assert cause in message and "; " in message and "\n" not in message and "more:" not in message


def test_an_atom_that_is_not_declared_is_told_once(tmp_path):
    (tmp_path / "o.yaml").write_text(
        "events:\n  crash:\n    rules:\n      - [smoke, croud]\n      - smoke unless drum\n"
        "atoms: [smoke, crowd]\n"
    )
    told = [str(problem) for problem in read_ontology(tmp_path / "o.yaml").problems]
    assert told == [
        "line 4: unknown atom 'croud' (did you mean 'crowd'?); correct it or add it under atoms",
        "line 5: unknown atom 'drum'; correct it or add it under atoms",
    ]


def test_an_atom_of_a_rule_in_another_spelling(tmp_path):
    with pytest.raises(InputError, match="line 5: the atom 'smoke' is also written 'the Smoke'"):
        rules_of(tmp_path, ["[the Smoke, people]"], "clutter: [smoke]")


def test_several_roles_of_an_atom_are_meant_where_each_has_a_strength(tmp_path):
    o = load(tmp_path, "events: {riot: {direct: [a: 0.2], indirect: [a: 0.7], counter: [b]}}")
    assert [o.strengths[role][0, 0] for role in ("direct", "indirect", "counter")] == [0.2, 0.7, 0]
    with pytest.raises(InputError, match="under direct and indirect; remove one, or give both a"):
        load(tmp_path, "events: {riot: {direct: [a: 0.2], indirect: [a]}}")
    with pytest.raises(InputError, match="lists 'a' twice; remove one"):
        load(tmp_path, "events: {riot: {direct: [a: 0.2, a: 0.3]}}")
