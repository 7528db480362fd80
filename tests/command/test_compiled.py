"""What is kept of compiling: found again, within its bound, and no hindrance where it cannot be."""

import json
import os
import subprocess
import sys
from pathlib import Path

from jaxvlm.command import compiled

ROOT = Path(__file__).resolve().parents[2]
# Compiles two programs; prints how many were asked for, how many were found, and what was told.
CODE = """
import json, sys
import jax
from jaxvlm.command import compiled
counted, told = {"compile_requests_use_cache": 0, "cache_hits": 0}, []
def count(event, **_):
    name = event.rpartition("/")[2]
    counted[name] = counted.get(name, 0) + 1
jax.monitoring.register_event_listener(count)
with compiled.kept(told.append, max_bytes=int(sys.argv[1])):
    jax.jit(lambda x: x + 1)(1.0), jax.jit(lambda x: x * x + 3)(2.0)
print(json.dumps([counted["compile_requests_use_cache"], counted["cache_hits"], told]))
"""


def compile_two(cache, max_bytes=2**29, **environment):
    """Requests, finds and lines of a process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(max_bytes)],
        env=kept | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_second_run_finds_every_program_however_short_it_took(tmp_path):
    requests, found, told = compile_two(tmp_path)
    assert requests >= 2 and found == 0 and told == []
    assert compile_two(tmp_path) == [requests, requests, []]


def test_a_run_that_adds_to_it_leaves_no_more_than_the_bound(tmp_path):
    compile_two(tmp_path)
    folder = tmp_path / "jaxvlm" / "xla"
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert len(sizes) >= 2
    elsewhere = tmp_path / "again"
    compile_two(elsewhere, max_bytes=sum(sizes) - 1)
    left = [path.stat().st_size for path in (elsewhere / "jaxvlm" / "xla").iterdir()]
    assert 0 < sum(left) < sum(sizes)


def test_a_folder_of_the_users_own_is_used_and_not_bounded(tmp_path):
    own = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own")}
    requests, _, _ = compile_two(tmp_path / "cache", max_bytes=0, **own)
    assert compile_two(tmp_path / "cache", max_bytes=0, **own) == [requests, requests, []]
    assert not (tmp_path / "cache").exists()


def test_where_nothing_can_be_kept_a_line_says_so_and_the_work_is_done(tmp_path):
    (tmp_path / "file").touch()
    _, found, told = compile_two(tmp_path / "file")
    assert found == 0
    (line,) = told
    assert line.startswith("the cache folder cannot be written") and "XDG_CACHE_HOME" in line


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    for name, used in (("old", 1_000), ("read", 3_000), ("new", 2_000)):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (used, 500))
    compiled.bound(tmp_path, 30)
    assert len(list(tmp_path.iterdir())) == 3
    compiled.bound(tmp_path, 29)
    assert {path.name for path in tmp_path.iterdir()} == {"read", "new"}
    compiled.bound(tmp_path, 19)
    assert {path.name for path in tmp_path.iterdir()} == {"read"}
    compiled.bound(tmp_path / "nowhere", 0)
