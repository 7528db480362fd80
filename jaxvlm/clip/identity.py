"""Which encoder: what roles and kept embeddings carry of the CLIP that they were made with."""

from collections.abc import Mapping
from typing import Any

from jaxvlm import names, resources
from jaxvlm.clip.model import ClipModel, rounded_hash, tower_hash

_ALWAYS = ("embedding_dimension", "logit_scale")  # what every identity has
_PROOFS = ("weights_sha256", "text_sha256", "name")  # where one is equal, so is the encoder


def identity(model: ClipModel) -> dict[str, Any]:
    """What tells one encoder from another, as JSON: where it is equal, one may score with what the
    other made.

    ``weights_sha256`` is of the parameters, the matrices rounded to bfloat16: what a model computes
    in, and through what, is a matter of precision and changes nothing here. ``logit_scale`` is exp
    of CLIP's parameter, to six digits. Of a model without vision tower, whose pictures were encoded
    elsewhere, it is only what the text tower says, with ``text_sha256`` of its parameters.
    """
    known = {
        "embedding_dimension": int(model.config.projection_dim),
        "logit_scale": float(f"{model.logit_scale:.6g}"),
    }
    if not model.has_vision:
        return known | {"text_sha256": tower_hash(model)}
    towers = model.config.vision_config, model.config.text_config
    return {
        "embedding_dimension": known["embedding_dimension"],
        "preprocessing": _as_json(model.preprocessing._asdict()),
        "logit_scale": known["logit_scale"],
        "hidden_act": [str(tower.hidden_act) for tower in towers],
        "weights_sha256": rounded_hash(model),
        "text_sha256": tower_hash(model),
    }


def named_identity(name: str, embedding_dimension: int, logit_scale: float) -> dict[str, Any]:
    """`identity` of an encoder that is not here: what a person knows of it."""
    return {
        "name": name,
        "embedding_dimension": int(embedding_dimension),
        "logit_scale": float(f"{logit_scale:.6g}"),
    }


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """With lists, as a file would give them back, and not tuples."""
    return {name: list(x) if isinstance(x, tuple) else x for name, x in values.items()}


def identity_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing in which two identities differ, as "NAME is A, was B"; None where they agree.

    What tells a person most comes first, the hashes last. The ``path`` of a
    `clip_record` has no part in it. Where one of the two is not of a whole CLIP (see `identity`,
    `named_identity`), what both know is compared; `unproved` tells whether that says enough.
    """
    compared = set(now)
    if _is_part(was) or _is_part(now):
        compared &= {*was, *_ALWAYS}
    elif "text_sha256" not in was:  # of a whole CLIP, from before it was told
        compared -= {"text_sha256"}
    return _difference(was, {name: value for name, value in now.items() if name in compared})


def unproved(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Why two identities without difference need not be of one encoder: a clause, or None where a
    hash or a name that both have says it."""
    if any(was.get(name) and was.get(name) == now.get(name) for name in _PROOFS):
        return None
    return (
        f"of one of the two only {' and '.join(name.replace('_', ' ') for name in _ALWAYS)} can be "
        "compared, which agree"
    )


def _is_part(known: Mapping[str, Any]) -> bool:
    """Whether an identity is of a text tower or a name alone."""
    return "weights_sha256" not in known and ("name" in known or "text_sha256" in known)


def _difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    for name, value in now.items():
        before = was.get(name)
        if before == value or name == "path":
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            part = _difference(before, value)
            return f"{name}.{part}" if part else f"{name} is {dict(value)}, was {dict(before)}"
        shown, before = (str(x)[:12] if name.endswith("sha256") else x for x in (value, before))
        return f"{name} is {shown}, was {before}"
    return None


def clip_record(model: ClipModel) -> dict[str, Any]:
    """For a run's JSON: the folder or hub id as given, None if it was not loaded; the identity."""
    path = None if model.source is None else names.printable(resources.shown(model.source))
    return {"path": path, **identity(model)}
