"""Where the start of a program goes: importing, loading, compiling, and the rest up to its first
result, the first video's page of `score-video` or the first frame of `watch`.

    python -m benchmarks.start --rounds=9 --beside=ANOTHER_CHECKOUT --out=start.json

Every start is a fresh process, with a cache of its own for each checkout, which the first, cold
round fills. Medians over the other rounds, by turns of the checkouts, so that the machine's noise
meets both. CPU seconds are of all threads, and tell more than seconds where others compute, too.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import measuring
from jaxvlm import files
from jaxvlm.world import videos as world

ROOT = Path(__file__).resolve().parents[1]
INSIDE = Path(__file__).with_name("start_inside.py")
STARTS = {
    "jaxvlm --help": ["--help"],
    "score-video --help": ["score-video", "--help"],
    "an unknown flag": ["score-video", "--nonsense=1"],
    "a wrong value": ["score-video", "--video=clip.mp4", "--out_dir=out", "--threshold=2"],
    "score-video": ["score-video", "--video=clip.mp4", "--out_dir=out"],
    "watch": ["watch", "--source=clip.mp4"],
}
COLUMNS = ("import", "load", "compile", "rest", "seconds", "cpu")


def start(tree: Path, words: list[str], folder: Path) -> dict[str, float]:
    """What `start_inside` measured of one process."""
    out = folder / "measured.json"
    kept = {name: text for name, text in os.environ.items() if not name.startswith("JAX_")}
    subprocess.run(
        [sys.executable, INSIDE, out, tree, str(time.time()), *words],
        cwd=folder,
        env=kept | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(out.read_text())


def measure(trees: Mapping[str, Path], clip: Path, rounds: int) -> list[dict[str, Any]]:
    """A row per start and checkout: medians, and its cold start's seconds."""
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place) / name for name in trees}
        for folder in folders.values():
            folder.mkdir()
            (folder / "clip.mp4").symlink_to(clip)
        rows = []
        for what, words in STARTS.items():
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
            for number in range(1 + rounds):
                for name in list(trees)[:: -1 if number % 2 else 1]:
                    shutil.rmtree(folders[name] / "out", ignore_errors=True)
                    taken[name].append(start(trees[name], words, folders[name]))
            for name, (cold, *warm) in taken.items():
                row = {column: statistics.median(one[column] for one in warm) for column in cold}
                rows.append({"start": what, "checkout": name, **row, "cold": cold["seconds"]})
        return rows


def write_clip(folder: Path) -> Path:
    """Eleven seconds of the rendered world."""
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:1]), folder / "clip.mp4")
    return folder / "clip.mp4"


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a page."""
    names = ["start", "checkout", *COLUMNS, "cold", "compiled", "from cache"]
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    for row in rows:
        seconds = [f"{row[column]:.2f}" for column in (*COLUMNS, "cold")]
        counts = [f"{row[name]:.0f}" for name in ("compiled", "from_cache")]
        lines.append(" | ".join([row["start"], row["checkout"], *seconds, *counts]))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="warm starts of each")
    parser.add_argument("--beside", help="another checkout, measured by turns")
    parser.add_argument("--video", help="default: eleven seconds of the rendered world")
    parser.add_argument("--out", help="JSON file for the numbers")
    options = parser.parse_args()
    trees = {} if options.beside is None else {"beside": Path(options.beside).resolve()}
    trees["here"] = ROOT
    with tempfile.TemporaryDirectory() as folder:
        if options.video is None:
            clip = write_clip(Path(folder))
        else:
            clip = Path(options.video).resolve()
        rows = measure(trees, clip, options.rounds)
    print(table(rows))
    if options.out is not None:
        about = {"device": measuring.device_name(), "rounds": options.rounds}
        files.write_json(options.out, about | {"rows": rows})


if __name__ == "__main__":
    main()
