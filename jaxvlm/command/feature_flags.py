"""Flags of the programs that take features of videos in place of pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from jaxvlm.command import given
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore
from jaxvlm.video.config import FEATURE_FPS, FRAMES_PER_ROW, LOGIT_SCALE

if TYPE_CHECKING:
    from jaxvlm import clip
    from jaxvlm.video.feature_texts import Texts
    from jaxvlm.video.features import FeatureSource

_NO_CLIP = ("encoder_name", "logit_scale")
_OF_FEATURES = (
    "frames_per_row", "fps", "crop", "features_list", "atom_embeddings", "neutral_embeddings",
    *_NO_CLIP,
)  # fmt: skip
_ENCODER = ("clip", "dtype", "backend")
_ENCODING = ("store_dir", "cache_dir")
_PROCESSES = ("distributed", "coordinator_address", "num_processes", "process_id")


class AskedFeatures(NamedTuple):
    """The functions that read what the flags say: the features, and where their texts come from."""

    source: Callable[[], FeatureSource]
    texts: Callable[..., Texts]


def define_features() -> AskedFeatures:
    """``--features_root`` and what goes with it."""
    root = flags.DEFINE_string(
        "features_root", None, "Features: a file [T, D] per video, or one with ID.features."
    )
    frames_per_row = flags.DEFINE_integer(
        "frames_per_row", None, f"Frames that a row stands for; default: {FRAMES_PER_ROW}."
    )
    fps = flags.DEFINE_float(
        "fps", None, f"Frames per second of the features' videos; default: {FEATURE_FPS:g}."
    )
    crop = flags.DEFINE_integer("crop", None, "One of the crops of each video; default: the mean.")
    listed = flags.DEFINE_string(
        "features_list", None, "Which of the features, and their labels: path,label as published."
    )
    atoms = flags.DEFINE_string(
        "atom_embeddings", None, "FILE[#KEY]: the atoms' embeddings, instead of --clip's."
    )
    neutral = flags.DEFINE_string(
        "neutral_embeddings", None, "FILE[#KEY]: those of the neutral prompts."
    )
    name = flags.DEFINE_string(
        "encoder_name", None, "Without --clip: whose embeddings these are, such as ViT-B/16."
    )
    scale = flags.DEFINE_float(
        "logit_scale", None, f"Without --clip: by what cosines are multiplied; default: "
        f"{LOGIT_SCALE:g}."
    )  # fmt: skip

    def source() -> FeatureSource:
        from jaxvlm.video import features

        return features.open_features(
            root.value,
            features_list=listed.value,
            frames_per_row=frames_per_row.value,
            fps=fps.value,
            crop=crop.value,
        )

    def texts(kind: str, on_progress: Progress = ignore) -> Texts:
        """kind: of presence. A CLIP is loaded only where some texts are not given."""
        from jaxvlm.video.feature_texts import Texts

        factor = LOGIT_SCALE if scale.value is None else scale.value
        given_texts = Texts(None, atoms.value, neutral.value, name.value, factor)
        if atoms.value is not None and (neutral.value is not None or kind != "contrast"):
            none = "--atom_embeddings and --neutral_embeddings are all texts; leave it out"
            given.refuse(_ENCODER, none)
            return given_texts
        given.refuse(_NO_CLIP, "--clip says which encoder embeds the texts; leave it out")
        return given_texts._replace(encoder=_text_encoder(on_progress))

    return AskedFeatures(source, texts)


def _text_encoder(on_progress: Progress) -> clip.Encoder:
    from jaxvlm import clip

    path, dtype, backend = (flags.FLAGS[name].value for name in _ENCODER)
    model = clip.load(path, dtype=dtype, towers="text", backend=backend)
    return clip.make_encoder(model, on_progress=on_progress)


def asked(*others: str) -> bool:
    """Whether features are what is read, and not what one of the other flags names.

    Raises InputError unless exactly one of them is given, or for a flag that would do nothing.
    """
    names = ("features_root", *others)
    values = [name for name in names if flags.FLAGS[name].value is not None]
    if len(values) != 1:
        some = ", ".join(f"--{name}" for name in names[:-1])
        raise InputError(f"flags: give either {some} or --{names[-1]}")
    if values != ["features_root"]:
        given.refuse(_OF_FEATURES, f"goes with --features_root, not with --{values[0]}")
        return False
    given.refuse(["qwen_json"], "captions are of frames, and features have none; leave it out")
    given.refuse(["dry_caption"], "names frames to caption, and features have none; leave it out")
    given.refuse(["lambda_atoms", "lambda_resemble"], "weighs captions; features have none")
    given.refuse(_ENCODING, "--features_root encodes no picture that could be kept; leave it out")
    given.refuse(_PROCESSES, "features are read by one process; leave it out")
    given.refuse_fields(["fps"], "rows are as they are; --fps and --frames_per_row say their times")
    given.refuse_fields(["batch_size"], "--features_root encodes no picture; leave it out")
    return True
