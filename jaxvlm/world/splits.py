"""Splits of a world, written as real files with everything that is true about them.

A split folder holds

    videos/<video>.mp4        what a user would have
    labels.csv                video_id and one 0/1 column per event
    intervals.csv             video_id, event, start_seconds, end_seconds
    truth/<video>.safetensors times [F], atoms [F, C], events [F, E] of every frame of the file
    captions.json             a captioning model's answers, with its mistakes
    roles.csv                 event, atom, role
    rules.csv                 event, rule: how the atoms count together, by the world's law
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxvlm import files, outputs
from jaxvlm.atoms.roles import ROLES
from jaxvlm.errors import InputError
from jaxvlm.ontology.rules import rule_text
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.world.language import PARAPHRASES
from jaxvlm.world.laws import EVENT_LAWS, THRESHOLD, check_law
from jaxvlm.world.videos import (
    FILE_FPS,
    SPLITS,
    VideoTruth,
    WorldVideo,
    world_video,
    write_video,
)
from jaxvlm.world.vocabulary import ATOMS, EVENT_ROLES, EVENTS
from jaxvlm.world.workers import spread

FOLDER = "rendered videos"


def intervals(name: str, truth: VideoTruth, fps: float = FILE_FPS) -> pd.DataFrame:
    """The runs of each event as rows video_id, event, start_seconds, end_seconds (exclusive)."""
    rows = []
    for event, track in zip(EVENTS, truth.events.T, strict=True):
        steps = np.flatnonzero(np.diff(np.concatenate(([0], track, [0]))))
        rows += [
            (name, event, start / fps, end / fps) for start, end in steps.reshape(-1, 2).tolist()
        ]
    columns = ["video_id", "event", "start_seconds", "end_seconds"]
    return pd.DataFrame(rows, columns=columns)


def noisy_captions(
    rng: np.random.Generator, name: str, truth: VideoTruth, fps: float = FILE_FPS
) -> dict[str, dict]:
    """What a captioning model would answer for the video's frames at one frame per second.

    It misses an atom in five, invents one in twelve frames, paraphrases a third, now and then
    says nothing, and its keys are paths on the machine it ran on.
    """
    answers = {}
    for second in range(int(truth.times[-1]) + 1):
        present = truth.atoms[round(second * fps)]
        named = [atom for atom, on in zip(ATOMS, present, strict=True) if on and rng.random() > 0.2]
        if rng.random() < 1 / 12:
            named.append(ATOMS[rng.integers(len(ATOMS))])
        spoken = []
        for atom in dict.fromkeys(named):
            options = PARAPHRASES.get(atom, ())
            reworded = options and rng.random() < 0.33
            spoken.append(options[rng.integers(len(options))] if reworded else atom)
        raw = "ATOMS: " + ("; ".join(spoken) if spoken else "none")
        answers[f"/data/annotator/frames/{name}/{second:06d}.jpg"] = {"atoms": spoken, "raw": raw}
    return answers


def write_split(
    out_dir: str | os.PathLike,
    seed: int,
    split: str,
    count: int,
    *,
    law: str = THRESHOLD,
    fps: float = FILE_FPS,
    on_progress: Progress = ignore,
) -> Path:
    """Renders ``count`` videos of a split with all their truth into ``out_dir``, whole.

    fps: of the files; a whole number, because captions are of whole seconds.

    Raises InputError for an unknown law.
    """
    out_dir = Path(out_dir)
    check_law(law)
    with outputs.output_path(out_dir, kind=FOLDER) as folder:
        (folder / "videos").mkdir(parents=True)
        videos = [world_video(seed, split, index, law) for index in range(count)]

        paths = [folder / "videos" / f"{video.name}.mp4" for video in videos]
        processes = min(os.cpu_count() or 1, count)
        write = functools.partial(write_video, fps=fps)
        with spread(write, videos, paths, workers=processes, chunksize=4) as jobs:
            truths = list(counted(jobs, on_progress, f"render {split}", count))
        files.write_csv(folder / "rules.csv", rules_table(law))
        _write_truth(folder, (seed, SPLITS.index(split)), videos, truths, fps)
    return out_dir


def write_world(
    out_dir: str | os.PathLike,
    seed: int,
    num_videos: int,
    *,
    splits: Sequence[str] = SPLITS,
    law: str = THRESHOLD,
    on_progress: Progress = ignore,
) -> list[Path]:
    """Renders a world: ``num_videos`` shared out 6 : 1 : 3 to the splits asked for.

    Returns the split folders. Raises InputError for an unknown split or law.
    """
    check_law(law)
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown or not splits:
        raise InputError(f"split {', '.join(unknown) or 'list'}: use {', '.join(SPLITS)}")
    shares = {"train": 6, "validation": 1, "test": 3}
    total = sum(shares[split] for split in splits)
    counts = {split: num_videos * shares[split] // total for split in splits}
    counts[splits[0]] += num_videos - sum(counts.values())
    counts = {split: count for split, count in counts.items() if count}
    for split in counts:  # of all before the first is rendered
        outputs.require_replaceable(Path(out_dir) / split, kind=FOLDER)
    return [
        write_split(Path(out_dir) / split, seed, split, count, law=law, on_progress=on_progress)
        for split, count in counts.items()
    ]


def roles_table() -> pd.DataFrame:
    """The written truth of the roles: event, atom, role."""
    rows = [
        (event, atom, role)
        for event, roles in EVENT_ROLES.items()
        for role in ROLES
        for atom in getattr(roles, role)
    ]
    return pd.DataFrame(rows, columns=["event", "atom", "role"])


def rules_table(law: str) -> pd.DataFrame:
    """The written truth of the rules: event, rule; a rule names all that cancels it."""
    rows = [
        (event, rule_text(rule.atoms, (*rule.unless, *counter)))
        for event, (rules, counter) in EVENT_LAWS[law].items()
        for rule in rules
    ]
    return pd.DataFrame(rows, columns=["event", "rule"])


def _write_truth(
    folder: Path,
    seed: tuple[int, int],
    videos: Sequence[WorldVideo],
    truths: Sequence[VideoTruth],
    fps: float,
) -> None:
    captions: dict[str, dict] = {}
    labels = []
    for index, (video, truth) in enumerate(zip(videos, truths, strict=True)):
        files.write_arrays(folder / "truth" / f"{video.name}.safetensors", truth._asdict())
        rng = np.random.default_rng((*seed, index, 1))
        captions |= noisy_captions(rng, video.name, truth, fps)
        labels.append((video.name, *truth.events.max(0).tolist()))
    files.write_csv(folder / "labels.csv", pd.DataFrame(labels, columns=["video_id", *EVENTS]))
    tables = [
        intervals(video.name, truth, fps) for video, truth in zip(videos, truths, strict=True)
    ]
    files.write_csv(folder / "intervals.csv", pd.concat(tables))
    files.write_json(folder / "captions.json", captions)
    files.write_csv(folder / "roles.csv", roles_table())
