"""Many command lines in one process: importing and compiling is most of what each would cost."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
# Reads a command line per line, as JSON; answers with [exit code, stdout, stderr].
SERVER = """
import contextlib, io, json, sys, traceback
from absl import app, flags
from ml_collections import config_flags
from jaxvlm.command import cli
import grain  # defines flags when it is imported, which are no launcher's
from jaxvlm.command import programs
app.define_help_flags()
for line in sys.stdin:
    own = set(flags.FLAGS)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            programs.main(json.loads(line))
        except SystemExit as exit:
            code = exit.code or 0
            if isinstance(code, str):  # as the interpreter does it
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
    flags.FLAGS.remove_flag_values(set(flags.FLAGS) - own)
    flags.FLAGS.unparse_flags()
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def run_all(
    commands: Mapping[str, Sequence], *, cwd: Path, environment: Mapping[str, str] | None = None
) -> dict[str, SimpleNamespace]:
    """Runs ``jaxvlm WORDS`` one after the other: what a finished process has, by the name.

    environment: of the process; None: that of this one.
    """
    process = subprocess.run(
        [sys.executable, "-c", SERVER],
        input="".join(json.dumps(list(map(str, line))) + "\n" for line in commands.values()),
        cwd=cwd,
        env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0 and process.stderr == "", process.stderr
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    return {
        name: SimpleNamespace(returncode=code, stdout=out, stderr=err)
        for name, (code, out, err) in zip(commands, answers, strict=True)
    }


def program_words(words: Sequence[str]) -> list[str] | None:
    """The words behind ``jaxvlm`` of a command line, however it calls a program; None: it does not.

    ``jaxvlm NAME`` and ``python -m launch.NAME`` are the program NAME.
    """
    first, *rest = words
    if first == "jaxvlm":
        return rest
    if Path(first).name.startswith("python") and rest[:1] == ["-m"]:
        if rest[1].startswith("launch."):
            return [rest[1].removeprefix("launch."), *rest[2:]]
    return None
