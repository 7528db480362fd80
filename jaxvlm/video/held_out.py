"""Roles measured on videos that they were not trained on, beside what a result has to beat."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.pooling import pool_video
from jaxvlm.errors import InputError
from jaxvlm.evaluation import mil_forms, no_look, splitting
from jaxvlm.evaluation.metrics import event_frame_metrics
from jaxvlm.evaluation.mil import mil_scores
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.video.config import HOLDOUT, AtomsConfig
from jaxvlm.video.frame_presence import segment
from jaxvlm.video.role_data import RoleData
from jaxvlm.video.role_model import RoleModel

TRAIN, HELD_OUT = "train", "held out"
ROLE_MODEL = "role model"
# The multiple-instance models beside it: those that cost little, and all.
FEW, ALL = tuple(mil_forms.NAMES)[:2], tuple(mil_forms.NAMES)

# Roles of some of the videos; the name tells the trainings of one run apart.
Learn = Callable[[RoleData, str], RoleModel]


class Holdout(NamedTuple):
    """Which videos a training does not see: a share of them, or each fold in its turn.

    With ``folds`` the roles that are written have seen all videos, and the figures are those of
    as many other trainings; with a share the roles that are written are those that are measured.
    """

    share: float = HOLDOUT
    folds: int = 0
    baselines: tuple[str, ...] = FEW  # of `mil_forms.NAMES`


DEFAULT = Holdout()


class Plan(NamedTuple):
    """part [N]: −1 for a video that is trained on alone, else the fold in which it is held out.

    note: why nothing is held out, or some events have no figures, in a line; None: no reason.
    lacking: these events.
    """

    part: np.ndarray
    folds: int  # 0: the roles that are written are those that are measured
    note: str | None
    lacking: tuple[str, ...] = ()
    baselines: tuple[str, ...] = FEW

    @property
    def held_out(self) -> bool:
        """Whether any video is held out."""
        return bool((self.part >= 0).any())

    def names(self) -> list[str]:
        """The part of every video: train or held out, or the number of its fold from 1 on."""
        if self.folds:
            return [f"fold {part + 1}" for part in self.part]
        return [TRAIN if part < 0 else HELD_OUT for part in self.part]


class Measured(NamedTuple):
    """figures: a row per part (train, held out), level (video, frame), method and event, with
    ``auroc`` and ``ap``, the mean over folds; plan: which video was where."""

    figures: pd.DataFrame
    plan: Plan


def check_holdout(share: float | None, folds: int, all_baselines: bool = False) -> Holdout:
    """The holdout of the flags. Raises InputError where both are given, or one cannot be."""
    if folds and share is not None:
        raise InputError("--holdout and --folds: give one of them")
    if folds < 0 or folds == 1:
        raise InputError(f"--folds={folds}: give 2 or more, or 0 for none")
    if share is not None and not 0 <= share < 1:
        raise InputError(f"--holdout={share}: give a share from 0 to below 1")
    share = 0.0 if folds else HOLDOUT if share is None else share
    if all_baselines and not folds and not share:
        raise InputError("--all_baselines: nothing is held out; leave it out, or --holdout=0")
    return Holdout(share, folds, ALL if all_baselines else FEW)


def make_plan(labels: np.ndarray, events: Sequence[str], holdout: Holdout, *, seed: int) -> Plan:
    """Which of N videos are held out, stratified by all events.

    An event with fewer than two videos that show it, or two that do not, in a part has no figures,
    and ``note`` names it; where no event has figures, nothing is held out.

    Args:
      labels: [N, E] of 0/1.

    Raises InputError for more folds than videos.
    """
    nothing = np.full(len(labels), -1)
    if holdout.folds:
        part = splitting.folds(labels, holdout.folds, seed=seed)
    elif holdout.share > 0:
        shares = (1 - holdout.share, holdout.share)
        part = splitting.stratified_parts(labels, shares, seed=seed) - 1
    else:
        return Plan(nothing, 0, None)
    lacks = splitting.lacking(labels, part, events)
    first = next(iter(lacks.values()), f"{len(labels)} videos are too few")
    cure = "give more labelled videos"
    if not holdout.folds and len(labels) > 1:
        halves = splitting.folds(labels, 2, seed=seed)
        if len(splitting.lacking(labels, halves, events)) < len(lacks):
            cure = "give more, or --folds=2"
    if len(lacks) == len(events) or not (part >= 0).any():
        note = f"nothing is held out: {first}; {cure}. No figure says how good the roles are"
        return Plan(nothing, 0, note)
    note = None
    if lacks:
        note = f"no figures for {', '.join(lacks)}: {first}; {cure}"
    return Plan(part, holdout.folds, note, tuple(lacks), holdout.baselines)


def train_and_measure(
    data: RoleData,
    plan: Plan,
    learn: Learn,
    *,
    ontology: Ontology,
    config: AtomsConfig,
    seed: int,
) -> tuple[RoleModel, Measured]:
    """The roles to keep, and how well roles find events in the videos trained on and in others.

    A video's score is the noisy-OR of its ten highest frames, for the role model and for the
    multiple-instance models. `no_look.learned_no_look` has the two that see no frame. Figures
    per fold are averaged: scores of different trainings are not ranked against each other.

    Args:
      learn: trains on some of the videos.
      config: what the p̄ of ``data`` were made with.
      seed: of the multiple-instance models.
    """
    events = ontology.events
    if not plan.held_out:
        return learn(data, "all"), Measured(_table([]), plan)
    rows = []
    for fold in range(max(plan.folds, 1)):
        seen = plan.part != fold
        train = data.of(seen)
        model = learn(train, f"fold-{fold + 1}" if plan.folds else "all")
        given = train.videos, train.labels, data.videos
        options = {"seed": seed, "candidates": ontology.candidates}
        baselines = {
            name: mil_scores(*given, form=mil_forms.NAMES[name], **options)
            for name in plan.baselines
        }
        lengths = np.array([len(video) for video in data.videos])
        frames = {ROLE_MODEL: _probabilities(model, data, config)} | baselines
        scores = {
            name: np.stack([np.asarray(pool_video(pad_frames(p))) for p in values])
            for name, values in frames.items()
        } | no_look.learned_no_look(lengths[seen], train.labels, lengths)
        for part, kept in ((TRAIN, seen), (HELD_OUT, ~seen)):
            for method, values in scores.items():
                found = event_frame_metrics([values[kept]], [data.labels[kept]], events)
                rows += _rows(fold, part, "video", method, found)
            if len(data.frame_labels):
                for method, values in frames.items():
                    found = _frame_level(values, data.frame_labels, kept, events)
                    rows += _rows(fold, part, "frame", method, found)
    model = learn(data, "all") if plan.folds else model
    figures = _table(rows)
    # Of too few videos, nothing is told rather than chance.
    return model, Measured(figures[~figures["event"].isin(plan.lacking)], plan)


def write_split(out_dir: str | os.PathLike, names: Sequence[str], plan: Plan) -> None:
    """Writes ``split.csv``: video_id and part, in the order of the videos."""
    table = pd.DataFrame({"video_id": list(names), "part": plan.names()})
    files.write_csv(Path(out_dir) / "split.csv", table)


def record(measured: Measured) -> dict[str, Any]:
    """For ``run.json``: how videos were held out, and the figures."""
    plan = measured.plan
    return {
        "videos": int((plan.part >= 0).sum()),
        "folds": plan.folds,
        "note": plan.note,
        "figures": measured.figures.to_dict(orient="records"),
    }


def summary_lines(measured: Measured) -> list[str]:
    """The figures as text, a table per level and metric; the note where there are none."""
    plan = measured.plan
    if not plan.held_out:
        return [] if plan.note is None else [plan.note]
    total, held = len(plan.part), int((plan.part >= 0).sum())
    what = f"{held} of {total} videos held out (split.csv)"
    if plan.folds:
        what = (
            f"{plan.folds} folds of {total} videos (split.csv); the roles written saw all of them"
        )
    lines = [what] if plan.note is None else [what, plan.note]
    for level in dict.fromkeys(measured.figures["level"]):
        for metric in ("auroc", "ap"):
            lines += _metric_lines(measured.figures, level, metric)
    return lines


def _metric_lines(figures: pd.DataFrame, level: str, metric: str) -> list[str]:
    rows = figures[figures["level"] == level]
    columns = {}
    for part, method in rows[["part", "method"]].drop_duplicates().itertuples(index=False):
        if part == HELD_OUT or method == ROLE_MODEL:  # on its own training videos anything is good
            own = rows[(rows["part"] == part) & (rows["method"] == method)]
            title = f"{method}, {part}" if method == ROLE_MODEL else method
            columns[title] = own.set_index("event")[metric]
    table = pd.DataFrame(columns)
    table.index.name = None
    title = {"auroc": "AUROC", "ap": "AP"}[metric]
    text = table.to_string(float_format="{:.3f}".format, na_rep="-")
    return [f"{title} per {level}; all but the first column on held out videos", *text.split("\n")]


def _probabilities(model: RoleModel, data: RoleData, config: AtomsConfig) -> list[np.ndarray]:
    """P(e|u) of all videos, on the p̄ of the model's own boundary where that was learned."""
    videos = data.videos
    if data.presences and model.config.boundary != config.boundary:
        videos = [segment(p, model.config).segment_presence for p in data.presences]
    return [model.probability(pbar) for pbar in videos]


def _frame_level(
    values: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    kept: np.ndarray,
    events: Sequence[str],
) -> dict[str, Any]:
    """Frame metrics over the frames whose labels are known."""
    scores, truth = [], []
    for n in np.flatnonzero(kept):
        known = (np.asarray(labels[n]) >= 0).all(axis=1)
        scores.append(values[n][known])
        truth.append(np.asarray(labels[n])[known])
    return event_frame_metrics(scores, truth, events)


def _rows(fold: int, part: str, level: str, method: str, found: Mapping[str, Any]) -> list[tuple]:
    named = {**found["events"], "mean of events": found["mean"], "any event": found["any"]}
    return [
        (fold, part, level, method, event, values["auc"], values["ap"])
        for event, values in named.items()
    ]


def _table(rows: Sequence[tuple]) -> pd.DataFrame:
    keys = ["part", "level", "method", "event"]
    table = pd.DataFrame(rows, columns=["fold", *keys, "auroc", "ap"])
    return table.groupby(keys, sort=False)[["auroc", "ap"]].mean().reset_index()
