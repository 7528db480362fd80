"""Post-processing of all videos in steps, and what every step gains beside what needs no eyes."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.data.annotations import video_key
from jaxvlm.data.embedding_files import read_embeddings
from jaxvlm.data.feature_files import KEPT
from jaxvlm.data.saved_arrays import SUFFIXES
from jaxvlm.errors import InputError
from jaxvlm.evaluation import no_look, postprocess
from jaxvlm.evaluation.evaluated import Evaluated, anomaly_score
from jaxvlm.evaluation.steps import EVENTVAD, LAVAD, OF_ROWS, Step

RAW = "as scored"
NO_EYES = (no_look.VIDEO_LABEL, no_look.CHANCE)


class Rows(NamedTuple):
    """What was scored of one video, and how it becomes frames.

    scores: [n, S]. to_frames: [n, S] → [T, S]. row: [T] which of the n a frame has. rate: scores
    per second, None: not known. frame_rate: frames per second, the same.
    """

    scores: np.ndarray
    to_frames: Callable[[np.ndarray], np.ndarray]
    row: np.ndarray
    rate: float | None
    frame_rate: float | None


class Embeddings(NamedTuple):
    """Folders of what was scored, as a row of numbers each.

    ``VIDEO/embeddings.safetensors`` of score-video in ``scores_dir``, or ``VIDEO.npy`` (or another
    file of embeddings) in ``images``; the same of captions in ``captions``.
    """

    scores_dir: str | os.PathLike | None = None
    images: str | os.PathLike | None = None
    captions: str | os.PathLike | None = None


class Stage(NamedTuple):
    """After a step: its text, the frame scores [T, S] per video, and those of no-look rows."""

    step: str
    parts: list[np.ndarray]
    no_eyes: dict[str, list[np.ndarray]]  # [T, 1] per video


def stages(
    steps: Sequence[Step],
    rows: Mapping[str, Rows],
    abnormal: Sequence[bool],
    embeddings: Embeddings,
) -> Iterator[Stage]:
    """The scores as they are, then after each step; the same steps on scores that see nothing.

    Args:
      rows: by the video's name. abnormal: its label, for the rows of `NO_EYES`, which are constant
        within a video, so that a step on what was scored leaves them as they are.

    Raises InputError: embeddings that are missing or of another number, or a step that needs a
    frame rate where there is none.
    """
    scored = {name: own.scores for name, own in rows.items()}
    parts = [own.to_frames(own.scores) for own in rows.values()]
    blind = {
        no_look.VIDEO_LABEL: [
            np.full((len(part), 1), float(label))
            for part, label in zip(parts, abnormal, strict=True)
        ],
        no_look.CHANCE: [np.ones((len(p), 1)) for p in parts],
    }
    yield Stage(RAW, parts, blind)
    for step in steps:
        if step.needs_seconds and any(own.rate is None for own in rows.values()):
            raise InputError(f"--postprocess={step.text}: needs --video_fps, the videos' rate")
        if step.name in OF_ROWS:
            for name in rows:
                queries = _embeddings(step, name, len(scored[name]), embeddings)
                keys = queries
                if step.name == LAVAD and embeddings.captions is not None:
                    keys = _in_folder(embeddings.captions, name, len(scored[name]))
                    _check_sides(step, name, queries, keys)
                scored[name] = postprocess.on_rows(step, scored[name], queries, keys)
            parts = [own.to_frames(scored[name]) for name, own in rows.items()]
        else:
            acting = [_on_frames(step, name, own, embeddings) for name, own in rows.items()]
            parts = [act(part) for act, part in zip(acting, parts, strict=True)]
            blind = {
                row: [act(part) for act, part in zip(acting, own, strict=True)]
                for row, own in blind.items()
            }
        yield Stage(step.text, parts, blind)


def gains(
    found: Iterable[Stage], data: Evaluated, options: Mapping[str, Any]
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """The last stage's scores, and a row per stage.

    A row has ``step``, `no_look.figures` of the anomaly score, and the gains over the row before:
    ``gain`` (``auc``, ``ap``: ``{"value", "low", "high"}`` over videos) and, in ``no_eyes``, for
    each row of `NO_EYES` its ``auc`` and ``ap`` after the same steps with ``auc_gain`` and
    ``ap_gain``: what the step gives to a score that sees nothing.
    """
    rows: list[dict[str, Any]] = []
    before, parts = None, []
    definition = options["ap_definition"]
    for stage in found:
        parts = stage.parts
        scores = [anomaly_score(part, data.columns) for part in parts]
        now = no_look.sampled(scores, data, options)
        row = {"step": stage.step, **no_look.figures(scores, data, ap_definition=definition)}
        row["gain"] = no_look.gain_over(now, before) if now and before else None
        row["no_eyes"] = {}
        for name, own in stage.no_eyes.items():
            blind = no_look.overall([p[:, 0] for p in own], data, ap_definition=definition)
            last = rows[-1]["no_eyes"][name] if rows else blind
            gained = {f"{metric}_gain": value - last[metric] for metric, value in blind.items()}
            row["no_eyes"][name] = blind | gained
        rows.append(row)
        before = now
    return parts, rows


def _on_frames(
    step: Step, name: str, rows: Rows, embeddings: Embeddings
) -> Callable[[np.ndarray], np.ndarray]:
    segments = None
    if step.name == EVENTVAD:
        own = _embeddings(step, name, len(rows.scores), embeddings)
        segments = postprocess.embedding_segments(own, rows.rate)[rows.row]

    def act(scores: np.ndarray) -> np.ndarray:
        return postprocess.on_frames(step, scores, rate=rows.frame_rate, segments=segments)

    return act


def _embeddings(step: Step, name: str, number: int, folders: Embeddings) -> np.ndarray:
    if folders.images is not None:
        return _in_folder(folders.images, name, number)
    path = _kept(folders.scores_dir, name)
    if path is None:
        raise InputError(
            f"--postprocess={step.text}: no embeddings of {name}; give --embeddings, a folder with "
            "VIDEO.npy, or leave the step out"
        )
    return _read(path, number)


def _kept(folder: str | os.PathLike | None, name: str) -> Path | None:
    """What score-video kept of a video, whose folder may be called by its long name."""
    if folder is None:
        return None
    if (path := Path(folder) / name / KEPT).is_file():
        return path
    found = [p for p in sorted(Path(folder).glob(f"*/{KEPT}")) if video_key(p.parent.name) == name]
    return found[0] if found else None


def _in_folder(folder: str | os.PathLike, name: str, number: int) -> np.ndarray:
    """The rows of the one file of a folder that is called like the video."""
    key = video_key(name)
    found = [
        path for path in sorted(Path(folder).iterdir() if Path(folder).is_dir() else [])
        if path.suffix in SUFFIXES and video_key(path.stem) == key
    ]  # fmt: skip
    if len(found) != 1:
        wrong = "no file" if not found else f"{len(found)} files"
        raise InputError(f"{folder}: {wrong} of embeddings of {name}; give one, {name}.npy")
    return _read(found[0], number)


def _read(path: Path, number: int) -> np.ndarray:
    rows = np.asarray(read_embeddings(path).rows, np.float64)
    if len(rows) != number:
        raise InputError(f"{path}: {len(rows)} embeddings, but {number} scores; give one for each")
    return rows


def _check_sides(step: Step, name: str, queries: np.ndarray, keys: np.ndarray) -> None:
    if queries.shape[1] != keys.shape[1]:
        raise InputError(
            f"--postprocess={step.text}: {name}: embeddings of {queries.shape[1]} and captions of "
            f"{keys.shape[1]} numbers; give those of one encoder"
        )
