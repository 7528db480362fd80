"""Flags of the programs that score videos: whose roles, with which settings and captions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from jaxvlm import resources
from jaxvlm.command import cli, given

if TYPE_CHECKING:
    from jaxvlm.video import role_model


class AskedRoles(NamedTuple):
    """The roles to score with, as the flags say; what they are to be warned of; the captions."""

    roles: role_model.RoleModel
    warnings: list[str]
    force: bool
    qwen_json: str | None


def define_roles(*, captions: bool, fps: bool = False) -> Callable[..., AskedRoles]:
    """``--roles``, ``--ontology``, ``--config`` and ``--force``, and the function that reads what
    they say. A flag that cannot apply is refused by it. Its arguments ``own_roles``,
    ``own_ontology`` and ``own_fps`` stand in the place of the flags' values, for one camera.

    captions: whether ``--qwen_json`` can apply. fps: whether there is ``--fps`` beside
    ``--config.fps``.
    """
    config = cli.define_config("config", "default.py", "Settings; a role model brings its own")
    roles = flags.DEFINE_string(
        "roles",
        str(resources.path("checkpoints/roles")),
        "Role model folder, or ontology: the roles written in --ontology.",
    )
    ontology = flags.DEFINE_string(
        "ontology",
        str(resources.path("configs/ontology/world_roles.yaml")),
        "Read with --roles=ontology: events, atoms, roles, strengths.",
    )
    force = flags.DEFINE_bool(
        "force", False, "Score although the roles were trained with another encoder."
    )
    own = "Frames per second that are scored; a role model has its own."
    rate = flags.DEFINE_float("fps", None, own) if fps else None
    refused = "Refused: a source that runs has no captions; score-video takes those of a file."
    spoken = flags.DEFINE_string(
        "qwen_json", None, "Captions of the frames." if captions else refused
    )

    def asked(
        own_roles: str | None = None, own_ontology: str | None = None, own_fps: float | None = None
    ) -> AskedRoles:
        if not captions:
            given.refuse(
                ["qwen_json"],
                "a source that runs is scored as it comes, and has no captions; score-video "
                "--qwen_json takes those of a file's extracted frames",
            )
        qwen_json = spoken.value
        fields = given.fields()
        values = copy.deepcopy(config.value)  # another camera's has its own frames per second
        if rate is not None and (rate.value is not None or own_fps is not None):
            given.refuse_fields(["fps"], "--fps says it; leave one out")
            fields["fps"] = rate.value if own_fps is None else own_fps
            values = cli.override(values, {"fps": fields["fps"]})
        source = own_roles or ("ontology" if own_ontology else roles.value)
        if source != "ontology" and own_roles is None:
            given.refuse(
                ["ontology"],
                f"--roles={resources.shown(source)} decides, events and atoms are in the role "
                "model; leave it out, or give --roles=ontology",
            )
        from jaxvlm.video import scoring

        model, warnings = scoring.read_roles(
            source,
            own_ontology or ontology.value,
            values,
            file=values if given.is_given("config") else None,
            given=fields,
            captions=qwen_json is not None,
        )
        if source == roles.value == "ontology" and not model.training:
            given.refuse(["force"], "--roles=ontology was trained with no encoder; leave it out")
        return AskedRoles(model, warnings, force.value, qwen_json)

    return asked


def refuse_without_video() -> None:
    """Raises InputError for what cannot apply to frames that were kept."""
    given.refuse(["store_dir"], "--rescore encodes nothing that could be kept; leave it out")
    given.refuse_fields(["fps"], "--rescore decides: the frames are those that were kept")
    given.refuse_fields(["batch_size"], "--rescore encodes nothing; leave it out")


def refuse_live(fields: Sequence[str] = ("batch_size",)) -> None:
    """Raises InputError for what cannot apply to a source that runs."""
    given.refuse_fields(fields, "frames of a live source come one at a time; leave it out")
