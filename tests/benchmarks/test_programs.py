"""Whole programs as rows: what of a study's figures becomes which row."""

import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

from benchmarks import cpu_encoders, programs, scale, start, video_end_to_end
from benchmarks.cpu_encoders import Speed
from benchmarks.measuring import Limits

LIMITS = Limits({}, 1.0, 1.0)


def seconds(rows) -> dict[str, float]:
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row.seconds for row in rows}


def test_a_start_has_its_parts_where_it_computes(monkeypatch):
    def measure(trees, clip, rounds):
        assert list(trees.values()) == [start.ROOT] and clip.is_file()
        parts = {"import": 1.0, "load": 2.0, "compile": 4.0, "rest": 8.0}
        return [
            {"start": "watch", "seconds": 15.0, **parts},
            {"start": "--help", "seconds": 0.5, **dict.fromkeys(parts, 0.0)},
        ]

    monkeypatch.setattr(start, "measure", measure)
    assert seconds(programs.start_rows(LIMITS)) == {
        "start: watch": 15.0,
        "start: watch, import": 1.0,
        "start: watch, load": 2.0,
        "start: watch, compile": 4.0,
        "start: watch, rest": 8.0,
        "start: --help": 0.5,
    }


def test_a_tower_has_a_row_for_each_that_runs_it(monkeypatch):
    def compare(own, dtype, batch, limit, folder):
        for name, wall in (("ours", 0.5), ("PyTorch", 0.25)):
            yield Speed(own, dtype, batch, name, wall, 1.0, 2.0, limit / 8, 0.0)

    monkeypatch.setattr(cpu_encoders, "compare", compare)
    monkeypatch.setattr(cpu_encoders, "tower", lambda name: name)
    monkeypatch.setattr(cpu_encoders, "product_rate", {"float32": 4.0, "bfloat16": 6.0}.get)
    rows = programs.tower_rows(LIMITS)
    found = seconds(rows)
    assert len(found) == 2 * (2 * 2 + 2)  # pictures by 1 and 8, prompts by 64, in two precisions
    assert found["ViT-B/32 bfloat16, 8 at a time, PyTorch"] == 0.25
    assert {row.fraction for row in rows if row.name.startswith("text bfloat16, 64")} == {0.75}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert programs.tower_rows(LIMITS) == []


def test_a_second_of_video_is_the_inverse_of_its_rate(monkeypatch):
    def measure(scorer, path, video_seconds, measuring_seconds):
        assert scorer == "embedded" and path.stem in video_end_to_end.SIZES
        rates = {"whole": 4.0, "decode": 8.0, "resize": 16.0, "encode": 32.0, "accelerator": 1.0}
        return {"video_seconds_per_second": rates}

    monkeypatch.setattr(video_end_to_end, "make_scorer", lambda name, batch_size: name)
    monkeypatch.setattr(video_end_to_end, "write_film", lambda path, size, seconds: None)
    monkeypatch.setattr(video_end_to_end, "measure", measure)
    found = seconds(programs.video_rows(LIMITS))
    assert found["a second of 1080p, whole"] == 0.25 and found["a second of 320p, encode"] == 1 / 32
    assert len(found) == 8


def test_scale_tells_cpu_seconds(monkeypatch):
    stages = {"listed": 1.0, "hashed": 2.0, "decoded": 3.0, "encoded": 4.0, "written": 5.0}
    study = {"costs": stages | {"start": 6.0, "other": -1.0}, "many": {"cpu_seconds": 7.0}}
    monkeypatch.setattr(scale, "study", lambda pictures, processes, of: study)
    found = seconds(programs.scale_rows(LIMITS))
    assert list(found.values()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert list(found)[-1] == "8 processes, 500 pictures, CPU s"


def test_the_demo_begins_with_an_empty_cache_and_a_failure_ends_the_run(monkeypatch):
    run, seen = subprocess.run, []

    def other(words, *, env, **options):
        seen.append((words[1:4], os.path.exists(env["XDG_CACHE_HOME"])))
        return run([sys.executable, "-c", f"raise SystemExit({len(seen) - 1})"], env=env, **options)

    monkeypatch.setattr(
        programs, "subprocess", SimpleNamespace(run=other, DEVNULL=subprocess.DEVNULL)
    )
    assert seconds(programs.demo_rows(LIMITS))["demo"] > 0
    assert seen == [(["-m", "jaxvlm", "demo"], False)]
    with pytest.raises(subprocess.CalledProcessError):
        programs.demo_rows(LIMITS)
