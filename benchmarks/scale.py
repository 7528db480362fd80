"""What 1, 8 and 64 processes cost, from one process's figures; and whether 8 cost what is said.

    unshare -n sh -c 'ip link set lo up; python -m benchmarks.scale --pictures=2000 --out=FILE.json'

Renders JPEGs, measures listing, hashing, decoding, encoding and writing with one process, runs 1
and ``--processes`` CPU processes that fill a store as the programs do, and puts `scale_model`'s
figures beside what the runs took. CPU seconds, because a machine of few cores that does other work
has no wall clock to go by. Bytes between processes are those of the loopback device: with
``unshare -n`` (Linux) nobody else's are among them.
"""

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import measuring, scale_model
from benchmarks.scale_model import Costs, Sizes
from jaxvlm import clip, files, parallel
from jaxvlm.clip import preprocessing, store
from jaxvlm.data.image_sets import content_hashes
from jaxvlm.pictures.sets import read_set
from jaxvlm.resources import path as shipped
from jaxvlm.world.ood_pictures import ood_picture

ROOT = Path(__file__).resolve().parents[1]
DRAWN = 60  # pictures that are rendered; the others are these with another comment
SIDE, BATCH, CHUNK = 384, 8, 256
COUNTS = (1, 8, 64)
# What a process of several may not have: threads that spin while they wait for each other.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "JAX_NUM_CPU_DEVICES": "1"}


def write_pictures(folder: Path, count: int) -> None:
    """JPEGs of one class; no two of them are equal."""
    (folder / "class").mkdir(parents=True)
    drawn = []
    for index in range(min(DRAWN, count)):
        small = ood_picture("id", index, size=SIDE // 2).picture.image
        image = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(index).integers(0, 24, image.shape, np.uint8)
        bgr = cv2.cvtColor(cv2.add(image, noise), cv2.COLOR_RGB2BGR)
        drawn.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    for number, content in zip(range(count), itertools.cycle(drawn), strict=False):
        # After the end of the picture, where readers do not look.
        (folder / "class" / f"{number:07d}.jpg").write_bytes(content + b"%d" % number)


def worker(pictures: Path, store_dir: Path, join: list[str]) -> None:
    """Fills the store with this process's share and says what that took."""
    if join:
        parallel.start(join[0], int(join[1]), int(join[2]))
    import jax  # after the processes were joined

    mesh = parallel.make_mesh() if jax.device_count() > 1 else None
    model = clip.load(shipped("checkpoints/clip"))
    before = _received()
    encoder = clip.make_encoder(model, batch_size=BATCH, mesh=mesh, store_dir=store_dir)
    warm = clip.make_encoder(model, batch_size=BATCH, mesh=mesh)
    blank = [np.zeros((SIDE, SIDE, 3), np.uint8)] * jax.process_count()
    clip.encode_all(warm, blank, computed={})  # compiles; and all are here
    start, fixed, clock = time.process_time(), _received() - before, time.perf_counter()
    paths = read_set(str(pictures)).paths
    listed, begun = time.process_time(), _received()
    values, failures = clip.encode_all(encoder, paths, computed={"name": "scale"})
    assert not failures and len(values) == len(paths)
    print(
        json.dumps(
            {
                "start": start,
                "listed": listed - start,
                "work": time.process_time() - listed,
                "wall": time.perf_counter() - clock,
                "encoded": encoder.statistics.encoded,
                "fixed_bytes": fixed,
                "exchanged_bytes": _received() - begun,
            }
        ),
        flush=True,
    )


def run(pictures: Path, store_dir: Path, processes: int) -> dict[str, Any]:
    """Runs workers; their CPU seconds, added, and what all of them moved."""
    joins: list[list[str]] = [[]]
    if processes > 1:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{found.getsockname()[1]}"
        joins = [[address, str(processes), str(number)] for number in range(processes)]
    module = [sys.executable, "-m", "benchmarks.scale", "--worker", str(pictures), str(store_dir)]
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [*module, "--join", *join] if join else module,
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            stdout=subprocess.PIPE,
            text=True,
        )
        for join in joins
    ]
    told = [process.communicate()[0].splitlines()[-1:] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("error: a worker failed; its message stands above")
    each = [json.loads(lines[0]) for lines in told]
    work = np.array([one["work"] for one in each])
    return {
        "processes": processes,
        "wall": time.perf_counter() - began,
        "cpu_seconds": float(sum(one["start"] + one["listed"] + one["work"] for one in each)),
        "start": float(np.mean([one["start"] for one in each])),
        "work": float(work.sum()),
        "encoded": [one["encoded"] for one in each],
        "slowest": float(work.max() / work.mean()),
        "fixed_bytes": max(one["fixed_bytes"] for one in each),
        "exchanged_bytes": max(one["exchanged_bytes"] for one in each),
        "store_bytes": sum(file.stat().st_size for file in store_dir.rglob("*.safetensors")),
    }


def rates(pictures: Path, folder: Path, count: int) -> tuple[dict[str, float], float]:
    """CPU seconds of a picture by stage; and how much that of decoding varies, see `slowest`."""
    model = clip.load(shipped("checkpoints/clip"))
    encoder = clip.make_encoder(model, batch_size=BATCH)
    paths, listed = _timed(lambda: read_set(str(pictures)).paths)
    paths = paths[:count]
    digests, hashed = _timed(lambda: content_hashes(paths))
    times = [_timed(lambda path=path: preprocessing.read_crop(model, path)) for path in paths]
    crops, each = [crop for crop, _ in times], np.array([taken for _, taken in times])
    clip.encode_all(encoder, crops[:BATCH], computed={})
    (rows, _), encoded = _timed(lambda: clip.encode_all(encoder, crops, computed={}))
    column = {"image": store.Column(rows.shape[1:], rows.dtype)}
    table = store.open_table(folder, {"name": "written alone"}, column)
    keys = [bytes.fromhex(digest) for digest in digests]

    def write() -> None:
        for start in range(0, len(keys), CHUNK):
            part = slice(start, start + CHUNK)
            store.append_rows(table, keys[part], {"image": rows[part]})

    found = {
        "listed": listed / len(read_set(str(pictures)).paths),
        "hashed": hashed / count,
        "decoded": float(each.mean()),
        "encoded": encoded / count,
        "written": _timed(write)[1] / count,
    }
    return found, float(each.std() / each.mean())


def describe(title: str, plan: scale_model.Plan) -> str:
    """A line of the table."""
    return (
        f"| {title} | {plan.files_per_second:,.0f} | {plan.seconds / 3600:,.1f} | "
        f"{plan.store_bytes / 1e9:,.1f} | {plan.exchanged_bytes / 1e9:,.0f} | "
        f"{plan.disk_bytes / 1e9:,.0f} | {plan.collected_bytes / 1e9:,.0f} | "
        f"{100 * (plan.slowest - 1):.2f} % |"
    )


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return function(), time.process_time() - start


def _received() -> int:
    """Bytes that the loopback device has carried; 0 where the system does not say."""
    table = Path("/proc/net/dev")
    lines = table.read_text().splitlines() if table.exists() else []
    return next((int(line.split()[1]) for line in lines if line.strip().startswith("lo:")), 0)


def study(pictures: int, processes: int, of: int) -> dict[str, Any]:
    """Measures, runs, and compares. of: pictures of the set that is planned."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "pictures", pictures)
        alone, variation = rates(folder / "pictures", folder / "written", min(pictures, 512))
        one = run(folder / "pictures", folder / "one", 1)
        many = run(folder / "pictures", folder / "many", processes)
        file = sum(path.stat().st_size for path in (folder / "pictures").rglob("*.jpg")) / pictures
    shared = one["work"] / pictures
    other = shared - sum(taken for stage, taken in alone.items() if stage != "listed")
    costs = Costs(start=one["start"], other=other, **alone)
    row = clip.load(shipped("checkpoints/clip")).config.projection_dim * 4
    sizes = Sizes(
        file, one["store_bytes"] / pictures, row + 4, many["fixed_bytes"] / (processes - 1)
    )
    cores = os.cpu_count() or 1
    plans = {}
    for count in COUNTS:
        options = {"cores": float(cores), "hosts": count, "variation": variation}
        plans[count] = scale_model.plan(costs, sizes, of, count, **options)
    said = {
        "cpu_seconds": scale_model.cpu_seconds(costs, pictures, processes),
        "exchanged_bytes": scale_model.exchanged(sizes._replace(fixed=0), pictures, processes),
        "store_bytes": pictures * sizes.stored,
        "slowest": scale_model.slowest(variation, pictures, processes),
    }
    return {
        "device": measuring.device_name(),
        "pictures": pictures,
        "costs": costs._asdict(),
        "sizes": sizes._asdict(),
        "variation": variation,
        "one": one,
        "many": many,
        "said_of_many": said,
        "plans": {str(count): found._asdict() for count, found in plans.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--of", type=int, default=10**7, help="pictures of the set that is planned")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--join", nargs=3, default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        worker(*arguments.worker, arguments.join)
        return
    found = study(arguments.pictures, arguments.processes, arguments.of)
    per_second = {n: f"{1 / s:,.0f}" for n, s in found["costs"].items() if n != "start" and s > 0}
    print(f"{found['device']}; pictures per CPU second of one process: {per_second}")
    print(f"a process starts in {found['costs']['start']:.1f} CPU seconds")
    for name, said in found["said_of_many"].items():
        print(f"{name}: {found['many'][name]:,.6g} measured, {said:,.6g} said")
    print("| processes | files/s | hours | store GB | exchanged GB | disk GB | held GB | slowest |")
    for count, plan in found["plans"].items():
        print(describe(count, scale_model.Plan(**plan)))
    if arguments.out is not None:
        files.write_json(arguments.out, found)


if __name__ == "__main__":
    main()
