"""Alarms through a real broker, over its death, as Home Assistant would get them."""

import json
import threading
import time

import pytest
from paho.mqtt import client as paho

from jaxvlm.alarms.mqtt import Broker, slug
from jaxvlm.alarms.record import Alarm, message_of
from jaxvlm.alarms.sender import Sender
from jaxvlm.alarms.spool import Spool
from jaxvlm.errors import InputError
from tests.alarms.broker import broker, free_port
from tests.alarms.test_folder import alarm
from tests.alarms.test_sending import wait_for


class Listener:
    """What a subscriber gets: by topic every payload."""

    def __init__(self, port):
        self.got, self.ready = {}, threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()
        assert self.ready.wait(20)

    def _on_message(self, client, _, message):
        if not message.topic.startswith("$"):
            self.got.setdefault(message.topic, []).append(message.payload)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def told(state, event="car accident", camera="front gate"):
    one = alarm(state, camera=camera, event=event, id=f"{event[:3]}")
    assert isinstance(one, Alarm)
    return one.message_id, message_of(one, None, b"\xff\xd8jpeg")


def test_alarms_reach_home_assistant_through_the_death_of_the_broker(tmp_path):
    port = free_port()
    line, said = Broker(f"mqtt://127.0.0.1:{port}"), []
    sender = Sender("mqtt", Spool(tmp_path), line.deliver, say=said.append, first_delay=0.05)
    line.start({"front gate": (["car accident", "riot"], ["riot"])})
    sender.put(*told("start"))  # no broker yet
    wait_for(lambda: said)
    gate, accident = slug("front gate"), slug("car accident")
    assert gate.startswith("front_gate_") and accident.startswith("car_accident_")
    state = f"jaxvlm/{gate}/{accident}/state"
    with broker(port):
        listener = Listener(port)
        wait_for(lambda: listener.got.get(state, [b""])[-1] == b"ON", 60)
        wait_for(lambda: "jaxvlm/alarms" in listener.got)
        got = listener.got
        sensor = json.loads(got[f"homeassistant/binary_sensor/jaxvlm_{gate}/{accident}/config"][-1])
        assert sensor["state_topic"] == state and sensor["name"] == "car accident"
        assert sensor["availability_topic"] == "jaxvlm/status" and sensor["unique_id"]
        assert sensor["device"]["name"] == "front gate"
        picture = json.loads(got[f"homeassistant/image/jaxvlm_{gate}/snapshot/config"][-1])
        assert got[picture["image_topic"]] == [b"\xff\xd8jpeg"]
        assert json.loads(got[sensor["json_attributes_topic"]][-1])["event"] == "car accident"
        assert got["jaxvlm/status"] == [b"online"]
        assert got[f"jaxvlm/{gate}/riot/state"][0] == b"ON"  # open from before
        listener.close()
    wait_for(lambda: not line.connected.is_set(), 60)
    sender.put(*told("end"))  # the broker is gone
    sender.put(*told("start", "riot"))
    time.sleep(0.2)
    assert len(sender.spool) == 2
    with broker(port):
        listener = Listener(port)
        wait_for(lambda: len(sender.spool) == 0, 60)
        wait_for(lambda: len(listener.got.get("jaxvlm/alarms", [])) >= 2)
        ids = [json.loads(one)["message_id"] for one in listener.got["jaxvlm/alarms"]]
        assert list(dict.fromkeys(ids)) == ["car-end", "rio-start"]
        assert listener.got[state][-1] == b"OFF"
        sender.close()
        line.close()
        wait_for(lambda: listener.got["jaxvlm/status"][-1] == b"offline")
        listener.close()
        # Whoever comes later is told what was retained.
        late = Listener(port)
        wait_for(lambda: set(late.got.get(f"jaxvlm/{gate}/riot/state", [])) == {b"ON"})
        assert "jaxvlm/alarms" not in late.got
        late.close()


@pytest.mark.parametrize(
    "url, cause",
    [
        ("mqtt://user:hunter2@h", "a password in it can be read by others; set JAXVLM_MQTT_PASS"),
        ("http://h?hunter2=hunter2", "write mqtt://HOST or mqtts://HOST"),
        ("mqtt://", "write mqtt://HOST"),
        ("mqtt://h:99999", "no address"),
    ],
)
def test_an_address_that_cannot_be(url, cause):
    with pytest.raises(InputError, match=cause) as caught:
        Broker(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("topic", ["", "a/#", "+", "a//b", "/a"])
def test_a_topic_that_cannot_be(topic):
    with pytest.raises(InputError, match="--mqtt_topic"):
        Broker("mqtt://h", topic=topic)


def test_names_become_parts_of_topics_and_stay_apart():
    names = ["gate", "front gate", "front_gate", "front/gate", "Tür", "x" * 80, "+", "#", ""]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "gate" and slugs[2] == "front_gate" and len(set(slugs)) == len(names)
    assert not any(set(one) & set("/+# ") for one in slugs)


def test_the_password_comes_from_the_variable(monkeypatch):
    monkeypatch.setenv("JAXVLM_MQTT_PASSWORD", "hunter2")
    line = Broker("mqtts://us%40er@h")
    assert (line.client.username, line.client.password) == ("us@er", "hunter2")
