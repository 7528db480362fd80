"""Answers as models write them; the phrases are read off by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxvlm.ontology import caption_text
from jaxvlm.ontology.caption_text import parse_answer, phrase_lookup, sort_phrases

ATOMS = ("smoke plume", "blast flash", "crashed cars", "search and rescue team")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("**ATOMS:** smoke plume; blast flash", ("smoke plume", "blast flash")),
        ("**ATOMS**: smoke plume; blast flash.", ("smoke plume", "blast flash")),
        ("Here is what I see.\n\nATOMS: a; b\n\nLet me know!", ("a", "b")),
        ("```\nATOMS: a; b\n```", ("a", "b")),
        ("```text\nATOMS: a; b\n```\nDone.", ("a", "b")),
        ("<think>ATOMS: x maybe</think>\nATOMS: y", ("y",)),
        ("The atoms:\n- a\n- b\n\nThat is all.", ("a", "b")),
        ("ATOMS:\n1. a\n2. b\n10. c", ("a", "b", "c")),
        ("ATOMS:\n1) a\n2) b", ("a", "b")),
        ("ATOMS:\n(1) a\n(2) b", ("a", "b")),
        ("ATOMS:\n•a\n•b", ("a", "b")),
        ("ATOMS: - a\n- b\n- c\nDone", ("a", "b", "c")),
        ("ATOMS:\n* **a**\n* `b`", ("a", "b")),
        ("ATOMS: a; b;\nc; d\ne", ("a", "b", "c", "d")),  # a line broken after a separator
        ("ATOMS: a; b\n- c", ("a", "b")),
        ("ATOMS:\na; b\nThe rest is prose.", ("a", "b")),
        ("ATOMS: 2 people; 1. fire", ("2 people", "fire")),
        ("ATOMS：烟、火；人，车", ("烟", "火", "人", "车")),
        ("ＡＴＯＭＳ： a； b", ("a", "b")),
        ("ATOMS: دخان، نار؛ سيارة", ("دخان", "نار", "سيارة")),
        ("ATOMS: ጭስ፣ እሳት፤ መኪና", ("ጭስ", "እሳት", "መኪና")),
        ("ATOMS: हाथ में बंदूक, टूटी गाड़ी", ("हाथ में बंदूक", "टूटी गाड़ी")),
        ("ATOMS:\n1、烟\n2、火", ("烟", "火")),
        ("| a | b |", ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ('```json\n["a", "b, c"]\n```', ("a", "b", "c")),
        ('{"atoms": ["a", "b"], "note": "x; y"}', ("a", "b")),
        ('{"ATOMS": "a; b"}', ("a", "b")),
        ('{"result": {"atoms": ["a"]}}', ("a",)),
        ('Sure!\n{"atoms": ["a", 3, null]}\nBye', ("a",)),
        ('ATOMS: ["a", "b"]', ("a", "b")),
        ("ATOMS: [a, b]", ("a", "b")),
        ("ATOMS: a (left); b (in the back)", ("a (left)", "b (in the back)")),
        ("- a\n- b", ("a", "b")),
        ("I can see:\n- a\n- b\nand nothing else.", ("a", "b")),
    ],
)
def test_phrases_of_an_answer(raw, named):
    assert parse_answer(raw) == (named, ())


@pytest.mark.parametrize(
    ("raw", "named", "resembled"),
    [
        ("CONFIRM: a; b\nRESEMBLE: c", ("a", "b"), ("c",)),
        ("CONFIRM: a, b RESEMBLE: c, d", ("a", "b"), ("c", "d")),
        ("confirm: none\nresemble: c", (), ("c",)),
        ("RESEMBLE:\n- c\n- d\nCONFIRM:\n- a", ("a",), ("c", "d")),
        ('{"confirm": ["a"], "resemble": ["b"]}', ("a",), ("b",)),
        ('CONFIRM: ["a"]\nRESEMBLE: ["b"]', ("a",), ("b",)),
        ("CONFIRM: a\nRESEMBLE:", ("a",), ()),
    ],
)
def test_the_older_form(raw, named, resembled):
    assert parse_answer(raw) == (named, resembled)


@pytest.mark.parametrize(
    "text",
    ["none", "None.", "N/A", "nothing", "(none)", "none of the above", "No atoms", "null", "无",
     "None of the listed atoms are visible.", "no atoms from the list", "nothing visible", "-",
     "Nothing is visible here", "なし", "Keine", "not applicable", "[]", ""],
)  # fmt: skip
def test_nothing_is_named(text):
    assert parse_answer(f"ATOMS: {text}") == ((), ())
    assert caption_text.parse_raw(f"ATOMS:\n- {text}") == ()


@pytest.mark.parametrize("text", ["no parking sign", "none shall pass", "nothing bundt cakes shop"])
def test_phrases_that_only_begin_like_nothing(text):
    assert caption_text.parse_raw(f"ATOMS: {text}") == (text,)


@pytest.mark.parametrize(
    "raw", ["A road.\nSome cars, a tree.", "First this happens.\nThen 3 people come; they go."]
)
def test_prose_is_no_list(raw):
    assert parse_answer(raw) is None
    assert caption_text.parse_raw(raw) == ()


@pytest.mark.parametrize(
    "raw",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m unable to help with identifying people.",
        "抱歉，我无法协助处理该请求。",
        "Lo siento, no puedo ayudar con eso.",
        "Es tut mir leid, dabei kann ich nicht helfen!",
        "क्षमा करें, मैं इसमें मदद नहीं कर सकता।",
        "عذراً، هل يمكنني المساعدة في شيء آخر؟",
        "A road with cars.",
        "**I cannot provide that.**",
        '{"error": "not allowed"}',
    ],
)
def test_a_sentence_is_no_list_in_any_language(raw):
    assert parse_answer(raw) is None


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("I'm sorry for the short answer.\nATOMS: none", ()),
        ('{"atoms": []}', ()),
        ("smoke plume; blast flash", ("smoke plume", "blast flash")),
        ("Smoke plume, a dog.", ("Smoke plume", "a dog")),  # names an atom
        ("- person who can't help himself", ("person who can't help himself",)),
        ("No atoms are visible.", ()),
        ("None.", ()),
    ],
)
def test_a_list_is_one_whatever_it_says(raw, named):
    lookup = phrase_lookup(ATOMS)
    caption = parse_answer(raw, lambda phrase: lookup(phrase) is not None)
    assert caption.named == named


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "a"}, {"label": "b"}]', ("a", "b")),
        ('{"result": {"atoms": ["a"]}, "reasoning": ["x", "y"]}', ("a",)),
        ('{"thought": {"atoms": ["x"]}, "answer": {"atoms": ["a"]}}', ("a",)),
        ('{"answer": "ATOMS: a", "explanation": "ATOMS: x was not there"}', ("a",)),
        ('{"atoms": ["a"]} because {"reason": ["x"]}', ("a",)),
    ],
)
def test_a_thought_in_an_object_does_not_count(raw, named):
    assert parse_answer(raw).named == named


def test_phrases_are_sorted_into_atoms_and_others():
    phrases = (
        "Smoke Plumes",
        "crashed cars (left)",
        "pink elephant",
        "search and rescue team",
        "blast flash: very bright",
        "pink elephant",
        "smoke plume",
    )
    assert sort_phrases(phrases, phrase_lookup(ATOMS)) == ((0, 2, 3, 1), ("pink elephant",))


@pytest.mark.parametrize(
    ("phrase", "atoms", "outside"),
    [
        ("smoke plume and a blast flash", (0, 1), ()),
        ("and blast flash", (1,), ()),
        ("no smoke plume and blast flash", (), ("no smoke plume and blast flash",)),
        ("blast flash - in the back", (1,), ()),
        ("blast-flash", (1,), ()),
        ("not visible: blast flash", (), ("not visible: blast flash",)),
    ],
)
def test_remarks_and_conjunctions(phrase, atoms, outside):
    assert sort_phrases([phrase], phrase_lookup(ATOMS)) == (atoms, outside)


def test_composed_and_decomposed_letters_are_the_same():
    assert phrase_lookup(["burning caf\u00e9"])("Burning cafe\u0301") == 0
    # Vowel signs of Indic scripts are marks, and tell words apart.
    assert phrase_lookup(["गाड़ी", "गाड़ा"])("गाड़ा") == 1


@given(st.text(max_size=200))
def test_any_text_is_read(raw):
    for phrase in caption_text.parse_raw(raw):
        assert caption_text.normalize_phrase(phrase)
    for phrase in caption_text.parse_raw("ATOMS: " + raw):
        assert caption_text.normalize_phrase(phrase)


@given(st.lists(st.sampled_from(ATOMS), unique=True), st.sampled_from(["; ", ",", "、", "\n- "]))
def test_what_is_listed_is_found(atoms, separator):
    raw = "ATOMS: " + ("\n- " if separator == "\n- " else "") + separator.join(atoms)
    assert caption_text.parse_raw(raw) == tuple(atoms)
