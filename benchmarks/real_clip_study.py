"""OOD scores on embeddings of a real CLIP: which words, prompts, groups and temperatures.

ID: some of ImageNet's 1,000 classes, drawn anew for every split; near OOD: its other classes; far
OOD: whole data sets. The first half of the splits is what defaults were chosen on, the second half
is what is reported: no row of the tables has seen the splits that it is told of.

``--root`` has vit_b32_images.safetensors (``SET.SPLIT.features`` and ``.labels``),
vit_b32_texts.safetensors (``WORDS_PROMPT`` [M, D]) and the words in ``WORDS_names.json``. Rows of
``trainK`` are means of ten crops, those of ``test`` single views: a set of single views is an
easier OOD set against ID rows that are means (marked °). Some pets, foods and scenes are classes of
ImageNet as well.

Writes a JSON and prints the tables; an interval is Student's over the splits, of a difference over
the differences on the same splits.
Run: python -m benchmarks.real_clip_study --root=EMBEDDINGS
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import app, flags
from scipy import stats

from jaxvlm import files
from jaxvlm.arrays import unit
from jaxvlm.data.class_lists import read_class_list
from jaxvlm.data.saved_arrays import open_arrays
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.encoding import of_embeddings
from jaxvlm.ood.methods import METHODS, method_scores
from jaxvlm.ood.placing import Permutations, place_banks
from jaxvlm.ood.words.label_banks import LabelBanks, group_permutation
from jaxvlm.ood.words.lists import normalize_word
from jaxvlm.ood.words.mining import RULES, class_similarity

_ROOT = flags.DEFINE_string(
    "root", None, "Folder of the embeddings.", required=True, allow_override=True
)
_SPLITS = flags.DEFINE_integer("splits", 10, "To choose on, and as many to report.", lower_bound=2)
_OUT = flags.DEFINE_string(
    "real_clip_out", "benchmarks/results/real_clip_study.json", "JSON with every figure."
)

NEAR = "other classes"
FAR = {
    "DTD °": "dtd.test",
    "SUN397": "sun397.train4",
    "Food101": "food101.train16",
    "UCF101 °": "ucf101.test",
    "pets °": "oxford_pets.test",
}
SIZES = (50, 100, 500)
BASE = "neglabel"
PROMPTS = {"photo": ("imagenet_a_photo_of_a", "lvis_a_photo_of_a")}
PROMPTS |= {"80 templates": ("imagenet_ensemble80", "lvis_ensemble")}
ROWS = 1000  # of a set that are scored


class World(NamedTuple):
    """All that is read: images and their labels by set, texts by bank, words by list."""

    images: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]
    words: Mapping[str, list[str]]


class Setting(NamedTuple):
    """One way to score: banks and numbers. fraction: of the negatives that mining keeps."""

    classes: str = "imagenet_ensemble80"
    negatives: str = "lvis_ensemble"
    without_ood: bool = True  # negatives that name a class of ImageNet at all are left out
    others: bool = False  # half of the other classes' names are negatives, the other half is OOD
    fraction: float = 1.0
    groups: int = 10
    topk: int = 10
    scale: float = 100.0


def main(_) -> None:
    world = read_world(Path(_ROOT.value))
    found = {}
    for title, rows in tables().items():
        found[title] = measure(world, rows, _SPLITS.value)
        print(f"\n{title}\n{shown(found[title])}", flush=True)
    found["Published"] = published(world)
    print(f"\nPublished\n{found['Published'].to_string()}")
    records = {title: table.round(5).to_dict("records") for title, table in found.items()}
    files.write_json(_OUT.value, {"splits": _SPLITS.value, "tables": records})


def tables() -> dict[str, dict[str, tuple[int, Setting, str]]]:
    """Rows (number of classes, setting, method) by name, by table."""
    plain = ["mcm", "max_logit", "energy", "eoe", "neglabel_one_group", "neglabel", "size_free"]
    plain += ["neglabel_m1"]
    base = Setting()

    def vary(field: str, values: list, methods: Mapping[str, str]) -> dict:
        return {
            f"{label}, {name}, {size} classes": (size, base._replace(**{field: value}), method)
            for size in SIZES
            for value in values
            for label, method in methods.items()
            for name in [f"{field} {value:g}"]
        }

    return {
        "Methods": {
            f"{METHODS[method]}, {size} classes": (size, base, method)
            for size in SIZES
            for method in plain
        },
        "Prompts": {
            f"{name}, {METHODS[method]}": (50, Setting(*pair), method)
            for name, pair in {
                **PROMPTS,
                "classes photo, negatives “a”": (PROMPTS["photo"][0], "lvis_a"),
                "classes 80, negatives photo": (PROMPTS["80 templates"][0], PROMPTS["photo"][1]),
            }.items()
            for method in ("max_logit", BASE)
        },
        "Negatives": {
            f"{name}, {size} classes": (size, setting, BASE)
            for size in SIZES
            for name, setting in {
                "LVIS without ImageNet's names": base,
                "LVIS without the ID names": base._replace(without_ood=False),
                "LVIS and half of the other names": base._replace(others=True),
                "LVIS, “a”, other prompt of classes": Setting("imagenet_other_prompt", "lvis_a"),
                "OID, “a”, other prompt of classes": Setting("imagenet_other_prompt", "oid_a"),
                "Objects365, “a”, other prompt": Setting("imagenet_other_prompt", "objects365_a"),
            }.items()
        },
        "Mined fraction": vary("fraction", [0.15, 0.3, 0.5, 1.0], {"NegLabel": BASE}),
        "Groups": vary("groups", [1, 5, 10, 25, 100], {"NegLabel": BASE}),
        "M1, top-k mean": vary("topk", [1, 2, 5, 10, 20], {"M1": "neglabel_m1"}),
        "Scale": vary("scale", [25.0, 50.0, 100.0, 200.0], {"NegLabel": BASE}),
    }


def read_world(root: Path) -> World:
    """Raises InputError for what is missing."""
    images = open_arrays(root / "vit_b32_images.safetensors")
    lists = {path.name.removesuffix("_names.json"): path for path in root.glob("*_names.json")}
    return World(
        {
            key.removesuffix(".features"): unit(np.asarray(rows, np.float32))
            for key, rows in images.items()
            if key.endswith(".features")
        },
        {key.removesuffix(".labels"): rows for key, rows in images.items() if "labels" in key},
        {
            key: unit(np.asarray(rows, np.float32))
            for key, rows in open_arrays(root / "vit_b32_texts.safetensors").items()
        },
        {name: read_class_list(path) for name, path in lists.items() if "b16" not in name},
    )


def measure(world: World, rows: Mapping[str, tuple], splits: int) -> pd.DataFrame:
    """A line per row and OOD set: mean AUROC and FPR@95 of the splits to report, half of their
    interval, the mean of the splits to choose on, and the difference to the first row of as many
    classes."""
    cache: dict = {}
    lines, first = [], {}
    for name, (size, setting, method) in rows.items():
        found = {}
        for half in ("chosen on", "reported"):
            seeds = range(splits) if half == "chosen on" else range(splits, 2 * splits)
            found[half] = [_metrics(world, size, setting, method, seed, cache) for seed in seeds]
        first.setdefault(size, found["reported"])
        for ood in [NEAR, *FAR, "mean"]:
            reported = np.array([split[ood] for split in found["reported"]])
            against = reported[:, 0] - np.array([split[ood][0] for split in first[size]])
            lines.append(
                {
                    "row": name,
                    "ood": ood,
                    "auroc": reported[:, 0].mean(),
                    "auroc_half": half_width(reported[:, 0]),
                    "fpr95": reported[:, 1].mean(),
                    "chosen_on": np.mean([split[ood][0] for split in found["chosen on"]]),
                    "gain": against.mean(),
                    "gain_half": half_width(against),
                }
            )
    return pd.DataFrame(lines)


def half_width(values: np.ndarray) -> float:
    """Of the 95 % interval of a mean, by Student's t over the splits."""
    quantile = stats.t.ppf(0.975, len(values) - 1)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def shown(table: pd.DataFrame) -> str:
    """AUROC in percent, rows by OOD sets, and the gain over the first row of as many classes."""
    wide = table.pivot(index="row", columns="ood", values="auroc").loc[table["row"].unique()]
    wide = (100 * wide[[NEAR, *FAR, "mean"]]).round(1).astype(str)
    last = table[table["ood"] == "mean"].set_index("row")
    wide["±"] = (100 * last["auroc_half"]).round(1)
    wide["gain"] = [
        f"{100 * row.gain:+.1f} ± {100 * row.gain_half:.1f}" for row in last.itertuples()
    ]
    wide["chosen on"] = (100 * last["chosen_on"]).round(1)
    return wide.to_string()


def split_of(world: World, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The ID classes, and the others in a drawn order."""
    order = np.random.default_rng([size, seed]).permutation(1000)
    return np.sort(order[:size]), order[size:]


def negatives_of(world: World, setting: Setting, ids: np.ndarray, others: np.ndarray):
    """Unit rows of the negatives of a split."""
    name = setting.negatives.partition("_")[0]
    words, rows = world.words[name], world.texts[setting.negatives]
    taken = ids if not setting.without_ood else np.arange(1000)
    known = {normalize_word(world.words["imagenet"][k].split(",")[0]) for k in taken}
    kept = [m for m, word in enumerate(words) if plain(word) not in known]
    rows = rows[kept]
    if setting.others:
        rows = np.concatenate([rows, world.texts[setting.classes][others[: len(others) // 2]]])
    if setting.fraction < 1:
        near = RULES["csp"]
        similar = class_similarity(
            rows, world.texts[setting.classes][ids], quantile=near.quantile, near=near.near
        )
        rows = rows[np.argsort(similar, kind="stable")[: int(setting.fraction * len(rows))]]
    return rows


def plain(word: str) -> str:
    """LVIS's ``bow_(weapon)`` as a word."""
    return normalize_word(word.partition("(")[0].replace("_", " "))


def _metrics(
    world: World, size: int, setting: Setting, method: str, seed: int, cache: dict
) -> dict[str, tuple[float, float]]:
    """(AUROC, FPR@95) by OOD set of one split, and their mean."""
    if (size, setting) not in cache:
        cache.clear()  # rows of one setting follow one another for all methods
        cache[size, setting] = {}
    of_seed = cache[size, setting]
    if seed not in of_seed:
        of_seed[seed] = _scores(world, size, setting, seed)
    scores = {name: of_set[method] for name, of_set in of_seed[seed].items()}
    known = scores.pop("id")
    found = {}
    for name, values in scores.items():
        metrics = ood_metrics(known, values)
        found[name] = metrics["auroc"], metrics["fpr95"]
    return found | {"mean": tuple(np.mean(list(found.values()), axis=0))}


def _scores(world: World, size: int, setting: Setting, seed: int) -> dict[str, dict]:
    ids, others = split_of(world, size, seed)
    positive = world.texts[setting.classes][ids]
    negative = negatives_of(world, setting, ids, others)
    config = NegAlignConfig(
        num_groups=setting.groups, topk_aggregation_k=setting.topk, logit_scale=setting.scale
    )
    placed = place_banks(
        LabelBanks(positive, negative, negative[:0], negative[:0]),
        config,
        permutations=Permutations(group_permutation(len(negative), setting.groups, seed)),
    )
    sets = _sets(world, ids, others[len(others) // 2 :] if setting.others else others, seed)
    return {
        name: method_scores(of_embeddings(rows, positive), placed, config) for name, rows in sets
    }


def _sets(
    world: World, ids: np.ndarray, others: np.ndarray, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    labels, rows = world.labels["imagenet.train4"], world.images["imagenet.train4"]
    take: Callable = np.random.default_rng([7, seed]).permutation
    yield "id", rows[np.isin(labels, ids)]
    near = rows[np.isin(labels, others)]
    yield NEAR, near[take(len(near))[:ROWS]]
    for name, key in FAR.items():
        far = world.images[key]
        yield name, far[take(len(far))[:ROWS]]


def published(world: World) -> pd.DataFrame:
    """MCM with all of ImageNet's classes against DTD, where a figure is published."""
    positive = world.texts["imagenet_a_photo_of_a"]
    placed = place_banks(
        LabelBanks(positive, positive[:10], positive[:0], positive[:0]),
        NegAlignConfig(num_groups=10),
    )
    scores = [
        method_scores(
            of_embeddings(world.images[key], positive), placed, NegAlignConfig(num_groups=10)
        )["mcm"]
        for key in ("imagenet.train4", "dtd.test")
    ]
    ours = ood_metrics(*scores)
    rows = [
        {"what": "MCM, ImageNet-1k against DTD, published with ImageNet's validation pictures"}
        | {"auroc": 84.96, "fpr95": 60.8},
        {"what": "ours, train pictures as means of ten crops"}
        | {"auroc": round(100 * ours["auroc"], 2), "fpr95": round(100 * ours["fpr95"], 2)},
    ]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    app.run(main)
