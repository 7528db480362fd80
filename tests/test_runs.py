"""What a run says of itself."""

import sys

from jaxvlm import runs
from jaxvlm.video.config import AtomsSettings


def test_timed_adds_up(monkeypatch):
    clock = iter([10.0, 11.5, 20.0, 20.25, 0.0, 1.0])
    monkeypatch.setattr(runs.time, "perf_counter", lambda: next(clock))
    seconds: dict[str, float] = {}
    for stage in ("read", "read", "write"):
        with runs.timed(seconds, stage):
            pass
    assert seconds == {"read": 1.75, "write": 1.0}


def test_a_run_record_says_what_ran():
    record = runs.run_record(AtomsSettings(), seed=3, seconds={"encode": 1.5})
    assert record["config"]["segments"]["window"] == AtomsSettings().segments.window
    assert record["seed"] == 3 and record["seconds"] == {"encode": 1.5}
    assert {"jaxvlm", "python", "jax", "flax", "transformers"} <= set(record["versions"])
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert isinstance(record["device"], str) and record["device"]
    assert runs.run_record({"a": 1}, seed=None, seconds={})["config"] == {"a": 1}
