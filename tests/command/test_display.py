"""Progress in a terminal and in a log."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from jaxvlm.command import display


def test_a_log_has_a_line_as_long_as_a_stage_goes_on(capfd):
    with display.progress(every=0.1) as tell:
        tell("videos", 1, 3)
        tell("cam.mp4", 1200, 0)
        tell("load", 0, 1)
        time.sleep(0.35)
        for name in ("videos", "cam.mp4", "load"):
            tell(name, 3, 3)
        time.sleep(0.15)
        before = capfd.readouterr()
        time.sleep(0.25)
    after = capfd.readouterr()
    assert before.out == after.out == after.err == ""
    lines = before.err.splitlines()
    assert lines and set(lines) == {"videos: 1 of 3 (0:00); cam.mp4: 1,200 (0:00); load: (0:00)"}


def test_a_quick_run_leaves_no_line(capfd):
    with display.progress() as tell:
        tell("videos", 0, 3)
        tell("videos", 3, 3)
    assert capfd.readouterr().err == ""


def test_a_log_spells_control_characters(capfd):
    with display.progress(every=0.05) as tell:
        tell("a\x1b[2Jb", 0, 1)
        time.sleep(0.2)
    assert "\x1b" not in capfd.readouterr().err


PROGRAM = """
import sys, time
from jaxvlm.command import display
with display.progress() as tell:
    tell("videos", 0, 2)
    tell("cam [x].mp4\\x1b", 5, 10)
    time.sleep(1.5)  # nothing is told, and yet the time goes on
    tell("cam [x].mp4\\x1b", 10, 10)
    tell("videos", 2, 2)
    print("said", flush=True)
    tell("again", 0, 1)
    time.sleep(0.3)
    if sys.argv[1:]:
        raise KeyboardInterrupt
print("end")
"""


def in_terminal(program: str, *arguments: str) -> tuple[str, bytes]:
    """What a program writes to stderr, a terminal of 100 columns, and to stdout, a pipe."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"},
    )
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not part:
            break
        shown += part
    return shown.decode(), process.communicate(timeout=60)[0]


@pytest.mark.parametrize("arguments", [(), ("interrupt",)])
def test_a_terminal_has_bars_that_move_and_leave_nothing(arguments):
    text, out = in_terminal(PROGRAM, *arguments)
    assert out == (b"said\n" if arguments else b"said\nend\n")
    assert "cam [x].mp4\\x1b" in text and "5 of 10" in text  # no markup, no control character
    assert {"0:00:00", "0:00:01"} <= set(re.findall(r"0:00:0\d", text))
    # The cursor is shown again as often as it was hidden, and the last bar's line was erased.
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 2
    assert re.search(r"\x1b\[2K", text.rsplit("again", 1)[1])


STARTING = """
import sys, time
from jaxvlm.command import starting
starting.begin("score-video")
time.sleep(1.4)  # the imports
starting.end()
time.sleep(1.2)
print("started", file=sys.stderr)
"""


def test_a_terminal_says_that_a_program_starts():
    text, out = in_terminal(STARTING)
    assert "starting score-video … 0 s" in text and "starting score-video … 1 s" in text
    assert text.endswith("\r\x1b[Kstarted\r\n")  # and nothing after it
    assert out == b""
