"""Files with known faults, and the two ontologies of published sets that are shipped."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.errors import InputError
from jaxvlm.ontology.check import check_ontology, describe, summary_table
from jaxvlm.ontology.ontology import load_ontology, read_ontology
from tests.launch.one_process import run_all

SHIPPED = {
    "xd_violence": ("explosion", "fighting", "shooting", "abuse", "riot", "car accident"),
    "ucf_crime": (
        *("abuse", "arrest", "arson", "assault", "burglary", "explosion", "fighting"),
        *("road accidents", "robbery", "shooting", "shoplifting", "stealing", "vandalism"),
    ),
}
FAULTY = """\
events:
  riot:
    direct: [burning barricade, Angry Crowd]
    indirect:
      - the angry crowds
      - thrown stones: 1.8
    counter: [burning barricade]
    directs: [smoke]
  abuse: []
  abuse: [crying child]
  theft: [no]
ambiguous:
  - smoke plume: [roit]
templates:
  - a photo
neutral_prompts: []
"""


@pytest.fixture(scope="module")
def encoder():
    return clip.load(resources.path("checkpoints/clip"))


def check(tmp_path, text, encoder, **options):
    (tmp_path / "o.yaml").write_text(text, encoding="utf-8")
    return check_ontology(read_ontology(tmp_path / "o.yaml"), encoder, **options)


def ontology_path(name):
    return resources.path(f"configs/ontology/{name}.yaml")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_ontology_is_what_a_researcher_can_start_from(name, encoder):
    result = check_ontology(read_ontology(ontology_path(name)), encoder)
    assert [problem for problem in result.problems if problem.is_error] == []
    # The embedded encoder's words are cut into more tokens than CLIP's, so CLIP's are fewer.
    assert result.longest <= 77
    ontology = result.ontology
    assert ontology.events == SHIPPED[name]
    assert all(8 <= n <= 15 for n in ontology.candidates.sum(axis=0, dtype=int))
    table = summary_table(ontology).set_index("event")
    assert (table[["direct", "indirect", "counter"]] >= 2).all(axis=None)
    assert (ontology.candidates.sum(axis=1) > 1).sum() >= 9
    assert len(ontology.templates) == 3 and len(ontology.neutral_prompts) == 48


@pytest.mark.parametrize("name", SHIPPED)
def test_no_two_weak_cues_of_a_shipped_ontology_suffice(name):
    """What the files say of themselves: 0.7 with 0.7 is not enough, and no pair is that is weaker
    than one half."""
    indirect = load_ontology(ontology_path(name)).strengths["indirect"]
    weak = (indirect > 0) & (indirect <= 0.7 + 1e-6)
    assert weak.any() and (indirect[weak] ** 2 < 0.5).all()
    assert ((indirect >= 0.9 - 1e-6) & (indirect**2 > 0.5)).any(axis=0).all()


def test_every_error_is_told_with_its_line(tmp_path, encoder):
    result = check(tmp_path, FAULTY, encoder)
    errors = [problem for problem in result.problems if problem.is_error]
    expected = [
        (5, "'the angry crowds' is also written 'Angry Crowd'"),
        (6, "the strength of 'thrown stones' is 1.8"),
        (7, "'burning barricade' twice, under direct and counter"),
        (8, "unknown key 'directs' (did you mean 'direct'?)"),
        (9, "event 'abuse' has no atoms"),
        (10, "the key 'abuse' is there twice"),
        (11, "False is no name"),
        (13, "unknown event 'roit' (did you mean 'riot'?)"),
        (15, "'a photo' must hold {} once"),
        (None, "neutral_prompts is empty"),
    ]
    assert [error.line for error in errors] == [line for line, _ in expected]
    for error, (_, cause) in zip(errors, expected, strict=True):
        assert cause in error.text and "; " in error.text and "\n" not in error.text
    assert result.has_errors
    others = r"\(8 more: see jaxvlm check-ontology\)"
    with pytest.raises(InputError, match=rf"o.yaml: line 5: .*{others}"):
        load_ontology(tmp_path / "o.yaml")


def test_lines_of_json_with_tabs(tmp_path, encoder):
    text = '{\n\t"events": {\n\t\t"riot": [\n\t\t\t"crowd",\n\t\t\t"crowd"\n\t\t]\n\t}\n}'
    (tmp_path / "o.json").write_text(text)
    reading = read_ontology(tmp_path / "o.json")
    assert [(p.line, "lists 'crowd' twice" in p.text) for p in reading.problems] == [(5, True)]
    (tmp_path / "copy.yaml").write_text(text.replace(',\n\t\t\t"crowd"', ""))
    assert load_ontology(tmp_path / "copy.yaml").atoms == ("crowd",)


def test_alias_of_itself_ends(tmp_path):
    (tmp_path / "o.yaml").write_text("events: {riot: &a [crowd, *a]}")
    with pytest.raises(InputError, match="line 1: .*None is no name"):
        load_ontology(tmp_path / "o.yaml")


def test_a_template_makes_an_atom_too_long(tmp_path, encoder):
    words = "car " * 74  # with start and end 76 tokens, under the second template 80
    assert len(encoder.tokenizer.encode(words).ids) == 76
    text = f'events:\n  a:\n    - {words}\nneutral_prompts: ["{words}", "{words} dog dog"]\n'
    alone = check(tmp_path, text + 'templates: ["{}"]\n', encoder)
    assert [(p.line, p.text[:27]) for p in alone.problems] == [
        (None, "the neutral prompt 'car car")
    ]
    both = check(tmp_path, text + 'templates: ["{}", "dog dog {} dog dog"]\n', encoder)
    assert [p.line for p in both.problems] == [3, None]
    assert "80 tokens under 'dog dog {} dog dog', the text tower takes 77" in both.problems[0].text
    assert both.longest == 80


def test_similar_atoms_are_those_whose_cosine_is_high(tmp_path, encoder):
    atoms = ["fireball", "flames", "toy gun", "skid marks"]
    unit = np.array([clip.encode_texts(encoder, [f"{a} x", f"y {a}"]) for a in atoms])
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    mean = unit.mean(axis=1)
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    near = mean @ mean.T
    others = near[np.triu_indices(4, 1)]
    assert near[0, 1] == others.max()
    text = (
        "events:\n  explosion:\n    indirect:\n      - fireball\n      - flames\n"
        "    counter: [toy gun, skid marks]\ntemplates: ['{} x', 'y {}']\nneutral_prompts: [a road]"
    )
    below = check(tmp_path, text, encoder, similar=near[0, 1] - 1e-3).problems
    assert [(p.line, p.is_error) for p in below] == [(4, False)]
    assert "'fireball' and 'flames'" in below[0].text and f"{near[0, 1]:.3f}" in below[0].text
    assert "as indirect atoms of 'explosion' they make a pair" in below[0].text
    assert check(tmp_path, text, encoder, similar=near[0, 1] + 1e-3).problems == []
    # More pairs than atoms: one line says that the encoder is the wrong one.
    (everything,) = check(tmp_path, text, encoder, similar=-1.0).problems
    assert everything.text.startswith("6 of 6 pairs of atoms")


def test_roles_that_say_nothing_are_warned_of(tmp_path, encoder):
    text = """\
events:
  a: {direct: [fireball], counter: [nurse]}
  b: {indirect: [skid marks], candidates: [nurse]}
  c: {counter: [nurse]}
  d: {indirect: [skid marks, smoke plume]}
  e: {counter: [nurse], direct: [fireball]}
neutral_prompts: [a road]
"""
    problems = check(tmp_path, text, encoder).problems
    assert not any(problem.is_error for problem in problems)
    assert [p.line for p in problems] == [3, 4, 6]
    assert "two indirect ones or a rule to be found and has one indirect atom" in problems[0].text
    assert "has none" in problems[1].text
    assert "'a' and 'e' have the same atoms in the same roles" in problems[2].text
    assert check(tmp_path, "events: {a: [x], b: [x]}\nneutral_prompts: [y]", encoder).problems == []


def test_summary_counts(tmp_path, encoder):
    text = (
        "events: {a: {direct: [x], indirect: [y: 0.5, z], counter: [v]}, b: [x, v]}\nclutter: [w]\n"
        "neutral_prompts: []"
    )
    result = check(tmp_path, text, encoder)
    rows = summary_table(result.ontology).to_numpy().tolist()
    assert rows == [["a", 1, 2, 1, 0], ["b", 0, 0, 0, 2]]
    assert describe(result, 77).startswith(
        "2 events, 5 atoms (2 of several events, 1 of none), 1 template, 0 neutral prompts"
    )


RULES = """\
events:
  a:
    direct: [fireball, nurse: 0.3]
    indirect: [skid marks: 0.9, smoke plume: 0.9, siren]
    counter: [toy gun]
    rules:
      - [fireball, ambulance]
      - [nurse, ambulance]
      - {atoms: [skid marks, smoke plume], unless: [ambulance], strength: 0.8}
      - {atoms: [skid marks, smoke plume], strength: 0.82}
      - toy gun with nurse
      - balloons unless toy gun
      - balloons with police car unless ambulance, toy gun
      - balloons with street vendor
  b: {rules: [[siren, nurse]]}
  c: {rules: [[nurse, siren]]}
  d: {rules: [[siren, nurse]], candidates: [skid marks]}
neutral_prompts: [a road]
"""


def test_rules_that_can_never_matter_are_warned_of(tmp_path, encoder):
    result = check(tmp_path, RULES, encoder)
    assert not result.has_errors
    told = [(p.line, p.text) for p in result.problems]
    assert [line for line, _ in told] == [7, 9, 11, 13, 16, 17, 17]
    assert (
        "'fireball with ambulance' can never matter, for 'fireball' is direct and suff"
        in told[0][1]
    )
    # The pair of indirect atoms has 0.9 · 0.9 = 0.81, less than the rule on the line that follows.
    assert "its atoms are indirect and make a pair already; take one of them out" in told[1][1]
    assert "'toy gun' is a counter atom of the event" in told[2][1]
    assert "'balloons unless toy gun' says as much with less" in told[3][1]
    # Which atom of a pair is named first makes no other rule.
    assert "'b' and 'c' have the same atoms in the same roles and rules" in told[4][1]


def test_rules_are_counted(tmp_path, encoder):
    result = check(tmp_path, RULES, encoder)
    table = summary_table(result.ontology)
    assert list(table.columns) == ["event", "direct", "indirect", "counter", "rules", "no role"]
    assert table.to_numpy().tolist() == [
        ["a", 2, 3, 1, 8, 0],
        ["b", 0, 0, 0, 1, 0],
        ["c", 0, 0, 0, 1, 0],
        ["d", 0, 0, 0, 1, 1],
    ]
    assert "of none), 11 rules, 1 template" in describe(result, 77)


def test_atoms_that_look_alike_make_no_rule(tmp_path, encoder):
    text = "events:\n  a:\n    rules: [fireball unless flames]\nneutral_prompts: [a road]\n"
    (told,) = check(tmp_path, text, encoder, similar=0.2).problems
    assert "the rule 'fireball unless flames' of 'a' tells them apart; keep one" in told.text


def test_encoder_without_tokenizer(tmp_path, encoder):
    with pytest.raises(InputError, match="without a tokenizer"):
        check(tmp_path, "events: {a: [x]}", dataclasses.replace(encoder, tokenizer=None))


def test_program(tmp_path):
    (tmp_path / "faulty.yaml").write_text(FAULTY)
    done = run_all(
        {
            "good": ["check_ontology", f"--ontology={ontology_path('ucf_crime')}"],
            "faulty": ["check_ontology", "--ontology=faulty.yaml"],
            "missing": ["check_ontology", "--ontology=no.yaml"],
        },
        cwd=tmp_path,
    )
    assert done["good"].returncode == 0 and "error" not in done["good"].stdout
    assert "13 events, 139 atoms" in done["good"].stdout
    assert done["faulty"].returncode == 1 and done["faulty"].stderr == ""
    assert done["faulty"].stdout.startswith("faulty.yaml:5: error: the atom 'the angry crowds'")
    assert done["missing"].stderr == "error: no.yaml: no such file; check the path\n"
