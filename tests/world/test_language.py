"""The words of the world: each says one thing, and captions say what they are told to."""

import collections

import numpy as np
import pytest

from jaxvlm.ontology.captions import normalize_phrase
from jaxvlm.world import language
from jaxvlm.world.laws import events_of
from jaxvlm.world.vocabulary import (
    ATOMS,
    BACKGROUNDS,
    EVENT_ROLES,
    EVENTS,
    FAVOURITE_BACKGROUND,
    OBJECTS,
)


def ways_to_say(name: str) -> set[str]:
    """The name or a paraphrase of it; written from the tables, not from ``phrase``."""
    return {
        name,
        *language.PARAPHRASES.get(name, ()),
        *language.EVENT_PARAPHRASES.get(name, ()),
    }


def test_every_name_is_known_once():
    names = [*ATOMS, *OBJECTS, *BACKGROUNDS, *EVENTS, *language.LIGHTING]
    assert len(names) == len(set(names))
    assert list(ATOMS) == sorted(ATOMS)
    assert set(language.PARAPHRASES) <= set(ATOMS)
    assert list(language.EVENT_PARAPHRASES) == list(EVENTS)
    assert set(FAVOURITE_BACKGROUND) == set(OBJECTS)
    assert set(FAVOURITE_BACKGROUND.values()) <= set(BACKGROUNDS)


def test_no_phrase_means_two_concepts():
    meanings = collections.defaultdict(set)
    for name in (*ATOMS, *OBJECTS, *BACKGROUNDS, *EVENTS):
        for words in ways_to_say(name):
            meanings[normalize_phrase(words)].add(name)
    assert {words: names for words, names in meanings.items() if len(names) > 1} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dog", "a dog"),
        ("airplane", "an airplane"),
        ("angry crowd", "an angry crowd"),
        ("raised fists", "raised fists"),
        ("explosion", "an explosion"),
        ("car accident", "a car accident"),
    ],
)
def test_articles(name, text):
    assert language.with_article(name) == text


def test_a_third_of_the_phrases_is_a_paraphrase():
    rng = np.random.default_rng(0)
    said = [language.phrase(rng, "film crew") for _ in range(1000)]
    assert set(said) == {"a film crew", *language.PARAPHRASES["film crew"]}
    share = np.mean([text != "a film crew" for text in said])
    assert 0.30 < share < 0.40  # 0.35; three deviations are 0.045
    assert {language.phrase(rng, "umbrella") for _ in range(20)} == {"an umbrella"}


def test_captions_say_everything_that_they_are_given():
    rng = np.random.default_rng(1)
    for _ in range(300):
        things = [ATOMS[i] for i in rng.choice(len(ATOMS), rng.integers(0, 4), replace=False)]
        place = BACKGROUNDS[rng.integers(len(BACKGROUNDS))] if rng.random() < 0.5 else None
        light = language.LIGHTING[rng.integers(3)] if rng.random() < 0.5 else None
        text = language.caption(rng, things, place, light)
        for name in things:
            assert any(words in text for words in ways_to_say(name)), (name, text)
        assert place is None or place in text
        assert light is None or light in text
        assert "{" not in text and "  " not in text and text == text.strip()


def test_the_corpus_holds_every_name_and_is_fixed_by_its_seed():
    sentences = language.corpus(np.random.default_rng(3), 600)
    assert len(sentences) == 600
    names = (*ATOMS, *OBJECTS, *BACKGROUNDS, *EVENTS)
    assert {*names, *(w for name in names for w in ways_to_say(name))} <= set(sentences)
    assert sentences == language.corpus(np.random.default_rng(3), 600)
    assert sentences != language.corpus(np.random.default_rng(4), 600)


def test_looks_like_is_the_law_without_counter_atoms():
    counters = {atom for roles in EVENT_ROLES.values() for atom in roles.counter}
    rng = np.random.default_rng(2)
    fooled = 0
    for _ in range(1000):
        visible = [ATOMS[i] for i in rng.choice(len(ATOMS), 4, replace=False)]
        at_first_sight = language.looks_like(visible)
        assert at_first_sight == list(events_of(set(visible) - counters))
        assert set(events_of(visible)) <= set(at_first_sight)
        fooled += len(at_first_sight) > len(events_of(visible))
    assert fooled > 50
