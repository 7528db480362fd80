"""The towers through OpenVINO: what is compiled, what is kept apart, what is refused."""

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from jaxvlm import clip, parallel
from jaxvlm.clip import batch_size, openvino_package, stored_items, text_cache
from jaxvlm.clip.model import text_hash
from jaxvlm.errors import InputError
from tests.clip.conftest import GOLDEN
from tests.test_house import ROOT

PICTURES = [np.full((70, 80, 3), 30 * n, np.uint8) for n in range(5)]


@pytest.fixture(scope="module")
def other(model):
    return dataclasses.replace(model, backend="openvino")


def test_it_is_loaded_so_and_says_so(model, other):
    loaded = clip.load(GOLDEN / "clip-small", backend="openvino")
    assert loaded.backend == "openvino" and model.backend == "jax"
    assert repr(loaded) == repr(model).replace("float32)", "float32, openvino)")
    encoder = clip.make_encoder(other, batch_size=1)
    assert clip.encoding_record(encoder, encoder.statistics)["backend"] == "openvino"


def test_a_tower_is_compiled_once_for_all_sizes_and_threads(model):
    own = dataclasses.replace(model, backend="openvino")
    sizes = [1, 3, 2, 4, 1, 5]
    pixels = [clip.preprocess(model, PICTURES[:size]) for size in sizes]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: clip.encode_images(own, one), pixels))
    assert list(own.programs) == [("image_graph",)]
    for one, size in zip(found, sizes, strict=True):
        np.testing.assert_allclose(one, found[-1][:size], rtol=1e-5, atol=1e-6)


def test_other_weights_are_compiled_anew(model, other):
    pixels = clip.preprocess(model, PICTURES[:1])
    doubled = jax.tree.map(lambda x: 2 * x, model.params)
    doubled = dataclasses.replace(other, params=doubled)
    expected = clip.encode_images(dataclasses.replace(doubled, backend="jax"), pixels)
    np.testing.assert_allclose(clip.encode_images(doubled, pixels), expected, rtol=1e-4, atol=1e-5)
    assert doubled.programs is not other.programs


def test_what_is_traced_is_refused(other):
    pixels = np.zeros((1, 3, 64, 64), np.float32)
    for transform in (jax.jit, jax.vmap, lambda f: lambda x: jax.eval_shape(f, x)):
        with pytest.raises(ValueError, match='replace.model, backend="jax"'):
            transform(lambda x: clip.encode_images(other, x[None] if x.ndim == 3 else x))(pixels)


def test_a_stream_fills_its_own_table_of_the_store(model, other, tmp_path):
    paths = []
    for number, picture in enumerate(PICTURES):
        paths.append(tmp_path / f"{number}.png")
        clip.preprocessing.Image.fromarray(picture).save(paths[-1])
    rows = {}
    for name, own in (("jax", model), ("openvino", other), ("again", other)):
        encoder = clip.make_encoder(own, batch_size=2, store_dir=tmp_path / "store")
        rows[name], _ = clip.encode_all(encoder, paths, computed={"name": "image"})
        assert encoder.statistics.encoded == (0 if name == "again" else len(paths))
    assert len(list((tmp_path / "store").iterdir())) == 2
    np.testing.assert_allclose(rows["openvino"], rows["jax"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(rows["again"], rows["openvino"])


def test_what_is_kept_is_told_apart_and_jax_s_is_what_it_was(model, other, monkeypatch):
    # Recorded before there was another backend: what was kept then is found.
    recorded = "48b81eaba743451f4e7bf9168b9c9470be753b2d9dbc9ae0077738e2114f516c"
    assert text_hash(model) == recorded != text_hash(other)
    described = stored_items._description(clip.make_encoder(model, batch_size=1), {})
    assert set(described) == {"computed", "weights", "architecture", "preprocessing"}
    keys = [text_cache.cache_key(m, ["a"], ["{}"], renormalize=True) for m in (model, other)]
    assert keys[0] != keys[1] and batch_size._key(model) != batch_size._key(other)
    # What roles carry: they were learned with the one and may be scored with the other.
    assert clip.identity(model) == clip.identity(other)


def test_the_batch_size_is_measured_through_it(other, monkeypatch):
    monkeypatch.setattr(batch_size, "_SIZES", (1, 2))
    monkeypatch.setattr(batch_size, "_SECONDS", 0.0)
    own = dataclasses.replace(other)
    assert batch_size.measured_batch_size(own) in (1, 2)
    assert list(own.programs) == [("image_graph",)]


def test_several_devices_are_refused(other):
    class Mesh:  # what a process with two devices has: this one may have one
        local_mesh = jax.sharding.AbstractMesh((2, 1), ("data", "label"))

    with pytest.raises(InputError, match="one CPU device, and this process has 2; take backend"):
        clip.make_encoder(other, batch_size=1, mesh=Mesh())
    mesh = parallel.make_mesh(devices=jax.devices()[:1])
    encoder = clip.make_encoder(other, batch_size=2, mesh=mesh)
    found = np.concatenate(
        [part.values for part in clip.encode_batches(encoder, PICTURES, failures=[])]
    )
    expected = clip.encode_images(other, clip.preprocess(other, PICTURES))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_device_that_is_no_cpu_and_a_name_that_there_is_not_are_refused(monkeypatch):
    with pytest.raises(InputError, match="backend 'torch': .* use jax or openvino"):
        clip.load(GOLDEN / "clip-small", backend="torch")
    monkeypatch.setattr(openvino_package.jax, "default_backend", lambda: "gpu")
    with pytest.raises(InputError, match="JAX computes on a gpu here; take backend jax"):
        clip.load(GOLDEN / "clip-small", backend="openvino")


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    for name in ("openvino_towers", "openvino_graph", "openvino_package"):
        monkeypatch.delitem(sys.modules, f"jaxvlm.clip.{name}", raising=False)
        monkeypatch.delattr(clip, name, raising=False)
    before = sys.modules.get("openvino_telemetry", "none")
    with pytest.raises(InputError, match=r"pip install 'jaxvlm\[cpu\]', or take backend jax"):
        clip.load(GOLDEN / "clip-small", backend="openvino")
    assert sys.modules.get("openvino_telemetry", "none") == before
    assert clip.load(GOLDEN / "clip-small").backend == "jax"


WATCHED = """
import sys
import jaxvlm.clip  # urllib3 looks whether there is IPv6
seen = []
sys.addaudithook(
    lambda event, given: seen.append(event) if event.startswith(("socket.", "subprocess.")) else 0
)
import jaxvlm.clip.openvino_graph
print(seen, [name for name in sys.modules if name.startswith("openvino_telemetry")])
"""


def test_importing_it_tells_nobody(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("[] []\n", "")
    assert list(tmp_path.iterdir()) == []  # nor is a client's number made up
