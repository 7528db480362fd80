"""Generated features in UCF-Crime's shape: files, list, annotations, counts, embedded texts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxvlm.ontology.ontology import load_ontology
from tests.video.runs import unit

NOISE = 6.0


def write_world(
    folder: Path,
    ontology_file: Path,
    videos: Mapping[str, tuple[int, str, Sequence[tuple[int, int]]]],
    *,
    dimension: int,
    crops: int = 1,
) -> None:
    """Writes features/CLASS/NAME__0.npy, list.csv, annotations.txt, counts.csv, atoms.npy and
    neutral.npy with their names.

    A row is a neutral prompt with noise; in an interval the atoms of the class stand beside it.

    Args:
      videos: by name as the benchmark has it: frames, class, intervals in frames.
    """
    rng = np.random.default_rng(0)
    ontology = load_ontology(ontology_file)
    atoms = unit(rng.normal(size=(len(ontology.atoms), dimension)))
    neutral = unit(rng.normal(size=(max(len(ontology.neutral_prompts), 3), dimension)))
    columns = {"".join(event.split()): e for e, event in enumerate(ontology.events)}
    listed, annotated = [], []
    for name, (frames, event, intervals) in videos.items():
        rows = -(-frames // 16)
        views = neutral[rng.integers(len(neutral), size=rows)][None].repeat(crops, 0)
        for start, stop in intervals:
            own = atoms[ontology.candidates[:, columns[event.casefold()]] > 0]
            views[:, start // 16 : -(-stop // 16)] += 2 * len(own) ** 0.5 * own.mean(axis=0)
        views += rng.normal(size=views.shape) / dimension**0.5 / NOISE
        for k, view in enumerate(views):
            path = folder / "features" / event / f"{name}__{k}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, (7 * view).astype(np.float16))
            listed.append((f"/home/someone/features/{event}/{path.name}", event))
        numbers = [str(number) for pair in intervals for number in pair] or ["-1", "-1"]
        annotated.append("  ".join([f"{name}.mp4", event, *numbers]))
    files = {"atoms": (atoms, ontology.atoms), "neutral": (neutral, ontology.neutral_prompts)}
    for kind, (rows, names) in files.items():
        order = rng.permutation(len(rows)) if len(names) == len(rows) else np.arange(len(rows))
        np.save(folder / f"{kind}.npy", rows[order].astype(np.float32))
        if len(names) == len(rows):
            told = json.dumps([names[k] for k in order])
            (folder / f"{kind}_names.json").write_text(told)
    pd.DataFrame(listed, columns=["path", "label"]).to_csv(folder / "list.csv", index=False)
    (folder / "annotations.txt").write_text("\n".join(annotated) + "\n")
    counts = [(name, frames) for name, (frames, *_) in videos.items()]
    pd.DataFrame(counts, columns=["video", "frames"]).to_csv(folder / "counts.csv", index=False)
