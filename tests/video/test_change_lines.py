"""Lines of `watch` in a file: behind its own, never behind somebody else's."""

import json

import pytest

from jaxvlm.errors import InputError
from jaxvlm.video import change_lines


@pytest.mark.parametrize("state", ["watching", "start", "summary"])
def test_lines_are_appended_behind_what_a_killed_run_left(tmp_path, state):
    out = tmp_path / "events.jsonl"
    out.write_text(f'{{"state": "{state}"}}\n{{"torn": ')
    with change_lines.lines_to(out) as emit:
        emit({"state": "end", "event": "ríot"})
    first, torn, line = out.read_text().splitlines()
    assert first == f'{{"state": "{state}"}}' and torn == '{"torn": '
    assert json.loads(line) == {"state": "end", "event": "ríot"}


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), change_lines.lines_to(tmp_path):
        pass


@pytest.mark.parametrize(
    "mine",
    [
        "events: [riot]\n",
        "[1]",
        "no newline",
        "{" * 100_000,
        '{"name": "Bob", "state": "CA"}',
        '"the state of my thesis"',
        '["state", 1]',
        "7",
    ],
)
def test_nothing_is_appended_to_a_file_of_somebody(tmp_path, mine):
    path = tmp_path / "ontology.yaml"
    path.write_text(mine)
    refused = pytest.raises(InputError, match="ontology.yaml: holds other than lines of watch")
    with refused, change_lines.lines_to(path):
        pass
    assert path.read_text() == mine


def test_a_line_that_ends_with_a_carriage_return_is_torn(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(f'{{"state": "{change_lines.STATES[0]}"}}\r'.encode())
    with change_lines.lines_to(path) as emit:
        emit({"state": "end"})
    assert path.read_bytes().endswith(b'"}\r\n{"state": "end"}\n')
