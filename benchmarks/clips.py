"""Real clips with the truth of their frames: where they lie."""

from pathlib import Path

from jaxvlm.errors import InputError

_SUFFIX = "_gt.npy"


def find_clips(root: Path) -> dict[str, tuple[Path, Path]]:
    """Video and truth by name. Raises InputError where there is none."""
    truths = sorted(root.glob(f"*_x264{_SUFFIX}"))
    found = {p.name.removesuffix(f"_x264{_SUFFIX}"): p for p in truths}
    clips = {name: (p.with_name(f"{name}_x264.mp4"), p) for name, p in found.items()}
    clips = {name: paths for name, paths in clips.items() if paths[0].is_file()}
    if not clips:
        raise InputError(f"{root}: no CLIP_x264.mp4 with CLIP_x264{_SUFFIX}; check --root")
    return clips
