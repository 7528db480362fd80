"""Alarms to an MQTT broker, with Home Assistant's discovery.

Each event of a camera is a binary sensor, each camera's latest picture an image; see
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from jaxvlm import bounds
from jaxvlm.alarms.sender import NotDelivered
from jaxvlm.data.sources import shown_source
from jaxvlm.errors import InputError
from jaxvlm.version import __version__

VARIABLE = "JAXVLM_MQTT_PASSWORD"
DISCOVERY = "homeassistant"  # Home Assistant's own default
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Broker:
    """A connection that is kept, and tried again where it breaks; `deliver` is for a `Sender`.

    Topics, below ``topic``: ``status`` ("online", "offline": also as the last will), and by camera
    ``CAMERA/EVENT/state`` ("ON", "OFF"), ``CAMERA/EVENT/attributes`` (the alarm as JSON) and
    ``CAMERA/snapshot`` (JPEG), all retained; ``alarms`` has every message once more. QoS is 1.
    """

    def __init__(self, url: str, *, topic: str = "jaxvlm", discovery: str = DISCOVERY):
        """url: ``mqtt[s]://[USER@]HOST[:PORT]``; the password is in the variable `VARIABLE`.

        Raises InputError: another address, a password in it, a topic that cannot be, or paho-mqtt
        is not installed.
        """
        self.place = shown_source(url)
        scheme, host, port, user = _parse(url, self.place)
        if not re.fullmatch(r"[^#+\0/]+(?:/[^#+\0/]+)*", topic):
            raise InputError(f"--mqtt_topic={topic}: no topic; take a name without # and +")
        try:
            from paho.mqtt import client as paho
        except ImportError:
            raise InputError("--mqtt: needs paho-mqtt; pip install 'jaxvlm[mqtt]'") from None
        self.topic, self.discovery = topic, discovery
        self.cameras: dict[str, tuple[str, ...]] = {}
        self.states: dict[tuple[str, str], bool] = {}
        self.connected = threading.Event()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"jaxvlm-{secrets.token_hex(6)}"
        )
        if user is not None:
            self.client.username_pw_set(user, os.environ.get(VARIABLE))
        if scheme == "mqtts":
            self.client.tls_set()
        self.client.will_set(f"{topic}/status", "offline", qos=1, retain=True)
        self.client.reconnect_delay_set(1, 60)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.connected.clear()
        self.client.connect_async(host, port, keepalive=30)

    def start(self, cameras: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> None:
        """Connects in a thread. cameras: by name their events, and those that are open."""
        for name, (events, is_open) in cameras.items():
            self.cameras[name] = tuple(events)
            for event in events:
                self.states[name, event] = event in is_open
        self.client.loop_start()

    def deliver(self, message_id: str, body: bytes) -> None:
        """Publishes a message of `record.message_of`. Raises NotDelivered where the broker does not
        confirm it."""
        if not self.connected.wait(1.0):
            raise NotDelivered(f"{self.place}: not connected")
        data = json.loads(body)["data"]  # of a file of our own spool
        camera, event, starts = data["camera"], data["event"], data["state"] == "start"
        place = f"{self.topic}/{slug(camera)}"
        picture = data.pop("snapshot_jpeg")
        attributes = json.dumps(data | {"message_id": message_id})
        parts = [(f"{place}/{slug(event)}/attributes", attributes, True)]
        if picture is not None:
            parts.append((f"{place}/snapshot", base64.b64decode(picture), True))
        parts.append((f"{place}/{slug(event)}/state", "ON" if starts else "OFF", True))
        parts.append((f"{self.topic}/alarms", attributes, False))
        self.states[camera, event] = starts
        for topic, payload, retain in parts:
            try:
                sent = self.client.publish(topic, payload, qos=1, retain=retain)
                sent.wait_for_publish(bounds.ALARM_SECONDS)
                there = sent.is_published()
            except (RuntimeError, ValueError, OSError):
                there = False
            if not there:
                raise NotDelivered(f"{self.place}: does not confirm")

    def close(self) -> None:
        """Says "offline" and disconnects."""
        if self.connected.is_set():
            sent = self.client.publish(f"{self.topic}/status", "offline", qos=1, retain=True)
            sent.wait_for_publish(1.0)
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            return
        for topic, value in self._configs():
            client.publish(topic, json.dumps(value), qos=1, retain=True)
        for (camera, event), is_on in self.states.items():
            topic = f"{self.topic}/{slug(camera)}/{slug(event)}/state"
            client.publish(topic, "ON" if is_on else "OFF", qos=1, retain=True)
        client.publish(f"{self.topic}/status", "online", qos=1, retain=True)
        self.connected.set()

    def _configs(self) -> list[tuple[str, dict[str, Any]]]:
        """Home Assistant's discovery: topic and payload of every entity."""
        found = []
        base = slug(self.topic)
        for camera, events in self.cameras.items():
            node = f"{base}_{slug(camera)}"
            place = f"{self.topic}/{slug(camera)}"
            shared = {
                "availability_topic": f"{self.topic}/status",
                "device": {"identifiers": [node], "name": camera, "manufacturer": "jaxvlm"},
                "origin": {"name": "jaxvlm", "sw_version": __version__},
            }
            image = {
                "name": "latest alarm",
                "unique_id": f"{node}_snapshot",
                "image_topic": f"{place}/snapshot",
                "content_type": "image/jpeg",
            }
            found.append((f"{self.discovery}/image/{node}/snapshot/config", image | shared))
            for event in events:
                sensor = {
                    "name": event,
                    "unique_id": f"{node}_{slug(event)}",
                    "state_topic": f"{place}/{slug(event)}/state",
                    "json_attributes_topic": f"{place}/{slug(event)}/attributes",
                    "device_class": "safety",
                }
                topic = f"{self.discovery}/binary_sensor/{node}/{slug(event)}/config"
                found.append((topic, sensor | shared))
        return found


def slug(name: str) -> str:
    """A name as a part of a topic and of Home Assistant's ids, [A-Za-z0-9_-]: itself, or what is
    left of it with six digits of its hash, so that two names stay two."""
    if _PLAIN.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', name)[:50]}_{digest}"


def _parse(url: str, place: str) -> tuple[str, str, int, str | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(f"--mqtt={place}: no address; correct it") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InputError(f"--mqtt={place}: write mqtt://HOST or mqtts://HOST")
    if parts.password is not None:
        raise InputError(f"--mqtt={place}: a password in it can be read by others; set {VARIABLE}")
    user = None if parts.username is None else unquote(parts.username)
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme], user
