"""How well events are found in real surveillance clips, beside what sees next to nothing.

The protocol: every ``CLIP_x264.mp4`` below a folder, with the truth of its frames, 0 or 1, in
``CLIP_x264_gt.npy``. A clip is scored as score-video does, the score of a frame is the last one at
or before it, and AUC is taken over the frames of all clips (``pooled``) and within each
clip (``per clip``, their mean). Rows: the highest event of the frame; pixel change within a
second; distance of the frame's embedding from the clip's median. The clips are for measuring: no
word, threshold or setting was chosen on them.

Run: python -m benchmarks.real_clips --root=CLIPS [--clip=…] [--ontology=… | --roles=FOLDER]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from absl import app, flags

from benchmarks.clips import find_clips
from jaxvlm import clip, files, resources
from jaxvlm.data import videos
from jaxvlm.evaluation.metrics import frame_metrics
from jaxvlm.evaluation.scored_baselines import MEDIAN_DISTANCE, PIXEL_CHANGE
from jaxvlm.evaluation.trivial import lagged_pixel_change, median_distance
from jaxvlm.video import role_file, scoring
from jaxvlm.video.doubts import video_doubts
from jaxvlm.video.frame_presence import score_frames, segment
from jaxvlm.video.role_model import load_role_model

_ROOT = flags.DEFINE_string(
    "root", None, "Folder of the clips and their truth.", required=True, allow_override=True
)
_CLIP = flags.DEFINE_string("clip", "openai/clip-vit-base-patch32", "CLIP folder or hub id.")
_ROLES = flags.DEFINE_string("roles", None, "Role model; default: the roles of --ontology.")
_ONTOLOGY = flags.DEFINE_string(
    "ontology", str(resources.path("configs/ontology/surveillance.yaml")), "Written roles."
)
_NAME = flags.DEFINE_string("name", "default", "Of this configuration in the JSON file.")
_OUT = flags.DEFINE_string(
    "clips_out", "benchmarks/results/real_clips.json", "JSON; others stay in it."
)

EVENTS = "highest event"


class Clip(NamedTuple):
    """A clip's frames: seconds [F] and truth [F] of all, and what was sampled of them."""

    seconds: np.ndarray
    truth: np.ndarray
    times: np.ndarray  # [T]
    scores: dict[str, np.ndarray]  # [T] by row
    embeddings: np.ndarray  # [T, D]


def read_clip(scorer: scoring.Scorer, video: Path, truth: Path) -> Clip:
    """Scores a clip. Its truth may be shorter than the video: cut to whole snippets."""
    config = scorer.roles.config
    seen = list(videos.frames(video, fps=config.fps, say=lambda line: None))
    images = [frame.image for frame in seen]
    embeddings, presence = score_frames(scorer.encoder, scorer.bank, images, config)
    pbar = segment(presence, config).segment_presence
    scores = {
        EVENTS: scorer.roles.probability(pbar).max(axis=1),
        PIXEL_CHANGE: lagged_pixel_change(images, max(1, round(config.fps))),
        MEDIAN_DISTANCE: median_distance(embeddings),
    }
    labels = np.load(truth).astype(int)
    seconds = np.asarray(videos.frame_times(video))[: len(labels)]
    times = np.array([frame.time_seconds for frame in seen])
    return Clip(seconds, labels[: len(seconds)], times, scores, embeddings)


def to_frames(clip: Clip, row: str) -> np.ndarray:
    """The score of every frame: the last one at or before it."""
    at = np.searchsorted(clip.times, clip.seconds + 1e-6, side="right") - 1
    return clip.scores[row][np.maximum(at, 0)]


def table(clips: Mapping[str, Clip]) -> pd.DataFrame:
    """A row per score: AUC pooled, the mean over clips, and of each clip."""
    truth = np.concatenate([one.truth for one in clips.values()])
    rows = {}
    for row in (EVENTS, PIXEL_CHANGE, MEDIAN_DISTANCE):
        values = {name: to_frames(one, row) for name, one in clips.items()}
        each = {name: frame_metrics(values[name], one.truth)["auc"] for name, one in clips.items()}
        pooled = frame_metrics(np.concatenate(list(values.values())), truth)
        mean = float(np.nanmean(list(each.values())))
        rows[row] = {"pooled": pooled["auc"], "pooled ap": pooled["ap"], "per clip": mean, **each}
    return pd.DataFrame.from_dict(rows, orient="index")


def main(_) -> None:
    model = clip.load(_CLIP.value)
    roles = (
        role_file.written_roles(_ONTOLOGY.value)
        if _ROLES.value is None
        else load_role_model(_ROLES.value)
    )
    scorer = scoring.make_scorer(clip.make_encoder(model, batch_size=32), roles)
    found = find_clips(Path(_ROOT.value))
    clips = {name: read_clip(scorer, *paths) for name, paths in found.items()}
    frames = {name: one.embeddings for name, one in clips.items()}
    warnings = video_doubts(model, scorer.bank, roles, frames)
    results = table(clips)
    for line in (*results.T.to_string(float_format="{:.3f}".format).split("\n"), *warnings):
        print(line)
    out = Path(_OUT.value)
    record = files.read_json(out) if out.is_file() else {}
    record[_NAME.value] = {
        "weights_sha256": clip.weights_hash(model),
        "events": list(roles.events),
        "fps": roles.config.fps,
        "frames": sum(len(one.truth) for one in clips.values()),
        "anomalous_frames": int(sum(one.truth.sum() for one in clips.values())),
        "auc": results.drop(columns="pooled ap").round(4).to_dict(orient="index"),
        "ap_pooled": results["pooled ap"].round(4).to_dict(),
        "warnings": warnings,
    }
    files.write_json(out, dict(sorted(record.items())))


if __name__ == "__main__":
    app.run(main)
