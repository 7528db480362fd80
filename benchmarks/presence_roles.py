"""Roles learned from the video labels of a few real videos, each scored by those of the others."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.presence_data import Video
from benchmarks.presence_measures import measure
from jaxvlm.atoms.learned_roles import train_roles
from jaxvlm.atoms.roles import event_probability
from jaxvlm.evaluation.baselines import mil_linear
from jaxvlm.evaluation.no_look import learned_no_look
from jaxvlm.evaluation.trivial import median_distance
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import AtomBank, FrameFeatures, presence_in_blocks, segment

EVENTS = ("assault", "fighting")  # what a video's name begins with


def study(videos: Sequence[Video], texts: Mapping[str, np.ndarray]) -> list[dict]:
    """A row per score: what is learned with the video left out, what needs no training, and what
    sees no frame."""
    config = AtomsConfig()
    atoms = np.concatenate([texts["ucf_crime14"][1:], texts["xd_violence7"][1:]])
    neutral = np.concatenate([texts["ade150_ensemble"], texts["context59_ensemble"]])
    bank = AtomBank(atoms, neutral, 100.0)
    features = [FrameFeatures(video.rows, None) for video in videos]
    presence = [presence_in_blocks(f, bank, config.presence) for f in features]
    pbar = [segment(p, config).segment_presence for p in presence]
    labels = np.array([[v.name.startswith(event) for event in EVENTS] for v in videos], np.uint8)
    lengths = np.array([len(video.labels) for video in videos])

    rows = {}
    rows["roles"] = left_out(pbar, labels, roles_scores)  # one batch holds all: no seed matters
    rows["MIL linear"] = left_out(
        pbar, labels, lambda train, y, test: mil_linear(train, y, [test], seed=0)[0]
    )
    rows["highest presence"] = [p.max(axis=1) for p in presence]
    rows["highest segment presence"] = [p.max(axis=1) for p in pbar]
    rows["distance from the median"] = [median_distance(video.rows) for video in videos]
    rows["video length, learned"] = length_scores(lengths, labels, pbar)
    rows["short videos first"] = constant(-lengths, pbar)
    rows["centre of the video"] = [centre(len(p)) for p in pbar]
    rows["anomalous share, told"] = constant([v.labels.mean() for v in videos], pbar)
    return [{"score": name} | measure(videos, scores) for name, scores in rows.items()]


def left_out(
    pbar: Sequence[np.ndarray],
    labels: np.ndarray,
    score: Callable[[list[np.ndarray], np.ndarray, np.ndarray], np.ndarray],
) -> list[np.ndarray]:
    """The highest event probability of each video's rows, by what the other videos teach."""
    found = []
    for n, own in enumerate(pbar):
        others = [video for m, video in enumerate(pbar) if m != n]
        found.append(np.asarray(score(others, np.delete(labels, n, axis=0), own)).max(axis=1))
    return found


def roles_scores(train: list[np.ndarray], labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    config = AtomsConfig().roles
    roles = train_roles(train, labels, config=config)
    return event_probability(roles, test, temperature=config.temperature)


def length_scores(
    lengths: np.ndarray, labels: np.ndarray, pbar: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The learned direction of a video's length, of the videos that were not left out."""
    values = []
    for n in range(len(lengths)):
        rest = np.delete(lengths, n), np.delete(labels, n, axis=0)
        values.append(learned_no_look(*rest, lengths[n : n + 1])["video length"].max())
    return constant(values, pbar)


def constant(values: Sequence[float], pbar: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A video's number for each of its rows."""
    return [np.full(len(p), float(value)) for value, p in zip(values, pbar, strict=True)]


def centre(rows: int) -> np.ndarray:
    """exp(−½((x − n/2)/(n/2))²), which several published systems multiply their scores by."""
    half = max(rows / 2, 1e-9)
    return np.exp(-0.5 * ((np.arange(rows) + 0.5 - half) / half) ** 2)
