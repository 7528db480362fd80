"""Sixteen cameras in one `watch` against sixteen processes of one each.

    python -m benchmarks.many_cameras --out=benchmarks/results/many_cameras.json

Rendered clips, the embedded encoder and roles, one frame a second scored. First live: each camera
is a Motion JPEG stream on loopback, 5 pictures a second. Then as fast as it goes: the clips' files
at 10 frames a second. Started together, timed from when all are ready. Latency is from a frame's
arrival to its probabilities, the wait for the device included.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jaxvlm import clip, files
from jaxvlm.alarms.outlets import Outlets
from jaxvlm.alarms.rules import Rules
from jaxvlm.data import videos
from jaxvlm.data.videos import Frame
from jaxvlm.resources import path as shipped
from jaxvlm.video import scoring, watching
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import videos as world

ROOT = Path(__file__).resolve().parents[1]
PICTURES = 5  # a second, of a live stream
FAST = 10.0  # frames a second of a file


class Latencies(Outlets):
    """Keeps what each frame took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def seen(self, *arguments: Any, latency: float, dropped: int) -> None:
        self.seconds.append(latency)
        super().seen(*arguments, latency=latency, dropped=dropped)


def worker(folder: Path, number: int, sources: list[str], seconds: float) -> None:
    """Watches streams, then files, when it is told to; writes what it measured."""
    began = time.process_time()
    roles = load_role_model(shipped("checkpoints/roles"))
    encoder = clip.make_encoder(clip.load(shipped("checkpoints/clip")), batch_size=1)
    scorer = scoring.make_scorer(encoder, roles)
    found: dict[str, Any] = {}

    def gated(frames: Iterable[Frame], phase: str) -> Iterator[Frame]:
        (folder / f"{phase}-{number}.ready").touch()
        while not (folder / f"{phase}.go").exists():
            time.sleep(0.02)
        yield from frames

    for phase, own in (("live", sources[0::2]), ("fast", sources[1::2])):
        stop, outlets = threading.Event(), Latencies()
        cameras = []
        for n, source in enumerate(own):
            camera = watching.open_camera(
                f"camera {n}", source, scorer, Rules(), pause=stop.wait, say=lambda line: None
            )
            if phase == "fast":
                camera = camera._replace(frames=videos.frames(source, fps=FAST))
            cameras.append(camera._replace(frames=gated(camera.frames, phase)))
        if phase == "live":
            threading.Thread(target=_stop, args=(folder, seconds, stop), daemon=True).start()
        wall, cpu = time.time(), time.process_time()
        started = threading.Event()

        def first(phase: str = phase, started: threading.Event = started) -> None:
            while not (folder / f"{phase}.go").exists():
                time.sleep(0.02)
            nonlocal wall, cpu
            wall, cpu = time.time(), time.process_time()
            started.set()

        threading.Thread(target=first, daemon=True).start()
        ended = watching.watch_cameras(cameras, emit=lambda line: None, outlets=outlets, stop=stop)
        found[phase] = {
            "frames": sum(one.summary.frames for one in ended),
            "dropped": sum(one.summary.dropped for one in ended),
            "latencies": outlets.seconds,
            "cpu_seconds": time.process_time() - cpu,
            "began": wall,
            "ended": time.time(),
        }
    found["total_cpu_seconds"] = time.process_time() - began
    found["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / f"{number}.json").write_text(json.dumps(found))


def _stop(folder: Path, seconds: float, stop: threading.Event) -> None:
    while not (folder / "live.go").exists():
        time.sleep(0.02)
    time.sleep(seconds)
    stop.set()


@contextlib.contextmanager
def streams(clips: list[Path]) -> Iterator[str]:
    """Motion JPEG of the clips, over and over, at ``ADDRESS/N``."""
    pictures = []
    for path in clips:
        frames = videos.frames(path, fps=PICTURES, say=lambda line: None)
        coded = (cv2.imencode(".jpg", cv2.cvtColor(f.image, cv2.COLOR_RGB2BGR)) for f in frames)
        pictures.append([code.tobytes() for _, code in coded])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            own = pictures[int(self.path[1:]) % len(pictures)]
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            began = time.monotonic()
            with contextlib.suppress(OSError):
                for n in range(10**9):
                    picture = own[n % len(own)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + picture + b"\r\n")
                    time.sleep(max(0.0, began + (n + 1) / PICTURES - time.monotonic()))

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def measure(folder: Path, shares: list[list[str]], seconds: float) -> dict[str, Any]:
    """Runs a process for each share of the cameras; the figures of all together."""
    folder.mkdir()
    began = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.many_cameras", f"--worker={folder}",
             f"--number={n}", f"--seconds={seconds}", *own],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"},
        )
        for n, own in enumerate(shares)
    ]  # fmt: skip
    result: dict[str, Any] = {"processes": len(shares)}
    try:
        for phase in ("live", "fast"):
            while len(list(folder.glob(f"{phase}-*.ready"))) < len(shares):
                assert not any(process.poll() for process in processes), "a worker failed"
                time.sleep(0.05)
            if phase == "live":
                result["seconds_to_be_ready"] = round(time.monotonic() - began, 1)
            (folder / f"{phase}.go").touch()
        for process in processes:
            assert process.wait(300) == 0, "a worker failed"
    finally:
        for process in processes:
            process.kill()
    found = [json.loads((folder / f"{n}.json").read_text()) for n in range(len(shares))]
    for phase in ("live", "fast"):
        own = [one[phase] for one in found]
        latencies = 1000 * np.concatenate([one["latencies"] for one in own])
        frames = sum(one["frames"] for one in own)
        wall = max(one["ended"] for one in own) - min(one["began"] for one in own)
        cpu = sum(one["cpu_seconds"] for one in own)
        result[phase] = {
            "frames": frames,
            "dropped": sum(one["dropped"] for one in own),
            "frames_per_second": round(frames / wall, 1),
            "cpu_ms_per_frame": round(1000 * cpu / frames, 1),
            "latency_ms_median": round(float(np.median(latencies)), 1),
            "latency_ms_p99": round(float(np.percentile(latencies, 99)), 1),
        }
    result["cpu_seconds"] = round(sum(one["total_cpu_seconds"] for one in found), 1)
    result["memory_mib"] = round(sum(one["memory_mib"] for one in found))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0, help="live")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", type=Path, help="used by the benchmark itself")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("sources", nargs="*")
    flags = parser.parse_args()
    if flags.worker is not None:
        worker(flags.worker, flags.number, flags.sources, flags.seconds)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, clips = Path(name), []
        for n in range(4):
            whole = world.world_video(3 + n, "train", 1)
            clips.append(folder / f"{n}.mp4")
            world.write_video(whole._replace(shots=whole.shots[:1]), clips[-1])
        with streams(clips) as address:
            pairs = [[f"{address}/{n}", str(clips[n % len(clips)])] for n in range(flags.cameras)]
            one = measure(folder / "one", [sum(pairs, [])], flags.seconds)
            many = measure(folder / "many", pairs, flags.seconds)
    result = {
        "cameras": flags.cameras,
        "cores": os.cpu_count(),
        "together": one,
        "separate": many,
    }
    print(json.dumps(result, indent=1))
    if flags.out is not None:
        files.write_json(flags.out, result)


if __name__ == "__main__":
    main()
