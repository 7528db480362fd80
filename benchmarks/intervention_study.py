"""Are the reasons the causes? Videos rendered again without what a detection's reason names.

For every detection of a test video, each atom that an explanation names, and each other candidate
that is visible, is taken out of the rendered video; it is encoded and scored again, and the change
of the mean logit over the detection is compared with the change that was predicted.

``named``: the atoms that the explanation names. One that is not drawn in the video at all cannot be
removed: ``not drawn`` is the share of these, ``of the change`` their share of what was predicted,
and all else is of the others. ``visible``: all candidates that can be seen, whether named or not,
the same for all explanations of a model. ``ended``: the share of removals after which no frame of
the detection reaches the threshold; ``as truth``: the share after which the event is detected just
where by the world's law it happens in the new video.

``counter``: to each detection the atom is added that by the model argues most against it;
``partner``: to each video the atom with which by the model an event would be detected in frames
where it is not, and would not be by that atom alone: the missing half of a pair.

Intervals are at 95 % over the videos of all worlds of a law.

Run: python -m benchmarks.intervention_study --rule_worlds=FOLDER [--world_laws=pairs,specific]
     [--world_seeds=903,904,905] [--study_videos=30]
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from absl import app, flags

from benchmarks import explained_models as explained
from benchmarks.explained_models import Levels, Model, Span
from benchmarks.rule_worlds import (
    FOLDER,
    SEEDS,
    WORLD_LAWS,
    Eyes,
    RuleVideo,
    RuleWorld,
    embedded_eyes,
    labels,
    read_world,
    see,
)
from jaxvlm import files
from jaxvlm.atoms.learned_roles import train_roles
from jaxvlm.evaluation.interventions import agreement
from jaxvlm.evaluation.mil import fit_mil, mil_logits
from jaxvlm.evaluation.mil_forms import NAMES as BASELINES
from jaxvlm.evaluation.spans import runs_of
from jaxvlm.world.interventions import shows, with_atom, without_atom
from jaxvlm.world.videos import WorldVideo

_VIDEOS = flags.DEFINE_integer("study_videos", 30, "Test videos of each world.", lower_bound=1)
_OUT = flags.DEFINE_string(
    "interventions_out", "benchmarks/results/intervention_study.json", "JSON."
)

FEWEST_FRAMES = 3  # of a span that something is added to
_AT_ONCE = 16  # videos drawn again at a time
_PARTS = 4


class Change(NamedTuple):
    """An intervention on a video: an atom taken out (no seconds), or put in for some seconds."""

    video: str
    atom: str
    seconds: tuple[float, float] | None = None


class Case(NamedTuple):
    """What an explanation says of one intervention."""

    change: Change
    span: Span
    model: str
    explanation: str
    kind: str  # named, visible, counter, partner
    predicted: float


def models_of(world: RuleWorld, candidates: np.ndarray, field: str) -> list[Model]:
    """Roles and the baselines, trained on a p̄ (``field``) of the world's training videos."""
    train, y = [getattr(video, field) for video in world.train], labels(world.train)
    params = train_roles(train, y, candidates=candidates)
    baselines = {
        name: functools.partial(
            mil_logits, fit_mil(train, y, form=form, seed=0, candidates=candidates)
        )
        for name, form in BASELINES.items()
    }
    return [
        explained.role_model(params, world.atoms, world.events, candidates, train, y),
        *(explained.baseline(name, score, train, y) for name, score in baselines.items()),
    ]


def removals(
    model: Model,
    video: RuleVideo,
    board: WorldVideo,
    presence: np.ndarray,
    levels: Levels,
    world: RuleWorld,
    candidates: np.ndarray,
) -> Iterable[tuple[Case, bool]]:
    """The cases of a video's detections, and whether the atom is drawn at all."""
    for span in explained.detections(model.score, presence, video.times):
        seen = video.atoms[span.start : span.stop].any(axis=0) & (candidates[:, span.event] > 0)
        for name, changes in explained.predictions(model, presence, span, levels).items():
            chosen = explained.named(model, name, changes, presence, span)
            for kind, atoms in (("named", chosen), ("visible", np.flatnonzero(seen).tolist())):
                for c in atoms:
                    change = Change(video.name, world.atoms[c])
                    case = Case(change, span, model.name, name, kind, float(changes[c]))
                    yield case, shows(board, world.atoms[c])


def additions(
    model: Model,
    video: RuleVideo,
    presence: np.ndarray,
    levels: Levels,
    world: RuleWorld,
    candidates: np.ndarray,
) -> Iterable[Case]:
    """The counter of each detection, and the video's missing partner."""
    middle = (levels.absent + levels.present) / 2
    wanted = []
    for span in explained.detections(model.score, presence, video.times):
        put_in = explained.put_in(model.score, presence, span, levels.present)
        there = presence[span.start : span.stop].mean(axis=0) > middle
        put_in[there | (candidates[:, span.event] == 0)] = -np.inf
        if span.stop - span.start >= FEWEST_FRAMES and put_in.max() >= explained.SMALLEST:
            wanted.append(("counter", span, int(put_in.argmax())))
    if (found := missing_partner(model, presence, levels, candidates)) is not None:
        wanted.append(("partner", *found))
    for kind, span, c in wanted:
        seconds = float(video.times[span.start]), float(video.times[span.stop - 1]) + 1.0
        change = Change(video.name, world.atoms[c], seconds)
        predicted = {
            "put in": explained.put_in(model.score, presence, span, levels.present)[c],
            "gradient × input": explained.gradient_times(
                model.score, presence, span, levels.present
            )[c],
        }
        for name, value in predicted.items():
            yield Case(change, span, model.name, name, kind, float(value))


def missing_partner(
    model: Model, presence: np.ndarray, levels: Levels, candidates: np.ndarray
) -> tuple[Span, int] | None:
    """Where an atom, put in, brings an undetected event to its threshold, but not an empty frame.

    Of all such the one with the highest logit; the span is the run of such frames about it. None
    where there is no such frame, or no run of some length.
    """
    before, number = model.score(presence), np.arange(len(presence))
    empty = np.repeat(levels.absent[None], len(presence), axis=0).astype(presence.dtype)
    reached = np.full((presence.shape[1], *before.shape), -np.inf)
    # A part of the frames at a time: some models see a frame against the video's median.
    for c, part in itertools.product(range(presence.shape[1]), range(_PARTS)):
        frames = number % _PARTS == part
        after, alone = (
            model.score(explained.at_level(rows, c, levels.present, frames))
            for rows in (presence, empty)
        )
        found = (candidates[c] > 0) & (before < 0) & (after >= 0) & (alone < 0)
        reached[c] = np.where(frames[:, None] & found, after, reached[c])
    c, t, event = np.unravel_index(reached.argmax(), reached.shape)
    for start, stop in runs_of(np.isfinite(reached[c, :, event])):
        if start <= t < stop and stop - start >= FEWEST_FRAMES:
            return Span(int(event), start, stop), int(c)
    return None


def changed(board: WorldVideo, change: Change) -> WorldVideo:
    """The video that the intervention makes."""
    if change.seconds is None:
        return without_atom(board, change.atom)
    start, end = change.seconds
    return with_atom(board, change.atom, start, min(end, board.shots[-1].end))


def see_again(eyes: Eyes, world: RuleWorld, changes: Sequence[Change]) -> dict[Change, RuleVideo]:
    """Each changed video, with what by the law is true of it now."""
    found = {}
    for start in range(0, len(changes), _AT_ONCE):
        some = changes[start : start + _AT_ONCE]
        boards = [changed(world.storyboards[change.video], change) for change in some]
        found |= dict(zip(some, see(eyes, boards), strict=True))
    return found


def study_world(
    world: RuleWorld, eyes: Eyes, models: Sequence[Model], num_videos: int, field: str
) -> list[dict[str, Any]]:
    """A row per case: predicted and measured change, detected before and after.

    field: which p̄ of a `RuleVideo` the models read.
    """
    candidates = eyes.ontology.candidates
    levels = explained.levels_of([getattr(video, field) for video in world.train])
    by_name = {model.name: model for model in models}
    videos = {video.name: video for video in world.test[:num_videos]}
    cases: list[tuple[Case, bool]] = []
    for video in videos.values():
        presence, board = getattr(video, field), world.storyboards[video.name]
        for model in models:
            cases += removals(model, video, board, presence, levels, world, candidates)
            added = additions(model, video, presence, levels, world, candidates)
            cases += [(case, True) for case in added]
    wanted = sorted({case.change for case, drawn in cases if drawn}, key=str)
    again = see_again(eyes, world, wanted)
    rows = []
    for case, drawn in cases:
        score, presence = by_name[case.model].score, getattr(videos[case.change.video], field)
        row = {
            "world": f"{world.law}_{world.seed}",
            "video": case.change.video,
            "atom": case.change.atom,
            "event": world.events[case.span.event],
            "model": case.model,
            "explanation": case.explanation,
            "kind": case.kind,
            "drawn": drawn,
            "predicted": case.predicted,
        }
        if drawn:
            after = again[case.change]
            seen, frames = getattr(after, field), slice(case.span.start, case.span.stop)
            ends = [explained.mean_logit(score, p, case.span) for p in (presence, seen)]
            row["measured"] = ends[0] - ends[1]
            row["before"] = explained.is_detected(score, presence, case.span)
            row["after"] = explained.is_detected(score, seen, case.span)
            row["true_after"] = bool(after.events[frames, case.span.event].any())
        rows.append(row)
    return rows


def summarise(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per model, explanation and kind of intervention, with intervals over videos."""
    found = []
    for (kind, model, explanation), own in rows.groupby(["kind", "model", "explanation"]):
        drawn = own[own["drawn"]]
        line = {"kind": kind, "model": model, "explanation": explanation, "all": len(own)}
        line["not drawn"] = round(1 - len(drawn) / len(own), 3)
        line["of the change"] = round(1 - drawn["predicted"].sum() / own["predicted"].sum(), 3)
        if len(drawn):
            video, _ = pd.factorize(drawn["world"] + drawn["video"])
            before, after = (drawn[name].astype(bool) for name in ("before", "after"))
            result = agreement(drawn["predicted"], drawn["measured"], before, after, video)
            for name in ("pearson", "spearman", "sign", "ended", "begun"):
                line[name] = [round(float(x), 3) for x in getattr(result, name)]
            line["as truth"] = round(float((after == drawn["true_after"]).mean()), 3)
            line["videos"] = result.videos
        found.append(line)
    return found


def main(_) -> None:
    made_with = {"seeds": SEEDS.value, "videos of a world": _VIDEOS.value}
    eyes, record = embedded_eyes(), {"made_with": made_with}
    for law in WORLD_LAWS.value:
        rows = []
        for seed in SEEDS.value:
            world = read_world(Path(FOLDER.value) / f"{law}_{seed}")
            models = models_of(world, eyes.ontology.candidates, "segment_presence")
            rows += study_world(world, eyes, models, _VIDEOS.value, "segment_presence")
        record[law] = summarise(pd.DataFrame(rows))
        print(f"\n{law}\n{pd.DataFrame(record[law]).to_string(index=False)}", flush=True)
        files.write_json(_OUT.value, record)


if __name__ == "__main__":
    app.run(main)
