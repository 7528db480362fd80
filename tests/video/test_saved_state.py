"""Cameras that are stopped and started again, and whose settings are read again."""

import json
import threading

import numpy as np
import pytest

from jaxvlm.alarms.rules import Rules
from jaxvlm.data import videos
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.video import watching
from jaxvlm.video.saved_state import FILE, StateFolder, state_folder
from jaxvlm.video.watched import Camera
from jaxvlm.video.watching import Settings
from tests.video import test_watching
from tests.video.test_watching import FPS, with_settings

learned, video = test_watching.learned, test_watching.video  # fixtures
RULES = Rules(0.05, 0.03, min_seconds=0.5, release_seconds=0.5, cooldown_seconds=2.0)


def run(scorer, video, *, folder=None, stop_after=None, rules=RULES, is_live=False):
    """The changes of a camera of a file, stopped after so many frames; its summary."""
    lines, stop = [], threading.Event()

    class Outlets(watching.Outlets):
        count = 0

        def seen(self, *arguments, **options):
            super().seen(*arguments, **options)
            self.count += 1
            if self.count == stop_after:
                stop.set()

    frames = videos.frames(video, fps=FPS, say=lambda line: None)
    camera = Camera("cam", str(video), scorer, frames, rules, is_live=is_live)
    with state_folder(folder) as keeper:
        (ended,) = watching.watch_cameras(
            [camera], emit=lines.append, outlets=Outlets(), keeper=keeper, stop=stop
        )
    keys = ("event", "state", "frame", "time_seconds", "alarm", "start_seconds", "ended_by")
    changes = [
        {key: line.get(key) for key in keys} | {"p": line["probability"]}
        for line in lines
        if line["state"] in ("start", "end")
    ]
    return changes, ended.summary


def without(changes, *keys):
    return [{k: v for k, v in change.items() if k not in keys} for change in changes]


@pytest.mark.parametrize("stop_after", [9, 17, 30])
def test_a_file_that_is_stopped_and_started_gives_the_lines_of_one_run(
    learned, video, tmp_path, stop_after
):
    whole, summary = run(learned, video, folder=tmp_path / "whole")
    assert {change["state"] for change in whole} == {"start", "end"} and len(whole) >= 4
    parts, frames = [], 0
    while frames < summary.frames:
        found, part = run(learned, video, folder=tmp_path / "parts", stop_after=stop_after)
        assert part.frames > 0
        parts, frames = parts + found, frames + part.frames
    assert frames == summary.frames  # none twice, none missing
    if parts and parts[-1]["ended_by"] is None:  # the last part was stopped on the last frame
        parts += run(learned, video, folder=tmp_path / "parts")[0]
    assert without(parts, "alarm", "p") == without(whole, "alarm", "p")
    np.testing.assert_allclose([c["p"] for c in parts], [c["p"] for c in whole], atol=1e-5)
    by_id = {}
    for change in parts:  # a start and its end have one id, each alarm its own
        by_id.setdefault(change["alarm"], []).append(change["state"])
    assert set(map(tuple, by_id.values())) == {("start", "end")}
    again, summary = run(learned, video, folder=tmp_path / "parts")
    assert (again, summary.frames) == ([], 0)  # all of it has been seen


def test_without_a_folder_a_stop_ends_what_is_open(learned, video):
    found, _ = run(learned, video, stop_after=9, rules=Rules(0.0, 0.0))
    assert {change["ended_by"] for change in found if change["state"] == "end"} == {"stopped"}


def test_a_live_source_goes_on_with_the_clock(learned, video, tmp_path, monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr("jaxvlm.video.saved_state.time.time", lambda: now[0])
    first, _ = run(
        learned, video, folder=tmp_path, stop_after=4, rules=Rules(0.0, 0.0), is_live=True
    )
    assert {change["state"] for change in first} == {"start"}
    now[0] += 10.25
    second, _ = run(learned, video, folder=tmp_path, rules=Rules(0.0, 0.0), is_live=True)
    assert {change["state"] for change in second} == {"end"}  # still open, not started again
    assert {change["start_seconds"] for change in second} == {0.0}
    # Frame 3, then 20 sampling instants of the pause, then 50 frames.
    assert {change["frame"] for change in second} == {3 + 20 + 50}


def test_a_state_is_its_cameras_alone(learned, video, tmp_path):
    run(learned, video, folder=tmp_path, stop_after=9, rules=Rules(0.0, 0.0))
    other = Camera("other", str(video), learned, [], Rules())
    moved = Camera("cam", "elsewhere", learned, [], Rules())
    for camera in (other, moved):
        watched = watching.Watched(camera, lambda line: None, watching.Outlets())
        assert StateFolder(tmp_path).resume([watched]) == {} and not watched.events.is_open.any()
    fewer = with_settings(learned, segments={"window": 7})
    watched = watching.Watched(
        Camera("cam", str(video), fewer, [], Rules()), lambda line: None, watching.Outlets()
    )
    assert StateFolder(tmp_path).resume([watched]) == {}  # another window begins anew
    assert watched.events.is_open.all()


def test_a_folder_is_one_processs_and_of_one_kind(tmp_path):
    with state_folder(tmp_path):
        with pytest.raises(InputError, match="another watch is using it"):
            state_folder(tmp_path).__enter__()
    (tmp_path / FILE).write_bytes(b"mine")
    with pytest.raises(InputError, match="not a safetensors file"):
        StateFolder(tmp_path)
    with state_folder(None) as keeper:
        assert keeper is None


def images(count, ask, at):
    for k in range(count):
        yield Frame(k, float(k), np.full((16, 16, 3), 5 * k, np.uint8))
        if k == at:
            ask.wait(60)


def reloaded(learned, new, rules):
    """Lines of 8 frames, the settings read again after the fourth."""
    ask, lines, read = threading.Event(), [], []

    def reread():
        if len([line for line in lines if line["state"] == "seen"]) == 4 and not read:
            read.append(True)
            ask.set()
            return [Settings(new, rules)]
        return None

    class Outlets(watching.Outlets):
        def seen(self, *arguments, **options):
            super().seen(*arguments, **options)
            lines.append({"state": "seen"})

    camera = Camera("cam", "s", learned, images(8, ask, 3), Rules(0.0, 0.0))
    watching.watch_cameras([camera], emit=lines.append, outlets=Outlets(), reread=reread)
    return lines


def states(lines, event=None):
    return [line["state"] for line in lines if event is None or line.get("event") == event]


def test_limits_that_are_read_again_keep_everything(learned):
    lines = reloaded(learned, learned, Rules(2.0, 0.0))
    (line,) = [line for line in lines if line["state"] == "reloaded"]
    assert line["kept"] == "window, events, cool-downs" and line["camera"] == "cam"
    order = states(lines)
    assert order.count("seen") == 8 and order.count("start") == order.count("end") == 6
    assert order.index("reloaded") < order.index("end")
    assert {line["frame"] for line in lines if line["state"] == "end"} == {7}
    harder = reloaded(learned, learned, Rules(2.0, 1.5))  # P < release: all end at once
    assert {line["frame"] for line in harder if line["state"] == "end"} == {4}


def test_other_events_and_atoms_keep_what_has_the_same_name(learned):
    roles, keep = learned.roles, [0, 2]  # explosion, shooting
    atoms = list(range(len(roles.atoms)))[::-1]
    params = {}
    for name, rows in roles.params._asdict().items():
        if rows is None:
            params[name] = None
        elif name.startswith("theta"):
            params[name] = rows[np.ix_(atoms, keep)]
        else:
            params[name] = rows[np.array(atoms if name.startswith("presence") else keep)]
    other = roles._replace(
        params=type(roles.params)(**params),
        atoms=tuple(roles.atoms[n] for n in atoms),
        events=tuple(roles.events[n] for n in keep),
        candidates=None
        if roles.candidates is None
        else np.asarray(roles.candidates)[np.ix_(atoms, keep)],
    )
    bank = learned.bank._replace(atoms=learned.bank.atoms[np.array(atoms)])
    lines = reloaded(learned, learned._replace(roles=other, bank=bank), Rules(0.0, 0.0))
    (line,) = [line for line in lines if line["state"] == "reloaded"]
    assert line["kept"] == "events and cool-downs by name"
    ended = {line["event"]: line for line in lines if line["state"] == "end"}
    assert {e for e, line in ended.items() if line["ended_by"] == "reloaded"} == set(
        roles.events
    ) - {"explosion", "shooting"}
    for event in ("explosion", "shooting"):
        assert states(lines, event) == ["start", "end"]
        assert (ended[event]["frame"], ended[event]["ended_by"]) == (7, "source ended")
    assert json.dumps(lines)  # all of it is plain data
