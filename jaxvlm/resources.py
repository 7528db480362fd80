"""Where the files that come with the package lie: inside the wheel, or in the source tree."""

from pathlib import Path


def path(relative: str) -> Path:
    """The path of a shipped file or folder, such as ``checkpoints/clip``."""
    package = Path(__file__).resolve().parent
    installed = package / "_resources"
    root = installed if installed.is_dir() else package.parent
    return root / relative
