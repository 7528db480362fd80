"""Figures by hand, and what a scraper and a health check get."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jaxvlm.alarms.figures import Figures
from jaxvlm.alarms.status_server import status_server
from jaxvlm.errors import InputError


@pytest.fixture
def watched():
    """Figures whose clock is set by hand; two cameras."""
    clock = [100.0]
    figures = Figures(clock=lambda: clock[0])
    figures.camera("gate", 1.0)
    figures.camera("yard", 0.1)
    return figures, clock


def values(text):
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_what_is_counted(watched):
    figures, _ = watched
    for latency, dropped in ((0.02, 0), (0.3, 2), (0.02, 5)):
        figures.seen("gate", latency, dropped)
    figures.is_lost("gate", "rtsp://h/…: lost")
    figures.is_lost("gate", "rtsp://h/…: lost")
    figures.seen("gate", 0.02, 5)
    figures.alarms.labels("gate", "fire").inc()
    found = values(figures.text())
    assert found["jaxvlm_frames_total", "gate"] == 4 and found["jaxvlm_frames_total", "yard"] == 0
    assert found["jaxvlm_frames_dropped_total", "gate"] == 5
    assert found["jaxvlm_losses_total", "gate"] == 2
    assert found["jaxvlm_reconnects_total", "gate"] == 1
    assert found["jaxvlm_alarms_total", "fire", "gate"] == 1
    assert found["jaxvlm_frame_latency_seconds_count", "gate"] == 4
    assert found["jaxvlm_frame_latency_seconds_bucket", "0.025", "gate"] == 3
    assert found["jaxvlm_camera_alive", "gate"] == 1 and found["jaxvlm_camera_alive", "yard"] == 0


def test_who_is_alive(watched):
    figures, clock = watched
    good, value = figures.health()
    assert not good and value["status"] == "no camera is alive"
    figures.seen("gate", 0.1, 0)
    figures.seen("yard", 0.1, 0)
    clock[0] += 12.0  # ten seconds of silence and two frames at one a second
    good, value = figures.health()
    assert good and value["cameras"]["gate"]["alive"] and value["cameras"]["yard"]["alive"]
    clock[0] += 0.5  # a frame every ten seconds may be late by twenty more
    good, value = figures.health()
    assert good and not value["cameras"]["gate"]["alive"] and value["cameras"]["yard"]["alive"]
    assert value["cameras"]["gate"]["last_frame_seconds_ago"] == 12.5
    figures.is_lost("yard", "rtsp://h/…: lost")
    good, value = figures.health()
    assert not good and value["cameras"]["yard"]["why"] == "rtsp://h/…: lost"
    figures.is_over("gate", None)
    figures.is_over("yard", "lost for good")
    good, value = figures.health()
    assert good and value["cameras"]["gate"]["over"]  # nothing runs that could be alive


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_a_scraper_and_a_health_check(watched):
    figures, _ = watched
    with status_server(figures, 0) as port:
        status, kind, body = get(port, "/healthz")
        assert (status, kind) == (503, "application/json")
        figures.seen("gate", 0.1, 0)
        status, _, body = get(port, "/healthz")
        assert status == 200 and json.loads(body)["cameras"]["gate"]["alive"] is True
        status, kind, body = get(port, "/metrics")
        assert status == 200 and kind.startswith("text/plain")
        assert values(body)["jaxvlm_frames_total", "gate"] == 1
        assert get(port, "/../etc/passwd")[0] == 404
        with pytest.raises(InputError, match=f"--status_port={port}: 127.0.0.1 cannot be listened"):
            status_server(figures, port).__enter__()
    with socket.socket() as free:
        assert free.connect_ex(("127.0.0.1", port)) != 0  # nobody listens any more


def test_it_listens_on_this_machine_alone(watched):
    with status_server(watched[0], 0) as port, socket.socket() as other:
        other.bind(("127.0.0.2", port))  # taken, if it listened everywhere
