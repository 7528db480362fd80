"""What a user sees in a folder."""

from pathlib import Path


def visible(folder: Path) -> list[str]:
    """The sorted names that are not hidden: without the record of what we wrote."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
