"""Kills every program that writes, again and again, and compares what it leaves byte for byte.

    python -m tests.kill_campaign --signals=200

Each program is run to its end once; what it wrote is the truth. Then it is started again over its
own output, or over nothing, and killed: half the time at a random moment, half the time just after
it begins to write. What it leaves must be whole files of the truth, and the next run that is let to
its end must leave the truth and nothing else.

Left out: `train-clip` and `demo`, which take minutes and write through the same functions, and
`watch --out`, which appends lines as they happen.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jaxvlm.replacing import PARTIAL
from jaxvlm.resources import path as resource

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS_IN_A_ROW = 4
OURS = re.compile(rf'File "{re.escape(str(ROOT))}/(jaxvlm|launch)/')  # a line of a traceback
VOLATILE = ("seconds", "encoding")  # of run records: timings


def commands(base: Path) -> dict[str, list[str]]:
    """By name the launcher and its flags; OUT stands for the output folder. In this order each
    finds its inputs, which lie in ``base/NAME`` of the programs before it."""
    world, ontology = base / "render_world" / "train", resource("configs/ontology/world.yaml")
    ood = base / "render_ood"
    words = resource("configs/ood/world_words.txt")
    pictures = [
        f"--class_names={ood}/class_names.txt",
        f"--config={resource('configs/ood/world.py')}",
        "--config.negalign.num_groups=5",
        "--config.batch_size=4",
        "--out_dir=OUT",
    ]
    return {
        "render_world": ["--num_videos=4", "--splits=train", "--seed=3", "--out_dir=OUT"],
        "render_ood": ["--num_pictures=4", "--size=48", "--out_dir=OUT"],
        "extract_frames": [f"--video={world}/videos", "--out_dir=OUT"],
        "caption_frames": [
            "--backend=dry", f"--frames_root={base}/extract_frames", "--out=OUT/captions.json",
        ],
        "run_pipeline": [
            f"--frames_root={base}/extract_frames", f"--labels_csv={world}/labels.csv",
            "--config.batch_size=8", "--out_dir=OUT",
        ],
        "train_role_learning": [
            f"--manifest_csv={base}/run_pipeline/manifest.csv", "--epochs=20", "--out_dir=OUT",
        ],
        "score_video": [
            f"--video={world}/videos", f"--roles={base}/train_role_learning/model",
            "--config.batch_size=8", "--out_dir=OUT",
        ],
        "evaluate_video": [
            f"--scores_dir={base}/score_video", f"--intervals_csv={world}/intervals.csv",
            "--trained=mark", "--out=OUT/metrics.json",
        ],
        "propose_atoms": [
            f"--captions={world}/captions.json", f"--labels_csv={world}/labels.csv",
            f"--ontology={ontology}", "--out_dir=OUT",
        ],
        "convert_prototype": [f"--source={base}/run_pipeline", "--to=prototype", "--out_dir=OUT"],
        "mine_negatives": [
            f"--class_names={ood}/class_names.txt", f"--words={words}", "--out_dir=OUT",
        ],
        "split_negatives": [f"--negatives={words}", "--percentile=45", "--out_dir=OUT"],
        "score_images": [f"--images={ood}/id_rare", *pictures],
        "evaluate_ood": [
            f"--id_dir={ood}/id", f"--ood_dirs={ood}/ood_unseen", *pictures,
            "--config.num_resamples=5",
        ],
    }  # fmt: skip


def start(name: str, flags: list[str], out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", f"launch.{name}", *(f.replace("OUT", str(out)) for f in flags)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(name: str, flags: list[str], out: Path) -> float:
    """Runs a program to its end; its seconds."""
    began = time.monotonic()
    process = start(name, flags, out)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, f"{name}: exit code {process.returncode}\n{text}"
    return time.monotonic() - began


def contents(out: Path) -> dict[str, bytes]:
    """What a user sees below a folder, timings left out; training states are compared by what
    becomes of them."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = path.relative_to(out).as_posix()
        if not any(part.startswith(".") for part in Path(name).parts) and "state/" not in name:
            found[name] = _without_timings(path)
    return found


def _without_timings(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    value = json.loads(content)
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in VOLATILE}
    return json.dumps(value).encode()


def kill(process: subprocess.Popen, out: Path, seconds: float, rng: random.Random) -> int | None:
    """Sends a signal at a random moment, or just after the first file is begun; the exit code, None
    where the program was already through."""
    at_writing = rng.random() < 0.5
    end = time.monotonic() + (60 if at_writing else rng.uniform(0, seconds))
    while process.poll() is None and time.monotonic() < end:
        if at_writing and any(out.rglob(PARTIAL)):
            time.sleep(rng.expovariate(50))
            break
        time.sleep(0.001)
    through = process.poll() is not None
    sent = rng.choice(SIGNALS)
    if not through:
        process.send_signal(sent)
    text, _ = process.communicate(timeout=120)
    if sent == signal.SIGINT:  # no program can say anything after the others, but its workers may
        # Python's own start, and ours up to the handler, may say something.
        assert not OURS.search(text) or "launch/__init__.py" in text, text
    return None if through else process.returncode


def needed(base: Path, names: list[str]) -> list[str]:
    """The programs and those whose output they read, in the order in which they can run."""
    table, wanted = commands(base), set(names)
    for name in reversed(table):
        if name in wanted:
            text = " ".join(table[name])
            wanted |= {other for other in table if f"{base / other}" in text}
    return [name for name in table if name in wanted]


def run(
    base: Path, names: list[str], signals: int, seed: int
) -> Iterator[tuple[str, collections.Counter]]:
    """Runs the campaign below ``base``; yields each program with its exit codes."""
    rng = random.Random(seed)
    for name in needed(base, names):
        flags, out = commands(base)[name], base / name
        seconds = finish(name, flags, out)
        if name not in names:
            continue
        truth, codes = contents(out), collections.Counter()
        assert truth, f"{name}: wrote nothing"
        share = signals // len(names)
        for number in range(share):
            if number % (2 * KILLS_IN_A_ROW) == 0:
                shutil.rmtree(out)  # else over what is there
            codes[kill(start(name, flags, out), out, seconds, rng)] += 1
            for path, content in (contents(out) if out.exists() else {}).items():
                assert content == truth.get(path), f"{name}: {path} after a kill"
            if number % KILLS_IN_A_ROW == KILLS_IN_A_ROW - 1 or number == share - 1:
                finish(name, flags, out)
                assert contents(out) == truth, f"{name}: other files after the rerun"
                assert not any(out.rglob(PARTIAL)), f"{name}: something left half-written"
        yield name, codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "kill_campaign"
    )
    parser.add_argument("--programs", nargs="*", help="default: all")
    flags = parser.parse_args()
    # A shell lets what it starts behind `&` ignore a Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shutil.rmtree(flags.folder, ignore_errors=True)
    total: collections.Counter = collections.Counter()
    names = flags.programs or list(commands(flags.folder))
    for name, codes in run(flags.folder, names, flags.signals, flags.seed):
        total += codes
        print(f"{name:20} {sum(codes.values())} signals, exit codes {dict(codes)}", flush=True)
    print(
        f"{total.total()} signals, {total[None]} after the end; every file whole, every rerun equal"
    )


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    main()
