"""Methods that adapt while pictures arrive, where their own protocol ends: every order and share.

Worlds of stored embeddings: `real_clip_study`'s draws of ImageNet classes against other classes and
data sets, Caltech-101's classes that LVIS or ImageNet have a text for, both of ViT-B/32 (``--root``
as there); and the rendered benchmark, for each folder of ``--rendered``, an output of ``jaxvlm
evaluate-ood --save_embeddings`` on ``render-ood``. With ``--choose`` Steady's settings are compared
on the draws to choose on and the first folder; else every method is measured on the other draws,
on Caltech-101, and on the other folders. Each figure is over ``--repeats`` streams, the draws of
ImageNet classes among them.

Writes a CSV and prints the tables. Run: python -m benchmarks.stream_study --root=EMBEDDINGS
--rendered=FOLDER,FOLDER [--choose]
"""

import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import app, flags

from benchmarks import real_clip_study as real
from jaxvlm import files
from jaxvlm.data.saved_arrays import open_arrays
from jaxvlm.ood.streams import orders, steady
from jaxvlm.ood.streams.methods import ADAPTIVE, Adaptive
from jaxvlm.ood.streams.running import Texts
from jaxvlm.ood.words.label_banks import group_permutation
from jaxvlm.pictures.streams import Pictures, StreamSettings, streams_table

_RENDERED = flags.DEFINE_list("rendered", [], "Folders of evaluate-ood --save_embeddings.")
_CHOOSE = flags.DEFINE_bool("choose", False, "Compares settings of Steady, on what it may see.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Streams of each kind.", lower_bound=2)
_WORLDS = flags.DEFINE_list("stream_worlds", [], "Only those whose name starts so; default: all.")
_STREAM_METHODS = flags.DEFINE_list("stream_methods", [], "Only these; default: all.")
_STREAM_OUT = flags.DEFINE_string(
    "stream_out", "benchmarks/results/stream_study.csv", "CSV with every cell; others stay in it."
)

GROUPS = 10
DRAWS = 3  # of ImageNet classes, two streams of each
SIZE = 100  # classes of a draw
SKEW = 1.0
KEPT = ["method", "ood_set", "order", "ood_share", "class_skew", "base_auroc", "auroc"]
KEPT += ["auroc_sd", "fpr95", "gain", "gain_sd", "gain_low"]
FAR_CALTECH = {
    "DTD": "dtd.test",
    "UCF101": "ucf101.test",
    "SUN397": "sun397.val",
    "pets": "oxford_pets.test",
}


class World(NamedTuple):
    """pictures and texts of one setting; name: ``KIND`` or ``KIND NUMBER``, kinds are pooled."""

    name: str
    pictures: Pictures
    texts: Texts


def main(_) -> None:
    chosen = [w for w in worlds(_CHOOSE.value) if not _WORLDS.value or named(w.name)]
    methods = candidates() if _CHOOSE.value else dict(ADAPTIVE)
    if _STREAM_METHODS.value:
        methods = {name: methods[name] for name in _STREAM_METHODS.value}
    part = "chosen on" if _CHOOSE.value else "reported"
    for kind, own in itertools.groupby(chosen, key=kind_of):
        started = time.perf_counter()
        table = measure(list(own), methods, _REPEATS.value, short=_CHOOSE.value)
        print(f"\n{kind}: gain over the static base, AUROC points\n{shown(table)}")
        print(
            f"{verdict(table).round(2).to_string()}\n{time.perf_counter() - started:.0f} s",
            flush=True,
        )
        write(Path(_STREAM_OUT.value), part, kind, table)


def kind_of(world: World) -> str:
    """The name without the number of a draw."""
    return re.sub(r" \d+$", "", world.name)


def write(out: Path, part: str, kind: str, table: pd.DataFrame) -> None:
    """Puts a kind's rows into the CSV; other kinds, and other methods of this one, stay there."""
    table = table[KEPT].assign(part=part, world=kind)
    if out.is_file():
        old = pd.read_csv(out)
        same = (old["part"] == part) & (old["world"] == kind) & old["method"].isin(table["method"])
        table = pd.concat([old[~same], table])
    files.write_csv(out, table.round(4))


def named(name: str) -> bool:
    """Whether ``--stream_worlds`` takes a world in."""
    return any(name.startswith(start) for start in _WORLDS.value)


def worlds(choosing: bool) -> Iterator[World]:
    """The worlds to choose on, or the others."""
    root = Path(real._ROOT.value)
    world = real.read_world(root)
    for seed in range(DRAWS):
        yield imagenet(world, seed if choosing else 10 + seed)
    if not choosing:
        yield caltech(world, json.loads((root / "caltech101_names.json").read_text()))
    for folder in _RENDERED.value[:1] if choosing else _RENDERED.value[1:]:
        for name in ("id", "id_rare"):
            yield rendered(Path(folder), name)


def imagenet(world: real.World, seed: int) -> World:
    """`SIZE` classes of a draw against the other classes and other data sets."""
    ids, others = real.split_of(world, SIZE, seed)
    setting = real.Setting()
    labels, rows = world.labels["imagenet.train4"], world.images["imagenet.train4"]
    known = np.isin(labels, ids)
    far = {name: world.images[key] for name, key in real.FAR.items()}
    pictures = Pictures(rows[known], labels[known], {real.NEAR: rows[~known], **far})
    negative = real.negatives_of(world, setting, ids, others)
    return World(
        f"ImageNet {seed}", pictures, _texts(world.texts[setting.classes][ids], negative, seed)
    )


def caltech(world: real.World, names: list[str]) -> World:
    """Single views of Caltech-101, skewed by itself, against its other classes and data sets."""
    texts = {
        _plain(word): (bank, row)
        for bank, words in (("lvis", "lvis"), ("imagenet", "imagenet"))
        for row, full in reversed(list(enumerate(world.words[words])))
        for word in re.split(r",", full.partition("(")[0])
    }
    banks = {"lvis": "lvis_ensemble", "imagenet": "imagenet_ensemble80"}
    found = {k: texts.get(_plain(n)) or texts.get(_singular(n)) for k, n in enumerate(names)}
    known = {k: world.texts[banks[at[0]]][at[1]] for k, at in found.items() if at}
    mine = {_plain(n) for n in names} | {_singular(n) for n in names}
    keep = [m for m, w in enumerate(world.words["lvis"]) if _plain(w.partition("(")[0]) not in mine]
    labels, rows = world.labels["caltech101.test"], world.images["caltech101.test"]
    is_id = np.isin(labels, list(known))
    far = {name: world.images[key] for name, key in FAR_CALTECH.items()}
    pictures = Pictures(rows[is_id], labels[is_id], {real.NEAR: rows[~is_id], **far})
    positive = np.stack(list(known.values()))
    return World("Caltech-101", pictures, _texts(positive, world.texts["lvis_ensemble"][keep], 0))


def rendered(folder: Path, name: str) -> World:
    """One of the two ID sets of a rendered benchmark against its OOD sets."""

    def rows(part: str) -> np.ndarray:
        found = open_arrays(folder / "embeddings" / f"{part}.safetensors")
        return np.asarray(next(rows for rows in found.values() if rows.ndim == 2), np.float32)

    labels = json.loads((folder / "embeddings" / f"{name}_labels.json").read_text())
    others = {o: rows(f"ood_{o}") for o in ("unseen", "spurious", "empty")}
    scale = files.read_json(folder / "results.json")["config"]["negalign"]["logit_scale"]
    kind = {"id": "rendered, usual backgrounds", "id_rare": "rendered, rare backgrounds"}[name]
    texts = _texts(rows("classes"), rows("negatives"), 0)._replace(scale=np.float32(scale))
    return World(kind, Pictures(rows(name), np.array(labels), others), texts)


def measure(
    chosen: list[World], methods: Mapping[str, Adaptive], repeats: int, *, short: bool
) -> pd.DataFrame:
    """A row per kind of world, OOD set, method, order, share and skew.

    short: without skew and the orders in which little differs.
    """
    base = StreamSettings(orders=("shuffled", "blocks"), repeats=repeats)
    grids = [base if short else base._replace(orders=orders.ORDERS)]
    if not short:
        grids.append(base._replace(orders=("shuffled",), class_skews=(SKEW,)))
    tables = []
    for world, grid in itertools.product(chosen, grids):
        # A draw of classes is a repeat by itself.
        own = grid._replace(repeats=2 if kind_of(world) == "ImageNet" else repeats)
        table = streams_table(
            world.pictures, world.texts, own, num_groups=GROUPS, seed=0, methods=methods
        )
        tables.append(table.assign(world=kind_of(world)))
    keys = ["world", "method", "base", "ood_set", "order", "ood_share", "class_skew"]
    numbers = ["num_id", "num_ood", "auroc", "auroc_sd", "fpr95", "base_auroc", "gain", "gain_sd"]
    together = pd.concat(tables).groupby(keys, sort=False)
    found = together[numbers].mean()
    for low in ("gain_low", "auroc_low"):
        found[low] = together[low].min()
    return found.reset_index()


def shown(table: pd.DataFrame) -> str:
    """Methods by order, share and skew: the mean gain of the OOD sets, and that of the worst."""
    keys = ["method", "order", "ood_share", "class_skew"]
    cells = 100 * table.groupby(keys, sort=False)["gain"].agg(["mean", "min"])
    text = cells.apply(lambda row: f"{row['mean']:+.1f} ({row['min']:+.1f})", axis=1)
    return text.unstack("method").to_string()


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Per method and world, in points: AUROC at half OOD, the mean gain there, its mean over all
    cells of order, share and skew, and in the worst of these cells, and of the cells of one set."""
    rows = []
    for (method, world), own in table.groupby(["method", "world"], sort=False):
        half = own[own["ood_share"] == 0.5]
        cell = own.groupby(["order", "ood_share", "class_skew"])["gain"].mean()
        rows.append(
            {
                "method": method,
                "world": world,
                "base AUROC": 100 * own["base_auroc"].mean(),
                "gain at half": 100 * half["gain"].mean(),
                "spread of a stream": 100 * own["gain_sd"].mean(),
                "mean gain": 100 * own["gain"].mean(),
                "worst cell": 100 * cell.min(),
                "worst set": 100 * own["gain"].min(),
            }
        )
    return (
        pd.DataFrame(rows).set_index(["world", "method"]).sort_index(level=0, sort_remaining=False)
    )


def candidates() -> dict[str, Adaptive]:
    """AdaNeg and settings of Steady."""
    found = {"adaneg": ADAPTIVE["adaneg"]}
    for weights, base, gap in (
        ((1.0,), 1.0, 0.5),
        ((1.0,), 0.5, 0.5),
        ((1.0,), 1.0, 0.0),
        ((1.0, 3.0), 1.0, 0.5),
        ((1.0, 3.0), 0.5, 0.5),
        ((1.0, 10.0), 1.0, 0.5),
        ((1.0, 3.0), 1.0, 0.0),
    ):
        config = steady.Config(GROUPS, gap=gap, text_weights=weights, base_weight=base)
        name = f"texts {'+'.join(f'{w:g}' for w in weights)}, λ {base:g}, gap {gap:g}"
        found[name] = ADAPTIVE["steady"]._replace(config=lambda groups, config=config: config)
    return found


def _texts(positive: np.ndarray, negative: np.ndarray, seed: int) -> Texts:
    order = group_permutation(len(negative), GROUPS, seed)
    return Texts(positive, negative[order], negative)


def _plain(word: str) -> str:
    return re.sub(r"[^a-z ]", "", word.lower().replace("_", " ").replace("-", " ")).strip()


def _singular(word: str) -> str:
    return _plain(word).removesuffix("s")


if __name__ == "__main__":
    app.run(main)
