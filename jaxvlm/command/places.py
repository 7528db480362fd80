"""Which flags name inputs and which outputs, so that no output lands in or over an input."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvlm import outputs
from jaxvlm.errors import InputError

OUTPUTS = ("alarms_dir", "learn_ordinary", "out", "out_csv", "out_dir", "state_dir")
# Folders of the user's pictures and videos, in which an output would become an input.
DATA = (
    "covariate_dirs", "features_root", "frames_root", "id_dir", "id_train", "images", "ood_dirs",
    "source", "video", "videos", "wordnet_dir",
)  # fmt: skip
# What is read and is no such folder: an output may lie beside it.
INPUTS = (
    "annotations", "atom_embeddings", "cameras", "caption_embeddings", "captions",
    "class_annotations", "class_embeddings", "class_names", "clip", "config",
    "covariate_embeddings", "embeddings", "features_list", "frame_counts", "id_embeddings",
    "image_embeddings", "intervals_csv", "labels_csv", "manifest_csv", "negative_embeddings",
    "negatives", "neutral_embeddings", "ontology", "ood_config", "ood_embeddings", "ordinary",
    "queries", "qwen_json", "results", "roles", "scores_dir", "scores_npy", "video_list", "words",
)  # fmt: skip
# Texts that are no paths, the folders of caches and stores, what may be scored in its place, and a
# file whose hash is nobody's business.
NEITHER = (
    "allowed_hosts", "base_url", "cache_dir", "camera", "class_skew", "coordinator_address",
    "delta",
    "encoder_name", "export", "kappa", "method", "methods", "model", "mqtt", "mqtt_topic",
    "ood_set", "ood_share", "postprocess", "rescore", "seeds", "splits", "starts_at", "status_host",
    "store_dir", "stream", "stream_methods", "templates", "webhook", "webhook_secret_file",
)  # fmt: skip
_SHOWN = 3
# split-negatives writes beside the words by default: the folder is NegAlign's. What is
# ordinary may be learned on in place.
_TOGETHER = {("out_dir", "negatives"), ("out_dir", "ordinary"), ("learn_ordinary", "ordinary")}


def check_places(values: Mapping[str, Any]) -> None:
    """Refuses an output that is an input, or lies in a folder of pictures or videos.

    Args:
      values: what the flags of one program were given, by name; others are passed over.

    Raises:
      InputError: names both flags.
    """
    for out_flag in OUTPUTS:
        if out := values.get(out_flag):
            for in_flag in (*DATA, *INPUTS):
                for source in paths(values.get(in_flag)):
                    _check(out_flag, Path(out), in_flag, source)


def require_outputs(values: Mapping[str, Any]) -> None:
    """Tests before the work, for every program, that its outputs can be written where the flags
    say. Raises InputError as `outputs.require_places`."""
    for flag in OUTPUTS:
        out = values.get(flag)
        if out and (flag.endswith("_dir") or flag == "learn_ordinary"):
            outputs.require_places(out)
        elif out and flag == "out_csv":
            outputs.require_places(Path(out).parent, Path(out).name)
        elif out and not os.path.exists(out):  # a device, a pipe or a file to go on: `watch` knows
            outputs.require_places(Path(out).parent)


def kept(store_dir: str | None) -> str:
    """What a run that a full disk ended leaves of its encoding to the next one."""
    if store_dir:
        return f"what is encoded is kept in --store_dir={store_dir}"
    return "with --store_dir=FOLDER what is encoded would be kept for the next run"


def standing(written: Sequence[Path]) -> str:
    """What of a run that a full disk ended is there, and what to do."""
    if not written:
        return "nothing is written; run it again when there is room"
    shown = ", ".join(str(path) for path in written[:_SHOWN])
    more = f" and {len(written) - _SHOWN} more" if len(written) > _SHOWN else ""
    return f"written and whole: {shown}{more}; the rest is missing: run it again when there is room"


def _check(out_flag: str, out: Path, in_flag: str, source: Path) -> None:
    if not source.exists():
        return
    if out.resolve() == source.resolve() and (out_flag, in_flag) not in _TOGETHER:
        raise InputError(f"--{out_flag}: {out} is what --{in_flag} reads; choose another place")
    if in_flag in DATA and source.is_dir() and source.resolve() in out.resolve().parents:
        raise InputError(
            f"--{out_flag}: {out} lies in {source}, which --{in_flag} reads, and would be read "
            "next time; choose a place outside"
        )


def paths(value: Any) -> Iterator[Path]:
    """The paths that a flag's value may name: ``[NAME=][PRESET:]FOLDER``, ``LIST@ROOT`` and
    ``FILE#KEY@LABELS`` too, and several with commas.

    An address is none.
    """
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    for text in {part for whole in texts for part in (whole, *whole.split(","))}:
        text = text.removeprefix("file://")
        if "://" in text:
            continue
        unnamed = text.partition("=")[2] or text
        unset = unnamed.partition(":")[2] or unnamed
        parts = unset.rsplit("@", 1)
        for part in {text, unnamed, unset, *parts, parts[0].partition("#")[0]} - {""}:
            yield Path(part)
