"""Flags of single programs that would do nothing beside others: each is refused."""

from collections.abc import Mapping
from pathlib import Path

from absl import flags

from jaxvlm.command import given

# What each kind of captioning model listens to.
_ASKING = ("model", "ontology", "max_new_tokens", "max_pixels")
_OF_BACKEND = {
    "transformers": ("batch_size", *_ASKING),
    "openai": ("base_url", "concurrency", "timeout", "retries", *_ASKING),
    "dry": (),
}
_OF_PROTOCOL = (
    "partial", "num_resamples", "seed", "video_fps", "snippet_frames", "tolerance_frames",
)  # fmt: skip
_OF_DETECTIONS = ("threshold", "release", "merge_seconds", "overlap")
_OF_STEPS = ("postprocess", "embeddings", "caption_embeddings")
_OF_CAPTIONS = ("lambda_atoms", "lambda_resemble")
_OF_MESH = ("num_processes", "process_id")
_OF_WORDNET = ("pool", "filter", "drop_hypernyms")


def _value(name: str) -> object:
    return flags.FLAGS[name].value


def in_run_pipeline() -> None:
    """Raises InputError for a flag of run-pipeline that would do nothing."""
    given.refuse_fields(
        ["roles."], "train-role-learning decides how roles are learned; give it there"
    )
    if _value("dry_caption"):
        dry = "--dry_caption only writes the names of the frames; leave it out"
        kept = {"dry_caption", "frames_root", "out_dir"}
        given.refuse([name for name in given.own_flags() if name not in kept], dry)
    if _value("qwen_json") is None:
        none = "weighs captions, and there are none; give --qwen_json, or leave it out"
        given.refuse(_OF_CAPTIONS, none)
        names = (*_OF_CAPTIONS, "guard", "resemble_threshold")
        given.refuse_fields([f"presence.{name}" for name in names], none)
    if "fps" in given.fields() and _value("frames_root") is not None:
        from jaxvlm.data import images

        folders = images.list_video_folders(_value("frames_root")).folders
        if all((Path(folder) / "index.csv").is_file() for folder in folders):
            given.refuse_fields(
                ["fps"], "index.csv beside the frames decides, which has their times; leave it out"
            )


def in_train_role_learning() -> None:
    """Raises InputError for a flag of train-role-learning that would do nothing."""
    given.refuse_fields(
        ["fps", "batch_size", "presence.", "boundary.", "segments."],
        "the run folders decide: run-pipeline made them so; give it there",
    )


def in_caption_frames() -> None:
    """Raises InputError for a flag of caption-frames that would do nothing."""
    backend = _value("backend")
    every = dict.fromkeys(name for names in _OF_BACKEND.values() for name in names)
    others = [name for name in every if name not in _OF_BACKEND[backend]]
    given.refuse(others, f"--backend={backend} has no use for it; leave it out")


def in_mine_negatives() -> None:
    """Raises InputError for a flag of mine-negatives that would do nothing."""
    if _value("words") is not None:
        given.refuse(_OF_WORDNET, "looks words up in WordNet; give --wordnet_dir, or leave it out")
        if Path(_value("words")).is_file():
            given.refuse(["adjectives"], "--words is a list, which does not tell adjectives")


def in_split_negatives() -> None:
    """Raises InputError for a flag of split-negatives that would do nothing."""
    if _value("percentile") is not None:
        given.refuse(["tau", "tau_obj", "tau_bg"], "--percentile decides; leave one of them out")


def in_evaluate_video(conventions: list[str]) -> None:
    """Raises InputError for a flag of evaluate-video that would do nothing. conventions: flags."""
    protocol = _value("protocol")
    text = _value("postprocess")
    if not any(name in text for name in ("lavad", "vera", "eventvad")):
        given.refuse(_OF_STEPS[1:], "no step of --postprocess uses them; leave it out")
    elif "lavad" not in text:
        given.refuse(["caption_embeddings"], "--postprocess=lavad uses them; leave it out")
    if protocol is None:
        names = (*_OF_PROTOCOL, *conventions)
        given.refuse(names, "goes with --protocol, not with --intervals_csv; leave it out")
        return
    given.refuse(["intervals_csv"], f"--protocol={protocol} has its own annotations; leave it out")
    if protocol != "xd_violence":
        given.refuse(["class_annotations"], "only --protocol=xd_violence has such a file")
    if _value("scores_npy") is not None:
        given.refuse(["partial"], "--scores_npy has scores of every video; leave it out")
    if _value("scores_dir") is None and _value("scores_npy") is None:
        names = ("partial", "num_resamples", "seed", "video_fps", *_OF_DETECTIONS, *_OF_STEPS)
        given.refuse(names, "there are no scores; give --scores_dir, or leave it out")


def in_config(idle: Mapping[str, str]) -> None:
    """Raises InputError for a field that others make idle. idle: what decides, by the field."""
    for field, decides in idle.items():
        given.refuse_fields([field], f"{decides}; leave it out")


def in_processes() -> None:
    """Raises InputError for a number of processes that are not joined."""
    given.refuse(_OF_MESH, "goes with --coordinator_address, which is not given")
