"""The command ``jaxvlm``: its list, its errors, and the programs that it starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxvlm
from jaxvlm.command import programs

ROOT = Path(__file__).resolve().parents[2]
# Runs the command; the last line of stdout names the heavy modules that it imported.
IMPORTS = """
import atexit, sys
heavy = {"absl", "jax", "numpy", "pandas", "transformers", "ml_collections"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
from jaxvlm.command.programs import main
main()
"""


def call(*words, code=None, cwd=None):
    """Runs ``python -m jaxvlm``, or ``code`` in its place; returns the finished process."""
    program = ["-m", "jaxvlm"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *program, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_the_list_has_every_launcher_once():
    files = {path.stem for path in (ROOT / "launch").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in programs.NAMES} == files
    assert len(set(programs.NAMES)) == len(programs.NAMES)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_list_says_what_each_program_is_for(words):
    process = call(*words, code=IMPORTS)
    *lines, heavy = process.stdout.splitlines()
    assert (process.returncode, process.stderr, heavy) == (0, "", "[]")
    for wish, names in programs.PROGRAMS.items():
        start = lines.index(wish)
        own = lines[start + 1 : start + 1 + len(names)]
        assert [line.split()[0] for line in own] == list(names)
        assert all(len(line) <= 80 and line.endswith(".") for line in own), own


def test_a_line_of_the_list_is_the_first_of_the_programs_help():
    process = call("score-images", "--help")
    assert process.stdout.splitlines()[0] == programs.summary("score-images")
    assert f"  {'score-images':19}  {programs.summary('score-images')}\n" in programs.overview()


@pytest.mark.parametrize("name", ["score-video", "score_video"])
def test_help_of_a_program_has_its_flags_under_its_name(name):
    process = call(name, "--help")
    assert (process.returncode, process.stderr) == (0, "")
    shown = set(re.findall(r"^  --(?:\[no\])?(\w+) ", process.stdout, re.MULTILINE))
    assert {"video", "out_dir", "clip", "config", "distributed"} <= shown
    assert "jaxvlm score-video --video" in process.stdout and "launch" not in process.stdout


def test_a_wrong_flag_of_a_program_is_refused():
    process = call("compare-results", "--reslts=x")
    assert process.returncode == 1 and process.stdout == ""
    assert "Unknown command line flag 'reslts'" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    "word, answer",
    [
        ("score-vidoe", "did you mean score-video?"),
        ("evaluate_odd", "did you mean evaluate-ood?"),
        ("xyzzy", "see jaxvlm --help"),
        ("--out_dir=x", "see jaxvlm --help"),
        ("../setup", "see jaxvlm --help"),
    ],
)
def test_an_unknown_program_is_one_line_that_names_the_nearest(word, answer):
    process = call(word, "--video=a.mp4", code=IMPORTS)
    assert (process.returncode, process.stdout) == (1, "[]\n")
    assert process.stderr == f"error: jaxvlm {word}: no such program; {answer}\n"


def test_the_version_is_that_of_the_package():
    assert call("--version").stdout == f"jaxvlm {jaxvlm.__version__}\n"


def test_bash_completes_the_first_word_and_leaves_the_rest_to_files():
    line = call("--completion", "bash").stdout
    script = f"{line}\nCOMP_WORDS=(jaxvlm sc x) COMP_CWORD=$1; _jaxvlm; echo ${{COMPREPLY[@]}}"
    answers = [
        subprocess.run(["bash", "-c", script, "bash", str(i)], capture_output=True, text=True)
        for i in (1, 2)
    ]
    assert [answer.stdout for answer in answers] == ["score-video score-images\n", "\n"]
    assert call("--completion", "fish").stderr.count("\n") == 1


def test_a_program_is_started_from_another_folder(tmp_path):
    """Its exit code, its files and what it prints are those of the launcher."""
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    process = call("render-ood", "--num_pictures=1", "--out_dir=ood", cwd=folder)
    assert process.returncode == 0, process.stderr
    assert "ood/truth.csv" in process.stdout and (folder / "ood" / "run.json").is_file()
    process = call("compare-results", "--results=no.json", cwd=folder)
    assert process.returncode == 1 and process.stderr.startswith("error: no.json: ")
