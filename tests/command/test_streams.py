"""stdout and stderr of any encoding, whose reader may go, on a disk that may be full."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvlm.terminal import Lasting

ROOT = Path(__file__).resolve().parents[2]
# Prints as a program does, then does its work: writes a file.
PROGRAM = """
import sys, time
from jaxvlm.command import cli
def main():
    for line in range(20_000):
        cli.show(f"line {line} \\u2212 \\u03a3")
    cli.warn("a warning")
    open(FILE, "w").write("done")
FILE = sys.argv.pop()
cli.run(main)
"""


def run(command, file, **environment):
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", sys.executable, PROGRAM, str(file)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("command", "stdout", "stderr", "code"),
    [
        ('"$1" -c "$2" "$3" | head -1', "line 0 − Σ\n", "warning: a warning\n", 0),
        ('"$1" -c "$2" "$3" 2>&1 | head -1', "line 0 − Σ\n", "", 0),
        (
            '"$1" -c "$2" "$3" > /dev/full',
            "",
            "warning: a warning\nerror: stdout: cannot be written (No space left on device); what "
            "was shown is cut short there\n",
            1,
        ),
    ],
)
def test_the_work_is_done_whoever_reads(tmp_path, command, stdout, stderr, code):
    done = run(command, tmp_path / "file")
    assert (done.stdout, done.stderr, done.returncode) == (stdout, stderr, code)
    assert (tmp_path / "file").read_text() == "done"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_our_characters_shows_others(tmp_path, encoding):
    command = '"$1" -c "$2" "$3" | head -1'
    done = run(command, tmp_path / "file", PYTHONIOENCODING=encoding)
    assert (done.stdout, done.returncode) == ("line 0 - sum\n", 0)
    assert (tmp_path / "file").read_text() == "done"


def test_a_locale_that_knows_only_ascii(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run('"$1" -c "$2" "$3" | head -1', tmp_path / "file", **plain)
    assert (done.stdout, done.returncode) == ("line 0 - sum\n", 0)


def lasting(encoding: str, errors: str = "strict") -> tuple[Lasting, io.BytesIO]:
    raw = io.BytesIO()
    return Lasting(io.TextIOWrapper(raw, encoding=encoding, errors=errors)), raw


def test_characters_that_an_encoding_lacks_are_spelled():
    for encoding, errors, expected in [
        ("ascii", "strict", r"a - ... p_ gamma \u4e2d \xe9"),
        ("ascii", "surrogateescape", r"a - ... p_ gamma \u4e2d \xe9"),  # the locale C
        ("cp1252", "strict", "a - … p_ gamma \\u4e2d é"),
        ("ascii", "replace", "a ? ? p? ? ? ?"),  # what the user chose
        ("utf-8", "strict", "a − … p̄ γ 中 é"),
    ]:
        stream, raw = lasting(encoding, errors)
        print("a − … p̄ γ 中 é", file=stream, end="", flush=True)
        assert raw.getvalue().decode(encoding) == expected


def test_all_flags_can_be_told_in_ascii():
    """The characters of their help have a plain form; none is told by its number."""
    sources = [*(ROOT / "launch").glob("*.py"), *(ROOT / "jaxvlm" / "command").glob("*_flags.py")]
    assert len(sources) > 20
    for source in sources:
        stream, raw = lasting("ascii")
        print(source.read_text(encoding="utf-8"), file=stream, flush=True)
        assert "\\u" not in raw.getvalue().decode() and not stream.lost, source
