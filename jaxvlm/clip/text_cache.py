"""Text features on disk: a label bank is encoded once per encoder and list of prompts."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy

from jaxvlm import files, outputs
from jaxvlm.clip.embeddings import embed_prompts
from jaxvlm.clip.encoder import Encoder
from jaxvlm.clip.model import ClipModel, text_hash
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore


def embed_names(
    encoder: Encoder, names: Sequence[str], templates: Sequence[str], *, raw_mean: bool = False
) -> np.ndarray:
    """``embed_prompts`` by an encoder, from its ``cache_dir`` where it met these prompts before."""
    return embed_prompts_cached(
        encoder.model,
        names,
        templates,
        cache_dir=encoder.cache_dir,
        raw_mean=raw_mean,
        on_progress=encoder.on_progress,
    )


def embed_prompts_cached(
    model: ClipModel,
    names: Sequence[str],
    templates: Sequence[str],
    *,
    cache_dir: str | os.PathLike | None,
    renormalize: bool = True,
    raw_mean: bool = False,
    on_progress: Progress = ignore,
) -> np.ndarray:
    """``embed_prompts``, from ``cache_dir`` where these prompts met this encoder before.

    Returns float32 [C, D]. The file's name is ``cache_key``; one that cannot be read or has not
    the right shape is computed again and replaced. ``cache_dir`` None: no cache. Raises what
    ``embed_prompts`` raises.
    """
    means = {"renormalize": renormalize, "raw_mean": raw_mean}
    if cache_dir is None:
        return embed_prompts(model, names, templates, **means, on_progress=on_progress)
    key = cache_key(model, names, templates, **means)
    path = Path(cache_dir) / f"{key}.safetensors"
    cached = _read(path, (len(names), model.config.projection_dim))
    if cached is not None:
        return cached
    embeddings = embed_prompts(model, names, templates, **means, on_progress=on_progress)
    outputs.write_cache(path, safetensors.numpy.save({"embeddings": embeddings}))
    return embeddings


def cache_key(
    model: ClipModel,
    names: Sequence[str],
    templates: Sequence[str],
    *,
    renormalize: bool,
    raw_mean: bool = False,
) -> str:
    """SHA-256 over all that text embeddings depend on: weights, config, tokenizer, prompts."""
    parts = text_hash(model), list(names), list(templates), renormalize, raw_mean
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        embeddings = files.read_arrays(path).get("embeddings")
    except InputError:  # cut short by a full disk, say
        return None
    if embeddings is None or embeddings.shape != shape or embeddings.dtype != np.float32:
        return None
    return embeddings if np.isfinite(embeddings).all() else None
