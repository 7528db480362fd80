"""Two results of `benchmarks.run` or `benchmarks.accelerator`, row by row.

Run: python -m benchmarks.compare [OLD.json NEW.json]
Without files: what `make benchmark` measured last, and the result in benchmarks/results/ of a
machine of its kind, an accelerator or a number of cores.
"""

import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import measuring
from jaxvlm import files
from jaxvlm.errors import InputError

RESULTS, NEW = Path(__file__).with_name("results"), Path("out/benchmark.json")
HEADER = f"{'old ms':>10} {'new ms':>10} {'new/old':>8} {'old MiB':>9} {'new MiB':>9}"


def compare(old: dict[str, Any], new: dict[str, Any]) -> str:
    """A line per row of either, in the order of the new one; what differs around them first."""
    lines = [
        f"{field}: {old.get(field)} -> {new.get(field)}"
        for field in ("device", "commit", "versions")
        if old.get(field) != new.get(field)
    ]
    before, after = _by_name(old), _by_name(new)
    names = [*after, *(name for name in before if name not in after)]
    width = max(map(len, names), default=0)
    lines.append(f"{'':{width}} {HEADER}")
    for name in names:
        left, right = before.get(name, {}), after.get(name, {})
        known = left and right and left["seconds"] > 0
        ratio = right["seconds"] / left["seconds"] if known else None
        numbers = (
            f"{_scaled(left.get('seconds')):>10} {_scaled(right.get('seconds')):>10}",
            f"{'-' if ratio is None else f'{ratio:.2f}':>8}",
            f"{_plain(left.get('megabytes')):>9} {_plain(right.get('megabytes')):>9}",
        )
        lines.append(f"{name:{width}} {' '.join(numbers)}")
    return "\n".join(lines)


def committed(new: dict[str, Any]) -> Path:
    """Where a result of the same kind of machine lies."""
    cores = re.search(r"\d+ cores$", str(new.get("device")))
    kind = f"cpu {cores[0]}" if cores else str(new.get("device"))
    return RESULTS / f"{measuring.file_name(kind)}.json"


def read(path: str | Path) -> dict[str, Any]:
    """A result. Raises InputError for a file that is none."""
    result = files.read_json(path)
    try:
        valid = all(row["seconds"] >= 0 for row in _by_name(result).values())
    except (TypeError, KeyError):
        valid = False
    if not valid:
        raise InputError(f"{path}: not a result of a benchmark; write it with --json")
    return result


def _by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by name and what they were compared with: a function can stand in two rows."""
    return {
        row["name"] + (f" / {row['against']}" if row.get("against") else ""): row
        for row in result["rows"]
    }


def _scaled(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.4g}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def main(arguments: list[str]) -> None:
    if len(arguments) not in (0, 2):
        sys.exit("error: give two files or none: python -m benchmarks.compare [OLD.json NEW.json]")
    try:
        old, new = arguments or (committed(read(NEW)), NEW)
        print(f"{old} -> {new}\n{compare(read(old), read(new))}")
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
