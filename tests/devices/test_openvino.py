"""Two processes with one CPU device each, whose towers run through OpenVINO."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxvlm import clip
from tests.devices.encoding import GOLDEN
from tests.devices.test_devices import ONE_THREAD, ROOT, free_port

COUNT = 7  # no multiple of two processes or of a batch


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openvino") / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def finished(pictures, devices, *processes):
    """[exit code, stdout, stderr] of each process, which have all started before."""
    words = (
        sys.executable, "-m", "tests.devices.encoding", "--backend=openvino",
        f"--pictures={pictures}", f"--store_dir={pictures.parent / 'store'}",
    )  # fmt: skip
    running = [
        subprocess.Popen(
            [*words, *options],
            cwd=ROOT,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)} | ONE_THREAD,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for options in processes
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    return [(process.returncode, *out) for process, out in zip(running, outputs, strict=True)]


def test_each_process_encodes_its_share_and_the_store_has_all(pictures):
    joining = f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2"
    found = finished(pictures, 1, *((*joining, f"--process_id={n}") for n in range(2)))
    assert [code for code, _, _ in found] == [0, 0], found
    assert f"encoded {COUNT} stored 0" in found[0][1]
    model = clip.load(GOLDEN, backend="openvino")
    encoder = clip.make_encoder(model, batch_size=2, store_dir=pictures.parent / "store")
    paths = sorted(pictures.iterdir())
    rows, _ = clip.encode_all(encoder, paths, computed={})
    assert (encoder.statistics.encoded, encoder.statistics.from_store) == (0, COUNT)
    alone = clip.encode_images(clip.load(GOLDEN), clip.preprocess(model, paths))
    np.testing.assert_allclose(rows, alone, rtol=1e-4, atol=1e-5)


def test_a_process_with_two_devices_is_refused(pictures):
    ((code, _, stderr),) = finished(pictures, 2, ())
    assert code == 1 and "Traceback" not in stderr
    assert "backend openvino: is for one CPU device, and this process has 2" in stderr
