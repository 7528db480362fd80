"""How much of an accelerator the encoder and what follows it use, in one run of under ten minutes.

Pictures per second with and without P_align: random ViT-B/16, B/32 and L/14 in float32, TF32 (which
no program uses: float32 means float32) and bfloat16, pixels and label banks on the device, at the
batch sizes of ``--batches`` until they no longer pay or fit. The fraction is of the measured matmul
rate in the same precision: the forward pass's FLOPs (`vit.vision_flops`; XLA's own count stands
beside them) over time; what the map adds is not counted. Then every OOD method that adapts, in
seconds per 100,000 embeddings, and epochs of role training.

On a GPU most of the time goes into compiling: on an H200 a model in one dtype at one batch size,
both ways, took 60 to 80 seconds. So nothing is begun after ``--minutes``; the file is written anew
after every model and dtype, and says what was left out.

Run: python -m benchmarks.accelerator [--models=ViT-B/16,ViT-L/14] [--dtypes=float32,bfloat16]
On a CPU, to see it work: --models=tiny --batches=2 --stream_rows=512
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from benchmarks import kernels, measuring, table, vit
from benchmarks.measuring import Case, Limits, compiled, interleaved, megabytes
from jaxvlm import files
from jaxvlm.clip import ClipModel, encode_images
from jaxvlm.command import cli
from jaxvlm.ood import LabelBanks, NegAlignConfig, score_images
from jaxvlm.ood.streams import ADAPTIVE, Adaptive, Texts, run

_MODELS = flags.DEFINE_list("models", ["ViT-B/16", "ViT-B/32", "ViT-L/14"], "shapes, of vit.SHAPES")
_DTYPES = flags.DEFINE_list("dtypes", ["float32", "tf32", "bfloat16"], "the towers' precision")
_ROWS = flags.DEFINE_integer("stream_rows", 16_384, "embeddings of a stream", lower_bound=1)
_MINUTES = flags.DEFINE_float("minutes", 8.0, "after which nothing more is begun")
_BATCHES = flags.DEFINE_list("batches", None, "batch sizes; by default what suits the device")
_JSON = flags.DEFINE_string("json", None, "default: benchmarks/results/DEVICE.json")
flags.register_validator(
    _MODELS, lambda names: set(names) <= set(vit.SHAPES), f"shapes are {', '.join(vit.SHAPES)}"
)
flags.register_validator(
    _DTYPES,
    lambda names: set(names) <= {"float32", "tf32", "bfloat16"},
    "float32, tf32 or bfloat16",
)
flags.register_validator(
    _BATCHES,
    lambda sizes: sizes is None or all(size.isdecimal() and int(size) for size in sizes),
    "whole numbers from 1",
)

# A batch size no longer pays when images per second are this far below the best.
_FALLS_BELOW = 0.9
_GROUPS = 10  # of the negatives, in a stream
_WARM = 4096  # embeddings: sixteen batches, which are one compiled call


class Speed(NamedTuple):
    """One model, one dtype, one way, one batch size."""

    name: str
    batch: int
    seconds: float  # per image, median
    images_per_second: float
    fraction: float  # of the measured matmul rate
    megabytes: float | None  # temporary memory and output, beside weights, banks and pixels


def batch_sizes() -> tuple[int, ...]:
    """The sizes to try here."""
    return (1, 2, 4, 8) if jax.default_backend() == "cpu" else (256,)


def vision_model(name: str, dtype: str) -> ClipModel:
    """A random model of the shape; in ``tf32`` its float32 is multiplied in TF32."""
    if dtype != "tf32":
        return vit.vision_model(vit.SHAPES[name], dtype)
    model = vit.vision_model(vit.SHAPES[name], "float32")
    own = model.architecture._replace(float32_products="tensorfloat32")
    return dataclasses.replace(model, architecture=own)


def sweep(
    name: str,
    model: ClipModel,
    batches: Sequence[int],
    limits: Limits,
    *,
    dtype: str | None = None,
    seconds: float = 3.0,
) -> list[Speed]:
    """Both ways of one model at each batch size that fits and pays, smallest first."""
    best, found, dtype = 0.0, [], dtype or model.architecture.dtype
    for batch, cases in _cases(name, model, batches):
        try:
            taken = interleaved(cases, seconds)
        except jax.errors.JaxRuntimeError as error:
            if _out_of_memory(error):
                return found
            raise
        for way, rounds in taken.items():
            each = float(np.median(rounds)) / batch
            fraction = vit.vision_flops(vit.SHAPES[name]) / each / limits.flops[dtype]
            planned = megabytes(cases[way][0])
            found.append(Speed(f"{name} {dtype} {way}", batch, each, 1.0 / each, fraction, planned))
        plain = found[-len(taken)].images_per_second
        if plain < _FALLS_BELOW * best:
            return found
        best = max(best, plain)
    return found


def best_of(speeds: list[Speed]) -> list[Speed]:
    """The fastest batch size of each way."""
    names = dict.fromkeys(speed.name for speed in speeds)
    return [
        max((s for s in speeds if s.name == name), key=lambda s: s.images_per_second)
        for name in names
    ]


def flops_per_image(name: str, model: ClipModel) -> dict[str, float]:
    """By the formula, and as XLA counts them, norms and softmaxes included."""
    args = model.computed, np.zeros((2, *_picture(name)), np.float32)
    plain = compiled(lambda p, x: encode_images(vit.with_params(model, p), x), *args)
    analysis = plain.cost_analysis() or {}
    counted = analysis.get("flops", float("nan")) / 2
    return {"formula": vit.vision_flops(vit.SHAPES[name]), "xla": counted}


def _cases(
    name: str, model: ClipModel, batches: Sequence[int]
) -> Iterator[tuple[int, dict[str, Case]]]:
    """Compiled, batch after batch; ends where a program does not fit into memory."""
    rng = np.random.default_rng(0)
    banks = vit.random_banks(rng, vit.SHAPES[name].embedding)
    config = NegAlignConfig()

    def plain(params: Any, pixels: jax.Array, banks: Any) -> Any:
        del banks
        return encode_images(vit.with_params(model, params), pixels)

    def aligned(params: Any, pixels: jax.Array, banks: Any) -> Any:
        return score_images(vit.with_params(model, params), banks, pixels, config)

    for batch in batches:
        try:
            pixels = jax.random.normal(jax.random.key(batch), (batch, *_picture(name)))
            args = model.computed, pixels, banks
            ways = {"plain": plain, "with P_align": aligned}
            yield batch, {way: (compiled(f, *args), args) for way, f in ways.items()}
        except jax.errors.JaxRuntimeError as error:
            if _out_of_memory(error):
                return
            raise


def _picture(name: str) -> tuple[int, int, int]:
    return 3, vit.SHAPES[name].image, vit.SHAPES[name].image


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error)


def streams(count: int, banks: LabelBanks) -> list[dict[str, Any]]:
    """Every method that adapts, over so many random embeddings: seconds per 100,000 of them."""
    texts = Texts(np.asarray(banks.positive), np.asarray(banks.negative))
    rows = np.asarray(vit.unit_rows(np.random.default_rng(0), count, texts.positive.shape[1]))
    found = []
    for name, method in ADAPTIVE.items():
        config = method.config(_GROUPS)

        def score(some: np.ndarray, method: Adaptive = method, config: Any = config) -> None:
            state = method.start(config, texts)
            run(method.step, config, texts, state, some, base=some[:, 0])

        score(rows[:_WARM])  # compiles
        started = time.perf_counter()
        score(rows)
        seconds = time.perf_counter() - started
        found.append(
            {"name": name, "embeddings": count, "seconds_per_100000": 1e5 * seconds / count}
        )
    return found


def role_epochs(videos: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """Epochs of role training, median seconds."""
    rng = np.random.default_rng(0)
    cases = {str(count): kernels.role_epoch(rng, count) for count in videos}
    taken = interleaved(cases, seconds)
    return [
        {"videos": int(name), "frames": kernels.VIDEO_FRAMES, "seconds": float(np.median(rounds))}
        for name, rounds in taken.items()
    ]


def main() -> None:
    device = measuring.device_name()
    path = _JSON.value or f"benchmarks/results/{measuring.file_name(device)}.json"
    end = time.monotonic() + 60 * _MINUTES.value
    limits = measuring.measure_limits(tuple(_DTYPES.value))
    batches = tuple(sorted(map(int, _BATCHES.value))) if _BATCHES.value else batch_sizes()
    print(device, table.describe_limits(limits), sep="\n", flush=True)
    result = measuring.record(limits) | {"flops_per_image": {}, "left_out": []}
    tiny = _MODELS.value == ["tiny"]
    seconds = 0.0 if tiny else 3.0
    sizes = (8, 4 * _GROUPS) if tiny else (vit.CLASSES, vit.NEGATIVES)
    rng = np.random.default_rng(0)
    width = vit.SHAPES["tiny" if tiny else "ViT-B/16"].embedding
    banks = LabelBanks(*(vit.unit_rows(rng, n, width) for n in (*sizes, sizes[1], sizes[1])))
    result |= {"streams": streams(_ROWS.value, banks), "rows": [], "sweep": []}
    result["role_epochs"] = role_epochs((2,) if tiny else (64, 512), seconds)
    for one in result["streams"]:
        print(f"{one['name']}: {one['seconds_per_100000']:.1f} s per 100,000 embeddings")
    for one in result["role_epochs"]:
        print(f"role training, {one['videos']} videos: {one['seconds']:.3f} s an epoch")
    for name in _MODELS.value:
        for dtype in _DTYPES.value:
            if time.monotonic() > end:
                result["left_out"].append(f"{name} {dtype}")
                continue
            model = vision_model(name, dtype)
            flops = flops_per_image(name, model)
            tried = sweep(name, model, batches, limits, dtype=dtype, seconds=seconds)
            result["flops_per_image"][f"{name} {dtype}"] = flops
            for best in best_of(tried):
                print(
                    f"{best.name}: {best.images_per_second:.1f} images per second in batches of "
                    f"{best.batch}, {100 * best.fraction:.0f} % of the matmul rate",
                    flush=True,
                )
            result["rows"] += [speed._asdict() for speed in best_of(tried)]
            result["sweep"] += [speed._asdict() for speed in tried]
            result |= {"peak_bytes_in_use": measuring.record(limits)["peak_bytes_in_use"]}
            files.write_json(path, result)
    files.write_json(path, result)
    print(path)


if __name__ == "__main__":
    cli.run(main)
