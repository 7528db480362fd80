"""Worker processes end with the program that started them."""

import os
import signal
import subprocess
import sys
import time

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
