"""Writing outputs in tests, and disks to write them on."""

from pathlib import Path

import pytest

from jaxvlm import replacing
from jaxvlm.outputs import RECORD, output_path


def names(folder: Path) -> list[str]:
    """What a user sees, and what a killed writer would leave; the record left out."""
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def write_file(path: Path, text: str) -> None:
    with output_path(path) as temporary:
        temporary.write_text(text)


def write_folder(path: Path, kind: str = "frames", **texts: str) -> None:
    with output_path(path, kind=kind) as temporary:
        temporary.mkdir()
        for name, text in texts.items():
            (temporary / name).write_text(text)


@pytest.fixture(params=["exchange", "pointer"])
def disk(request, monkeypatch) -> str:
    """A disk that can exchange two folders, and one that cannot, such as NFS."""
    if request.param == "pointer":
        monkeypatch.setattr(replacing, "_exchange", lambda a, b: False)
    return request.param
