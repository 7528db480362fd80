"""New atoms for an ontology: what captions often say, it lacks, and goes with an event or against.

Per video only; which of its frames show the event is not known, as in role training.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from jaxvlm import clip, files
from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT, ROLES
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology.captions import Captions, match_captions, normalize_phrase
from jaxvlm.ontology.ontology import Ontology

# Captioning models invent things: a video shows a direct atom if as many of its frames say so.
_EVIDENCE_FRAMES = 2

WRITTEN = ("proposals.csv", "proposals.yaml")

Embed = Callable[[list[str]], np.ndarray]


class Proposal(NamedTuple):
    """A phrase for an event, the phrases that mean the same, and the numbers that speak for it."""

    event: str
    role: str  # "direct", "indirect" or "counter"
    phrase: str
    merged: tuple[str, ...]
    frames: int  # frames of labelled videos whose caption says it
    videos: int  # labelled videos with such a frame
    videos_with_event: int  # of these
    auroc: float
    z: float


class Proposals(NamedTuple):
    """The proposals, best first, and what they were drawn from."""

    proposals: list[Proposal]
    videos: int
    frames: int
    unknown_phrases: int
    groups: int


def read_video_labels(
    events: Sequence[str],
    *,
    labels_csv: str | os.PathLike | None = None,
    manifest_csv: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """One row per video: video_id and a 0/1 column per event, from one table or a manifest's.

    Of labels per frame, a video has what any of its frames has. Raises InputError unless exactly
    one source is given, or if it cannot be used.
    """
    if (labels_csv is None) == (manifest_csv is None):
        raise InputError("labels: give either --labels_csv or --manifest_csv")
    if labels_csv is not None:
        paths = [Path(labels_csv)]
    else:
        paths = [run.labels_csv for run in tables.read_manifest(manifest_csv) if run.labels_csv]
        if not paths:
            raise InputError(
                f"{manifest_csv}: no run has labels; run jaxvlm run-pipeline --labels_csv"
            )
    table = pd.concat([tables.read_event_labels(path, events) for path in paths])
    return table.groupby("video_id", as_index=False)[list(events)].max()


def propose_atoms(
    captions: Captions,
    labels: pd.DataFrame,
    ontology: Ontology,
    embed: Embed,
    *,
    tau: float = 0.85,
    min_videos: int = 3,
    min_z: float = 3.0,
) -> Proposals:
    """Phrases that no atom answers to, merged by meaning, where they separate an event.

    A phrase is unknown if it is no atom's name (`captions.match_captions`) and its text embedding
    has a cosine below tau with every atom. Unknown phrases are merged by `merge_phrases`; a
    group's score in a video is the number of frames that say one of its phrases. A group that at
    least min_videos videos say is proposed for each event where `rank_separation` gives

    * z ≥ min_z over all labelled videos: direct if half of the frames that say it, or more, lie
      in videos with the event, else indirect;
    * z ≤ −min_z over the videos where two frames or more name a direct atom of the event:
      counter. Over all videos every phrase of another event would look like one. An event without
      direct atoms in the ontology gets none.

    Args:
      captions: keys name the video by their folder, as frames do.
      labels: see `read_video_labels`; videos without captions, and captions of videos without
        labels, are left out.
      embed: n phrases to their unit text embeddings [n, D].
      tau: cosine from which two phrases mean the same.

    Returns:
      Proposals, by falling |z|; equal ones by name. The same input gives the same list.

    Raises:
      InputError: no caption belongs to a labelled video.
    """
    labelled = set(labels["video_id"])
    keys = [key for key in captions.frames if _video(key) in labelled]
    if not keys:
        raise InputError(
            f"{captions.source}: no key lies in the folder of a labelled video "
            f"(it has {next(iter(captions.frames), 'no key')}, the labels have "
            f"{labels['video_id'].iloc[0]}); name folders and videos alike"
        )
    names = sorted({_video(key) for key in keys})
    rows = np.array([names.index(_video(key)) for key in keys])
    truth = labels.set_index("video_id").loc[names, list(ontology.events)].to_numpy(bool)

    atom_texts = embed(list(ontology.atoms))
    evidence = match_captions(
        captions, keys, ontology.atoms, similarity=lambda p: embed(p) @ atom_texts.T, tau=tau
    )
    unknown = set(evidence.coverage.phrases_unknown)
    spoken = [
        {normalize_phrase(phrase) for phrase in captions.frames[key].named} & unknown
        for key in keys
    ]
    groups, frames = _count(spoken, rows, len(names), embed, tau)
    named_atoms = np.zeros((len(names), len(ontology.atoms)), int)
    np.add.at(named_atoms, rows, evidence.named | (evidence.resembled > 0))
    direct = ontology.strengths[DIRECT] > 0

    found = []
    for g, (phrase, merged) in enumerate(groups):
        said = frames[:, g] > 0
        if said.sum() < min_videos:
            continue
        for e, event in enumerate(ontology.events):
            auroc, z = rank_separation(frames[:, g], truth[:, e])
            inside = frames[truth[:, e], g].sum() / frames[:, g].sum()
            role = DIRECT if inside >= 0.5 else INDIRECT
            if z < min_z:
                shows = named_atoms[:, direct[:, e]].sum(axis=1) >= _EVIDENCE_FRAMES
                auroc, z = rank_separation(frames[shows, g], truth[shows, e])
                role = COUNTER
                if z > -min_z:
                    continue
            counts = frames[:, g].sum(), said.sum(), (said & truth[:, e]).sum()
            found.append(Proposal(event, role, phrase, merged, *map(int, counts), auroc, z))
    found.sort(key=lambda p: (-abs(round(p.z, 6)), p.event, p.phrase))
    return Proposals(found, len(names), len(keys), len(unknown), len(groups))


def rank_separation(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """AUROC of a score for a label, and how many standard deviations it is from chance.

    U = Σ_{n: y=1} rank(x_n) − N₁(N₁ + 1)/2,  AUROC = U/(N₁N₀),
    z = (U − N₁N₀/2)/√(N₁N₀/12 · (N + 1 − Σ_t (t³ − t)/(N(N − 1))))

    Equal scores share their mean rank; t runs over the sizes of the groups of equal scores.

    Args:
      scores: [N].
      truth: [N] bool; N₁ are true and N₀ false.

    Returns:
      (AUROC, z), and (0.5, 0) where one label, or one score, is all there is.

    Source: Mann & Whitney 1947, with the correction for ties; z under the null hypothesis.
    """
    scores, truth = np.asarray(scores, float), np.asarray(truth, bool)
    size, positive = len(truth), int(truth.sum())
    negative = size - positive
    ties = np.unique(scores, return_counts=True)[1].astype(float)
    if positive == 0 or negative == 0 or len(ties) == 1:
        return 0.5, 0.0
    ranks = pd.Series(scores).rank().to_numpy()
    pairs = positive * negative
    u = ranks[truth].sum() - positive * (positive + 1) / 2
    variance = pairs / 12 * (size + 1 - (ties**3 - ties).sum() / (size * (size - 1)))
    return float(u / pairs), float((u - pairs / 2) / np.sqrt(variance))


def merge_phrases(
    phrases: Sequence[str], embeddings: np.ndarray, tau: float
) -> list[tuple[str, tuple[str, ...]]]:
    """Groups (name, other members): each phrase joins the nearest name at cosine ≥ tau, or is one.

    Args:
      phrases: P, the most frequent first, so that it names its group.
      embeddings: [P, D] unit rows.
    """
    cosine = np.asarray(embeddings) @ np.asarray(embeddings).T
    groups: dict[int, list[str]] = {}
    for i, phrase in enumerate(phrases):
        nearest = max(groups, key=lambda j: cosine[i, j], default=None)
        if nearest is not None and cosine[i, nearest] >= tau:
            groups[nearest].append(phrase)
        else:
            groups[i] = []
    return [(phrases[i], tuple(members)) for i, members in groups.items()]


def unit_embeddings(model: clip.ClipModel) -> Embed:
    """Phrases to unit text embeddings [n, D]; a phrase of more than 77 tokens is cut."""

    def embed(phrases: list[str]) -> np.ndarray:
        rows = clip.encode_texts(model, phrases, truncate=True)
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    return embed


def proposals_table(proposals: Sequence[Proposal]) -> pd.DataFrame:
    """A row per proposal; merged phrases are separated by semicolons."""
    rows = [p._replace(merged="; ".join(p.merged)) for p in proposals]
    return pd.DataFrame(rows, columns=list(Proposal._fields))


def proposals_yaml(proposals: Sequence[Proposal]) -> str:
    """What to paste under ``events:`` of an ontology; by itself an ontology file too."""
    lines = ["# Proposed from captions: read every line, the numbers do not know what is visible."]
    lines.append("events:" if proposals else "events: {}")
    for event in sorted({p.event for p in proposals}):
        lines.append(f"  {_scalar(event)}:")
        for role in ROLES:
            own = [p for p in proposals if (p.event, p.role) == (event, role)]
            lines += [f"    {role}:"] if own else []
            for p in own:
                seen = f"the event: {p.videos_with_event} of {number_of(p.videos, 'video')}"
                lines.append(f"      - {_scalar(p.phrase)}  # {seen}, z {p.z:.1f}")
    return "\n".join(lines) + "\n"


def write_proposals(out_dir: str | os.PathLike, proposals: Sequence[Proposal]) -> None:
    """Writes `WRITTEN`."""
    table, pasted = (Path(out_dir) / name for name in WRITTEN)
    files.write_csv(table, proposals_table(proposals))
    files.write_text(pasted, proposals_yaml(proposals))


def _count(
    spoken: Sequence[set[str]], rows: np.ndarray, num_videos: int, embed: Embed, tau: float
) -> tuple[list[tuple[str, tuple[str, ...]]], np.ndarray]:
    """Groups of phrases, and [N, groups] how many frames of each video say one of a group."""
    frames: dict[str, int] = {}
    videos: dict[str, set[int]] = {}
    for row, phrases in zip(rows, spoken, strict=True):
        for phrase in phrases:
            frames[phrase] = frames.get(phrase, 0) + 1
            videos.setdefault(phrase, set()).add(int(row))
    order = sorted(frames, key=lambda p: (-len(videos[p]), -frames[p], p))
    groups = merge_phrases(order, embed(order), tau) if order else []
    column = {phrase: g for g, (name, merged) in enumerate(groups) for phrase in (name, *merged)}
    counts = np.zeros((num_videos, len(groups)), int)
    for row, phrases in zip(rows, spoken, strict=True):
        for g in {column[phrase] for phrase in phrases}:
            counts[row, g] += 1
    return groups, counts


def _scalar(text: str) -> str:
    """A text as YAML reads it back, in quotes where it must be."""
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**6)[1:-2]


def _video(key: str) -> str:
    """The video of a caption's key: the folder that the frame lies in."""
    parts = PurePosixPath(key.replace("\\", "/")).parts
    return parts[-2] if len(parts) > 1 else ""
