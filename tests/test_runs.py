"""What a run says of itself."""

import hashlib
import os
import sys
from pathlib import Path

from jaxvlm import resources, runs
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


def test_a_record_tells_the_program_and_hashes_what_it_reads(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "b.txt").write_bytes(b"two")
    (tmp_path / "in" / "sub" / "a.txt").write_bytes(b"one")
    (tmp_path / "in" / ".hidden").write_bytes(b"x")
    listed = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("b.txt", b"two"), ("sub/a.txt", b"one"))
    )
    expected = hashlib.sha256(listed.encode()).hexdigest()
    inputs = {"video": [tmp_path / "in"], "roles": [tmp_path / "gone"]}
    with runs.program(runs.Program("score-video", {"video": "in"}, inputs)):
        made_with = {"clip": {"path": "c"}, "inputs": {"more": 1}}
        record = runs.run_record(None, seed=None, seconds={}, made_with=made_with)
    assert (record["program"], record["flags"]) == ("score-video", {"video": "in"})
    assert record["inputs"] == {
        "more": 1,
        "roles": {"path": str(tmp_path / "gone"), "sha256": None},
        "video": {"path": str(tmp_path / "in"), "sha256": expected},
    }
    assert record["clip"] == {"path": "c"}
    outside = runs.run_record(None, seed=None, seconds={})
    assert (outside["program"], outside["flags"], outside["inputs"]) == (None, {}, {})
    one = runs.input_record(tmp_path / "in" / "b.txt")["sha256"]
    assert one == hashlib.sha256(b"two").hexdigest()
    shipped = runs.input_record(resources.path("checkpoints/roles"))
    assert shipped["path"] == "checkpoints/roles", "where a package is installed says nothing"


def test_the_cache_folder_is_one_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert runs.cache_folder("text") == tmp_path / "cache" / "jaxvlm" / "text"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may all
    assert runs.cache_folder("text") is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert runs.cache_folder("text") is None

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert runs.cache_folder("text") is None
