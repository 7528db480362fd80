"""Outputs appear whole or not at all, and replace only what we wrote ourselves."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxvlm import outputs
from jaxvlm.errors import DiskError, InputError
from jaxvlm.outputs import RECORD, output_path, require_replaceable
from tests.writing import disk as disk
from tests.writing import names, write_file, write_folder


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


LIES = {"kind": [], "files": {"x": ["0"]}, "added": {}}


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda run: (run / "thesis.txt").write_text("mine"), "holds thesis.txt, which jaxvlm"),
        (lambda run: (run / "deep").mkdir() or (run / "deep" / "b").touch(), "holds deep/b, which"),
        (lambda run: (run / "link").symlink_to(run.parent), "holds link, which jaxvlm did not"),
        (lambda run: (run / "x").write_text("edited"), "x: was changed since jaxvlm wrote it"),
        (lambda run: (run / RECORD).unlink(), "holds x, which jaxvlm did not write"),
        (lambda run: (run / RECORD).write_text("[" * 100_000), "holds x, which jaxvlm did not"),
        (
            lambda run: (run / RECORD).write_text('{"kind":[],"files":{"x":["0"]},"added":{}}'),
            "holds x, ",
        ),
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
    assert names(tmp_path / "clip") == ["evaluation.json", "weights"]
    assert (tmp_path / "clip" / "weights").read_text() == "2"
    write_file(tmp_path / "clip" / "evaluation.json", "[]")
    (tmp_path / "clip" / "evaluation.json").write_text("mine now")
    with pytest.raises(InputError, match="evaluation.json: was changed since"):
        write_folder(tmp_path / "clip", "a CLIP", weights="3")


def test_two_programs_share_a_folder_in_any_order(tmp_path):
    """run-pipeline's run of a video and score-video's tables of it, in one --out_dir."""
    for first in (True, False):
        out = tmp_path / str(first)
        for turn in range(3):
            if first or turn:
                write_folder(out / "a", "a run folder", presence=f"p{turn}")
            write_file(out / "a" / "events.csv", f"e{turn}")
        write_folder(out / "a", "a run folder", presence="last")
        assert names(out / "a") == ["events.csv", "presence"]
        assert (out / "a" / "events.csv").read_text() == "e2"


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


def test_what_a_disk_takes_no_more_of_is_told_from_what_one_item_cannot_be(tmp_path):
    for code, kind in ((28, DiskError), (30, DiskError), (122, DiskError), (36, InputError)):
        with pytest.raises(InputError) as caught, output_path(tmp_path / "run", kind="x") as new:
            new.mkdir()
            with output_path(new / "a"):
                raise OSError(code, os.strerror(code))
        assert type(caught.value) is kind
        assert str(caught.value).startswith(f"{tmp_path}/run/a: cannot be written")  # its place


def test_places_are_tested_without_writing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        with pytest.raises(InputError, match="/file: a file, where a folder is needed"):
            outputs.require_places(tmp_path / folder)
    outputs.require_places(tmp_path / "new" / "below", "a.csv")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
        with pytest.raises(InputError, match="cannot be written; choose a folder that can"):
            outputs.require_places(tmp_path / "new" / "below")
    full = SimpleNamespace(f_bavail=0)
    monkeypatch.setattr(os, "statvfs", lambda path: full if Path(path) == tmp_path else None)
    with pytest.raises(DiskError, match="its disk is full"):
        outputs.require_places(tmp_path / "new" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_was_put_in_its_place_is_noted(tmp_path):
    with outputs.noted() as written:
        write_file(tmp_path / "a", "x")
        write_folder(tmp_path / "run", x="0")  # its files are no outputs of their own
        with pytest.raises(InputError), output_path(tmp_path / "b"):
            raise OSError(28, "No space left on device")
    write_file(tmp_path / "c", "x")
    assert written == [tmp_path / "a", tmp_path / "run"]


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "home").touch()  # a read-only folder stops everybody but root
    with pytest.warns(UserWarning, match="nothing is kept in this cache: cannot be written"):
        outputs.write_cache(tmp_path / "home" / "cache" / "a", b"x")
    (tmp_path / "a").write_text("old")
    outputs.write_cache(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_the_record_names_what_was_written(tmp_path):
    write_file(tmp_path / "a", "abc")
    record = json.loads((tmp_path / RECORD).read_text())
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert record == {"kind": None, "files": {}, "added": {"a": [abc]}}


def test_what_cannot_be_a_place_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "taken" / RECORD).mkdir(parents=True)
    for path, kind, cause in [
        (".", "frames", "the current folder"),
        ("", "frames", "the current folder"),
        ("sub/..", "frames", "the current folder"),
        ("..", "frames", "the current folder, or holds it"),
        ("/proc", "frames", "a mount point"),
        ("a\0b", None, "remove the NUL"),
        ("x" * 300, None, "cannot be written .File name too long"),
        ("taken/a", None, "a folder, where the record"),
        ("sub/..", None, "a folder, where a file is to be written"),
    ]:
        with pytest.raises(InputError, match=cause) as caught, output_path(path, kind=kind) as new:
            new.touch()
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sub", "taken"]


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(tmp_path, monkeypatch):
    write_folder(tmp_path / "run", x="ours")
    (tmp_path / "run" / "private").mkdir()

    def scandir(path, really=os.scandir):
        if Path(os.fsdecode(path)).name == "private":
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may list everything
    with pytest.raises(InputError, match="private: cannot be listed .Permission denied"):
        write_folder(tmp_path / "run", x="new")


@pytest.mark.parametrize("kind", [None, "frames"])
def test_a_part_that_fails_leaves_nothing_in_the_whole(tmp_path, kind):
    with output_path(tmp_path / "all", kind="frames") as folder:
        folder.mkdir()
        with output_path(folder / "sub" / "good") as part:
            part.write_text("good")
        with pytest.raises(ValueError), output_path(folder / "bad", kind=kind) as part:
            write_file(part, "half") if kind is None else part.mkdir()
            raise ValueError
    assert names(tmp_path / "all") == ["sub"] and names(tmp_path / "all" / "sub") == ["good"]


def test_parts_of_one_folder_are_written_at_the_same_time(tmp_path):
    def write(number):
        with output_path(folder / f"{number:03d}") as part:
            part.write_text(str(number))

    with output_path(tmp_path / "all", kind="frames") as folder, ThreadPoolExecutor(8) as threads:
        folder.mkdir()
        list(threads.map(write, range(400)))
    assert names(tmp_path / "all") == [f"{number:03d}" for number in range(400)]
