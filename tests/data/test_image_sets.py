"""Sets of pictures: what is found, what a sample takes, and what is in two sets."""

import hashlib
import shutil

import pytest

from jaxvlm.data import image_sets
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError


def put(folder, *names):
    """Files that are named like pictures; the readers of sets open none."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def names(image_set):
    return [path.relative_to(image_set.root).as_posix() for path in image_set.paths]


def many(root, classes):
    """A set of class folders that needs no disk; classes: name -> number of pictures."""
    entries = [(root / name / f"{i}.jpg", name) for name, n in classes.items() for i in range(n)]
    paths, labels = zip(*entries, strict=True)
    return ImageSet("many", root, paths, labels)


def test_a_folder_of_pictures(tmp_path):
    folder = put(
        tmp_path / "set", "10.jpg", "9.png", "b.GIF", ".hidden.jpg", "list.txt", "c.tif", "d.ppm"
    )
    found = image_sets.read_image_set(folder)
    assert (found.name, found.root, found.labels) == ("set", folder, None)
    assert names(found) == ["9.png", "10.jpg", "b.GIF", "c.tif", "d.ppm"]
    assert image_sets.read_image_set(folder, name="mine").name == "mine"


def test_class_folders(tmp_path):
    put(tmp_path, "n10/a.jpg", "n9/deep/er/2.jpg", "n9/10.jpg", "n9/.x/1.jpg", ".git/a.jpg")
    put(tmp_path, "readme.md", "empty/readme.md")
    found = image_sets.read_image_set(tmp_path)
    assert names(found) == ["n9/10.jpg", "n9/deep/er/2.jpg", "n10/a.jpg"]
    assert found.labels == ("n9", "n9", "n10")


@pytest.mark.parametrize("content", ["a b/1.jpg 3\n\nc.jpg -1\n", "\ufeffa b/1.jpg  3\r\nc.jpg -1"])
def test_a_list_with_labels(tmp_path, content):
    put(tmp_path, "a b/1.jpg", "c.jpg", "not_listed.jpg")
    (tmp_path / "test_set.txt").write_bytes(content.encode())
    found = image_sets.read_image_set(tmp_path / "test_set.txt")
    assert found.name == "test_set" and names(found) == ["a b/1.jpg", "c.jpg"]
    assert found.labels == ("3", "-1")


def test_a_list_without_labels_keeps_its_order_and_what_is_missing(tmp_path):
    put(tmp_path / "pictures", "b 2.jpg", "a.png")
    (tmp_path / "list.txt").write_text("b 2.jpg\ngone.jpg\na.png\n")
    found = image_sets.read_image_set(tmp_path / "list.txt", root=tmp_path / "pictures")
    assert names(found) == ["b 2.jpg", "gone.jpg", "a.png"] and found.labels is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no picture in this list; write a line"),
        ("a.jpg 0\nb.jpg\n", "line 2: some lines have a label and some have none"),
        ("a.jpg\nb.jpg 1\n", "line 2: some lines have a label and some have none"),
        ("a.jpg 0\n\na.jpg 1\n", "line 3: a.jpg stands already in line 1; remove one"),
        ("x.jpg 0\ny.jpg 1\n", r"none of the 2 pictures is below .*x.jpg\); give the list's root"),
    ],
)
def test_bad_lists(tmp_path, content, message):
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(InputError, match=message) as error:
        image_sets.read_image_set(tmp_path / "list.txt")
    assert "\n" not in str(error.value)


def test_a_list_with_its_root_behind_an_at(tmp_path):
    put(tmp_path / "pictures", "a b/1.jpg", "2.jpg")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "test.txt").write_text("a b/1.jpg 3\n2.jpg 0\n")
    found = image_sets.read_image_set(f"{tmp_path}/lists/test.txt@{tmp_path}/pictures")
    assert (found.name, found.root) == ("test", tmp_path / "pictures")
    assert names(found) == ["a b/1.jpg", "2.jpg"] and found.labels == ("3", "0")
    # A file whose name has an @ is that file.
    shutil.copy(tmp_path / "lists" / "test.txt", tmp_path / "pictures" / "list@home.txt")
    found = image_sets.read_image_set(tmp_path / "pictures" / "list@home.txt")
    assert (found.name, len(found.paths)) == ("list@home", 2)
    with pytest.raises(InputError, match="give the list's root folder, as in test.txt@ROOT"):
        image_sets.read_image_set(tmp_path / "lists" / "test.txt")


def test_a_list_of_openood_finds_the_pictures_where_openood_keeps_them(tmp_path):
    put(tmp_path / "data" / "images_largescale", "inaturalist/images/1.jpg")
    put(tmp_path / "data" / "images_classic", "cifar10/test/cat/2.png")
    lists = tmp_path / "data" / "benchmark_imglist"
    for folder, line in (
        ("imagenet", "inaturalist/images/1.jpg -1"),
        ("cifar10", "cifar10/test/cat/2.png 3"),
    ):
        (lists / folder).mkdir(parents=True)
        (lists / folder / "test.txt").write_text(line + "\n")
    found = image_sets.read_image_set(lists / "imagenet" / "test.txt")
    assert names(found) == ["inaturalist/images/1.jpg"] and found.labels == ("-1",)
    assert found.root == tmp_path / "data" / "images_largescale"
    found = image_sets.read_image_set(lists / "cifar10" / "test.txt")
    assert names(found) == ["cifar10/test/cat/2.png"] and found.labels == ("3",)


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder, list or tar; check"):
        image_sets.read_image_set(tmp_path / "nowhere")
    (tmp_path / "cat").mkdir()
    with pytest.raises(InputError, match="no picture in this folder or below it .*; fill it"):
        image_sets.read_image_set(tmp_path)
    put(tmp_path, "cat/1.jpg", "loose.jpg")
    with pytest.raises(InputError, match=r"pictures and folders with pictures \(loose.jpg, cat/\)"):
        image_sets.read_image_set(tmp_path)
    (tmp_path / "image.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="is not UTF-8; give a list of pictures"):
        image_sets.read_image_set(tmp_path / "image.txt")


def test_a_sample_is_balanced_and_keeps_order(tmp_path):
    full = many(tmp_path, {"a": 50, "b": 3, "c": 50})

    def counts(taken):
        return [taken.labels.count(name) for name in "abc"]

    assert counts(image_sets.sample(full, samples_per_class=5)) == [5, 3, 5]
    assert counts(image_sets.sample(full, max_images=40))[1] == 3  # all that there are
    assert sorted(counts(image_sets.sample(full, max_images=40))) == [3, 18, 19]
    assert counts(image_sets.sample(full, samples_per_class=5, max_images=9)) == [3, 3, 3]
    assert image_sets.sample(full) == full == image_sets.sample(full, max_images=1000)
    taken = image_sets.sample(full, max_images=30)
    assert list(taken.paths) == [p for p in full.paths if p in set(taken.paths)]
    assert all(p.parent.name == label for p, label in zip(taken.paths, taken.labels, strict=True))


def test_a_sample_depends_on_names_and_seed_alone(tmp_path):
    full = many(tmp_path / "x", {"a": 30, "b": 30})
    elsewhere = many(tmp_path / "other" / "disk", {"b": 30, "a": 30, "c": 9})
    taken = image_sets.sample(full, samples_per_class=6)
    moved = image_sets.sample(elsewhere, samples_per_class=6)
    assert set(names(taken)) < set(names(moved))
    others = image_sets.sample(full, samples_per_class=6, seed=1)
    assert names(others) != names(taken)
    larger = image_sets.sample(full, samples_per_class=7)
    assert set(taken.paths) < set(larger.paths)


def test_every_picture_is_as_likely_as_any_other(tmp_path):
    full = many(tmp_path, {"a": 10})._replace(labels=None)
    hits = dict.fromkeys(full.paths, 0)
    for seed in range(400):
        for path in image_sets.sample(full, max_images=3, seed=seed).paths:
            hits[path] += 1
    # 120 expected, standard deviation 9.2
    assert min(hits.values()) > 85 and max(hits.values()) < 155


def test_bad_samples(tmp_path):
    full = many(tmp_path, {"a": 2})
    for option in ("samples_per_class", "max_images"):
        with pytest.raises(InputError, match=f"{option}: 0 pictures; ask for 1 or more"):
            image_sets.sample(full, **{option: 0})
    with pytest.raises(InputError, match="many: samples_per_class needs classes"):
        image_sets.sample(full._replace(labels=None), samples_per_class=1)


def test_content_hashes(tmp_path):
    put(tmp_path, "a", "b")
    assert image_sets.content_hashes([tmp_path / "b", tmp_path / "gone", tmp_path / "a"]) == [
        hashlib.sha256(b"b").hexdigest(),
        None,
        hashlib.sha256(b"a").hexdigest(),
    ]


def test_a_picture_in_both_worlds_is_found_by_its_bytes(tmp_path):
    for folder in ("id", "sun", "places"):
        put(tmp_path / folder, "own_of_" + folder + ".jpg", "both.jpg")
    (tmp_path / "id" / "both.jpg").write_bytes(b"the same")
    (tmp_path / "places" / "renamed.jpg").write_bytes(b"the same")
    (tmp_path / "sun" / "both.jpg").write_bytes(b"the size")
    (tmp_path / "places" / "both.jpg").write_bytes(b"")
    (tmp_path / "places" / "own_of_places.jpg").unlink()
    (tmp_path / "places" / "own_of_sun.jpg").write_bytes(b"own_of_sun.jpg")  # two OOD sets: fine
    sets = [image_sets.read_image_set(tmp_path / folder) for folder in ("id", "sun", "places")]
    assert image_sets.duplicates(sets) == [
        image_sets.Duplicate(
            hashlib.sha256(b"the same").hexdigest(),
            tmp_path / "id" / "both.jpg",
            tmp_path / "places" / "renamed.jpg",
            "places",
        )
    ]
    assert image_sets.duplicates(sets[:2]) == image_sets.duplicates(sets[:1]) == []


def test_a_folder_given_for_both_is_all_duplicates(tmp_path):
    found = image_sets.read_image_set(put(tmp_path, "1.jpg", "2.jpg"))
    twice = image_sets.duplicates([found, found._replace(name="again")])
    assert [d.id_path.name for d in twice] == ["1.jpg", "2.jpg"]
    assert all(d.id_path == d.ood_path and d.ood_name == "again" for d in twice)
