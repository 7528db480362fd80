"""Presence, its neutral prompts and boundaries on real features, real clips and rendered worlds.

Ten real videos (embeddings of ViT-B/16) with frame labels; with --clips the clips of
`benchmarks.real_clips`, seen by the embedded encoder and by --clip; with --worlds rendered videos,
of which the truth of every atom is known. The score of a frame is its highest presence.

``neutral`` and ``clips``: frame AUC over all frames with intervals over videos, the mean AUC of the
videos, the share of normal frames that have an atom above one half. ``gain``: max instead of
log-mean-exp on the same videos. ``boundaries``: how many a minute by form of the divergence, number
of atoms and frame rate. ``atoms``: average precision of atoms. ``roles``: learned with one video
left out. What ν and δ were chosen on: docs/results.md.

Run: python -m benchmarks.presence_study --root=REAL_CLIP [--clips=CLIPS --clip=FOLDER]
     [--worlds=FOLDER]
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags
from sklearn.metrics import average_precision_score

from benchmarks import presence_roles
from benchmarks.presence_data import Video, clip_videos, real_videos, rendered_videos, thinned
from benchmarks.presence_measures import RESAMPLES, gain, measure
from jaxvlm import clip, files, resources
from jaxvlm.arrays import unit
from jaxvlm.atoms.boundary import auto_delta, divergence
from jaxvlm.atoms.presence import contrast_presence, cosine_presence
from jaxvlm.atoms.sparse_coding import sparse_presence
from jaxvlm.ontology.neutral import everyday_prompts
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.reading import sha256
from jaxvlm.video.config import BoundaryConfig

_ROOT = flags.DEFINE_string(
    "root", None, "Folder of the real features.", required=True, allow_override=True
)
_CLIPS = flags.DEFINE_string("clips", None, "Folder of the clips and their truth.")
_CLIP = flags.DEFINE_string(
    "clip", None, "A CLIP of photographs, to see the clips with.", allow_override=True
)
_WORLDS = flags.DEFINE_string("worlds", None, "Gets the rendered worlds.")
_OUT = flags.DEFINE_string("study_out", "benchmarks/results/presence_study.json", "JSON.")

LOGIT_SCALE = 100.0
ONTOLOGIES = ("surveillance", "ucf_crime", "xd_violence")
WORLD_SEEDS, WORLD_VIDEOS = (20, 21), 40
FEW = 13  # atoms, as the real features' class names are

# Frames [T, D], atoms [C, D], neutral [L, D], CLIP's scale -> [T, C].
Presence = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def contrast(reference: str) -> Presence:
    return lambda v, t, n, s: contrast_presence(v, t, n, logit_scale=s, reference=reference)


def sparse(penalty: float, image_mean: np.ndarray | None = None) -> Presence:
    return lambda v, t, n, s: sparse_presence(v, t, n, penalty=penalty, image_mean=image_mean)


LME, MAX = "log-mean-exp", "max"
KINDS = {LME: contrast("log_mean_exp"), MAX: contrast("max")}


def kinds_with_sparse(videos: Sequence[Video]) -> dict[str, Presence]:
    """Also the sparse codes; centred ones by the mean frame of these very videos."""
    mean = unit(np.stack([video.rows.mean(axis=0) for video in videos])).mean(axis=0)
    codes = {f"sparse {p}": sparse(p) for p in (0.05, 0.1)}
    return KINDS | codes | {"sparse 0.05, centred": sparse(0.05, mean)}


def highest(
    videos: Sequence[Video],
    presence: Presence,
    atoms: np.ndarray,
    neutral: np.ndarray,
    scale: float,
) -> list[np.ndarray]:
    """The highest presence of each row."""
    rows = np.concatenate([video.rows for video in videos])  # one shape to compile
    found = np.asarray(presence(rows, atoms, neutral, scale)).max(axis=1)
    return np.split(found, np.cumsum([len(video.rows) for video in videos])[:-1])


def banks(texts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Neutral prompts that there are embeddings of."""
    scenes = [texts["ade150_ensemble"], texts["context59_ensemble"]]
    return {
        "normal event": texts["ucf_crime14"][:1],
        "ADE150": scenes[0],
        "Context59": scenes[1],
        "209 scene words": np.concatenate(scenes),
        "COCO133": texts["coco_panoptic133"],
        "Cityscapes19": texts["cityscapes19_ensemble"],
    }


def neutral_study(videos: Sequence[Video], texts: Mapping[str, np.ndarray]) -> tuple[list, list]:
    """Every bank and kind of presence on the real features, and what max gains."""
    rows, gains = [], []
    kinds = kinds_with_sparse(videos)
    for (bank, neutral), name in itertools.product(
        banks(texts).items(), ("ucf_crime14", "xd_violence7")
    ):
        scores = {
            kind: highest(videos, presence, texts[name][1:], neutral, LOGIT_SCALE)
            for kind, presence in kinds.items()
        }
        place = {"atoms": name, "neutral": bank}
        rows += [place | {"kind": k} | measure(videos, s) for k, s in scores.items()]
        gains.append({"encoder": "ViT-B/16"} | place | gain(videos, scores[MAX], scores[LME]))
    return rows, gains


def clips_study(name: str, videos: Sequence[Video], model: clip.ClipModel) -> tuple[list, list]:
    """The same on clips, a frame a second, of atoms that are evidence for an event."""
    videos = [thinned(video, round(video.fps)) for video in videos]
    rows, gains = [], []
    kinds = kinds_with_sparse(videos)
    for ontology_name in ONTOLOGIES:
        ontology = load_ontology(resources.path(f"configs/ontology/{ontology_name}.yaml"))
        evidence = (ontology.strengths["direct"] + ontology.strengths["indirect"]).any(axis=1)
        atoms = clip.embed_prompts(model, ontology.atoms, ontology.templates)[evidence]
        everyday = everyday_prompts(ontology.atoms, ontology.templates)
        for bank, prompts in (("own", ontology.neutral_prompts), ("everyday", everyday)):
            neutral = clip.embed_prompts(model, prompts, ["{}"])
            scores = {
                kind: highest(videos, presence, atoms, neutral, model.logit_scale)
                for kind, presence in kinds.items()
            }
            place = {"encoder": name, "atoms": ontology_name, "neutral": bank}
            rows += [place | {"kind": k} | measure(videos, s) for k, s in scores.items()]
            gains.append(place | gain(videos, scores[MAX], scores[LME]))
    return rows, gains


def boundary_rates(videos: Sequence[Video], presences: Sequence[np.ndarray]) -> dict[str, float]:
    """Boundaries (b > 1/2) a minute by form of the divergence."""
    minutes = sum(len(video.rows) / video.fps for video in videos) / 60
    default = float(BoundaryConfig.delta)
    forms = {
        "sum, 0.6": lambda p: (divergence(p), 0.6),
        "sum, auto": lambda p: (divergence(p), auto_delta(divergence(p))),
        f"mean, {default:g}": lambda p: (divergence(p, reduction="mean"), default),
        "mean, 0.05": lambda p: (divergence(p, reduction="mean"), 0.05),
    }
    counts = {name: 0 for name in forms}
    for (name, form), presence in itertools.product(forms.items(), presences):
        change, delta = form(np.asarray(presence, np.float32))
        counts[name] += int((np.asarray(change) > float(delta)).sum())
    return {name: count / minutes for name, count in counts.items()}


def boundary_study(
    source: str,
    videos: Sequence[Video],
    texts: Mapping[str, tuple[np.ndarray, np.ndarray]],
    scale: float,
    steps: Sequence[int],
) -> list[dict]:
    """Rates by set of atoms (with its neutral prompts), ν and every how many rows are taken."""
    rows = []
    for (name, (atoms, neutral)), (kind, presence), step in itertools.product(
        texts.items(), KINDS.items(), steps
    ):
        few = [thinned(video, step) for video in videos]
        ends = np.cumsum([len(video.rows) for video in few])[:-1]
        rows_of_all = np.concatenate([video.rows for video in few])
        found = np.split(np.asarray(presence(rows_of_all, atoms, neutral, scale)), ends)
        place = {"source": source, "atoms": name, "C": len(atoms), "kind": kind}
        rows.append(place | {"fps": few[0].fps} | boundary_rates(few, found))
    return rows


def atom_study(
    seed: int, videos: Sequence[Video], model: clip.ClipModel, ontology
) -> list[dict[str, float]]:
    """Average precision of the atoms of rendered videos, a frame a second."""
    videos = [thinned(video, round(video.fps)) for video in videos]
    frames = np.concatenate([video.rows for video in videos])
    truth = np.concatenate([video.atoms for video in videos])
    atoms = clip.embed_prompts(model, ontology.atoms, ontology.templates)
    neutral = clip.embed_prompts(model, ontology.neutral_prompts, ["{}"])
    kinds = {"cosine": lambda v, t, n, s: cosine_presence(v, t)} | kinds_with_sparse(videos)
    kinds |= {"sparse 0.2": sparse(0.2)}
    seen = np.flatnonzero(truth.any(axis=0))
    rows = []
    for kind, presence in kinds.items():
        found = np.asarray(presence(frames, atoms, neutral, model.logit_scale))
        each = [average_precision_score(truth[:, c], found[:, c]) for c in seen]
        all_pairs = average_precision_score(truth.ravel(), found.ravel())
        rows.append({"world": seed, "kind": kind, "macro": np.mean(each), "micro": all_pairs})
    return rows


def main(_) -> None:
    out = Path(_OUT.value)
    record = files.read_json(out) if out.is_file() else {}

    def note(name: str, rows: list[dict]) -> None:
        print(f"\n{name}\n{pd.DataFrame(rows).round(3).to_string(index=False)}", flush=True)
        record[name] = pd.DataFrame(rows).round(4).to_dict("records")
        files.write_json(out, dict(sorted(record.items())))

    models = {"embedded": clip.load(resources.path("checkpoints/clip"))}
    if _CLIP.value:
        models["of photographs"] = clip.load(_CLIP.value)
    record["made_with"] = made_with(Path(_ROOT.value), models)
    videos, texts = real_videos(Path(_ROOT.value))
    neutral, gains = neutral_study(videos, texts)
    note("neutral", neutral)
    scenes, normal = texts["ade150_ensemble"], texts["ucf_crime14"][:1]
    ucf, xd = texts["ucf_crime14"][1:], texts["xd_violence7"][1:]
    sets = {
        "XD-Violence": (xd, scenes),
        "UCF-Crime": (ucf, scenes),
        "both": (np.concatenate([ucf, xd]), scenes),
        "UCF-Crime against one": (ucf, normal),
        "UCF-Crime and ADE150 against one": (np.concatenate([ucf, scenes]), normal),
        "UCF-Crime and ADE150": (np.concatenate([ucf, scenes]), texts["context59_ensemble"]),
    }
    boundaries = boundary_study("real features", videos, sets, LOGIT_SCALE, (1, 2, 4))
    note("roles", presence_roles.study(videos, texts))
    embedded = models["embedded"]
    if _CLIPS.value:
        rows = []
        for name, model in models.items():
            seen = clip_videos(Path(_CLIPS.value), model)
            found, more = clips_study(name, seen, model)
            rows, gains = rows + found, gains + more
            for ontology_name in ONTOLOGIES[:2]:
                sets = ontology_sets(ontology_name, model, (FEW, None))
                source = f"clips, {name}"
                boundaries += boundary_study(source, seen, sets, model.logit_scale, (1, 4, 16))
        note("clips", rows)
    if _WORLDS.value:
        ontology, rows = load_ontology(resources.path("configs/ontology/world.yaml")), []
        for seed in WORLD_SEEDS:
            seen = rendered_videos(Path(_WORLDS.value), seed, WORLD_VIDEOS, embedded, ontology)
            rows += atom_study(seed, seen, embedded, ontology)
        note("atoms", rows)
        sets = ontology_sets("world", embedded, (12, 24, None))
        source = f"rendered, {WORLD_SEEDS[-1]}"
        boundaries += boundary_study(source, seen, sets, embedded.logit_scale, (1, 2, 4, 8))
    note("gain", gains)
    note("boundaries", boundaries)


def made_with(root: Path, models: Mapping[str, clip.ClipModel]) -> dict:
    """The files, encoders and worlds that the figures are of."""
    features = ("vit_b16_videos.safetensors", "vit_b16_texts.safetensors")
    return {
        "features_sha256": {name: sha256(root / name) for name in features},
        "weights_sha256": {name: clip.weights_hash(model) for name, model in models.items()},
        "world_seeds": list(WORLD_SEEDS),
        "world_videos": WORLD_VIDEOS,
        "bootstrap_resamples": RESAMPLES,
    }


def ontology_sets(
    name: str, model: clip.ClipModel, sizes: Sequence[int | None]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Some of an ontology's atoms, drawn once, or all, with its own neutral prompts."""
    ontology = load_ontology(resources.path(f"configs/ontology/{name}.yaml"))
    atoms = clip.embed_prompts(model, ontology.atoms, ontology.templates)
    neutral = clip.embed_prompts(model, ontology.neutral_prompts, ["{}"])
    order = np.random.default_rng(0).permutation(len(atoms))
    return {f"{name}, {n or len(atoms)}": (atoms[order[:n]], neutral) for n in sizes}


if __name__ == "__main__":
    app.run(main)
