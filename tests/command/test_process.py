"""A Ctrl-C at any time: one line, exit code 130, no traceback; and what Python writes is spelled.

The moments are counted in events of Python's audit hooks (a module imported, a file opened), not
in seconds, so that a slow machine gives the same ones.
"""

import ast
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxvlm.replacing import PARTIAL
from jaxvlm.world import videos as world

ROOT = Path(__file__).resolve().parents[2]
# Sends SIGINT to itself at the Nth event after the programs are prepared; 0: prints how many.
INTERRUPTING = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run behind `&`
at, how, name, *rest = sys.argv[1:]
count = 0
def audit(event, arguments):
    global count
    if event in ("import", "open") and "jaxvlm.command.process" in sys.modules:
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            count += 1
            if count == int(at):
                os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(audit)
def run():
    if how == "module":
        sys.argv = ["-m", *rest]
        runpy.run_module("launch." + name.replace("-", "_"), run_name="__main__", alter_sys=True)
    else:
        from jaxvlm.command.programs import main
        main([name, *rest])
if at == "0":
    try:
        run()
    finally:
        print("events", count)
else:
    run()
"""
PREPARED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from jaxvlm.command import cli, process
from jaxvlm.errors import InputError

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass

class Callback:
    def __del__(self):
        interrupt()

def main():
    {body}

cli.run(main)
"""


def run(code, *words):
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    return process.returncode, process.stdout.decode(), process.stderr.decode()


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    base = tmp_path_factory.mktemp("interrupted")
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:1]), base / "clip.mp4")
    ontology = ROOT / "configs" / "ontology" / "world_roles.yaml"
    return {
        "check-ontology": ["check-ontology", f"--ontology={ontology}"],
        "score-video": ["score-video", f"--video={base}/clip.mp4", f"--out_dir={base}/out"],
    }


@pytest.mark.parametrize("name, how", [("check-ontology", "module"), ("score-video", "command")])
def test_ctrl_c_is_one_line_and_130_whenever_it_comes(programs, name, how):
    for _ in range(2):  # the first run fills caches, which the others open less often
        code, stdout, stderr = run(INTERRUPTING, 0, how, *programs[name])
        assert code == 0, stderr
    events = int(stdout.split()[-1])
    assert events > 1000  # imports are most of them
    chosen = random.Random(f"{name} {how}")
    # From the first import to the last file; the end of the process opens nothing of ours.
    moments = [2, chosen.randrange(2, events), events - 1]
    for moment in moments:
        code, _, stderr = run(INTERRUPTING, moment, how, *programs[name])
        assert (code, stderr) == (130, "interrupted\n"), (moment, events)


@pytest.mark.parametrize(
    "body",
    [
        "interrupt()",
        "Callback(); [None for _ in iter(int, 1)]",  # Python ignores what a destructor raises
        "\n    try: interrupt()\n    except BaseException: pass\n    print('done')",
        "\n    try: interrupt()\n    except BaseException: raise InputError('a: b; c') from None",
        "\n    try: interrupt()\n    except BaseException: raise RuntimeError('a library')",
        "\n    try: interrupt()\n    except BaseException: sys.exit(1)",
        "import atexit; atexit.register(interrupt)",
    ],
)
def test_an_interrupt_that_a_library_swallows_ends_the_run_all_the_same(body):
    code, _, stderr = run(PREPARED.format(body=body))
    assert (code, stderr) == (130, "interrupted\n")


def test_processes_that_draw_do_not_hear_it(tmp_path):
    """A terminal sends it to the whole group, and each would print a traceback."""
    words = ["render-ood", f"--out_dir={tmp_path}/world", "--num_pictures=3000"]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTING, "-1", "command", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            while not list(tmp_path.glob(f"{PARTIAL}/*/world/*/*/*")):  # until something is drawn
                assert process.poll() is None
                time.sleep(0.1)
            os.killpg(process.pid, signal.SIGINT)
            assert process.communicate(timeout=300) == ("", "interrupted\n")
        finally:
            process.kill()
    assert process.returncode == 130 and list(tmp_path.iterdir()) == []


def test_a_shell_that_ignores_ctrl_c_for_a_program_behind_it_is_heard():
    code = PREPARED.replace("signal.default_int_handler", "signal.SIG_IGN")
    assert run(code.format(body="interrupt(); print('done')")) == (0, "done\n", "")


def test_what_python_and_libraries_write_is_spelled_too():
    evil = r"x\x1b[2J\u202e\udc9b\n\r\x85forged"
    body = f"""
    import logging, warnings
    warnings.warn('warning {evil}')
    logging.getLogger('library').warning('log %s', '{evil}')
    raise RuntimeError('bug {evil}')
"""
    code, stdout, stderr = run(PREPARED.format(body=body))
    assert (code, stdout) == (1, "") and "Traceback" in stderr
    assert stderr.replace("\n", "").isprintable()
    for word in ("warning", "log"):
        assert rf"{word} x\x1b[2J\u202e\udc9b\n\r\x85forged" in stderr
    assert r"bug x\x1b[2J\u202e\udc9b" in stderr


def test_text_reaches_the_terminal_at_few_places():
    """A program shows a line with `cli.show`, which spells control characters; the others that
    print do so themselves."""
    prints = {
        str(path.relative_to(ROOT))
        for folder in ("jaxvlm", "launch")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert prints == {
        "jaxvlm/command/cli.py",
        "jaxvlm/command/display.py",
        "jaxvlm/command/process.py",
        "jaxvlm/command/programs.py",  # its own words
        "jaxvlm/command/starting.py",
        "jaxvlm/data/videos.py",
        "jaxvlm/video/change_lines.py",  # JSON
    }
