"""Flags of `watch`: where alarms and figures go beside the lines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from jaxvlm.alarms import mqtt, status_server, webhook
from jaxvlm.command import cli, given
from jaxvlm.errors import InputError

if TYPE_CHECKING:
    from jaxvlm.alarms.outlets import Outlets

_CLIP = ("clip_before", "clip_after", "clip_fps")


def define_outlets() -> Callable[[str | None], contextlib.AbstractContextManager[Outlets]]:
    """``--alarms_dir``, ``--webhook``, ``--mqtt``, ``--status_port`` and what belongs to them, and
    the function from ``--state_dir`` to the outlets, which opens them and checks all that is said.
    """
    folder = flags.DEFINE_string(
        "alarms_dir", None, "Alarms are written here, each with a picture and a clip."
    )
    before = flags.DEFINE_float(
        "clip_before", 5.0, "Seconds of the clip before the event starts.", lower_bound=0
    )
    after = flags.DEFINE_float("clip_after", 5.0, "And after its start.", lower_bound=0)
    rate = flags.DEFINE_float("clip_fps", 4.0, "Its pictures a second.", lower_bound=0)
    address = flags.DEFINE_string(
        "webhook",
        None,
        f"Alarms are posted to this http(s) address, signed with the secret of {webhook.VARIABLE}.",
    )
    secret = flags.DEFINE_string(
        "webhook_secret_file", None, "The secret is in this file, not in the variable."
    )
    broker = flags.DEFINE_string(
        "mqtt",
        None,
        "Alarms are published to this broker, mqtt[s]://[USER@]HOST, with Home Assistant's "
        f"discovery; the password is in {mqtt.VARIABLE}.",
    )
    topic = flags.DEFINE_string("mqtt_topic", "jaxvlm", "Topics begin with it.")
    port = flags.DEFINE_integer(
        "status_port", None, "Answers /metrics and /healthz here.", lower_bound=0
    )
    host = flags.DEFINE_string(
        "status_host", status_server.LOOPBACK, "Where it listens: on this machine alone."
    )

    @contextlib.contextmanager
    def outlets(state_dir: str | None) -> Iterator[Outlets]:
        from jaxvlm.alarms.figures import Figures
        from jaxvlm.alarms.folder import AlarmFolder
        from jaxvlm.alarms.outlets import Outlets
        from jaxvlm.alarms.sender import Sender
        from jaxvlm.alarms.spool import Spool

        _refuse(folder.value, address.value, broker.value, port.value, state_dir)
        receivers = {}
        if address.value is not None:
            key = webhook.read_secret(secret.value)
            receivers["webhook"] = webhook.webhook(address.value, key)
        line = None
        if broker.value is not None:
            line = mqtt.Broker(broker.value, topic=topic.value)
            receivers["mqtt"] = line.deliver
        alarms = None
        if folder.value is not None:
            alarms = AlarmFolder(folder.value, before=before.value, after=after.value)
        senders = [
            Sender(name, Spool(Path(state_dir) / "spool" / name), deliver, say=cli.note)
            for name, deliver in receivers.items()
        ]
        figures = None if port.value is None else Figures()
        with contextlib.ExitStack() as stack:
            if figures is not None:
                opened = status_server.status_server(figures, port.value, host.value)
                number = stack.enter_context(opened)
                cli.note(f"status: http://{host.value}:{number}/healthz and /metrics")
            yield Outlets(
                alarms,
                senders,
                broker=line,
                figures=figures,
                seconds=before.value + after.value if alarms is not None else 0.0,
                clip_fps=rate.value if alarms is not None else 0.0,
            )

    return outlets


def _refuse(
    folder: str | None,
    address: str | None,
    broker: str | None,
    port: int | None,
    state_dir: str | None,
) -> None:
    """Raises InputError for a flag that would do nothing beside the others, or lacks one."""
    if folder is None:
        given.refuse(_CLIP, "clips are written into --alarms_dir, which is not given; leave it out")
    if address is None:
        given.refuse(["webhook_secret_file"], "goes with --webhook, which is not given")
    if broker is None:
        given.refuse(["mqtt_topic"], "goes with --mqtt, which is not given")
    if port is None:
        given.refuse(["status_host"], "goes with --status_port, which is not given")
    for flag, value in (("webhook", address), ("mqtt", broker)):
        if value is not None and state_dir is None:
            raise InputError(
                f"--{flag}: needs --state_dir, where alarms wait while the receiver is down"
            )
