"""Three videos of a benchmark in UCF-Crime's form: two with an event, one without."""

import re
from collections.abc import Mapping
from pathlib import Path

NAMES = ("Abuse900", "Arson901", "Normal_Videos_902")


def write_annotations(folder: Path, truth: Mapping[str, range]) -> Path:
    """``annotations.txt`` with one interval for each video that has a truth."""
    lines = []
    for name in NAMES:
        own = truth[name]
        interval = f"{own.start}  {own.stop}" if own else "-1  -1"
        lines.append(f"{name}_x264.mp4  {re.match('[A-Za-z]+', name)[0]}  {interval}  -1  -1")
    path = folder / "annotations.txt"
    path.write_text("\n".join(lines) + "\n")
    return path
