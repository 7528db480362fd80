"""Outputs appear whole or not at all, and replace only what we wrote ourselves."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxvlm import outputs, replacing
from jaxvlm.errors import InputError
from jaxvlm.outputs import RECORD, output_path, require_replaceable
from jaxvlm.replacing import PARTIAL


def names(folder: Path) -> list[str]:
    """What a user sees, and what a killed writer would leave; the record left out."""
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def write_file(path: Path, text: str) -> None:
    with output_path(path) as temporary:
        temporary.write_text(text)


def write_folder(path: Path, kind: str = "frames", **texts: str) -> None:
    with output_path(path, kind=kind) as temporary:
        temporary.mkdir()
        for name, text in texts.items():
            (temporary / name).write_text(text)


@pytest.fixture(params=["exchange", "pointer"])
def disk(request, monkeypatch) -> str:
    """A disk that can exchange two folders, and one that cannot, such as NFS."""
    if request.param == "pointer":
        monkeypatch.setattr(replacing, "_exchange", lambda a, b: False)
    return request.param


def test_a_file_appears_on_success_and_not_before(tmp_path):
    target = tmp_path / "sub" / "a.txt"
    with output_path(target) as temporary:
        assert os.stat(temporary.parent).st_dev == os.stat(tmp_path).st_dev
        assert temporary.name == "a.txt"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new" and names(tmp_path / "sub") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", [None, "frames"])
def test_an_exception_leaves_the_old_one_and_nothing_else(tmp_path, error, kind):
    old = tmp_path / "a"
    write_file(old, "old") if kind is None else write_folder(old, kind, x="old")
    with pytest.raises(error), output_path(old, kind=kind) as temporary:
        if kind is None:
            temporary.write_text("half")
        else:
            temporary.mkdir()
        raise error
    assert (old if kind is None else old / "x").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_an_exception_where_there_was_nothing_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), output_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    write_file(tmp_path / "a.txt", "old")
    with pytest.raises(FileNotFoundError), output_path(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_what_we_wrote_is_replaced_whole(tmp_path, disk):
    for text in ("one", "two", "three", "four"):
        write_file(tmp_path / "a.txt", text)
        write_folder(tmp_path / "run", **{f"only-{text}": text})
        assert (tmp_path / "a.txt").read_text() == text
        assert names(tmp_path / "run") == [f"only-{text}"]
    hidden = {".jaxvlm-versions"} if disk == "pointer" else set()
    assert set(names(tmp_path)) == {"a.txt", "run"} | hidden
    if hidden:  # this version, and the one before for whoever is reading it
        assert len(list((tmp_path / ".jaxvlm-versions" / "run").iterdir())) == 2


def test_a_file_that_we_did_not_write_is_never_replaced(tmp_path):
    mine = tmp_path / "thesis.csv"
    mine.write_text("years of work")
    with pytest.raises(InputError, match="thesis.csv: not written by jaxvlm.*move it"):
        write_file(mine, "new")
    assert mine.read_text() == "years of work"


def test_a_file_that_was_filled_in_by_hand_is_never_replaced(tmp_path):
    captions = tmp_path / "captions.json"
    write_file(captions, "{}")
    captions.write_text('{"a.jpg": "a riot"}')
    with pytest.raises(InputError, match="captions.json: was changed since"):
        write_file(captions, "{}")
    assert "riot" in captions.read_text()


def test_it_is_looked_at_again_when_the_work_is_done(tmp_path):
    """A file that came while a long run was on."""
    with pytest.raises(InputError, match="not written by jaxvlm"), output_path(tmp_path / "a") as t:
        t.write_text("new")
        (tmp_path / "a").write_text("mine")
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda run: (run / "thesis.txt").write_text("mine"), "holds thesis.txt, which jaxvlm"),
        (lambda run: (run / "deep").mkdir() or (run / "deep" / "b").touch(), "holds deep/b, which"),
        (lambda run: (run / "link").symlink_to(run.parent), "holds link, which jaxvlm did not"),
        (lambda run: (run / "x").write_text("edited"), "x: was changed since jaxvlm wrote it"),
        (lambda run: (run / RECORD).unlink(), "holds x, which jaxvlm did not write"),
        (lambda run: (run / RECORD).write_text("[" * 100_000), "holds x, which jaxvlm did not"),
        (lambda run: (run / RECORD).write_text('{"kind":[],"files":{"x":["0"]}}'), "holds x, "),
    ],
)
def test_a_folder_with_anything_of_somebody_is_never_replaced(tmp_path, spoil, cause, disk):
    run = tmp_path / "run"
    write_folder(run, x="ours")
    write_folder(run, x="ours")  # by a link, where the disk cannot exchange
    spoil(run)
    before = sorted(p.name for p in run.rglob("*"))
    with pytest.raises(InputError, match=cause):
        write_folder(run, x="new")
    assert sorted(p.name for p in run.rglob("*")) == before


def test_one_kind_of_folder_does_not_replace_another(tmp_path):
    write_folder(tmp_path / "cam1", "frames", x="picture")
    with pytest.raises(InputError, match="cam1: holds frames and not a run folder"):
        write_folder(tmp_path / "cam1", "a run folder", presence="p")
    assert names(tmp_path / "cam1") == ["x"]


def test_files_that_we_put_into_a_folder_later_are_ours_too(tmp_path):
    write_folder(tmp_path / "clip", "a CLIP", weights="1")
    write_file(tmp_path / "clip" / "evaluation.json", "{}")
    write_folder(tmp_path / "clip", "a CLIP", weights="2")
    assert names(tmp_path / "clip") == ["weights"]


def test_an_empty_folder_and_what_a_file_manager_leaves_are_nobodys(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".DS_Store").touch()
    write_folder(tmp_path / "run", x="new")
    assert names(tmp_path / "run") == ["x"]


def test_places_that_cannot_take_it_are_told_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, kind, cause in [
        (tmp_path / "file" / "a" / "b", None, "file: a file, where a folder is needed"),
        (tmp_path / "folder", None, "folder: a folder, where a file is to be written"),
        (tmp_path / "file", "frames", "file: a file, where a folder is to be written"),
        (Path("/dev/null"), None, "/dev/null: a device or a pipe"),
    ]:
        with pytest.raises(InputError, match=cause):
            require_replaceable(path, kind=kind)
        with pytest.raises(InputError, match=cause), output_path(path, kind=kind):
            raise AssertionError("the work began")


def test_a_link_is_followed_and_stays(tmp_path, disk):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere" / "real")
    for text in ("one", "two"):
        write_folder(tmp_path / "run", x=text)
        assert (tmp_path / "elsewhere" / "real" / "x").read_text() == text
    assert os.readlink(tmp_path / "run") == str(tmp_path / "elsewhere" / "real")


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022, 0o002])
def test_permissions_are_those_of_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with output_path(tmp_path / "private") as temporary:
            temporary.touch(mode=0o600)  # as some writers do
        write_folder(tmp_path / "run", x="")
    finally:
        os.umask(before)
    for path in (tmp_path / "private", tmp_path / "run" / "x", tmp_path / RECORD):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask, path
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o777 & ~umask


def test_a_full_disk_is_one_line(tmp_path):
    full = OSError(28, "No space left on device")
    with pytest.raises(InputError, match="a.txt: cannot be written .No space left"):
        with output_path(tmp_path / "a.txt"):
            raise full
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "home").touch()  # a read-only folder stops everybody but root
    with pytest.warns(UserWarning, match="nothing is kept in the cache.*cannot be written"):
        outputs.write_cache(tmp_path / "home" / "cache" / "a", b"x")
    (tmp_path / "a").write_text("old")
    outputs.write_cache(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


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
    assert names(tmp_path) == ["model"]


def test_what_a_living_writer_has_open_is_left_alone(tmp_path):
    with output_path(tmp_path / "a") as mine:
        mine.write_text("mine")
        write_file(tmp_path / "b", "b")
        assert mine.read_text() == "mine"
    assert names(tmp_path) == ["a", "b"]


def test_the_record_names_what_was_written(tmp_path):
    write_file(tmp_path / "a", "abc")
    record = json.loads((tmp_path / RECORD).read_text())
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert record == {"kind": None, "files": {"a": [abc]}}
