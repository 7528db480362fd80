"""How much of an accelerator the encoder uses: images per second, with and without P_align.

Random ViT-B/16 and ViT-L/14 in float32 and bfloat16, pixels and label banks on the device, the
batch size swept until it no longer pays or no longer fits. The fraction is of the measured matmul
rate in the same dtype: the forward pass's FLOPs (`vit.vision_flops`; XLA's own count stands beside
them) over time; what the map adds is not counted. The file is written anew after every model and
dtype, so a run that is cut short leaves what it had. On a GPU most of the time goes into compiling:
on an H200 a model in one dtype at one batch size, both ways, took 60 to 80 seconds, six batch sizes
of one dtype more than five minutes. So give --batches and --dtypes where time is short.

Run: python -m benchmarks.accelerator [--models=ViT-B/16,ViT-L/14] [--dtypes=float32,bfloat16]
On a CPU, to see it work: python -m benchmarks.accelerator --models=tiny
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from benchmarks import measuring, table, vit
from benchmarks.measuring import Case, Limits, compiled, interleaved, megabytes
from jaxvlm import files
from jaxvlm.clip import ClipModel, encode_images
from jaxvlm.command import cli
from jaxvlm.ood import NegAlignConfig, score_images

_MODELS = flags.DEFINE_list("models", ["ViT-B/16", "ViT-L/14"], "shapes, of vit.SHAPES")
_DTYPES = flags.DEFINE_list("dtypes", ["float32", "bfloat16"], "what the towers compute in")
_BATCHES = flags.DEFINE_list("batches", None, "batch sizes; by default what suits the device")
_JSON = flags.DEFINE_string("json", None, "default: benchmarks/results/DEVICE.json")
flags.register_validator(
    _MODELS, lambda names: set(names) <= set(vit.SHAPES), f"shapes are {', '.join(vit.SHAPES)}"
)
flags.register_validator(
    _DTYPES, lambda names: set(names) <= {"float32", "bfloat16"}, "float32 or bfloat16"
)
flags.register_validator(
    _BATCHES,
    lambda sizes: sizes is None or all(size.isdecimal() and int(size) for size in sizes),
    "whole numbers from 1",
)

# A batch size no longer pays when images per second are this far below the best.
_FALLS_BELOW = 0.9


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
    return (1, 2, 4, 8) if jax.default_backend() == "cpu" else (64, 256)


def sweep(
    name: str, model: ClipModel, batches: Sequence[int], limits: Limits, *, seconds: float = 3.0
) -> list[Speed]:
    """Both ways of one model at each batch size that fits and pays, smallest first."""
    best, found, dtype = 0.0, [], model.architecture.dtype
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


def main() -> None:
    device = measuring.device_name()
    path = _JSON.value or f"benchmarks/results/{measuring.file_name(device)}.json"
    limits = measuring.measure_limits(tuple(_DTYPES.value))
    batches = tuple(sorted(map(int, _BATCHES.value))) if _BATCHES.value else batch_sizes()
    print(device, table.describe_limits(limits), sep="\n", flush=True)
    speeds: list[Speed] = []
    rows: list[Speed] = []
    flops = {}
    for name in _MODELS.value:
        for dtype in _DTYPES.value:
            model = vit.vision_model(vit.SHAPES[name], dtype)
            flops[f"{name} {dtype}"] = flops_per_image(name, model)
            tried = sweep(name, model, batches, limits)
            speeds, rows = [*speeds, *tried], [*rows, *best_of(tried)]
            for best in best_of(tried):
                print(
                    f"{best.name}: {best.images_per_second:.1f} images per second in batches of "
                    f"{best.batch}, {100 * best.fraction:.0f} % of the matmul rate",
                    flush=True,
                )
            result = measuring.record(limits) | {"flops_per_image": flops}
            result["rows"] = [row._asdict() for row in rows]
            result["sweep"] = [speed._asdict() for speed in speeds]
            files.write_json(path, result)
    print(path)


if __name__ == "__main__":
    cli.run(main)
