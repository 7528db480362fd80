"""``--backend=openvino`` writes what JAX writes, and says so."""

import json

import numpy as np
import pandas as pd
import pytest

from jaxvlm.resources import path as resource
from jaxvlm.world import videos as world
from jaxvlm.world.ood_pictures import write_ood_benchmark
from tests.launch.one_process import run_all
from tests.launch.test_launchers import one_line, succeeded

BACKENDS = ("jax", "openvino")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("backend")
    write_ood_benchmark(base / "world", seed=4, count=6, workers=1)
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:1]), base / "clip.mp4")
    return base


@pytest.fixture(scope="module")
def ran(base):
    pictures = (
        "score-images", f"--images={base}/world/id", f"--config={resource('configs/ood/world.py')}",
        "--config.negalign.num_groups=5", "--config.batch_size=4",
        f"--class_names={base}/world/class_names.txt",
    )  # fmt: skip
    video = "score-video", f"--video={base}/clip.mp4", "--config.fps=2", "--config.batch_size=4"
    lines = {
        f"{line[0]} {backend}": (
            *line, f"--backend={backend}", f"--out_dir={base}/{line[0]} {backend}",
            f"--cache_dir={base}/cache", f"--store_dir={base}/store",
        )
        for line in (pictures, video)
        for backend in BACKENDS
    }  # fmt: skip
    lines["no such"] = (*video, "--backend=torch", f"--out_dir={base}/none")
    return run_all(lines, cwd=base)


@pytest.mark.parametrize(
    ("program", "file", "record"),
    [
        ("score-images", "scores.csv", "run.json"),
        ("score-video", "clip/events.csv", "run.json"),
    ],
)
def test_the_same_numbers(ran, base, program, file, record):
    tables = []
    for backend in BACKENDS:
        shown = succeeded(ran[f"{program} {backend}"])
        assert " encoded, " in shown and "from the store" not in shown  # of the other backend
        out = base / f"{program} {backend}"
        told = json.loads((out / record).read_text())["encoding"]
        assert (told["backend"], told["from_store"]) == (backend, 0)
        tables.append(pd.read_csv(out / file))
    numbers = [table.select_dtypes("number") for table in tables]
    assert numbers[0].shape == numbers[1].shape and numbers[0].size > 10
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-3, atol=1e-3)
    texts = [table.select_dtypes(exclude="number") for table in tables]
    pd.testing.assert_frame_equal(*texts)


def test_another_name_is_refused(ran):
    assert "--backend=torch" in one_line(ran["no such"])
    assert "<jax|openvino>" in one_line(ran["no such"])
