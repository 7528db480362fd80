"""The frozen towers on a CPU, ours and what else would run them, in one run on one machine.

The same random weights, pixels and token ids go through our towers in JAX and through OpenVINO,
transformers' in JAX (which ours were until they were written for XLA's fast products), PyTorch,
torch.compile, and ONNX Runtime (which has no bfloat16 on a CPU) and OpenVINO on what PyTorch
exports. Rounds call all of them in turn. Told are medians of wall seconds and of the CPU seconds of
the process, which a machine that does other work disturbs less, and the share of the best rate of
matrix products in that precision, JAX's or PyTorch's, by CPU seconds. The largest difference from
our float32 embeddings, by their largest number, stands beside. The file is written after every row.

Needs onnxruntime and onnx beside the test extra; what is missing is left out. PyTorch's threads
wait in a loop by default, which on a machine that does other work takes most of the time.
Run: OMP_WAIT_POLICY=passive python -m benchmarks.cpu_encoders [--cpu_towers=ViT-B/16,text]
"""

import contextlib
import dataclasses
import functools
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import measuring, vit
from jaxvlm import files, runs
from jaxvlm.clip import ClipModel, encode_images, encode_token_ids
from jaxvlm.clip.weights import torch_tensors
from jaxvlm.command import cli

_TOWERS = flags.DEFINE_list(
    "cpu_towers", ["ViT-B/32", "ViT-B/16", "ViT-L/14", "text"], "shapes, of vit.SHAPES, and text"
)
_DTYPES = flags.DEFINE_list("cpu_dtypes", ["float32", "bfloat16"], "what the towers compute in")
_BATCHES = flags.DEFINE_list("cpu_batches", ["1", "2", "8", "32"], "pictures at a time")
_SECONDS = flags.DEFINE_float("cpu_seconds", 25.0, "of measuring a row's competitors, about")
_JSON = flags.DEFINE_string("cpu_json", "benchmarks/results/cpu_encoders.json", "what is written")
LENGTH, PROMPTS = 16, 64  # as `encode_texts` encodes short prompts
_OTHERS = ("torch", "onnxruntime", "openvino")
_ROUNDS = (3, 15)
_PAUSE = 0.02  # threads that wait in a loop for more work must not take the next one's time

Call = Callable[[], np.ndarray]


class Speed(NamedTuple):
    """One competitor at one tower, dtype and batch."""

    tower: str
    dtype: str
    batch: int
    name: str
    wall_seconds: float  # per picture or prompt, median over rounds, as the others
    cpu_seconds: float
    per_second: float
    fraction: float  # of the matrix products' rate, by CPU seconds
    difference: float  # largest, from our float32 embeddings, by their largest number


class Tower(NamedTuple):
    """What every competitor computes: inputs [N, …] to embeddings [N, D]."""

    name: str
    model: ClipModel  # float32
    flops: float  # of one input
    draw: Callable[[int], np.ndarray]


def tower(name: str) -> Tower:
    """Of `vit.SHAPES`, or ``text``: ViT-B/16's text tower."""
    rng = np.random.default_rng(0)
    if name == "text":
        model = vit.text_model()
        flops = vit.text_flops(LENGTH)
        return Tower(name, model, flops, lambda n: rng.integers(300, 49000, (n, LENGTH), np.int32))
    shape = vit.SHAPES[name]
    side = shape.image

    def pixels(count: int) -> np.ndarray:
        return rng.normal(size=(count, 3, side, side)).astype(np.float32)

    return Tower(name, vit.vision_model(shape), vit.vision_flops(shape), pixels)


def jax_ours(own: Tower, dtype: str, inputs: np.ndarray, folder: str) -> Call:
    model = vit.in_dtype(own.model, dtype)
    encode = encode_token_ids if own.name == "text" else encode_images
    run = measuring.compiled(
        lambda params, x: encode(vit.with_params(model, params), x), model.computed, inputs
    )
    given = jnp.asarray(inputs)
    return lambda: np.asarray(run(model.computed, given))


def openvino_ours(own: Tower, dtype: str, inputs: np.ndarray, folder: str) -> Call:
    metadata.version("openvino")  # an ImportError where there is none
    model = dataclasses.replace(vit.in_dtype(own.model, dtype), backend="openvino")
    encode = encode_token_ids if own.name == "text" else encode_images
    return lambda: np.asarray(encode(model, inputs))


def jax_theirs(own: Tower, dtype: str, inputs: np.ndarray, folder: str) -> Call:
    """transformers' Flax towers, where it has them."""
    del folder
    from transformers.models.clip.modeling_flax_clip import FlaxCLIPModule

    model = vit.in_dtype(own.model, dtype)
    module = FlaxCLIPModule(config=model.config, dtype=jnp.dtype(dtype))
    params = jax.tree.map(jnp.asarray, model.params)

    def features(module: Any, x: jax.Array) -> jax.Array:
        if own.name == "text":
            positions = jnp.broadcast_to(jnp.arange(x.shape[1]), x.shape)
            pooled = module.text_model(x, None, positions, deterministic=True).pooler_output
            return module.text_projection(pooled)
        pooled = module.vision_model(jnp.moveaxis(x, 1, -1)).pooler_output
        return module.visual_projection(pooled)

    def encode(params: Any, x: jax.Array) -> jax.Array:
        precision = "float32" if dtype == "float32" else "default"
        with jax.default_matmul_precision(precision):
            return module.apply({"params": params}, x, method=features).astype(jnp.float32)

    run, given = measuring.compiled(encode, params, inputs), jnp.asarray(inputs)
    return lambda: np.asarray(run(params, given))


def pytorch(
    own: Tower, dtype: str, inputs: np.ndarray, folder: str, *, compiling: bool = False
) -> Call:
    import torch

    del folder
    torch.set_num_threads(os.cpu_count() or 1)
    module, given = _module(own).to(getattr(torch, dtype)), torch.from_numpy(_for_torch(inputs))
    given = given if own.name == "text" else given.to(getattr(torch, dtype))
    torch.compiler.reset()  # after eight programs it would compile no more
    module = torch.compile(module, dynamic=False) if compiling else module

    def call() -> np.ndarray:
        with torch.inference_mode():
            return module(given).float().numpy()

    return call


def onnx_runtime(own: Tower, dtype: str, inputs: np.ndarray, folder: str) -> Call:
    import onnxruntime

    if dtype != "float32":
        raise ImportError("ONNX Runtime has no bfloat16 kernels on a CPU")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        _exported(own, folder), options, providers=["CPUExecutionProvider"]
    )
    given = {"x": _for_torch(inputs)}
    return lambda: session.run(None, given)[0]


def openvino(own: Tower, dtype: str, inputs: np.ndarray, folder: str) -> Call:
    metadata.version("openvino")
    from jaxvlm.clip import openvino_package

    core = openvino_package.openvino.Core()
    graph = core.read_model(_exported(own, folder))
    graph.reshape(inputs.shape)
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    run, given = core.compile_model(graph, "CPU", hints), _for_torch(inputs)
    return lambda: run(given)[0]


COMPETITORS = {
    "ours": jax_ours,
    "ours, OpenVINO": openvino_ours,
    "transformers' Flax": jax_theirs,
    "PyTorch": pytorch,
    "torch.compile": functools.partial(pytorch, compiling=True),
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
}


def _for_torch(inputs: np.ndarray) -> np.ndarray:
    return inputs.astype(np.int64) if inputs.dtype.kind == "i" else inputs


def _module(own: Tower) -> Any:
    """The tower in PyTorch, by transformers, with the same weights."""
    import torch
    from transformers import CLIPModel

    whole = CLIPModel(own.model.config).eval()
    state = {name: torch.from_numpy(x) for name, x in torch_tensors(own.model.params).items()}
    missing = whole.load_state_dict(state, strict=False).missing_keys
    assert not [name for name in missing if "position_ids" not in name], missing

    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            text = own.name == "text"
            self.tower = whole.text_model if text else whole.vision_model
            self.projection = whole.text_projection if text else whole.visual_projection

        def forward(self, x: Any) -> Any:
            return self.projection(self.tower(x).pooler_output)

    return One().eval()


def _exported(own: Tower, folder: str) -> str:
    import torch

    metadata.version("onnx")  # an ImportError where there is none, as torch.onnx does not raise
    path = f"{folder}/{measuring.file_name(own.name)}.onnx"
    if not os.path.exists(path):
        example = (torch.from_numpy(_for_torch(own.draw(2))),)
        names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}}}
        torch.onnx.export(_module(own), example, path, dynamo=False, opset_version=17, **names)
    return path


def compare(own: Tower, dtype: str, batch: int, limit: float, folder: str) -> Iterator[Speed]:
    """Every competitor that is here, in rounds; ``limit``: FLOPs per CPU second."""
    inputs = own.draw(batch)
    want = jax_ours(own, "float32", inputs, folder)()
    calls: dict[str, Call] = {}
    differences = {}
    for name, make in COMPETITORS.items():
        with contextlib.suppress(ImportError):  # not installed, or not in this precision
            call = make(own, dtype, inputs, folder)
            differences[name] = float(np.abs(call() - want).max() / np.abs(want).max())
            calls[name] = call
    for name, taken in rounds(calls, _SECONDS.value).items():
        wall, cpu = np.median(taken, axis=0) / batch
        share = own.flops / cpu / limit
        numbers = (float(wall), float(cpu), float(1 / wall), float(share), differences[name])
        yield Speed(own.name, dtype, batch, name, *numbers)


def rounds(calls: dict[str, Call], seconds: float) -> dict[str, np.ndarray]:
    """[rounds, 2] wall and CPU seconds of each call, all in turn, every other round in reverse."""

    def timed(name: str) -> tuple[float, float]:
        time.sleep(_PAUSE)
        wall, cpu = time.perf_counter(), time.process_time()
        calls[name]()
        return time.perf_counter() - wall, time.process_time() - cpu

    once = sum(timed(name)[0] for name in calls)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(int(np.clip(seconds / once, *_ROUNDS))):
        for name in list(calls)[:: -1 if number % 2 else 1]:
            taken[name].append(timed(name))
    return {name: np.array(pairs) for name, pairs in taken.items()}


def product_rate(dtype: str) -> float:
    """FLOPs per CPU second of matrix products as the towers have them, JAX's or PyTorch's best."""
    best = 0.0
    for size in (512, 1024, 2048):
        calls = {"JAX": measuring.product(size, dtype)}
        with contextlib.suppress(ImportError):
            import torch

            torch.set_num_threads(os.cpu_count() or 1)
            square = torch.randn(size, size).to(getattr(torch, dtype))
            calls["PyTorch"] = lambda square=square: square @ square
        taken = rounds(calls, 2.0).values()
        best = max(best, *(2.0 * size**3 / pairs[:, 1].min() for pairs in taken))
    return best


def main() -> None:
    measuring.require_passive()
    limits = {dtype: product_rate(dtype) for dtype in _DTYPES.value}
    print({dtype: f"{rate / 1e9:.0f} GFLOP per CPU second" for dtype, rate in limits.items()})
    speeds: list[Speed] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in _TOWERS.value:
            own = tower(name)
            for batch in [PROMPTS] if name == "text" else map(int, _BATCHES.value):
                for dtype in _DTYPES.value:
                    for speed in compare(own, dtype, batch, limits[dtype], folder):
                        speeds.append(speed)
                        print(
                            f"{name} {dtype} {batch}: {speed.name} {speed.per_second:.1f} a "
                            f"second, {1e3 * speed.cpu_seconds:.1f} CPU ms, "
                            f"{100 * speed.fraction:.0f} %, off by {speed.difference:.1e}",
                            flush=True,
                        )
                    _write(limits, speeds)
                    gc.collect()


def _write(limits: dict[str, float], speeds: list[Speed]) -> None:
    others = {name: metadata.version(name) for name in _OTHERS if find_spec(name)}
    record = {
        "device": measuring.device_name(),
        "versions": runs.run_record(None, seed=None, seconds={})["versions"] | others,
        "flops_per_cpu_second": limits,
        "rows": [speed._asdict() for speed in speeds],
    }
    files.write_json(_JSON.value, record)


if __name__ == "__main__":
    cli.run(main)
