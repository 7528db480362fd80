"""The neutral prompts of an ontology that names none."""

import pytest

from jaxvlm import clip, resources
from jaxvlm.ontology.captions import singular
from jaxvlm.ontology.neutral import everyday_phrases
from jaxvlm.ontology.ontology import load_ontology

SHIPPED = (
    "surveillance", "ucf_crime", "xd_violence", "world", "world_roles", "world_pairs",
    "world_specific",
)  # fmt: skip


def load(tmp_path, text):
    (tmp_path / "o.yaml").write_text(text, encoding="utf-8")
    return load_ontology(tmp_path / "o.yaml")


def test_the_shipped_phrases_are_many_and_differ():
    phrases = everyday_phrases()
    assert 180 <= len(phrases) <= 240
    assert len({singular(phrase) for phrase in phrases}) == len(phrases)
    assert all(phrase == " ".join(phrase.split()).lower() for phrase in phrases)


def test_no_shipped_event_is_everyday():
    """A phrase that is evidence for an event would be its zero in another ontology."""
    everyday = {singular(phrase) for phrase in everyday_phrases()}
    for name in SHIPPED:
        ontology = load_ontology(resources.path(f"configs/ontology/{name}.yaml"))
        evidence = ontology.strengths["direct"] + ontology.strengths["indirect"]
        atoms = {singular(a) for a, s in zip(ontology.atoms, evidence.max(1), strict=True) if s > 0}
        assert not atoms & everyday, name


def test_an_ontology_that_names_none_has_them_in_its_own_templates(tmp_path):
    events = "events: {riot: [angry crowd]}\n"
    plain = load(tmp_path, events).neutral_prompts
    assert plain == tuple(f"a photo of {phrase}" for phrase in everyday_phrases())
    two = load(tmp_path, events + 'templates: ["{} at night", "a picture of {}"]').neutral_prompts
    first = everyday_phrases()[0]
    assert two[:2] == (f"{first} at night", f"a picture of {first}")
    assert len(two) == 2 * len(plain)
    own = load(tmp_path, events + 'templates: ["x {}"]\nneutral_templates: ["y {}"]')
    assert own.neutral_prompts[0] == f"y {everyday_phrases()[0]}"


def test_an_atom_is_not_its_own_zero(tmp_path):
    assert "an empty street" in everyday_phrases()
    found = load(tmp_path, "events: {riot: {direct: [crowd], counter: [the empty streets]}}")
    assert "a photo of an empty street" not in found.neutral_prompts
    assert len(found.neutral_prompts) == len(everyday_phrases()) - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("neutral_prompts: []", ()), ("neutral_prompts: [a road]", ("a road",))],
)
def test_what_a_file_says_of_them_holds(tmp_path, text, expected):
    assert load(tmp_path, f"events: {{riot: [crowd]}}\n{text}").neutral_prompts == expected


def test_no_phrase_is_too_long_for_a_text_tower():
    model = clip.load(resources.path("checkpoints/clip"))
    prompts = [f"a grainy surveillance camera image of {phrase}" for phrase in everyday_phrases()]
    assert max(map(len, clip.token_ids(model.tokenizer, prompts))) <= 77
