"""Where the files that come with the package lie: inside the wheel, or in the source tree."""

from pathlib import Path


def path(relative: str) -> Path:
    """The path of a shipped file or folder, such as ``checkpoints/clip``."""
    return _root() / relative


def shown(path: object) -> str:
    """A path as it was given, but of a shipped file ``checkpoints/clip``: where a package is
    installed says nothing of a run."""
    root = f"{_root()}/"
    return str(path).removeprefix(root) if str(path).startswith(root) else str(path)


def _root() -> Path:
    package = Path(__file__).resolve().parent
    installed = package / "_resources"
    return installed if installed.is_dir() else package.parent
