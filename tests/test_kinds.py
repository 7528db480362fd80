"""The table of kinds in docs/formats.md: every test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "formats.md"


def test_every_kind_has_a_test():
    text = TABLE.read_text(encoding="utf-8").partition("## Kinds, and the tests")[2]
    rows = re.findall(r"^\| (.+?) \| (.+) \| `(.+)::(\w+)` \|$", text, re.MULTILINE)
    assert len(rows) >= 46 and len(rows) == text.count("\n| ") - 2
    assert len({kind for kind, *_ in rows}) == len(rows)
    for _, _, file, name in rows:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in found, f"{file}::{name}"
