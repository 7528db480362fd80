"""Kills `watch` again and again while its receiver comes and goes, and counts what arrives.

    python -m tests.alarm_campaign --kills=200

Two cameras of rendered clips are watched to their end once: what is posted is the truth. Then a
fresh watch is killed (SIGKILL) at random moments and started again over its state folder until it
is through, round after round, while the receiver refuses at random. Every alarm of the truth has to
arrive, each under one id however often, and nothing else; the same on the disk.

Programs are forked from a process that has imported everything, which is most of a start.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.alarms.receiver import SECRET, Receiver, receiving

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("--fps=10", "--threshold=0.01", "--release=0.008", "--clip_before=0.5", "--clip_after=0.5")


class Forks:
    """Starts `watch` from a process that has its modules."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.alarm_campaign", "--serve"],
            cwd=ROOT,
            env=os.environ | {"JAXVLM_WEBHOOK_SECRET": SECRET.decode(), "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, words: list[str]) -> int:
        """The process's number."""
        self.process.stdin.write(json.dumps([str(self.folder), *words]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Waits for the process that was started; its exit code, negative for a signal."""
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def serve() -> None:
    """Reads a command line per line, forks, tells the number, then the exit code."""
    from jaxvlm.command import alarm_flags, cli, programs, watch_flags  # noqa: F401
    from jaxvlm.video import watch_program  # noqa: F401

    for line in sys.stdin:
        folder, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            log = os.open(f"{folder}/log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            try:
                programs.main(words)
                os._exit(0)
            except SystemExit as ended:
                if isinstance(ended.code, str):
                    print(ended.code, file=sys.stderr, flush=True)
                os._exit(1 if isinstance(ended.code, str) else ended.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(70)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def write_cameras(folder: Path) -> Path:
    from jaxvlm.world import videos as world

    entries = []
    for n in range(2):
        whole = world.world_video(3 + n, "train", 1)
        path = folder / f"{n}.mp4"
        world.write_video(whole._replace(shots=whole.shots[:3]), path)
        entries.append({"name": f"camera {n}", "source": str(path)})
    (folder / "cameras.json").write_text(json.dumps({"cameras": entries}))
    return folder / "cameras.json"


def key(data: dict) -> tuple:
    return data["camera"], data["event"], data["start_seconds"], data["state"]


def of_receiver(receiver: Receiver) -> dict[tuple, set[str]]:
    """The ids under which each alarm has come."""
    found = collections.defaultdict(set)
    for message_id, message in receiver.messages.items():
        found[key(message["data"])].add(message_id)
    return dict(found)


def of_disk(folder: Path) -> set[tuple]:
    """The alarms that are written; each is over."""
    records = [json.loads(path.read_text()) for path in folder.rglob("alarm.json")]
    for path in folder.rglob("snapshot.jpg"):
        assert path.read_bytes()[-2:] == b"\xff\xd9", f"{path}: torn"
    return {key(record) for record in records}


def _told(lines: Path) -> set[str]:
    """The states of the whole lines that are there."""
    text = lines.read_text() if lines.exists() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()
    return {json.loads(line)["state"] for line in whole if line.startswith("{")}


def _watching(lines: Path) -> float | None:
    """Waits until a program has told that it watches; when that was, None where it did not."""
    size, end = lines.stat().st_size if lines.exists() else 0, time.monotonic() + 60
    while time.monotonic() < end:
        if lines.exists() and lines.stat().st_size > size:
            return time.monotonic()
        time.sleep(0.005)
    return None


def run(base: Path, kills: int, seed: int) -> dict[str, int]:
    """Runs the campaign below ``base``; what it counted."""
    rng, counts = random.Random(seed), collections.Counter()
    listed = write_cameras(base)
    forks, mood = Forks(base), {"bad": 0.0}

    def answer(number: int, message: dict) -> tuple[int, dict, bytes]:
        return (503 if rng.random() < mood["bad"] else 204), {}, b""

    def words(round_: str, url: str) -> list[str]:
        return [
            "watch", f"--cameras={listed}", f"--webhook={url}/hook", *FLAGS,
            f"--state_dir={base / round_ / 'state'}", f"--alarms_dir={base / round_ / 'alarms'}",
            f"--out={base / round_ / 'lines.jsonl'}",
        ]  # fmt: skip

    def finish(round_: str, receiver: Receiver) -> None:
        mood["bad"] = 0.0
        forks.start(words(round_, receiver.url))
        code = forks.end()
        assert code == 0, f"exit code {code}\n{(base / 'log.txt').read_text()[-3000:]}"

    try:
        with receiving(Receiver(answer)) as receiver:
            (base / "truth").mkdir()
            began, mood["bad"] = time.monotonic(), 0.0
            forks.start(words("truth", receiver.url))
            lines = base / "truth" / "lines.jsonl"
            watching = _watching(lines)
            while not _told(lines) & {"start"}:
                time.sleep(0.005)
            seconds, ready = time.monotonic() - began, time.monotonic() - watching
            code = forks.end()
            assert code == 0, f"exit code {code}"
            truth = set(of_receiver(receiver))
        assert len(truth) >= 8 and {one[3] for one in truth} == {"start", "end"}
        round_ = 0
        while counts["kills"] < kills:
            name, round_ = f"round {round_}", round_ + 1
            (base / name).mkdir()
            with receiving(Receiver(answer)) as receiver:
                through = False
                while not through and counts["kills"] < kills:
                    mood["bad"] = rng.choice([0.0, 0.5, 1.0])
                    lines = base / name / "lines.jsonl"
                    child = forks.start(words(name, receiver.url))
                    if rng.random() < 0.1:  # at any moment of the start
                        time.sleep(rng.uniform(0, seconds))
                    elif (began := _watching(lines)) is not None:
                        # While frames are scored and alarms sent: the start is over by then.
                        time.sleep(max(0.0, began + ready + rng.uniform(0, 0.4) - time.monotonic()))
                    with contextlib.suppress(ProcessLookupError):  # it was through
                        os.kill(child, signal.SIGKILL)
                    through = forks.end() == 0
                    counts["kills"] += not through
                finish(name, receiver)
                found = of_receiver(receiver)
                counts["messages"] += len(receiver.taken)
                counts["repeated"] += len(receiver.taken) - len(receiver.messages)
                counts["refused"] += len(receiver.requests) - len(receiver.taken)
            assert set(found) == truth, f"lost {truth - set(found)}, more {set(found) - truth}"
            assert all(len(ids) == 1 for ids in found.values()), found
            ended = {one for one in truth if one[3] == "end"}
            assert of_disk(base / name / "alarms") == ended
            assert not any((base / name / "state" / "spool" / "webhook").glob("*.json"))
            counts["rounds"] += 1
            counts["alarms"] += len(truth)
            print(f"round {counts['rounds']}: {counts['kills']} kills", flush=True)
            shutil.rmtree(base / name)
    finally:
        forks.close()
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help="used by the campaign itself")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "alarm_campaign"
    )
    flags = parser.parse_args()
    if flags.serve:
        serve()
        return
    shutil.rmtree(flags.folder, ignore_errors=True)
    flags.folder.mkdir(parents=True)
    found = run(flags.folder, flags.kills, flags.seed)
    print(
        f"{found['kills']} kills in {found['rounds']} rounds: {found['alarms']} messages, none "
        f"lost, none under two ids; {found['repeated']} came twice, {found['refused']} were refused"
    )


if __name__ == "__main__":
    main()
