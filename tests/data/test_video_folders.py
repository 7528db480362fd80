"""Which files of a folder are videos, and what is told of the others."""

import pytest

from jaxvlm.data import videos
from jaxvlm.errors import InputError
from tests.data import encoded


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return encoded.write(tmp_path_factory.mktemp("video") / "v.mp4").read_bytes()


def fill(folder, names, content):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_suffixes_of_any_case_are_found_and_the_rest_is_counted(tmp_path, video):
    names = [
        f"v{i}{suffix}"
        for i, suffix in enumerate(
            ".mpg .ts .mts .m2ts .flv .wmv .webm .3gp .MP4 .AvI .MOV .m4v .mkv .vob .ogv".split()
        )
    ]
    fill(
        tmp_path,
        [*names, "notes.txt", "b.TXT", "sub/c.jpg", "README", "._v.mp4", ".git/d.mp4"],
        video,
    )
    said = []
    found = videos.find_videos(tmp_path, say=said.append)
    assert [path.name for path in found] == names
    assert said == [f"{tmp_path}: left out, no video: 4 files: .jpg (1), .txt (2), no suffix (1)"]
    (tmp_path / "only").mkdir()
    fill(tmp_path / "only", ["a.mp4"], video)
    said.clear()
    assert len(videos.find_videos(tmp_path / "only", say=said.append)) == 1 and said == []


def test_linked_folders_are_followed_and_loops_are_harmless(tmp_path, video):
    fill(tmp_path, ["elsewhere/a.mp4", "in/b.mp4"], video)
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    found = videos.find_videos(tmp_path / "in")
    # A link that leads nowhere is not left out in silence: reading it says what is wrong.
    assert sorted(path.name for path in found) == ["a.mp4", "b.mp4", "gone.mp4"]
    result = videos.extract_folder(tmp_path / "in", tmp_path / "out")
    assert len(result.done) == 2 and len(result.failures) == 1 and "gone.mp4" in result.failures[0]


def test_extraction_of_a_mixed_folder(tmp_path, video):
    fill(tmp_path / "in", ["a.mp4", "b.MTS", "c.txt"], video)
    fill(tmp_path / "in", ["d.mp4"], b"no video")
    result = videos.extract_folder(tmp_path / "in", tmp_path / "out")
    assert [(f.folder.name, f.frames) for f in result.done] == [("a", 3), ("b", 3)]
    assert len(result.failures) == 1 and "d.mp4: no video that can be opened" in result.failures[0]


def test_a_folder_of_other_files_is_refused(tmp_path, video):
    fill(tmp_path, ["a.txt", "b.gif"], video)
    with pytest.raises(InputError, match="no video in this folder"):
        videos.find_videos(tmp_path)
