"""Only what follows a thought is the answer; the forms are those of published models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxvlm.ontology.caption_text import parse_answer
from jaxvlm.ontology.thoughts import without_thought

FORMS = {
    "DeepSeek, Qwen": ("<think>", "</think>"),
    "upper case": ("<THINK>", "</THINK>"),
    "thinking": ("<thinking>", "</thinking>"),
    "reasoning": ("<reasoning>", "</reasoning>"),
    "Seed": ("<seed:think>", "</seed:think>"),
    "Mistral": ("[THINK]", "[/THINK]"),
    "Kimi": ("◁think▷", "◁/think▷"),
    "Cohere": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "Granite": ("Here is my thought process:", "Here is my response:"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "gpt-oss, JSON": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
    ),
    "gpt-oss, markers dropped": ("analysis", "assistantfinal"),
    "channels": ("<|channel>thought\n", "<channel|>"),
}
THOUGHT = 'The list has ["fire", "smoke"]. ATOMS: fire; smoke? No:\n- fire\n{"atoms": ["fire"]} '


@pytest.mark.parametrize("form", FORMS)
def test_what_was_considered_is_no_evidence(form):
    begin, end = FORMS[form]
    for answer in ("\n\nATOMS: tree", '{"atoms": ["tree"]}', "ATOMS: tree<|return|>", "tree"):
        assert parse_answer(begin + THOUGHT + end + answer).named == ("tree",)
        # A template writes the beginning into the prompt.
        assert parse_answer(THOUGHT + end + answer).named == ("tree",)
        assert parse_answer((begin + THOUGHT + end) * 2 + answer).named == ("tree",)
    assert parse_answer(begin + THOUGHT + end + "ATOMS: none").named == ()


@pytest.mark.parametrize("form", FORMS)
def test_a_thought_without_an_end_is_no_answer(form):
    begin, end = FORMS[form]
    assert parse_answer(begin + THOUGHT) is None
    assert parse_answer(begin + THOUGHT + end + "ATOMS: tree\n" + begin + THOUGHT) is None or (
        begin == "analysis"  # a word like any other in the middle
    )


@pytest.mark.parametrize(
    "raw",
    [
        "<think>fire</think><answer>ATOMS: tree</answer>",
        "<answer>ATOMS: fire</answer><think>no</think><answer>\nATOMS: tree",
        "<think>fire</think><response>ATOMS: tree</response> Ask me more.",
        "<|begin_of_box|>ATOMS: tree<|end_of_box|>",
        "ATOMS: tree<|im_end|>",
    ],
)
def test_what_encloses_the_answer_is_taken_off(raw):
    assert parse_answer(raw).named == ("tree",)


def test_words_that_are_no_markers():
    for raw in ("ATOMS: think tank; analysis", "analysis; tree", "final tree", "[think]"):
        assert without_thought(raw) == raw if raw != "[think]" else without_thought(raw) is None


@given(st.text(st.sampled_from("<>/|think anlysi[]HINKT"), max_size=60))
def test_any_text_has_an_answer_or_none(text):
    answer = without_thought(text)
    assert answer is None or isinstance(parse_answer(text), tuple | None)
