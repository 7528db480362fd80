"""Lists of cameras as people write them."""

import pytest

from jaxvlm.alarms.rules import Rules
from jaxvlm.errors import InputError
from jaxvlm.video.camera_list import read_cameras, rules_of

LIST = """\
cameras:
- name: gate
  source: rtsp://user:hunter2@10.0.0.7/ch1?token=hunter2
- name: yard
  source: 0
  ontology: my.yaml
  fps: 2
  threshold: 0.7
  release: {riot: 0.2, other: 0.3}
  cooldown_seconds: 30
"""


def read(tmp_path, text):
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    return read_cameras(path)


def test_a_list(tmp_path):
    gate, yard = read(tmp_path, LIST)
    assert (gate.name, gate.roles, gate.fps, gate.limits) == ("gate", None, None, {})
    assert gate.source == "rtsp://user:hunter2@10.0.0.7/ch1?token=hunter2"
    assert (yard.source, yard.ontology, yard.fps) == ("0", "my.yaml", 2)
    rules = rules_of(yard, Rules(0.5, 0.4, queue_size=3))
    assert (rules.threshold, rules.cooldown_seconds, rules.queue_size) == (0.7, 30.0, 3)
    assert rules.release == {"riot": 0.2, "other": 0.3}
    assert gate.ordinary is None


@pytest.mark.parametrize(
    "text, cause",
    [
        ("", "no list of cameras; write cameras:"),
        ("cameras: []", "no list of cameras"),
        ("cameras: {a: 1}", "no list of cameras"),
        ("cameras: [{name: a, source: '0'}]\nmore: 1", "no list of cameras"),
        ("cameras:\n- gate", "line 2: not a camera"),
        ("cameras:\n- name: a\n", "line 2: source: not a text"),
        ("cameras:\n- source: '0'\n", "line 2: name: not a text"),
        ("cameras:\n- {name: 'a/b', source: '0'}", "line 2: the name 'a/b' cannot be a file's"),
        ("cameras:\n- {name: '..', source: '0'}", "line 2: the name '..' cannot be"),
        ('cameras:\n- {name: "a\\eb", source: "0"}', "line 2: name: not a text on one line"),
        ("cameras:\n- {name: a, source: '0'}\n- {name: a, source: '1'}", "line 3: the name 'a' is"),
        ("cameras:\n- {name: a, source: '0', treshold: 1}", r"did you mean 'threshold'\?"),
        ("cameras:\n- {name: a, source: '0', fps: 0}", "line 2: fps: not a number above 0"),
        ("cameras:\n- {name: a, source: '0', fps: true}", "line 2: fps: not a number"),
        ("cameras:\n- {name: a, source: '0', threshold: .nan}", "threshold: not a number"),
        ("cameras:\n- {name: a, source: '0', threshold: {}}", "threshold: not a number, nor"),
        ("cameras:\n- {name: a, source: '0', threshold: {riot: x}}", "threshold: not a number"),
        ("cameras:\n- {name: a, source: missing.mp4}", "line 2: missing.mp4: no such file"),
        ("cameras:\n- {name: a, name: b, source: '0'}", "line 2: the key 'name' is there twice"),
        ("cameras: [", "not valid YAML"),
    ],
)
def test_lists_that_are_none(tmp_path, text, cause):
    with pytest.raises(InputError, match=cause) as caught:
        read(tmp_path, text)
    assert "cameras.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_camera_names_its_model_of_ordinary_footage(tmp_path):
    (one,) = read(tmp_path, "cameras:\n- {name: a, source: '0', ordinary: folder}")
    assert one.ordinary == "folder"


def test_a_secret_in_a_source_is_in_no_message(tmp_path):
    text = "cameras:\n- {name: a, source: 'user:hunter2@10.0.0.7/x?token=hunter2'}"
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert "hunter2" not in str(caught.value)
