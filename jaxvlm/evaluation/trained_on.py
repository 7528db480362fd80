"""Scored videos that the roles which scored them were trained on: refused, left out or marked."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.names import number_of

CHOICES = {
    "refuse": "an error",
    "exclude": "left out of the figures",
    "mark": "kept, and said with the figures",
}


class Trained(NamedTuple):
    """The scored videos that were trained on, of ``scored``, and what is done with them."""

    videos: tuple[str, ...]
    scored: int
    treated: str

    @property
    def left_out(self) -> frozenset[str]:
        """The videos to leave out."""
        return frozenset(self.videos if self.treated == "exclude" else ())

    def record(self) -> dict[str, Any]:
        """For ``metrics.json``."""
        return {"videos": list(self.videos), "scored": self.scored, "treated": self.treated}


def training_videos(scores_dir: str | os.PathLike, roles: str | os.PathLike | None) -> list[str]:
    """The ids of the videos that the roles were trained on, as far as they are known.

    From the role model's folder, or from what ``run.json`` beside the scores says of its roles.

    Raises:
      InputError: a folder that is no role model, or one that does not say what it was trained on.
    """
    path = Path(scores_dir) / "run.json"
    record = files.read_json(path) if path.is_file() else None
    told = _inner(record, "roles", "training_videos")
    if roles is not None:
        if isinstance(told, list):
            raise InputError(f"--roles: {path} tells which roles scored; leave it out")
        path = Path(roles) / "metadata.json"
        known = _inner(files.read_json(path), "metadata", "training_videos")
        if not isinstance(known, list):
            raise InputError(f"{path}: does not say training_videos; train the roles again")
        return [str(name) for name in known]
    return [str(name) for name in told] if isinstance(told, list) else []


def find_trained(
    scores_dir: str | os.PathLike,
    scored: Iterable[str],
    *,
    roles: str | os.PathLike | None = None,
    treated: str = "refuse",
    key: Callable[[str], str] = str,
) -> Trained:
    """Which scored videos were trained on.

    Args:
      scored: their ids. key: what ids of one video have in common.
      treated: one of `CHOICES`.

    Raises:
      InputError: there are some, and they are refused; all would be left out; as `training_videos`.
    """
    scored = list(scored)
    trained = {key(name) for name in training_videos(scores_dir, roles)}
    found = tuple(sorted(name for name in scored if key(name) in trained))
    if found and treated == "refuse":
        raise InputError(
            f"{scores_dir}: by their ids the roles were trained on {len(found)} of "
            f"{number_of(len(scored), 'video')}, {found[0]} first, so figures would say nothing "
            "about new ones; --trained=exclude leaves them out, --trained=mark keeps them and says "
            "so, also where other videos have these ids"
        )
    if treated == "exclude" and len(found) == len(scored):
        raise InputError(
            f"{scores_dir}: by their ids the roles were trained on all {len(scored)} videos, so "
            "that none is left; score others, or hold some out of the training"
        )
    return Trained(found, len(scored), treated)


def trained_lines(record: dict[str, Any]) -> list[str]:
    """What to print of `Trained.record`, at most one line."""
    count, scored = len(record["videos"]), record["scored"]
    if not count:
        return []
    of = f"trained on, by id: {count} of {number_of(scored, 'video')}"
    if record["treated"] == "exclude":
        return [f"{of}, left out"]
    return [f"{of}, so the figures are not what to expect of new ones"]


def _inner(record: Any, *keys: str) -> Any:
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record
