"""What a benchmark claims: naive forms that compute the same, FLOPs that are there, the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from benchmarks import accelerator, compare, kernels, measuring, scoring, table, vit
from benchmarks.measuring import Limits, Row
from jaxvlm import files
from jaxvlm.atoms.pairs import pairwise_noisy_or
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.clip import ClipModel, encode_images, encode_token_ids
from jaxvlm.errors import InputError

LIMITS = Limits({"float32": 2e11, "bfloat16": 1e11}, 5e10, 1e10)


def product_flops(function, *args) -> float:
    """Two per multiply-add of every matrix product and convolution that JAX traces."""

    def walk(jaxpr) -> float:
        total = 0.0
        for equation in jaxpr.eqns:
            output = equation.outvars[0].aval
            if equation.primitive.name == "dot_general":
                contracted = equation.params["dimension_numbers"][0][0]
                shape = equation.invars[0].aval.shape
                total += 2.0 * output.size * np.prod([shape[axis] for axis in contracted])
            elif equation.primitive.name == "conv_general_dilated":
                kernel = equation.invars[1].aval
                total += 2.0 * output.size * kernel.size / output.shape[-1]
            total += sum(map(walk, jaxprs_in_params(equation.params)))
        return total

    return walk(jax.make_jaxpr(function)(*args).jaxpr)


@pytest.fixture(scope="module")
def tiny() -> ClipModel:
    return vit.vision_model(vit.SHAPES["tiny"], "bfloat16")


def test_flops_of_the_vision_tower(tiny):
    shape = vit.SHAPES["tiny"]
    pixels = jnp.zeros((3, 3, shape.image, shape.image))
    assert product_flops(lambda x: encode_images(tiny, x), pixels) == 3 * vit.vision_flops(shape)
    by_xla = accelerator.flops_per_image("tiny", tiny)["xla"]
    assert 1.0 < by_xla / vit.vision_flops(shape) < 1.15  # norms and softmaxes are XLA's more
    # The published counts, in multiply-adds.
    assert round(vit.vision_flops(vit.SHAPES["ViT-B/16"]) / 2e9, 1) == 17.6
    assert 77 < vit.vision_flops(vit.SHAPES["ViT-L/14"]) / 2e9 < 82


def test_flops_of_the_text_tower():
    model = vit.text_model(blocks=2, width=64, heads=2)
    ids = jnp.zeros((2, 16), jnp.int32)
    expected = 2 * vit.text_flops(16, blocks=2, width=64)
    assert product_flops(lambda i: encode_token_ids(model, i), ids) == expected


def test_naive_forms_compute_the_same():
    rng = np.random.default_rng(0)
    presence, boundary = rng.random((50, 4), np.float32), rng.random(50, np.float32) ** 4
    expected = kernels.looped_segment_presence(presence, boundary)
    for function in (segment_presence, kernels.windowed_segment_presence):
        np.testing.assert_allclose(
            function(*map(jnp.asarray, (presence, boundary))), expected, 1e-5
        )
    a = 0.9 * jnp.asarray(rng.random((5, 12, 3), np.float32))
    x = pairwise_noisy_or(jnp.moveaxis(a, 1, -1))
    np.testing.assert_allclose(kernels.all_pairs(a), x, rtol=1e-5)
    image, positive, negative = (vit.unit_rows(rng, count, 16) for count in (1, 30, 2050))
    for naive, topk in ((scoring.softmax_per_group, None), (scoring.sort_per_group, scoring.TOP)):
        scores = scoring.family(image[0], positive, negative, topk=topk)
        np.testing.assert_allclose(naive(image[0], positive, negative), scores, rtol=1e-4)


def test_interleaved_calls_every_case_in_every_round():
    calls = []
    cases = {name: (calls.append, (name,)) for name in ("a", "b", "c")}
    taken = measuring.interleaved(cases, seconds=0.0)
    assert [len(times) for times in taken.values()] == [5, 5, 5]
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc" + "cba" + "abc"


def test_a_row_is_of_medians_and_paired_ratios(monkeypatch):
    taken = {"1": [1.0, 2.0, 9.0], "2": [2.0, 6.0, 18.0], "8": [8.0, 20.0, 72.0]}
    taken["naive"] = [10.0, 40.0, 45.0]
    monkeypatch.setattr(
        measuring, "interleaved", lambda *_: {name: np.array(t) for name, t in taken.items()}
    )
    nothing = (lambda: None, ())
    row = measuring.row(
        "kernel",
        {1: nothing, 2: nothing, 8: nothing},
        naive=("loop", nothing),
        needed={"bytes": 1e11},
        limits=LIMITS,
    )
    assert (row.seconds, row.naive_seconds, row.ratio) == (2.0, 40.0, 10.0)
    assert row.growth == (2.0, 8.0)
    assert (row.limit, row.fraction) == ("memory", 1.0)
    product = measuring.row(
        "product", nothing, needed={"flops": 2e11, "dtype": "bfloat16"}, limits=LIMITS
    )
    assert (product.limit, product.fraction) == ("bfloat16 matmul", 1.0)


ROWS = [
    Row("short", 1e-3, (9e-4, 1.1e-3)),
    Row("a long name", 0.5, (0.4, 0.6), "loop", 5.0, 10.0, (9.0, 11.0), "memory", 0.42, (2.0, 4.1)),
]


def test_table_has_a_line_per_row_under_its_columns():
    header, short, long = table.render(ROWS).splitlines()
    assert short.split() == ["short", "1", *"--------"]
    assert long.startswith("a long name  500  loop     5,000  10 (9 to 11)      42 %  memory")
    assert long.index("42 %") + len("42 %") == header.index("of limit") + len("of limit")


def result(rows: list[Row], **fields) -> dict:
    return {"device": "x", **fields, "rows": [row._asdict() for row in rows]}


def test_compare(tmp_path):
    faster = [ROWS[1]._replace(seconds=0.25), Row("new", 1.0, (1.0, 1.0), megabytes=3.0)]
    paths = [str(tmp_path / name) for name in ("old.json", "new.json")]
    files.write_json(paths[0], result(ROWS, commit="a"))
    files.write_json(paths[1], result(faster, commit="b"))
    lines = compare.compare(*map(compare.read, paths)).splitlines()
    assert lines[0] == "commit: a -> b"
    words = [line.split() for line in lines[2:]]
    assert words[0] == ["a", "long", "name", "/", "loop", "500", "250", "0.50", "-", "-"]
    assert words[1] == ["new", "-", "1000", "-", "-", "3"]
    assert words[2] == ["short", "1", "-", "-", "-", "-"]


def test_without_files_the_last_run_is_compared_with_the_committed_one(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(compare, "RESULTS", tmp_path)
    monkeypatch.setattr(compare, "NEW", tmp_path / "new.json")
    (start,) = [Row("start, compile", 0.0)]
    for device, name in (("A 7, 2 cores", "cpu-2-cores"), ("NVIDIA H9", "nvidia-h9")):
        files.write_json(tmp_path / f"{name}.json", result([start, ROWS[1]], device=device))
        slower = [start, ROWS[1]._replace(seconds=1.0)]
        files.write_json(tmp_path / "new.json", result(slower, device=device))
        compare.main([])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{tmp_path / name}.json -> {tmp_path / 'new.json'}"
        assert [line.split()[-3] for line in lines[2:]] == ["-", "2.00"]
    files.write_json(tmp_path / "new.json", result([start], device="B, 3 cores"))
    with pytest.raises(SystemExit, match="cpu-3-cores.json: no such file"):
        compare.main([])


@pytest.mark.parametrize("content", [[], {}, {"rows": [{"name": "a"}]}, {"rows": "none"}])
def test_compare_refuses_other_files(tmp_path, content):
    path = str(tmp_path / "other.json")
    files.write_json(path, content)
    with pytest.raises(InputError, match="not a result of a benchmark"):
        compare.read(path)


def test_sweep_of_a_tiny_model_and_its_best(tiny):
    speeds = accelerator.sweep("tiny", tiny, (2,), LIMITS, seconds=0.0)
    assert [(speed.name, speed.batch) for speed in speeds] == [
        ("tiny bfloat16 plain", 2),
        ("tiny bfloat16 with P_align", 2),
    ]
    flops = vit.vision_flops(vit.SHAPES["tiny"])
    for speed in speeds:
        np.testing.assert_allclose(speed.fraction, flops * speed.images_per_second / 1e11)
    slower = speeds[0]._replace(batch=1, images_per_second=speeds[0].images_per_second / 2)
    assert accelerator.best_of([slower, *speeds]) == speeds


@pytest.mark.parametrize("message", ["RESOURCE_EXHAUSTED: Out of memory", "INTERNAL: broken"])
def test_the_sweep_ends_where_memory_does(monkeypatch, tiny, message):
    def cases(*_):
        fits, fails = (lambda: None, ()), (broken, ())
        yield 1, {"plain": fits, "with P_align": fits}
        yield 2, {"plain": fails, "with P_align": fits}

    def broken():
        raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(accelerator, "_cases", cases)
    monkeypatch.setattr(accelerator, "megabytes", lambda _: None)
    if "RESOURCE" in message:
        speeds = accelerator.sweep("tiny", tiny, (1, 2), LIMITS, seconds=0.0)
        assert [speed.batch for speed in speeds] == [1, 1]
    else:
        with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
            accelerator.sweep("tiny", tiny, (1, 2), LIMITS, seconds=0.0)
