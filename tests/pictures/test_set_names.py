"""Groups and names as a user writes them."""

import pytest

from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError
from jaxvlm.pictures.embedded import embedded_set
from jaxvlm.pictures.set_names import check_names, groups_of, split_name
from jaxvlm.pictures.sets import read_set, read_sets


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("near/ninco=data/ninco", ("near", "ninco", "data/ninco")),
        ("ninco=data/a=b", ("", "ninco", "data/a=b")),
        ("near/=data", ("near", "", "data")),
        ("data/ninco", ("", "", "data/ninco")),
    ],
)
def test_a_group_stands_before_the_name(source, parts):
    assert split_name(source) == parts


@pytest.mark.parametrize("source", ["../x=a", "near/..=a", "/x=a", "a/b/c=d", f"{'g' * 300}/x=a"])
def test_groups_and_names_that_lead_elsewhere_are_refused(source):
    with pytest.raises(InputError, match="cannot be a file's") as error:
        split_name(source)
    assert "\n" not in str(error.value)


@pytest.fixture
def folders(tmp_path):
    for name in ("a", "lr/x=1", "sun/images"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(b"")
    return tmp_path


def test_sets_know_their_group(folders, monkeypatch):
    monkeypatch.chdir(folders)
    found = read_sets(["near/one=a,two=a", "far/three=sun:sun", "far/sun:sun", "lr/x=1"])
    assert [(own.group, own.name) for own in found] == [
        ("near", "one"), ("", "two"), ("far", "three"), ("far", "sun"), ("", "x=1"),
    ]  # fmt: skip
    assert groups_of(found) == {"near": ["one"], "far": ["three", "sun"]}
    assert read_set("far/sun:sun", max_images=1).group == "far"
    rows = embedded_set([[1.0, 0.0]], "near/ninco")
    assert (rows.group, rows.name) == ("near", "ninco")
    with pytest.raises(InputError, match="far/other:sun: no such folder"):
        read_set("far/other:sun")


def named(name, group=""):
    return ImageSet(name, None, (), None, group=group)


@pytest.mark.parametrize(
    ("ids", "oods", "shifted", "says"),
    [
        (["a"], ["x/a"], [], "a: two sets of this name"),
        (["a"], ["x/b"], ["b"], "b: two sets of this name"),
        (["a"], ["x/b", "mean of x"], [], "mean of x: rows of the results are called so"),
        (["a"], ["pooled"], [], "pooled: rows of the results"),
        (["a"], ["mean of sets"], [], "mean of sets: rows of the results"),
        (["a"], ["b"], ["a, full spectrum"], "a, full spectrum: rows of the results"),
        (["a"], ["sets/b"], [], "sets: a group of this name"),
        (["x/a"], ["b"], [], "x/a: groups are of OOD sets"),
        (["a"], ["b"], ["x/c"], "x/c: groups are of OOD sets"),
    ],
)
def test_names_that_results_have_are_refused(ids, oods, shifted, says):
    sides = [[named(*reversed(text.rpartition("/")[::2])) for text in own]
             for own in (ids, oods, shifted)]  # fmt: skip
    with pytest.raises(InputError, match=says):
        check_names(*sides)
