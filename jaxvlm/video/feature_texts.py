"""The text side of features: from a CLIP's text tower, or from embeddings that others saved."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import clip
from jaxvlm.arrays import unit
from jaxvlm.data.embedding_files import check_rows, read_embeddings
from jaxvlm.errors import InputError
from jaxvlm.video.config import LOGIT_SCALE, AtomsConfig
from jaxvlm.video.frame_presence import AtomBank, embed_atoms

_SHOWN = 3


class Texts(NamedTuple):
    """Where the embeddings of atoms and neutral prompts come from.

    encoder: whose text tower embeds what is not given; None: no CLIP is there. atoms, neutral: as
    `embedding_files.read_embeddings` takes them, or rows [C, D] and [L, D] in the order of the
    atoms and of the neutral prompts. name, logit_scale: of an encoder that is not there.
    """

    encoder: clip.Encoder | None = None
    atoms: str | os.PathLike | np.ndarray | None = None
    neutral: str | os.PathLike | np.ndarray | None = None
    name: str | None = None
    logit_scale: float = LOGIT_SCALE


class TextSide(NamedTuple):
    """The embedded texts, what is known of their encoder, see `clip.identity`, and lines about how
    the rows of files were taken."""

    bank: AtomBank
    made_by: Mapping[str, Any]
    notes: list[str]


def embed_texts(
    texts: Texts,
    atoms: Sequence[str],
    templates: Sequence[str],
    neutral_prompts: Sequence[str],
    config: AtomsConfig,
) -> TextSide:
    """The text side for features.

    Rows of a file are taken by their names where it has names, in any order and among others, else
    in the order of the atoms (sorted) or of the neutral prompts (of the ontology), which has to be
    of their number. Where the ontology has no neutral prompts, the file's rows are all taken.

    Raises InputError: presence that looks at patches; texts that nothing embeds; names that are
      missing, another number of rows, dimensions that differ, or as `embed_atoms`.
    """
    settings, encoder, notes = config.presence, texts.encoder, []
    if settings.kind == "local":
        raise InputError(
            "presence.kind=local: looks at patches, and features have none; take contrast or "
            "cosine (--config.presence.kind), or roles that were trained so"
        )
    if texts.atoms is None and texts.neutral is None and encoder is not None:
        sides, kept = (atoms, templates, neutral_prompts), encoder.cache_dir
        bank = embed_atoms(encoder.model, *sides, config, cache_dir=kept)
        return TextSide(bank, clip.clip_record(encoder.model), notes)
    if encoder is None and texts.name is None:
        raise InputError(
            "--encoder_name: say which encoder the embeddings are of, such as ViT-B/16, for roles "
            "are of one encoder"
        )
    rows, neutral = None, np.zeros((0, 0), np.float32)
    if texts.atoms is not None:
        rows = _rows(texts.atoms, atoms, "--atom_embeddings", "atoms", notes)
        rows = unit(rows) if settings.renormalize else rows
    elif encoder is not None:
        rows = clip.embed_prompts(encoder.model, atoms, templates, renormalize=settings.renormalize)
    else:
        raise InputError("--atom_embeddings: not given, and no --clip embeds the atoms; give one")
    if texts.neutral is not None:
        found = _rows(texts.neutral, neutral_prompts, "--neutral_embeddings", "neutral", notes)
        neutral = unit(found)
    elif encoder is not None and neutral_prompts:
        neutral = clip.embed_prompts(encoder.model, neutral_prompts, ["{}"])
    if not len(neutral):
        if settings.kind == "contrast":
            raise InputError(
                "--neutral_embeddings: not given, and contrast presence is measured against "
                "neutral prompts; give them, or set --config.presence.kind=cosine"
            )
        neutral = np.zeros((0, rows.shape[1]), np.float32)
    if rows.shape[1] != neutral.shape[1]:
        raise InputError(
            f"atoms have {rows.shape[1]} numbers, neutral prompts {neutral.shape[1]}; give "
            "embeddings of one encoder, and its --clip for what is not given"
        )
    if encoder is not None:
        bank = AtomBank(rows, neutral, encoder.model.logit_scale)
        return TextSide(bank, clip.clip_record(encoder.model), notes)
    if not (np.isfinite(texts.logit_scale) and texts.logit_scale > 0):
        raise InputError(f"--logit_scale={texts.logit_scale}: give a number above 0, such as 100")
    known = clip.named_identity(texts.name, rows.shape[1], texts.logit_scale)
    bank = AtomBank(rows, neutral, known["logit_scale"])
    return TextSide(bank, {"path": None, **known}, notes)


def _rows(source: Any, wanted: Sequence[str], flag: str, what: str, notes: list[str]) -> np.ndarray:
    """Rows [len(wanted), D] of a file or an array, float32 and of the length that they have."""
    if not isinstance(source, str | os.PathLike):
        rows = np.asarray(source)
        if rows.ndim != 2:
            raise InputError(f"{flag}: shape {list(rows.shape)}; embeddings are [N, D]")
        check_rows(flag, rows)
        names = None
    else:
        found = read_embeddings(source)
        rows, names, flag = found.rows, found.names, f"{flag}={source}"
        if not found.is_unit:
            low, high = found.norms
            notes.append(f"{flag}: rows of length {low:.3g} to {high:.3g}, made unit")
    if names is None:
        if wanted and len(rows) != len(wanted):
            raise InputError(
                f"{flag}: {len(rows)} rows, but {len(wanted)} {what}; give a row for each, or "
                "names beside them"
            )
        if wanted and isinstance(source, str | os.PathLike):
            notes.append(f"{flag}: has no names; its rows are taken as {_some(wanted)}, in order")
        return np.asarray(rows, np.float32)
    if not wanted:
        return np.asarray(rows, np.float32)
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if places.setdefault(_plain(name), place) != place and _plain(name) in map(_plain, wanted):
            raise InputError(f"{flag}: {name!r} is there twice; remove one of the rows")
    missing = [name for name in wanted if _plain(name) not in places]
    if missing:
        raise InputError(
            f"{flag}: no row is called {_some([repr(name) for name in missing])} ({len(missing)} "
            f"of {len(wanted)} {what} missing); add them, or correct the names"
        )
    return np.asarray(rows[[places[_plain(name)] for name in wanted]], np.float32)


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _some(found: Sequence[str]) -> str:
    return ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
