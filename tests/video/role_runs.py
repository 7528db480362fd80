"""Runs as the pipeline leaves them, and settings that learn from them in a moment."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from jaxvlm import files, runs
from jaxvlm.command import cli
from jaxvlm.data import tables
from jaxvlm.video import config as settings
from jaxvlm.video.config import AtomsConfig, AtomsSettings, SegmentConfig

ONTOLOGY = """
events:
  fire: [flame, smoke, siren]
  flood: [wave, boat, siren]
clutter: [tree]
templates: ["a photo of {}", "a scene with {}"]
neutral_prompts: [a road]
"""
EVENTS = ("fire", "flood")
ATOMS = ("boat", "flame", "siren", "smoke", "tree", "wave")
VIDEOS = 8


def small_config(**roles) -> AtomsConfig:
    config = AtomsSettings()
    # Another temperature than the default: what forgets it gives other roles.
    defaults = {"epochs": 25, "batch_size": 4, "topk": 2, "freeze_bias_epochs": 2}
    defaults |= {"temperature": 0.5, "rule_fits": 0}
    return settings.check(
        cli.override(config, {f"roles.{k}": v for k, v in (defaults | roles).items()})
    )


def write_runs(folder: Path, num_videos: int = VIDEOS) -> Path:
    """Runs as the pipeline leaves them: flame means fire, wave means flood."""
    rng = np.random.default_rng(0)
    entries = []
    for n in range(num_videos):
        run = folder / f"video_{n}"
        run.mkdir(parents=True)
        presence = rng.uniform(0.0, 0.3, (6 + n % 3, len(ATOMS))).astype(np.float32)
        labels = [n % 2, n // 2 % 2]
        for atom, label in (("flame", labels[0]), ("wave", labels[1])):
            presence[2:4, ATOMS.index(atom)] += 0.6 * label
        frames = np.zeros(len(presence), np.int8)
        files.write_arrays(run / "presence.safetensors", {"presence": presence})
        files.write_arrays(run / "trainpack.safetensors", {"pbar": presence, "labels": frames})
        table = pd.DataFrame([[run.name, *labels]], columns=["video_id", *EVENTS])
        files.write_csv(run / "video_event_labels.csv", table)
        entries.append(tables.Run(run, run / "video_event_labels.csv"))
    (folder / "ontology.yaml").write_text(ONTOLOGY)
    ran_with = dataclasses.replace(small_config(epochs=3), segments=SegmentConfig(window=7))
    record = runs.run_record(ran_with, seed=None, seconds={})
    files.write_json(folder / "pipeline.json", record)
    tables.write_manifest(folder / "manifest.csv", entries)
    return folder / "manifest.csv"
