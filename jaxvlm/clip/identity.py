"""Which encoder: what roles and kept embeddings carry of the CLIP that they were made with."""

from collections.abc import Mapping
from typing import Any

from jaxvlm import names, resources
from jaxvlm.clip.model import ClipModel, rounded_hash


def identity(model: ClipModel) -> dict[str, Any]:
    """What tells one encoder from another, as JSON: where it is equal, one may score with what the
    other made.

    ``weights_sha256`` is of the parameters, the matrices rounded to bfloat16: what a model computes
    in is a matter of precision and changes nothing here. ``logit_scale`` is exp of CLIP's
    parameter, to six digits.
    """
    towers = model.config.vision_config, model.config.text_config
    return {
        "embedding_dimension": int(model.config.projection_dim),
        "preprocessing": _as_json(model.preprocessing._asdict()),
        "logit_scale": float(f"{model.logit_scale:.6g}"),
        "hidden_act": [str(tower.hidden_act) for tower in towers],
        "weights_sha256": rounded_hash(model),
    }


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """With lists, as a file would give them back, and not tuples."""
    return {name: list(x) if isinstance(x, tuple) else x for name, x in values.items()}


def identity_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing in which two identities differ, as "NAME is A, was B"; None where they agree.

    What tells a person most comes first, the hash of the weights last. The ``path`` of a
    `clip_record` has no part in it.
    """
    for name, value in now.items():
        before = was.get(name)
        if before == value or name == "path":
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            part = identity_difference(before, value)
            return f"{name}.{part}" if part else f"{name} is {dict(value)}, was {dict(before)}"
        shown, before = (str(x)[:12] if name.endswith("sha256") else x for x in (value, before))
        return f"{name} is {shown}, was {before}"
    return None


def clip_record(model: ClipModel) -> dict[str, Any]:
    """For a run's JSON: the folder or hub id as given, None if it was not loaded; the identity."""
    path = None if model.source is None else names.printable(resources.shown(model.source))
    return {"path": path, **identity(model)}
