"""What captions say of the frames: matched over all videos at once, and added to presence."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxvlm import clip
from jaxvlm.arrays import unit
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.presence import add_caption_evidence
from jaxvlm.ontology import captions
from jaxvlm.video.config import PresenceConfig


def evidence_by_video(
    qwen_json: str | os.PathLike,
    paths: Mapping[str, Sequence[Path]],
    model: clip.ClipModel,
    atoms: Sequence[str],
    settings: PresenceConfig,
) -> tuple[dict[str, captions.CaptionEvidence], captions.Coverage]:
    """The evidence of each video's frames, and how much of the caption file they use.

    Raises InputError for a file that cannot be used or matches no frame.
    """
    atom_texts = clip.embed_prompts(model, atoms, ["{}"])

    def similarity(phrases: Sequence[str]) -> np.ndarray:
        return unit(clip.encode_texts(model, phrases, truncate=True)) @ atom_texts.T

    matched = captions.match_captions(
        captions.read_captions(qwen_json),
        [path for group in paths.values() for path in group],
        atoms,
        similarity=similarity,
        tau=settings.resemble_threshold,
    )
    ends = np.cumsum([len(group) for group in paths.values()])[:-1]
    parts = zip(np.split(matched.named, ends), np.split(matched.resembled, ends), strict=True)
    evidence = {
        video: matched._replace(named=named, resembled=resembled)
        for video, (named, resembled) in zip(paths, parts, strict=True)
    }
    return evidence, matched.coverage


def raise_presence(
    presence: np.ndarray, evidence: captions.CaptionEvidence, settings: PresenceConfig
) -> np.ndarray:
    """Presence [T, C] with what one video's captions say; few lengths are compiled."""
    raised = add_caption_evidence(
        *map(pad_frames, (presence, evidence.named, evidence.resembled)),
        lambda_atoms=settings.lambda_atoms,
        lambda_resemble=settings.lambda_resemble,
        guard=settings.guard,
    )
    return np.asarray(raised)[: len(presence)]
