"""The prompt, and texts of others in messages."""

from jaxvlm.captioning.request import build_prompt, one_line
from jaxvlm.ontology.caption_text import parse_raw

ATOMS = ("smoke plume", "{odd} 100 %", "crashed cars")


def test_the_prompt_lists_every_atom_on_a_line_and_asks_for_the_flat_line():
    lines = build_prompt(ATOMS).splitlines()
    assert [line.removeprefix("- ") for line in lines if line.startswith("- ")] == list(ATOMS)
    assert "ATOMS: phrase; phrase; phrase" in lines
    assert parse_raw(lines[-1]) == ()  # the form of an empty answer, as the parser reads it


def test_one_line():
    assert one_line("a\n\tb\x1b[31m\u202ec") == "a b [31m c"
    assert one_line("x" * 10, 4) == "xxx…"
    assert one_line({"a": 1}) == "{'a': 1}"
