"""Text of others on a terminal: no control character gets through, and all else stays."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxvlm import terminal

# Written out, not taken from the code: C0, DEL, C1, separators, embeddings, isolates, surrogates.
HIDDEN = [
    *range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F),
    *range(0x2066, 0x206A), 0xD800, 0xDBFF, 0xDC80, 0xDFFF,
]  # fmt: skip


@pytest.mark.parametrize("code", HIDDEN)
def test_what_moves_a_terminal_is_spelled(code):
    spelled = terminal.shown(f"a{chr(code)}b")
    assert spelled.isprintable() and spelled.isascii() and spelled.startswith("a\\")
    assert spelled[1:-1].encode().decode("unicode_escape") == chr(code)


def test_other_text_stays():
    text = "Ärger 'x' \\n 你好 سلام नमस्ते 🔥 §4 a\u00a0b"
    assert terminal.shown(text) == text
    assert terminal.shown(3.5) == "3.5"


@given(st.text(st.characters(codec=None), max_size=30))
def test_a_line_is_one_line_without_controls(text):
    line = terminal.shown(text)
    assert len(line.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert not any(unicodedata.bidirectional(c)[:2] in ("LR", "RL", "PD", "FS") for c in line)


@given(st.text(st.characters(codec=None), max_size=30))
def test_a_line_of_json_is_printable_and_reads_back(text):
    line = terminal.json_line({text: [text, 1.5, None]})
    assert line.isascii() and line.isprintable()
    assert json.loads(line) == {text: [text, 1.5, None]}
