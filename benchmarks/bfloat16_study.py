"""How far towers in bfloat16, and through OpenVINO, are from float32 ones in JAX.

One encoder in all of them, on the rendered OOD benchmark; normalisation, similarities and scores
are float32 in every case. Prints cosines of image embeddings, agreement of the predicted class, and
how far AUROC against each OOD set changes for every method. Asserts nothing. OpenVINO is left out
where it is not installed.

Run: python -m benchmarks.bfloat16_study [--num_pictures=1000] [--out_dir=out/bfloat16] \
    [--bfloat16_clip=FOLDER]
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from absl import app, flags

from jaxvlm import clip, resources
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.pictures import evaluating
from jaxvlm.pictures.config import OodConfig, check
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set
from jaxvlm.world import ood_pictures

_OUT_DIR = flags.DEFINE_string("out_dir", "out/bfloat16", "Gets the pictures.")
_CLIP = flags.DEFINE_string("bfloat16_clip", None, "A CLIP; default: the embedded encoder.")
_NUM = flags.DEFINE_integer("num_pictures", 1000, "Pictures per set.")


def evaluate(dtype: str, backend: str, pictures: Path) -> evaluating.Run:
    negalign = NegAlignConfig(num_groups=10, logit_scale=0.0, p_align_variant="v9_fg_bg_contrast")
    path = _CLIP.value or resources.path("checkpoints/clip")
    model = clip.load(path, dtype=dtype, backend=backend)
    encoder = clip.make_encoder(model, cache_dir=pictures.parent / "cache")
    names = list(ood_pictures.SETS)
    run = evaluating.run_evaluation(
        encoder,
        [read_set(f"{pictures}/{name}") for name in names if name.startswith("id")],
        [read_set(f"{pictures}/{name}") for name in names if not name.startswith("id")],
        Words(pictures / "class_names.txt"),
        check(OodConfig(negalign, num_resamples=1), model),
    )
    print(f"{dtype} through {backend}: {run.encoding.sentence()}")
    return run


def compare(plain: evaluating.Run, other: evaluating.Run) -> None:
    """Prints how far the one is from the other."""
    cosines, same = [], []
    sets = [(*run.id_sets, *run.ood_sets) for run in (plain, other)]
    for one, two in zip(*sets, strict=True):
        cosines.append(np.sum(one.encoded.image * two.encoded.image, axis=1))
        same.append(one.encoded.predicted_class_idx == two.encoded.predicted_class_idx)
    cosine = np.concatenate(cosines)
    print(f"cosine of image embeddings: median {np.median(cosine):.6f}, least {cosine.min():.6f}")
    print(f"same predicted class: {100 * np.concatenate(same).mean():.2f} %")
    tables = [
        run.evaluation.results.set_index(["method", "variant", "lambda", "id_set", "ood_set"])
        for run in (plain, other)
    ]
    shared = tables[0].index.intersection(tables[1].index)
    change = 100 * (tables[1].loc[shared, "auroc"] - tables[0].loc[shared, "auroc"]).abs()
    for method, rows in change.groupby(level="method", sort=True):
        most, middle = rows.max(), rows.median()
        print(f"{method:22} AUROC changes by up to {most:.3f} points, median {middle:.3f}")


def main(argv: list[str]) -> None:
    del argv
    pictures = Path(_OUT_DIR.value) / "pictures"
    ood_pictures.write_ood_benchmark(pictures, seed=0, count=_NUM.value)
    plain = evaluate("float32", "jax", pictures)
    compare(plain, evaluate("bfloat16", "jax", pictures))
    if find_spec("openvino"):
        for dtype in ("float32", "bfloat16"):
            compare(plain, evaluate(dtype, "openvino", pictures))


if __name__ == "__main__":
    app.run(main)
