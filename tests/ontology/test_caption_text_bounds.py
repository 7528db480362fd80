"""Answers that took seconds to hours while the time grew with the square of their length."""

import pytest

from jaxvlm.ontology import caption_text
from jaxvlm.ontology.caption_text import parse_answer, phrase_lookup, sort_phrases

LENGTH = 100_000
LOOKUP = phrase_lookup(["smoke plume", "film crew"])
# Nothing here asserts a time: at the speed of before, most of these would not end.
SLOW = {
    "brackets": "[" * LENGTH,
    "brackets and quotes": '["' * (LENGTH // 2),
    "objects that do not end": '{"a":' * (LENGTH // 5),
    "lists that do not end": '["a",' * (LENGTH // 5),
    "lists of long lists": ('["a",' + '"b",' * 30) * (LENGTH // 125),
    "lists that end": '["a"' + ',["a"' * 900 + "]" * 901 + " " * 50_000,
    "empty objects": "{}" * (LENGTH // 2),
    "digits": '{"a": ' + "1" * 5_000 + "} " * 1_000,
    "lists behind markers": 'ATOMS: ["a"]' * (LENGTH // 12),
    "blank lines": "\n" * LENGTH + "x",
    "blank lines and a fence": ("\n" * 50 + "``") * (LENGTH // 52),
    "blanks inside": "a" + " " * LENGTH + "b",
    "blanks and brackets": "a" + " (" * (LENGTH // 2),
    "and": "a " + "and " * (LENGTH // 4),
    "markers": "atoms" * (LENGTH // 5),
    "markers and blanks": ("atoms" + " " * 95) * (LENGTH // 100),
    "none": "none " * (LENGTH // 5) + "x",
    "nothing": "nothing" + " " * LENGTH + "x",
    "separators": ";" * LENGTH,
    "dashes": "a " + "-" * LENGTH,
    "bullets": "- " * (LENGTH // 2),
    "marks": "a" + "\u0301\u0327" * (LENGTH // 2),
    "letters": "x" * LENGTH,
    "expanding": "\ufdfa" * (LENGTH // 10),
    "thoughts": "<think>" * LENGTH,
    "ends of thoughts": "</think>" * LENGTH,
    "channels": "<|channel|> " * LENGTH,
    "tokens": "<|" * LENGTH,
    "answers": "<answer>" * LENGTH + "</answer>" * LENGTH,
    "ends of sentences": ".\"'" * (LENGTH // 3) + "x",
    "objects in lists": '[{"label": "a"}' + ',[{"label": "a"}' * 900 + "]" * 901,
}


@pytest.mark.parametrize("name", SLOW)
def test_every_answer_is_read_in_time_that_grows_with_its_length(name):
    text = SLOW[name]
    for answer in (text, f"ATOMS: {text}", f"ATOMS: smoke plume; {text}\nATOMS: film crew"):
        caption = parse_answer(answer)
        if caption is not None:
            sort_phrases(caption.named, LOOKUP)
            sort_phrases(caption.resembled, LOOKUP)
    sort_phrases([text], LOOKUP)


@pytest.mark.parametrize(
    "answer, named",
    [
        ("[" * 5_000 + "\nATOMS: smoke plume", ("smoke plume",)),
        ('{"a": ' + "1" * 5_000 + '}\n{"atoms": ["film crew"]}', ("film crew",)),
        ('[[1, 2], {"atoms": ["film crew"]}]', ("film crew",)),
        ('[{"box": [1]}] CONFIRM: [ "smoke plume" ]', ("smoke plume",)),
        ('**atoms**:  ["a"] {"resemble": "b"}', ("a",)),
        ("ATOMS: a;\n\u1680\n\u1680b", ("a",)),
        ("x " * 100_000 + "\nATOMS: smoke plume", ("smoke plume",)),
    ],
)
def test_what_is_meant_is_still_found(answer, named):
    assert parse_answer(answer).named == named


def test_thirty_marks_on_a_letter_are_kept():
    (phrase,) = parse_answer("ATOMS: q" + "\u0327" * 40 + " r" + "\u0301" * 30).named
    assert phrase == "q" + "\u0327" * 30 + " \u0155" + "\u0301" * 29


def test_a_marker_right_before_a_list_names_it():
    assert parse_answer('RESEMBLE: ["a"] ATOMS: ["b"]') == caption_text.FrameCaption(("b",), ("a",))
    assert parse_answer('**RESEMBLE**: ["a"]').resembled == ("a",)
    assert parse_answer('RESEMBLE: x ["a"]').named == ("a",)
