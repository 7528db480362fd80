"""Does a picture match a text, and does any? One threshold for all texts, on real embeddings.

Texts that are looked for: the names of ImageNet's classes ("fine") and the words of whole groups of
them, such as dog ("coarse"), over four pictures of each class. On half of the texts near, α and β
of `jaxvlm.ood.queries` were chosen, and the threshold of every row is; the other half is reported,
and so are other sets, whose classes are called as ImageNet's or LVIS's.

- F1 of a text's matches at one threshold, the mean over texts (fine and coarse ones alike).
- The highest score of a library of 100 classes that shows no such thing, and of the same with one
  picture more that does: AUROC over all texts and libraries and, at the same threshold, how often
  something is found where it is (``found``) and where it is not (``false``).

``--root``: as of `benchmarks.real_clip_study`. With ``--query_clip`` and ``--query_pictures``
(class folders) the same is measured on one's own pictures, with the thresholds of the others.

Run: python -m benchmarks.query_study --root=EMBEDDINGS
"""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags
from scipy.special import logsumexp

from benchmarks import real_clip_study as real
from benchmarks.query_sets import Library, halves, imagenet, other_set, own_pictures
from jaxvlm import files
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood import queries

_CLIP = flags.DEFINE_string("query_clip", None, "CLIP for --query_pictures.")
_PICTURES = flags.DEFINE_string("query_pictures", None, "Folder of class folders.")
_NAMES = flags.DEFINE_string("query_names", None, "JSON: names of the folders, if they have ids.")
_OUT = flags.DEFINE_string(
    "query_out", "benchmarks/results/query_study.json", "JSON; other sets stay in it."
)

SCALE = 100.0
VOCABULARIES = {"LVIS": 0.0, "LVIS and half of the names": 0.5, "LVIS and all names": 1.0}
OTHER_SETS = {
    "Caltech101": ("caltech101", "caltech101.test"),
    "pets": ("oxford_pets", "oxford_pets.test"),
}
NEARS, ALPHAS, STEP = (2.0, 0.95, 0.9, 0.85, 0.8), (0.0, 0.1, 0.2, 0.3), 0.1
CLASSES, REPEATS, RESAMPLES, POINTS = 100, 20, 500, 300
PROMPTS = ("a", "a_photo_of_a")
OURS = "both: score-images --queries"


def log_odds(library: Library, near: float, alpha: float) -> np.ndarray:
    """[N, Q] of `queries.match_queries`, with this near and α and without β."""
    out = library.same | queries.near_words(library.texts, library.words, near=near)
    bank = queries.query_bank(library.texts, library.words, out, scale=SCALE)
    odds, _ = queries.match_queries(library.images, bank, scale=SCALE)
    prior = np.asarray(bank.prior)
    return odds - prior + alpha / queries.SHARE * (prior - queries.OFFSET)


def cosine(library: Library) -> np.ndarray:
    """s·cos [N, Q]; σ(s·cos − b) orders and decides alike."""
    return SCALE * library.images @ library.texts.T


def z_scored(library: Library) -> np.ndarray:
    """Cosines as deviations from the text's mean over the library."""
    return _standard(cosine(library))


def null_text(library: Library) -> np.ndarray:
    """Against one text that says nothing."""
    return cosine(library) - SCALE * (library.images @ library.null)[:, None]


def other_texts(library: Library) -> np.ndarray:
    """Log-odds of the softmax over the texts that are looked for."""
    share = np.exp(cosine(library) - logsumexp(cosine(library), axis=1, keepdims=True))
    return _logit(share)


def ten_groups(library: Library, near: float = 2.0, alpha: float = 0.0) -> np.ndarray:
    """`log_odds` in ten groups, as NegLabel has them: the logit of the mean share over those groups
    in which a word is left."""
    out = library.same | queries.near_words(library.texts, library.words, near=near)
    prior = log_odds(library, near, alpha) - log_odds(library, near, 0.0)
    order, z = np.random.default_rng(0).permutation(len(library.words)), cosine(library) + prior
    share, count = np.zeros_like(z), np.zeros(z.shape[1])
    for own in np.array_split(order, 10):
        similar = SCALE * library.images @ library.words[own].T
        top = similar.max(axis=1, keepdims=True)
        kept = np.exp(similar - top) @ (~out[:, own]).T.astype(np.float32)
        left = (~out[:, own]).any(axis=1)
        other = np.log(np.maximum(kept, np.finfo(np.float32).tiny)) + top
        share += left / (1 + np.exp(np.clip(other - z, -80, 80)))
        count += left
    return _logit(share / count)


ROWS: Mapping[str, Callable[[Library], np.ndarray]] = {
    "cosine": cosine,
    "cosine, z-scored over the library": z_scored,
    "against one null text": null_text,
    "softmax over the texts": other_texts,
    "NegLabel, 10 groups": ten_groups,
    "NegLabel, 1 group": lambda library: log_odds(library, 2.0, 0.0),
    "near words left out": lambda library: log_odds(library, queries.NEAR, 0.0),
    "α of the own log-odds": lambda library: log_odds(library, 2.0, queries.SHARE),
    "both, in 10 groups": lambda library: ten_groups(library, queries.NEAR, queries.SHARE),
    OURS: lambda library: log_odds(library, queries.NEAR, queries.SHARE),
}


def main(_) -> None:
    world = real.read_world(Path(real._ROOT.value))
    libraries = {name: imagenet(world, share) for name, share in VOCABULARIES.items()}
    record = files.read_json(_OUT.value) if Path(_OUT.value).is_file() else {}
    record["choice"] = choice(libraries)
    print(pd.DataFrame(record["choice"]).head(8).to_string())
    thresholds, tables = {}, {}
    for name, library in libraries.items():
        tables[name], thresholds[name] = table(library)
        print(f"\n{name}\n{tables[name].to_string()}", flush=True)
    for name, (words, key) in OTHER_SETS.items():
        tables[name], _ = table(other_set(world, words, key), thresholds["LVIS"])
        print(f"\n{name}\n{tables[name].to_string()}", flush=True)
    record["forms"] = forms(world)
    print(f"\nForms\n{pd.DataFrame(record['forms']).to_string()}")
    if _PICTURES.value:
        library = own_pictures(_CLIP.value, _PICTURES.value, _NAMES.value)
        name = f"{Path(_CLIP.value).name}: {Path(_PICTURES.value).name}"
        tables[name], _ = table(library, thresholds["LVIS"])
        print(f"\n{name}\n{tables[name].to_string()}")
    record["tables"] = record.get("tables", {}) | {
        name: found.round(2).reset_index(names="row").to_dict("records")
        for name, found in tables.items()
    }
    files.write_json(_OUT.value, record)


def choice(libraries: Mapping[str, Library]) -> list[dict[str, float]]:
    """near, α and β on the half to choose on, best first: by the mean of F1 and of the share of
    libraries that are called rightly, over the vocabularies."""
    grid, lines = np.arange(-12.0, 4.0, STEP), []
    for near, alpha in itertools.product(NEARS, ALPHAS):
        f1, right = [], []
        for library in libraries.values():
            half = library.of(halves(library)[0])
            scores = log_odds(half, near, alpha)
            f1.append(_kinds(f1_curves(scores, half.truth, grid), half))
            shows, lacks = presence(half, scores, False)
            right.append([((shows >= at).mean() + (lacks < at).mean()) / 2 for at in grid])
        f1, right = (100 * np.mean(curves, axis=0) for curves in (f1, right))
        best = int((f1 + right).argmax())
        line = {"near": near, "alpha": alpha, "beta": -grid[best]}
        lines.append(line | {"f1": f1[best], "right": right[best]})
    lines = sorted(lines, key=lambda line: -line["f1"] - line["right"])
    return [{key: round(float(value), 2) for key, value in line.items()} for line in lines]


def forms(world: real.World) -> list[dict[str, object]]:
    """F1 of the groups' words at the threshold ½, by the prompt of the query and of the words."""
    library, lines = imagenet(world, 0.0), []
    library = library.of(np.flatnonzero(library.coarse))
    rows = {prompt: world.texts[f"lvis_{prompt}"] for prompt in PROMPTS}
    for asked, beside in itertools.product(PROMPTS, PROMPTS):
        texts = rows[asked][library.same.argmax(axis=1)]
        own = library._replace(texts=texts, words=rows[beside])
        scores = log_odds(own, queries.NEAR, queries.SHARE)
        f1 = f1_curves(scores, own.truth, np.array([-queries.OFFSET]))
        lines.append({"query": asked, "words": beside, "f1": round(100 * float(f1.mean()), 2)})
    return lines


def table(
    library: Library, thresholds: Mapping[str, float] | None = None
) -> tuple[pd.DataFrame, dict[str, float]]:
    """A line per row, on the texts to report (with ``thresholds``: on all), and the thresholds.

    The row `OURS` stands a second time, at the threshold ½ that the program has.
    """
    first, second = halves(library)
    half = library.of(second) if thresholds is None else library
    lines, chosen = {}, {}
    for name, score in ROWS.items():
        scores = score(half)
        if thresholds is None:
            own = library.of(first)
            values = score(own)
            grid = np.quantile(values, 1 - np.geomspace(1e-5, 0.2, POINTS))
            curve = _kinds(f1_curves(values, own.truth, grid), own)
            chosen[name] = float(grid[curve.argmax()])
        at = (thresholds or chosen)[name]
        lines[name] = line(half, scores, at, name == "cosine, z-scored over the library")
        if name == OURS:
            lines["the same at ½"] = line(half, scores, -queries.OFFSET, False)
    return pd.DataFrame.from_dict(lines, orient="index"), chosen


def line(library: Library, scores: np.ndarray, at: float, per_library: bool) -> dict[str, float]:
    """What the table says of one row, in percent but for the threshold."""
    f1 = f1_curves(scores, library.truth, np.array([at]))[:, 0]
    shows, lacks = presence(library, scores, per_library)
    found = {"threshold": at, "f1": _mean(f1, library.coarse), "fine": f1[~library.coarse].mean()}
    if library.coarse.any():
        found["coarse"] = f1[library.coarse].mean()
    rng = np.random.default_rng(1)
    draws = [rng.integers(len(f1), size=len(f1)) for _ in range(RESAMPLES)]
    found["f1_half"] = 1.96 * np.std([_mean(f1[d], library.coarse[d]) for d in draws])
    found |= {
        "auroc": ood_metrics(shows, lacks)["auroc"],
        "found": (shows >= at).mean(),
        "false": (lacks >= at).mean(),
    }
    return {key: value if key == "threshold" else 100 * value for key, value in found.items()}


def f1_curves(scores: np.ndarray, truth: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """F1 of each text [Q, grid] where what is at or above a threshold matches."""
    curves = []
    for own, true in zip(scores.T, truth.T, strict=True):
        called = len(own) - np.searchsorted(np.sort(own), grid)
        right = true.sum() - np.searchsorted(np.sort(own[true]), grid)
        curves.append(2 * right / (called + true.sum()))
    return np.array(curves)


def presence(
    library: Library, scores: np.ndarray, per_library: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Highest scores of libraries that show a text's thing in one picture, and of the same without
    it. Coarse texts have `REPEATS` libraries each, the others one."""
    rng, found = np.random.default_rng(2), []
    for k, truth in enumerate(library.truth.T):
        own = np.unique(library.labels[truth])
        rest = np.setdiff1d(library.labels, own)
        for _ in range(REPEATS if library.coarse[k] else 1):
            classes = rng.choice(rest, min(CLASSES, len(rest) // 2), replace=False)
            lacks = scores[np.isin(library.labels, classes), k]
            shows = np.append(lacks, scores[rng.choice(np.flatnonzero(truth)), k])
            if per_library:
                shows, lacks = _standard(shows), _standard(lacks)
            found.append((shows.max(), lacks.max()))
    return tuple(np.array(found).T)


def _kinds(curves: np.ndarray, library: Library) -> np.ndarray:
    """The mean of fine and of coarse texts at each threshold."""
    return np.mean([curves[library.coarse == k].mean(axis=0) for k in (False, True)], axis=0)


def _mean(values: np.ndarray, coarse: np.ndarray) -> float:
    kinds = [values[coarse == k] for k in (False, True)]
    return float(np.mean([kind.mean() for kind in kinds if len(kind)]))


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _logit(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 1e-12, 1 - 1e-7)
    return np.log(share) - np.log1p(-share)


if __name__ == "__main__":
    app.run(main)
