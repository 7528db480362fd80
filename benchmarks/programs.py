"""Whole programs as rows of `benchmarks.run`'s table, at sizes that take minutes together.

Each group is a study of its own, which measures more and longer: `start`, `cpu_encoders`,
`video_end_to_end` and `scale`; and the demo, which is run once. What is measured in CPU seconds
says so.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

from benchmarks import cpu_encoders, scale, start, video_end_to_end
from benchmarks.measuring import Limits, Row

_STARTS = 5  # warm ones of each program
_TOWERS, _BATCHES, _DTYPES = ("ViT-B/32", "text"), (1, 8), ("float32", "bfloat16")
_VIDEO_SECONDS, _MEASURING_SECONDS = 20, 20.0
_PICTURES, _PROCESSES, _PLANNED = 500, 8, 10**7
_STAGES = ("whole", "decode", "resize", "encode")


def start_rows(limits: Limits) -> list[Row]:
    """Programs up to their first result, their compiled programs kept, and where that goes."""
    del limits
    with tempfile.TemporaryDirectory() as folder:
        found = start.measure({"here": start.ROOT}, start.write_clip(Path(folder)), _STARTS)
    rows = []
    for one in found:
        rows.append(Row(f"start: {one['start']}", one["seconds"]))
        if one["load"]:  # it computes
            parts = ("import", "load", "compile", "rest")
            rows += [Row(f"start: {one['start']}, {part}", one[part]) for part in parts]
    return rows


def tower_rows(limits: Limits) -> list[Row]:
    """A picture or prompt through a tower on a CPU: ours, and what else is installed."""
    del limits
    if jax.default_backend() != "cpu":
        return []
    rates = {dtype: cpu_encoders.product_rate(dtype) for dtype in _DTYPES}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in _TOWERS:
            own = cpu_encoders.tower(name)
            for batch in (cpu_encoders.PROMPTS,) if name == "text" else _BATCHES:
                for dtype in _DTYPES:
                    for speed in cpu_encoders.compare(own, dtype, batch, rates[dtype], folder):
                        title = f"{name} {dtype}, {batch} at a time, {speed.name}"
                        limit = f"{dtype} matmul, CPU s"
                        row = Row(title, speed.wall_seconds, limit=limit, fraction=speed.fraction)
                        rows.append(row)
    return rows


def video_rows(limits: Limits) -> list[Row]:
    """A second of video from its file to the findings, and its stages alone."""
    del limits
    scorer, rows = video_end_to_end.make_scorer("embedded", 8), []
    with tempfile.TemporaryDirectory() as folder:
        for name, size in video_end_to_end.SIZES.items():
            path = Path(folder) / f"{name}.mp4"
            video_end_to_end.write_film(path, size, _VIDEO_SECONDS)
            found = video_end_to_end.measure(scorer, path, _VIDEO_SECONDS, _MEASURING_SECONDS)
            rates = found["video_seconds_per_second"]
            rows += [Row(f"a second of {name}, {stage}", 1 / rates[stage]) for stage in _STAGES]
    return rows


def scale_rows(limits: Limits) -> list[Row]:
    """CPU seconds of a picture by stage, of a process's start, and of a run of 8 processes."""
    del limits
    found = scale.study(_PICTURES, _PROCESSES, _PLANNED)
    stages = ("listed", "hashed", "decoded", "encoded", "written")
    rows = [Row(f"a picture {stage}, CPU s", found["costs"][stage]) for stage in stages]
    rows.append(Row("start of a process, CPU s", found["costs"]["start"]))
    name = f"{_PROCESSES} processes, {_PICTURES} pictures, CPU s"
    return [*rows, Row(name, found["many"]["cpu_seconds"])]


def demo_rows(limits: Limits) -> list[Row]:
    """The demo, with nothing kept from an earlier run."""
    del limits
    with tempfile.TemporaryDirectory() as folder:
        kept = {"XDG_CACHE_HOME": f"{folder}/cache", "JAX_COMPILATION_CACHE_DIR": f"{folder}/xla"}
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "jaxvlm", "demo", f"--out_dir={folder}/demo"],
            cwd=start.ROOT,
            env=os.environ | kept,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return [Row("demo", time.perf_counter() - began)]
