"""Does background alignment help once its map works? NegAlign's choices on the rendered benchmark.

Renders ID classes on their usual and on rare backgrounds, unseen objects, unseen objects on an ID
class's background, and empty places; then evaluates every variant of P_align under several maps.
λ and variant are chosen on a fifth of every set, the OOD sets that are reported included, and
reported on the rest. ``true masks`` pools under the renderer's own masks: what a perfect map would
give.

Writes a JSON and prints a table of AUROC gains over the same base without P_align, in percent
points with 95 % paired bootstrap intervals.
Run: python -m benchmarks.alignment_study --out_dir=out/alignment [--num_pictures=2500]
"""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from absl import app, flags

from jaxvlm import clip, files, resources
from jaxvlm.arrays import unit
from jaxvlm.data.image_sets import ImageSet, read_image_set
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.methods import alignment_scores, base_method
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words import mining
from jaxvlm.pictures.choosing import CHOSEN, LEARNED
from jaxvlm.pictures.comparison import evaluate
from jaxvlm.pictures.config import OodConfig, check
from jaxvlm.pictures.encoding import ScoredSet, score_set
from jaxvlm.pictures.labels import Labels, Words, prepare_labels
from jaxvlm.pictures.set_names import POOLED
from jaxvlm.world import ood_pictures

_OUT_DIR = flags.DEFINE_string("out_dir", "out/alignment", "Pictures and alignment.json.")
_NUM = flags.DEFINE_integer("num_pictures", 2500, "Per set.", lower_bound=50)
_SEED = flags.DEFINE_integer("seed", 0, "Of the pictures, the groups and the bootstrap.")

IDS, OODS = ("id", "id_rare"), ("ood_unseen", "ood_spurious", "ood_empty")
SETTINGS = {
    "output (prototype's, empty)": {"cam_layer": "output"},
    "attention input": {},
    "attention input, post-layernorm": {"pooled_layernorm": True},
    "blocks -1, -2, -3": {"cam_block_weights": (0.5, 0.3, 0.2)},
    "Otsu": {"cam_threshold": "otsu"},
    "value path": {"patch_features": "value_only", "pooled_layernorm": True},
    "M2 off": {"use_role_aware_negatives": False},
    "soft weights": {"soft_weighting": "all"},
    "one group as base": {"base": "neglabel_one_group"},
    "energy as base": {"base": "energy"},
}
TRUE_MASKS = "true masks"


def main(_) -> None:
    out_dir = Path(_OUT_DIR.value)
    pictures = out_dir / f"pictures-{_NUM.value}-{_SEED.value}"
    if not pictures.is_dir():
        ood_pictures.write_ood_benchmark(pictures, seed=_SEED.value, count=_NUM.value)
    model = clip.load(resources.path("checkpoints/clip"))
    found = []
    for lists, (name, changes) in itertools.product(_word_lists(pictures, out_dir), _settings()):
        words_name, words = lists
        if words_name != "all words" and name not in ("attention input", TRUE_MASKS):
            continue  # the maps do not depend on the words
        table = study(model, pictures, words, changes, name == TRUE_MASKS)
        table.insert(0, "map", name)
        table.insert(0, "words", words_name)
        found.append(table)
        _print(words_name, name, table)
        files.write_json(out_dir / "alignment.json", pd.concat(found).to_dict("records"))


def study(
    model: clip.ClipModel, pictures: Path, words: Path, changes: dict, true_masks: bool
) -> pd.DataFrame:
    """Rows of `Evaluation.results` under one setting."""
    changes = dict(changes)
    base = changes.pop("base", None)
    negalign = NegAlignConfig(num_groups=10, logit_scale=0.0, **changes)
    config = check(OodConfig(negalign, seed=_SEED.value), model)
    encoder = clip.make_encoder(model)
    labels = prepare_labels(encoder, Words(pictures / "class_names.txt", words), config)
    sets = {}
    for name in (*IDS, *OODS):
        image_set = read_image_set(pictures / name)
        scored, _ = score_set(encoder, image_set, labels, config)
        if true_masks:
            scored = _with_true_masks(model, scored, image_set, labels, config.negalign)
        sets[name] = scored
    base = base or base_method(config.negalign)
    ids, oods = [sets[name] for name in IDS], [sets[name] for name in OODS]
    return evaluate(ids, oods, config, base=base, choose_on="same_sets").results


def _settings() -> list[tuple[str, dict]]:
    return [*SETTINGS.items(), (TRUE_MASKS, {})]


def _word_lists(pictures: Path, out_dir: Path) -> list[tuple[str, Path]]:
    """All words of the world but the classes; and these without the unseen objects' names."""
    classes = word_lists.read_classes(pictures / "class_names.txt")
    listed, _ = word_lists.read_words(resources.path("configs/ood/world_words.txt"))
    lists = {
        "all words": classes,
        "without the unseen names": (*classes, *ood_pictures.UNSEEN_CLASSES),
    }
    found = []
    for name, left_out in lists.items():
        path = out_dir / f"{name.replace(' ', '_')}.txt"
        word_lists.write_words(path, mining.list_candidates(listed, left_out).nouns)
        found.append((name, path))
    return found


def _with_true_masks(
    model: clip.ClipModel,
    scored: ScoredSet,
    image_set: ImageSet,
    labels: Labels,
    negalign: NegAlignConfig,
) -> ScoredSet:
    """The set with fore- and background pooled under the renderer's masks."""

    def encode(model, pixels):
        return clip.encode_patches(model, pixels)[1]

    patches, _ = clip.encode_image_stream(model, image_set.paths, encode=encode)
    side = round(patches.shape[1] ** 0.5)
    masks = np.stack([_mask(image_set.root, path, side) for path in image_set.paths])
    pooled = {}
    for name, mask in (("foreground", masks), ("background", ~masks)):
        weights = mask / np.maximum(mask.sum(1, keepdims=True), 1)
        mean = np.einsum("np,npd->nd", weights, patches)
        empty = ~mask.any(1)
        mean[empty] = patches[empty].mean(1)  # nothing there: the whole picture
        pooled[name] = unit(mean)
    encoded = scored.encoded._replace(**pooled)
    return scored._replace(
        encoded=encoded, alignment=alignment_scores(encoded, labels.placed, negalign)
    )


def _mask(root: Path, path: Path, side: int) -> np.ndarray:
    below = path.relative_to(root.parent).with_suffix(".png")
    mask = cv2.imread(str(root.parent / "masks" / below), cv2.IMREAD_GRAYSCALE)
    return (cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) > 64).ravel()


def _print(words: str, name: str, table: pd.DataFrame) -> None:
    print(f"\n{words}; {name}")
    for id_name in IDS:
        rows = table[table["id_set"] == id_name].set_index(["method", "ood_set"])
        base = rows[rows["auroc_gain"].eq(0) & rows["auroc_gain_low"].eq(0)].index[0][0]
        bases = "  ".join(f"{o} {100 * rows.loc[(base, o), 'auroc']:.2f}" for o in OODS)
        print(f"  {id_name}: base {base}  {bases}")
        for method in (CHOSEN, LEARNED, *VARIANTS):
            cells = []
            for ood in (*OODS, POOLED):
                row = rows.loc[(method, ood)]
                gain = [100 * row[f"auroc_gain{end}"] for end in ("", "_low", "_high")]
                cells.append("{:+.2f} [{:+.2f}, {:+.2f}]".format(*gain))
            weight = rows.loc[(method, POOLED), "lambda"]
            variant = rows.loc[(method, POOLED), "variant"] or method
            print(f"    {method:18} {variant:18} λ {weight:<5g} " + "  ".join(cells))


if __name__ == "__main__":
    app.run(main)
