"""The script for an accelerator, whole, on a CPU at a tiny size; and the towers beside others."""

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from benchmarks import accelerator, cpu_encoders, measuring
from benchmarks.measuring import Limits
from jaxvlm import files
from jaxvlm.clip import architecture, encode_images
from jaxvlm.errors import InputError
from jaxvlm.ood.streams import ADAPTIVE

LIMITS = Limits({"float32": 2e11, "tf32": 2e11, "bfloat16": 8e11}, 5e10, 1e10)


@pytest.fixture(autouse=True)
def parsed():
    """Flags at their defaults."""
    was = flags.FLAGS.is_parsed()
    flags.FLAGS.mark_as_parsed()
    yield
    if not was:
        flags.FLAGS.unparse_flags()


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.setattr(measuring, "measure_limits", lambda dtypes: LIMITS)


def run(tmp_path, **values):
    path = tmp_path / "result.json"
    given = {"models": ["tiny"], "batches": ["2"], "stream_rows": 20, "json": str(path)}
    with flagsaver.flagsaver(**given | values):
        accelerator.main()
    return files.read_json(path)


def test_the_script_measures_everything_at_a_tiny_size(limits, tmp_path, monkeypatch):
    two = {name: ADAPTIVE[name] for name in ("steady", "oodd")}
    monkeypatch.setattr(accelerator, "ADAPTIVE", two)
    result = run(tmp_path, dtypes=["float32", "tf32"])
    ways = [row["name"] for row in result["rows"]]
    assert ways == [
        f"tiny {dtype} {way}" for dtype in ("float32", "tf32") for way in ("plain", "with P_align")
    ]
    assert list(result["flops_per_image"]) == ["tiny float32", "tiny tf32"]
    assert [one["name"] for one in result["streams"]] == list(two)
    assert all(one["seconds_per_100000"] > 0 for one in result["streams"])
    assert [one["videos"] for one in result["role_epochs"]] == [2]
    assert result["left_out"] == [] and result["sweep"] == result["rows"]


def test_nothing_is_begun_when_the_time_is_up(limits, tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "streams", lambda *_: [])
    monkeypatch.setattr(accelerator, "role_epochs", lambda *_: [])
    result = run(tmp_path, minutes=0.0, dtypes=["float32"])
    assert result["rows"] == [] and result["left_out"] == ["tiny float32"]


def test_tf32_is_asked_for_where_it_is_measured_and_nowhere_else():
    pixels = np.zeros((1, 3, 32, 32), np.float32)
    models = {name: accelerator.vision_model("tiny", name) for name in ("float32", "tf32")}

    def precisions(name: str) -> set[str]:
        text = str(jax.make_jaxpr(lambda x: encode_images(models[name], x))(pixels))
        return {name for name in ("TF32", "F32_F32_F32", "HIGHEST", "HIGH") if name in text}

    before = precisions("float32")
    asked = {name: architecture.matmul_precision(own.architecture) for name, own in models.items()}
    assert asked == {"float32": "float32", "tf32": "tensorfloat32"}
    assert precisions("tf32") != before == precisions("float32")


def test_towers_of_others_compute_what_ours_do(tmp_path, monkeypatch):
    # The others compile, or are not here.
    names = ["ours", "ours, OpenVINO", "transformers' Flax", "PyTorch"]
    monkeypatch.setattr(
        cpu_encoders, "COMPETITORS", {name: cpu_encoders.COMPETITORS[name] for name in names}
    )
    own = cpu_encoders.tower("tiny")
    with flagsaver.flagsaver(cpu_seconds=0.0):
        speeds = list(cpu_encoders.compare(own, "float32", 2, 1e11, str(tmp_path)))
    assert [speed.name for speed in speeds] == names
    assert all(speed.difference < 1e-5 and speed.cpu_seconds > 0 for speed in speeds)
    share = own.flops / speeds[0].cpu_seconds / 1e11
    np.testing.assert_allclose(speeds[0].fraction, share, rtol=1e-6)
    np.testing.assert_allclose(speeds[0].per_second, 1 / speeds[0].wall_seconds)


def test_threads_that_wait_in_a_loop_are_refused(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with pytest.raises(InputError, match="OMP_WAIT_POLICY: not passive"):
        cpu_encoders.main()
