"""Worker processes end with the program that started them."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxvlm.world.workers import ahead

PROGRAM = """
import multiprocessing, time
from jaxvlm.world.workers import spread
if __name__ == "__main__":
    with spread(time.sleep, [0.2, 0.2], workers=2) as results:
        print(*set(results), *[p.pid for p in multiprocessing.active_children()], flush=True)
        time.sleep(600)
"""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_workers_do_not_outlive_a_killed_program(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as program:
        workers = [int(word) for word in program.stdout.readline().split()[1:]]
        assert len(workers) == 2 and all(map(alive, workers))
        program.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def test_the_next_job_is_done_while_what_the_last_one_made_is_used():
    begun = [threading.Event() for _ in range(3)]

    def job(number):
        def make(told):
            begun[number].set()
            told("making", 0, 1)
            return number

        return make

    with ahead(map(job, range(3))) as made:
        assert next(made) == 0
        assert begun[2].wait(60)  # though nobody has asked for the second
        assert list(made) == [1, 2]


def test_a_job_that_nobody_waits_for_ends_where_it_next_tells_of_itself():
    began, ended = threading.Event(), []

    def endless(told):
        began.set()
        try:
            while True:
                told("making", 0, 1)
                time.sleep(0.01)
        finally:
            ended.append("the first")

    with pytest.raises(KeyboardInterrupt), ahead([endless, ended.append]):
        began.wait(60)
        raise KeyboardInterrupt
    assert ended == ["the first"]  # and the second never began


def test_what_a_job_raises_is_raised_where_it_is_waited_for():
    def fails(told):
        raise ValueError("no room")

    with ahead([fails]) as made, pytest.raises(ValueError, match="no room"):
        next(made)


def test_progress_is_of_the_job_that_is_waited_for():
    heard, done = [], threading.Event()

    def first(told):
        told("first", 0, 1)
        return 1

    def second(told):
        told("second, before", 0, 1)
        done.set()
        while len(heard) < 1 or heard[-1] != "second, after":
            told("second, after", 0, 1)
            time.sleep(0.01)
        return 2

    with ahead([first, second], lambda name, *_: heard.append(name)) as made:
        assert next(made) == 1
        assert done.wait(60)
        assert "second, before" not in heard
        assert next(made) == 2
    assert heard[-1] == "second, after"


def test_who_waits_for_a_job_of_another_is_not_kept():
    """A job that waits for one that is made ahead ends with it, although that one has no end."""
    began, told_on = threading.Event(), []

    def endless(told):
        began.set()
        while True:
            told("making", 0, 1)
            time.sleep(0.01)

    def waits(told):
        told_on.append(told)
        return next(made)

    with (
        pytest.raises(KeyboardInterrupt),
        ahead([endless], lambda *news: told_on and told_on[0](*news)) as made,
        ahead([waits]),
    ):
        began.wait(60)
        raise KeyboardInterrupt
