"""What captions say of the frames: matched video by video, and added to presence."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from jaxvlm import clip
from jaxvlm.arrays import unit
from jaxvlm.atoms.padding import by_blocks
from jaxvlm.atoms.presence import add_caption_evidence
from jaxvlm.errors import InputError
from jaxvlm.ontology import captions
from jaxvlm.video.config import PresenceConfig


class Spoken(NamedTuple):
    """A caption file as it is read for the frames of some videos."""

    captions: captions.Captions
    atoms: tuple[str, ...]
    similarity: Callable[[Sequence[str]], np.ndarray]
    settings: PresenceConfig
    ids: tuple[str, ...]

    def evidence(self, video: str, frames: Sequence[str | os.PathLike]) -> captions.CaptionEvidence:
        """What the file says of a video's frames; it may be silent about all of them.

        Raises InputError for a frame that fits two keys equally well.
        """
        path = PurePosixPath(video)
        alone = sum(PurePosixPath(other).name == path.name for other in self.ids) == 1
        return captions.match_captions(
            self.captions,
            frames,
            self.atoms,
            similarity=self.similarity,
            tau=self.settings.resemble_threshold,
            parts=2 if alone else 1 + len(path.parts),
            required=False,
        )


def read_spoken(
    qwen_json: str | os.PathLike,
    ids: Iterable[str],
    model: clip.ClipModel,
    atoms: Sequence[str],
    settings: PresenceConfig,
) -> Spoken:
    """Reads a caption file for the videos of these ids.

    Raises InputError for a file that cannot be used, or with frames of none of the videos.
    """
    read, ids = captions.read_captions(qwen_json), tuple(ids)
    folders = {PurePosixPath(key.replace("\\", "/")).parent.name for key in read.frames}
    if ids and not folders & {PurePosixPath(video).name for video in ids}:
        key = next(iter(read.frames), "no key at all")
        raise InputError(
            f"{qwen_json}: matches no frame (it has {key}, the videos are like {ids[0]}); name "
            "folders and files alike"
        )
    atom_texts = clip.embed_prompts(model, atoms, ["{}"])
    known: dict[str, np.ndarray] = {}

    def similarity(phrases: Sequence[str]) -> np.ndarray:
        new = [phrase for phrase in phrases if phrase not in known]
        rows = unit(clip.encode_texts(model, new, truncate=True)) @ atom_texts.T if new else ()
        known.update(zip(new, rows, strict=True))
        return np.stack([known[phrase] for phrase in phrases])

    return Spoken(read, tuple(atoms), similarity, settings, ids)


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
    spoken = read_spoken(qwen_json, paths, model, atoms, settings)
    evidence = {video: spoken.evidence(video, group) for video, group in paths.items()}
    return evidence, total_coverage(qwen_json, [found.coverage for found in evidence.values()])


def total_coverage(
    qwen_json: str | os.PathLike, parts: Sequence[captions.Coverage]
) -> captions.Coverage:
    """Of several videos together. Raises InputError where no frame of any is found."""
    sums = (sum(part[field] for part in parts) for field in range(4))
    unknown = sum((part.phrases_unknown for part in parts), Counter())
    total = captions.Coverage(*sums, unknown)
    if not total.frames_found:
        raise InputError(
            f"{qwen_json}: matches no frame of {total.frames_total}; name folders and files alike"
        )
    return total


def raise_presence(
    presence: np.ndarray, evidence: captions.CaptionEvidence, settings: PresenceConfig
) -> np.ndarray:
    """Presence [T, C] with what one video's captions say."""
    add = functools.partial(
        add_caption_evidence,
        lambda_atoms=settings.lambda_atoms,
        lambda_resemble=settings.lambda_resemble,
        guard=settings.guard,
    )
    return by_blocks(add, presence, evidence.named, evidence.resembled)
