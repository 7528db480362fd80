"""Lines pass; a dump of JAX's about a process that is gone becomes one line."""

import os
import subprocess
import sys
import threading
import time

import pytest

from jaxvlm import last_words

BEGIN = (
    "E1128 15:27:46.9 7974 coordination_service_agent.cc:289] Polled an error from the service.\n"
)
FATAL = (
    "F1128 15:27:46.9 7974 client.h:80] Terminating process because the JAX distributed service "
    "detected fatal errors. absl::Status: "
)
SILENT = "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n{}"
CRASHED = "\nThe tasks have crashed. Check the task logs of 12 tasks for an earlier error.\n"
SOCKET = 'UNAVAILABLE: Error received from peer {grpc_status:14, grpc_message:"Socket closed"}\n'
KEPT = "gone; start all again, what was stored is kept\n"


@pytest.mark.parametrize(
    ("cause", "count", "expected"),
    [
        (SILENT.format("2") + CRASHED, 8, f"error: process 2 of 8 is {KEPT}"),
        (SILENT.format("11\n3") + CRASHED, 16, f"error: processes 3, 11 of 16 are {KEPT}"),
        (SILENT.format("/job:w/replica:0/task:2") + CRASHED, 8, f"error: process 2 of 8 is {KEPT}"),
        ("Task 5 heartbeat timeout. This indicates", 8, f"error: process 5 of 8 is {KEPT}"),
        (SOCKET, 8, f"error: process 0 of 8 is {KEPT}"),
        ("the leader task was preempted", 8, f"error: process 0 of 8 is {KEPT}"),
        ("what no version said so far", 8, f"error: another process of 8 is {KEPT}"),
    ],
)
def test_who_is_gone(cause, count, expected):
    assert last_words.sentence(FATAL + cause, count) == expected
    before = last_words.sentence(FATAL + cause, None)  # not all have come yet
    assert before.startswith("error: processes cannot be joined (not all have come in time")
    assert before.count("\n") == 1


def passed(*parts):
    """What comes of the parts of a stderr, with a moment between them."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", last_words.__file__],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for part in parts:
        process.stdin.write(part)
        process.stdin.flush()
        time.sleep(0.05)
    return process.communicate(timeout=60)[1]


def test_lines_pass_as_they_are():
    lines = "a warning\n\nTraceback (most recent call last):\n  é\n"
    assert passed("a war", "ning\n", lines[10:], "no end") == f"{lines}no end\n"
    # Of logs about the others nothing is lost where they are not the last words.
    assert passed("one\n", BEGIN, "two\n") == f"one\n{BEGIN}two\n"


def test_a_dump_is_one_line():
    count = f"{last_words.COUNT.decode()}3\n"
    dump = FATAL + SILENT.format("2") + CRASHED + "*** Check failure stack trace: ***\n    @ 0x7f\n"
    line = f"error: process 2 of 3 is {KEPT}"
    assert passed(count, "before\n", BEGIN + dump) == f"before\n{line}"
    assert passed(count + FATAL, SILENT.format("2"), CRASHED, "later\n") == line


def test_what_is_held_back_is_passed_on_in_time(monkeypatch):
    monkeypatch.setattr(last_words, "_PATIENCE", 0.1)
    reading, writing = os.pipe()
    out, into = os.pipe()
    thread = threading.Thread(target=last_words.pass_on, args=(reading, into))
    thread.start()
    os.write(writing, BEGIN.encode())
    assert os.read(out, 1000).decode() == BEGIN  # while the process goes on
    os.close(writing)
    thread.join(timeout=60)
    assert not thread.is_alive()
    for end in (reading, out, into):
        os.close(end)
