"""How often the intervals of AUC, AP, AUROC, AUPR and FPR@95 cover the truth.

Worlds of videos and of pictures are drawn at random, many data sets of one size from each world,
and for each data set the 95 % intervals of several kinds. The truth is the metric of a sample that
is hundreds of times larger. The kind in use was chosen on eight worlds made by hand, which are not
kept, and confirmed on the development worlds; the report worlds are others, from the same ranges. A
coverage of 400 data sets is known to about a point.

``coverage``: a row per world, metric, number of units and kind of interval: the share of data sets
whose interval holds the truth, the shares in which it lies below and above it, the mean width.

Run: python -m benchmarks.interval_coverage [--out=benchmarks/results/interval_coverage.json]
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import app, flags
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm import files
from jaxvlm.evaluation.bootstrap import draw_weights, sample_videos
from jaxvlm.evaluation.intervals import Sampled, percentile_interval, ranking_interval
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.evaluation.ranking import influences, picture_metrics, sort_pictures

_OUT = flags.DEFINE_string("out", "benchmarks/results/interval_coverage.json", "JSON.")
_SETS = flags.DEFINE_integer("data_sets", 400, "Per report world and size; a third to develop.")

LEVEL, RESAMPLES, WORLDS = 0.95, 300, 4
VIDEOS, PICTURES = (30, 60, 290), (60, 200, 800)  # half of them (a share of the pictures) positive
SEEDS = {"development": 0, "report": 1}
# Uniform between the two; of a world, drawn once.
VIDEO_RANGES = {
    "frames": (30.0, 60.0),  # median of a video's length, log-normal
    "tail": (0.5, 1.2),  # deviation of its logarithm
    "share_a": (0.8, 2.0),  # beta distribution of the anomalous share of an anomalous video
    "share_b": (2.0, 6.0),
    "between": (0.4, 1.0),  # scale of what a whole video is too high or low by, Student's t
    "freedom": (4.0, 10.0),
    "missed": (0.0, 0.15),  # anomalous videos whose anomaly the detector does not see
    "shift": (1.5, 3.0),  # of anomalous frames
    "lift": (0.3, 1.0),  # of all frames of anomalous videos
}
PICTURE_RANGES = {
    "positive": (0.25, 0.75),  # share of ID pictures
    "freedom": (4.0, 30.0),  # Student's t
    "scale": (0.7, 1.5),  # of the ID scores; the others' is 1
    "shift": (1.0, 3.0),
    "missed": (0.0, 0.1),  # ID pictures that score like others
}


class Data(NamedTuple):
    scores: np.ndarray  # [T]
    labels: np.ndarray  # [T] bool
    unit: np.ndarray  # [T]


def main(_) -> None:
    rows, worlds = [], []
    for part, seed in SEEDS.items():
        data_sets = _SETS.value if part == "report" else _SETS.value // 3
        for index in range(WORLDS):
            for kind in ("videos", "pictures"):
                name = {"part": part, "units": kind, "world": index}
                world, found = study(kind, [seed, index], data_sets)
                worlds.append(name | world)
                rows += [name | row for row in found]
        table = pd.DataFrame(rows)
        print(f"\n{part}: coverage, the least of {WORLDS} worlds and their mean")
        print(summary(table[table["part"] == part]).to_string())
    files.write_json(
        _OUT.value,
        {
            "level": LEVEL,
            "resamples": RESAMPLES,
            "summary": summary(pd.DataFrame(rows), ["part"]).reset_index().to_dict("records"),
            "worlds": worlds,
            "coverage": rows,
        },
    )


def study(kind: str, seed: list[int], data_sets: int) -> tuple[dict[str, float], list[dict]]:
    """A world's parameters and its rows."""
    rng = np.random.default_rng([*seed, len(kind)])
    ranges, draw, sample, sizes = {
        "videos": (VIDEO_RANGES, draw_videos, sample_video_metrics, VIDEOS),
        "pictures": (PICTURE_RANGES, draw_pictures, sample_picture_metrics, PICTURES),
    }[kind]
    world = {name: float(rng.uniform(*ends)) for name, ends in ranges.items()}
    truth = true_metrics(kind, draw(rng, 15_000 if kind == "videos" else 400_000, world))
    rows = []
    for size in sizes:
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for number in range(data_sets):
            sampled = sample(draw(rng, size, world), number)
            for index, metric in enumerate(truth):
                for name, interval in intervals_of(sampled, index).items():
                    found.setdefault((metric, name), []).append(interval)
        for (metric, name), ends in found.items():
            low, high = np.transpose(ends)
            below, above = truth[metric] < low, truth[metric] > high
            rows.append(
                {
                    "number": size,
                    "metric": metric,
                    "interval": name,
                    "truth": round(truth[metric], 4),
                    "coverage": round(float(1 - np.mean(below | above)), 4),
                    "truth_below": round(float(np.mean(below)), 4),
                    "truth_above": round(float(np.mean(above)), 4),
                    "width": round(float(np.mean(high - low)), 4),
                    "data_sets": data_sets,
                }
            )
    return world, rows


def draw_videos(rng: np.random.Generator, number: int, world: dict[str, float]) -> Data:
    """Frames of videos, half of them with one anomalous stretch; noise is smooth in time."""
    lengths = np.exp(rng.normal(np.log(world["frames"]), world["tail"], number))
    lengths = np.maximum(3, lengths.round()).astype(int)
    anomalous = np.arange(number) < number // 2
    video = np.repeat(np.arange(number), lengths)
    frame = np.arange(len(video)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    share = rng.beta(world["share_a"], world["share_b"], number)
    stretch = np.maximum(1, (share * lengths).round()).astype(int)
    start = (rng.random(number) * (lengths - stretch + 1)).astype(int)
    labels = anomalous[video] & (frame >= start[video]) & (frame < (start + stretch)[video])
    noise = np.convolve(rng.normal(size=len(video)), np.ones(5) / np.sqrt(5), "same")
    offset = world["between"] * rng.standard_t(world["freedom"], number)
    seen = rng.random(number) >= world["missed"]
    scores = noise + (offset + world["lift"] * anomalous)[video]
    return Data(scores + world["shift"] * (labels & seen[video]), labels, video)


def draw_pictures(rng: np.random.Generator, number: int, world: dict[str, float]) -> Data:
    labels = np.arange(number) < round(world["positive"] * number)
    scores = rng.standard_t(world["freedom"], number) * np.where(labels, world["scale"], 1.0)
    seen = rng.random(number) >= world["missed"]
    return Data(scores + world["shift"] * (labels & seen), labels, np.arange(number))


def true_metrics(kind: str, data: Data) -> dict[str, float]:
    if kind == "pictures":
        return ood_metrics(data.scores[data.labels], data.scores[~data.labels])
    return {
        "auc": float(roc_auc_score(data.labels, data.scores)),
        "ap": float(average_precision_score(data.labels, data.scores)),
    }


def sample_video_metrics(data: Data, seed: int) -> Sampled:
    return sample_videos(*data, trapezoid=False, num_resamples=RESAMPLES, seed=seed)


def sample_picture_metrics(data: Data, seed: int) -> Sampled:
    kinds = np.where(data.labels, 0, 1)
    (weights,) = draw_weights(kinds, RESAMPLES, seed=seed, at_a_time=RESAMPLES + 1)
    order = sort_pictures(data.scores[data.labels], data.scores[~data.labels])
    parts = weights[:, data.labels], weights[:, ~data.labels]
    values = picture_metrics(order, *parts, "id_positive")
    return Sampled(values, influences(order, "id_positive"), kinds)


def intervals_of(sampled: Sampled, index: int) -> dict[str, tuple[float, float]]:
    """The ends of every kind of interval of one metric; a rate has the first two."""
    values = sampled.values[index]
    tails = np.array([1 - LEVEL, 1 + LEVEL]) / 2
    found = {
        "percentile": tuple(np.quantile(values[1:], tails)),
        "expanded percentile": percentile_interval(values, sampled.kinds, LEVEL)[1:],
    }
    if index < len(sampled.influences):
        influence = sampled.influences[index]
        found["BCa"] = bca_interval(values, influence, sampled.kinds)
        found["t of the logit"] = ranking_interval(values, influence, sampled.kinds, LEVEL)[1:]
    return found


def bca_interval(
    values: np.ndarray, influence: np.ndarray, kinds: np.ndarray
) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated interval (1987), for comparison."""
    value, resampled = values[0], values[1:]
    centred = np.concatenate([influence[kinds == k] - influence[kinds == k].mean() for k in (0, 1)])
    below = (np.mean(resampled < value) + np.mean(resampled <= value)) / 2
    shift = stats.norm.ppf(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    power = np.sum(centred**2) ** 1.5
    acceleration = np.sum(centred**3) / (6 * power) if power > 0 else 0.0
    ends = shift + stats.norm.ppf((1 + np.array([-LEVEL, LEVEL])) / 2)
    return tuple(np.quantile(resampled, stats.norm.cdf(shift + ends / (1 - acceleration * ends))))


def summary(table: pd.DataFrame, by: list[str] | None = None) -> pd.DataFrame:
    """The least and the mean coverage over the worlds, and the mean width."""
    groups = table.groupby([*(by or []), "units", "metric", "interval", "number"], sort=False)
    return groups.agg(
        least=("coverage", "min"), mean=("coverage", "mean"), width=("width", "mean")
    ).round(4)


if __name__ == "__main__":
    app.run(main)
