"""Names as parts of paths, and names that nothing has."""

import pytest

from jaxvlm import names
from jaxvlm.errors import InputError
from jaxvlm.pictures import sets
from jaxvlm.video import pipeline, scored_folder


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc", "a/b", "..", ".", "", "a\\b", "a\0b", "a" * 201, "ä" * 101]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(InputError, match="cannot be a file's") as caught:
        names.part_of_path(name, "here")
    message = str(caught.value)
    assert message.startswith("here: ") and "\0" not in message and len(message) < 300


@pytest.mark.parametrize(
    "name", ["a", "...", ".hidden", "a b", "ä" * 100, "a..b", "\udcff", "con:x"]
)
def test_other_names_stay(name):
    assert names.part_of_path(name, "here") == name


def test_the_name_of_a_set_stays_in_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"the name '\.\./\.\.' cannot be"):
        sets.read_set(f"../../evil={tmp_path}")
    evil = sets.listed_set([tmp_path / "a.jpg"], name="../evil")
    with pytest.raises(InputError, match="a set of pictures: the name '../evil' cannot be"):
        sets.check_sets([evil], [evil._replace(name="good")])


def test_ids_that_no_video_has_are_told_with_the_nearest():
    known = ["clip_1", "clip_2", "street"]
    assert names.unmatched("a.csv", ["clip_1", "street"], known) is None
    line = names.unmatched("a.csv", ["clip-1", "clip_2", "xyz"], known)
    assert line == "a.csv: no such video here: 'clip-1' (did you mean 'clip_1'?), 'xyz'"
    line = names.unmatched("a.csv", ["q1", "q2", "q3", "q4", "q5"], known)
    assert line.endswith("'q1', 'q2', 'q3' and 2 more")


@pytest.mark.parametrize("name", ["run.json", "report.html", ".", ".."])
def test_a_video_called_like_a_result_is_refused(name):
    with pytest.raises(InputError, match=f"v.mp4: its results would be called '{name}', which is"):
        names.free_name(name, "v.mp4")
    assert names.free_name("run.jso", "v.mp4") == "run.jso"


def test_an_id_is_named_whole_or_by_its_last_part_where_that_is_one():
    ids = ["cam1/a", "cam2/a", "cam1/b", "c", "x/d"]
    given = ["cam1/a", "a", "b", "c", "y/c", "y/d", "e"]
    assert names.match_ids(given, ids) == {"cam1/a": "cam1/a", "b": "cam1/b", "c": "c"}
    assert names.match_ids(["cam9/a"], ["a"]) == {"cam9/a": "a"}
    assert names.match_ids(["cam1/a", "cam2/a"], ["a"]) == {}
    assert names.match_ids(["a", "cam1/a"], ["cam1/a"]) == {"cam1/a": "cam1/a"}
    assert names.unmatched("t.csv", ["b"], ids) is None
    assert "'a'" in names.unmatched("t.csv", ["a"], ids)


@pytest.mark.parametrize("name", ["run.json", "cam/run.json", "run.json/a", "..", "a/../b", ""])
def test_an_id_takes_no_name_that_is_taken(name):
    assert names.free_name("cam/a", "x.mp4") == "cam/a"
    with pytest.raises(InputError, match="x.mp4: .*taken"):
        names.free_name(name, "x.mp4")


def test_what_the_programs_write_is_no_video_s_name():
    """Of any of them, so that extract-frames takes no name that score-video refuses."""
    written = {*scored_folder.TOP, *scored_folder.OF_VIDEO, *pipeline.WRITTEN}
    assert written <= names.OF_RESULTS


def test_one_is_no_plural():
    counts = [names.number_of(count, "scored frame") for count in (0, 1, 2, 1500)]
    assert counts == ["0 scored frames", "1 scored frame", "2 scored frames", "1500 scored frames"]
