"""Folders are put in another's place in one step, whoever writes, reads or is killed meanwhile."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxvlm import replacing
from jaxvlm.errors import InputError
from jaxvlm.outputs import output_path
from jaxvlm.replacing import PARTIAL
from tests.writing import disk as disk
from tests.writing import names, write_file, write_folder


def test_readers_never_miss_the_folder_and_writers_never_fail(tmp_path, disk):
    run, failures, missed = tmp_path / "run", [], 0
    write_folder(run, x="0")

    def write(number: int) -> None:
        try:
            for turn in range(10):
                write_folder(run, x=f"{number} {turn}")
        except BaseException as error:
            failures.append(error)

    if disk == "pointer":
        write_folder(run, x="1")  # the first time is the one that is not atomic
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    looks = 0
    while any(writer.is_alive() for writer in writers):
        missed += not (run / "x").exists()
        looks += 1
        time.sleep(1e-4)  # else it keeps the interpreter from the writers
    assert not failures and missed == 0 and looks > 20
    assert set(names(tmp_path)) <= {"run", ".jaxvlm-versions"}


WRITER = """
import sys, itertools
from pathlib import Path
from jaxvlm import outputs, replacing
if sys.argv[2] == "pointer":
    replacing._exchange = lambda a, b: False
for turn in itertools.count():
    with outputs.output_path(Path(sys.argv[1]) / "run", kind="frames") as folder:
        folder.mkdir()
        for name in "xy":
            (folder / name).write_text(str(turn))
    with outputs.output_path(Path(sys.argv[1]) / "table") as file:
        file.write_text(str(turn))
    print(turn, flush=True)
"""


def test_a_killed_writer_leaves_one_whole_version_that_can_be_replaced(tmp_path, disk):
    for kill in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path), disk]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            writer.stdout.readline()
            time.sleep(0.011 * kill)
            writer.send_signal(signal.SIGKILL)
        run = replacing.recover(tmp_path / "run")
        x, y = ((run / name).read_text() for name in "xy")
        assert x == y
        assert abs(int((tmp_path / "table").read_text()) - int(x)) <= 1
    write_folder(tmp_path / "run", x="last")
    write_file(tmp_path / "table", "last")
    assert names(tmp_path / "run") == ["x"]
    assert set(names(tmp_path)) <= {"run", "table", ".jaxvlm-versions"}


def test_a_folder_that_was_moved_away_by_a_killed_writer_comes_back(tmp_path):
    """The one moment at which a disk without exchange has nothing at the path."""
    write_folder(tmp_path / "model", x="trained for days")
    moved = tmp_path / PARTIAL / "0123456789abcdef" / ".jaxvlm-moved"
    moved.mkdir(parents=True)
    (tmp_path / "model").rename(moved / "model")
    assert not (tmp_path / "model").exists()
    assert (replacing.recover(tmp_path / "model") / "x").read_text() == "trained for days"
    write_file(tmp_path / "a", "the next writer cleans up")
    assert names(tmp_path) == ["a", "model"]


def test_what_a_living_writer_has_open_is_left_alone(tmp_path):
    with output_path(tmp_path / "a") as mine:
        mine.write_text("mine")
        write_file(tmp_path / "b", "b")
        assert mine.read_text() == "mine"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    "link",
    [
        PARTIAL,
        f"{PARTIAL}/0123456789abcdef",
        f"{PARTIAL}/0123456789abcdef/.jaxvlm-moved",
        ".jaxvlm-versions",
        ".jaxvlm-versions/model",
    ],
)
def test_links_in_a_folder_of_somebody_lead_nowhere(tmp_path, link, monkeypatch):
    """A model that was unpacked from an archive once had the user's other folders removed."""
    documents = tmp_path / "Documents"
    for name in ("thesis", "0123456789abcdef", "model"):
        (documents / name).mkdir(parents=True)
        (documents / name / "t.tex").write_text("years of work")
    before = sorted(documents.rglob("*"))
    unpacked = tmp_path / "Downloads"
    (unpacked / link).parent.mkdir(parents=True)
    (unpacked / link).symlink_to(documents)
    monkeypatch.setattr(replacing, "_exchange", lambda a, b: False)
    replacing.recover(unpacked / "model")
    for text in ("one", "two", "three"):
        try:
            write_folder(unpacked / "model", x=text)
        except InputError as error:
            assert "a link" in str(error)
    assert sorted(documents.rglob("*")) == before


def test_what_is_not_named_as_ours_is_left_alone(tmp_path):
    mine = tmp_path / PARTIAL / "notes"
    mine.mkdir(parents=True)
    (mine / "a.txt").write_text("mine")
    write_file(tmp_path / "a", "new")
    assert (mine / "a.txt").read_text() == "mine"
