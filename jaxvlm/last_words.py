"""What a process of several says on stderr, passed on; of its last words one line.

``python last_words.py`` reads the stderr of a process that `joined` joined to others, line by line,
and writes it on. Where JAX ends that process because another one is gone, it does so with a dump of
forty lines; they become one, which says who is gone. Only the standard library is imported: the
process runs for as long as the one that it serves.
"""

import os
import re
import select
import signal
import time
from collections.abc import Iterable

COUNT = b"\0of "  # begins the line that says how many processes there are
_FATAL = b"Terminating process because the JAX distributed service detected fatal errors"
# Logs of what is wrong between processes come before it, and belong to it if it comes.
_BEFORE = re.compile(rb"[EF]\d{4} \S+ +\d+ (coordination_service|client\.h|distributed)")
_SILENT = re.compile(r"stopped sending heartbeats\):\s*((?:(?:\S*/task:)?\d+[\s,]+)+)")
_NAMED = re.compile(r"[Tt]ask (\d+) heartbeat timeout")
# The service runs in process 0: where it cannot be reached, that one is gone.
_NO_SERVICE = re.compile(r"leader task|Socket closed|Failed to send RPC|Connection re")
_PATIENCE = 5.0  # seconds that what may be last words are held back
_REST = 0.5  # seconds in which the rest of the dump comes


def sentence(text: str, count: int | None) -> str:
    """The line about a dump. count: of the processes; None: they have not all come."""
    if count is None:
        return (
            "error: processes cannot be joined (not all have come in time, or process 0 cannot be "
            "reached); start all, with the same --coordinator_address and --num_processes\n"
        )
    gone = {int(n) for part in _SILENT.findall(text) for n in re.findall(r"(\d+)[\s,]", part)}
    gone |= {int(n) for n in _NAMED.findall(text)}
    if not gone and _NO_SERVICE.search(text):
        gone = {0}
    numbers = ", ".join(str(number) for number in sorted(gone))
    who = f"process{'es' * (len(gone) > 1)} {numbers}" if gone else "another process"
    verb = "are" if len(gone) > 1 else "is"
    return f"error: {who} of {count} {verb} gone; start all again, what was stored is kept\n"


def pass_on(source: int, target: int) -> None:
    """Passes the lines of a file descriptor on to another one, until the first one ends."""
    count, rest = None, b""
    held: list[bytes] = []
    until, fatal = float("inf"), False
    while True:
        ready, _, _ = select.select([source], [], [], max(0.0, min(until - time.monotonic(), 60.0)))
        data = os.read(source, 65_536) if ready else b""
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        over = bool(ready) and not data
        if over and rest:
            lines.append(rest)
            rest = b""
        for line in lines:
            if line.startswith(COUNT):
                count = int(line[len(COUNT) :])
            elif held or _BEFORE.match(line):
                held.append(line)
                if not fatal:
                    fatal = _FATAL in line
                    until = time.monotonic() + (_REST if fatal else _PATIENCE)
            else:
                _write(target, [line])
        if over or time.monotonic() > until:
            if fatal:
                text = b"\n".join([*held, b""]).decode(errors="replace")
                os.write(target, sentence(text, count).encode())
                while os.read(source, 65_536):  # the rest of the dump
                    pass
                return
            _write(target, held)
            held, until = [], float("inf")
        if over:
            return


def _write(target: int, lines: Iterable[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    while content:
        content = content[os.write(target, content) :]


if __name__ == "__main__":
    # What ends a whole group of processes should not end this one before it has said why.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        pass_on(0, 2)
    except OSError:  # nobody reads it
        while os.read(0, 65_536):
            pass
