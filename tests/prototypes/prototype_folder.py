"""A folder as the Anomaly-Atoms prototype leaves it, written with PyTorch as its scripts do."""

import numpy as np
import pandas as pd
import torch

EVENTS = ("fire", "flood")
# In the prototype's module: the event names are atoms, too, and some atoms belong to no event.
ONTOLOGY = """
from dataclasses import dataclass
from typing import List

CANONICAL_ATOMS = [
    "fire", "flames leaping up.",
            "smoke\u2011plume rising.",
    "flood", "water / mud in a street.",
]
EVENTS = ["fire", "flood"]
EVENT2ATOMS = {
    "fire": ["flames leaping up.", "smoke\u2011plume rising."],
    "flood": ["water / mud in a street."],
}
AMBI_ENT_ATOMS = ["sparks", "siren"]
ALL_ATOMS: List[str] = sorted(set(CANONICAL_ATOMS + AMBI_ENT_ATOMS))

raise SystemExit("this module must never be run")

def text_templates_for_atom(atom: str) -> List[str]:
    base = [
        f"a photo of {atom}",
        f"scene with {atom} visible",
    ]
    return base
"""
ATOMS = (
    *("fire", "flames leaping up.", "flood", "siren", "smoke\u2011plume rising.", "sparks"),
    "water / mud in a street.",
)
TRAINED = {
    "theta_dir": (len(ATOMS), 2),
    "theta_ind": (len(ATOMS), 2),
    "theta_ctr": (len(ATOMS), 2),
    "gamma_dir": (2,),
    "gamma_ind": (2,),
    "gamma_ctr": (2,),
    "bias": (2,),
}


class RoleLearner(torch.nn.Module):
    """The parameters of the prototype's, under its names."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in TRAINED.items():
            values = torch.randn(shape, generator=generator)
            setattr(self, name, torch.nn.Parameter(values))


def video(n):
    """p [T, C] and p̄ of video n: flames mean fire, water means flood."""
    rng = np.random.default_rng(n)
    presence = rng.uniform(0.5, 0.6, (6 + n % 3, len(ATOMS))).astype(np.float32)
    labels = [n % 2, n // 2 % 2]
    presence[2:4, 1] += 0.3 * labels[0]
    presence[2:4, 6] += 0.3 * labels[1]
    return presence, 3 * presence, labels


def write_prototype(base, num_videos=4):
    """The working folder of the prototype: src/atoms/ontology.py and runs/ with a manifest."""
    (base / "src" / "atoms").mkdir(parents=True)
    (base / "src" / "atoms" / "ontology.py").write_text(ONTOLOGY, encoding="utf-8")
    rows = []
    for n in range(num_videos):
        run = base / "runs" / f"video_{n}"
        run.mkdir(parents=True)
        presence, pbar, labels = (torch.as_tensor(x) for x in video(n))
        frames = torch.zeros(len(presence))
        torch.save(presence, run / "presence.pt")
        torch.save(torch.full((len(presence),), 0.5), run / "boundary.pt")
        torch.save(pbar, run / "seg_presence.pt")
        torch.save(frames, run / "labels.pt")
        torch.save({"pbar": pbar, "labels": frames}, run / "trainpack.pt")
        table = pd.DataFrame([[run.name, *labels.tolist()]], columns=["video_id", *EVENTS])
        table.to_csv(run / "video_event_labels.csv", index=False)
        # The prototype's scripts are started in `base`, and its paths are relative to that.
        rows.append((f"runs/{run.name}", f"runs/{run.name}/video_event_labels.csv"))
    manifest = pd.DataFrame(rows, columns=["run_dir", "labels_csv"])
    manifest.to_csv(base / "runs" / "manifest.csv", index=False)
    torch.save(RoleLearner().state_dict(), base / "runs" / "role_learner_multi.pt")
    return base / "runs"
