"""The rendered benchmark: what each set may show, true masks, the same bytes every time."""

import collections

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.data import image_sets, images
from jaxvlm.errors import InputError
from jaxvlm.world import ood_pictures, pictures
from jaxvlm.world.ood_pictures import ID_CLASSES, SETS, UNSEEN_CLASSES
from jaxvlm.world.vocabulary import BACKGROUNDS, FAVOURITE_BACKGROUND, OBJECTS
from tests.listing import visible

COUNT = 30


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """The benchmark on disk, drawn by this process."""
    folder = tmp_path_factory.mktemp("ood") / "benchmark"
    table = ood_pictures.write_ood_benchmark(folder, seed=3, count=COUNT, workers=1)
    assert table == folder / "truth.csv"
    return folder


@pytest.fixture(scope="module")
def truth(benchmark):
    return pd.read_csv(benchmark / "truth.csv", keep_default_na=False)


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_split_shares_backgrounds_and_leaves_some_free():
    assert len(ID_CLASSES) == len(UNSEEN_CLASSES) == 14
    assert sorted(ID_CLASSES + UNSEEN_CLASSES) == list(OBJECTS)
    favourites = {FAVOURITE_BACKGROUND[name] for name in ID_CLASSES}
    assert favourites == set(BACKGROUNDS) - {"hallway", "night street", "subway station"}
    assert favourites <= {FAVOURITE_BACKGROUND[name] for name in UNSEEN_CLASSES}


def test_what_each_set_shows(truth):
    assert truth["set"].value_counts().to_dict() == dict.fromkeys(SETS, COUNT)
    favourites = {FAVOURITE_BACKGROUND[name] for name in ID_CLASSES}
    for row in truth.itertuples():
        own = FAVOURITE_BACKGROUND.get(row.thing)
        match row.set:
            case "id":
                assert row.thing in ID_CLASSES and row.background == own
            case "id_rare":
                assert row.thing in ID_CLASSES and row.background != own
            case "ood_unseen":
                assert row.thing in UNSEEN_CLASSES and row.background not in favourites
            case "ood_spurious":
                assert row.thing in UNSEEN_CLASSES and row.background in favourites
            case "ood_empty":
                assert row.thing == "" and row.area == 0
    rare = truth[truth["set"] == "id_rare"]["background"]
    assert set(rare) & favourites and set(rare) - favourites
    empty = truth[truth["set"] == "ood_empty"]["background"].value_counts()
    assert empty.to_dict() == dict.fromkeys(BACKGROUNDS, COUNT // 10)


def test_classes_take_turns(truth):
    for name, classes in (("id", ID_CLASSES), ("ood_unseen", UNSEEN_CLASSES)):
        shown = truth[truth["set"] == name]["thing"].value_counts()
        assert set(shown.index) == set(classes) and set(shown) == {2, 3}


def test_spurious_backgrounds_are_as_frequent_as_in_id():
    expected = collections.Counter(FAVOURITE_BACKGROUND[name] for name in ID_CLASSES)
    places = ood_pictures._backgrounds("ood_spurious", "cat")
    assert collections.Counter(places) == expected


def test_folders_are_sets_that_the_readers_know(benchmark, truth):
    for name in SETS:
        found = image_sets.read_image_set(benchmark / name)
        rows = truth[truth["set"] == name]
        written = {benchmark / file for file in rows["file"]}
        assert set(found.paths) == written and len(found.paths) == COUNT
        shown = rows["thing"].where(rows["thing"] != "", rows["background"])
        assert set(found.labels) == set(shown)
        assert [file.split("/")[1] for file in rows["file"]] == shown.tolist()
    names = (benchmark / "class_names.txt").read_text().splitlines()
    assert names == list(ID_CLASSES)


def test_masks_are_the_object(benchmark, truth):
    for row in truth.itertuples():
        image = images.read_image(benchmark / row.file)
        path = benchmark / "masks" / row.file.replace(".jpg", ".png")
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (64, 64, 3) and mask.shape == (64, 64)
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        assert np.isclose((mask == 255).mean(), row.area, rtol=1e-5)
        assert (row.area > 0.005) == (row.thing != "")


def test_a_pole_in_front_is_not_part_of_the_object():
    drawn = [ood_pictures.ood_picture("id_rare", index) for index in range(20)]
    covered = [d for d in drawn if (d.picture.concept_map == -1).any()]
    assert covered
    for one in covered:
        assert one.mask.any() and not one.mask[one.picture.concept_map == -1].any()
        shown = pictures.concepts().index(one.picture.background)
        assert not one.mask[one.picture.concept_map == shown].any()


def test_every_picture_can_be_made_alone(benchmark, truth):
    row = truth[truth["set"] == "ood_spurious"].iloc[17]
    alone = ood_pictures.ood_picture("ood_spurious", 17, seed=3)
    assert (alone.thing, alone.picture.background) == (row["thing"], row["background"])
    read = images.read_image(benchmark / row["file"])
    assert np.abs(read.astype(int) - alone.picture.image).mean() < 5  # JPEG


def test_a_hidden_object_is_drawn_again(monkeypatch):
    original, calls = ood_pictures.random_picture, []

    def hides_it_twice(rng, **options):
        picture = original(rng, **options)
        calls.append(picture)
        return picture._replace(things=()) if len(calls) < 3 else picture

    monkeypatch.setattr(ood_pictures, "random_picture", hides_it_twice)
    drawn = ood_pictures.ood_picture("id", 0)
    assert drawn.picture is calls[-1] and drawn.mask.any()
    assert len(calls) >= 3 and not np.array_equal(calls[0].image, calls[2].image)


def test_no_stream_is_shared_with_training_or_between_sets(monkeypatch):
    def first_numbers(rng):
        return tuple(rng.integers(2**63, size=2).tolist())

    streams = []

    def remember(rng, **options):
        streams.append(first_numbers(rng))
        return original(rng, **options)

    original = ood_pictures.random_picture
    monkeypatch.setattr(ood_pictures, "random_picture", remember)
    for name in SETS:
        for index in range(4):
            ood_pictures.ood_picture(name, index)
    assert len(set(streams)) == len(streams) >= 4 * len(SETS)
    training = {
        first_numbers(np.random.default_rng((seed, *rest)))
        for seed in (0, 1_000_003)  # training's pictures, and those that measure it
        for index in range(500)
        for rest in ((index,), (index, 1))
    }
    assert not training & set(streams)


def test_same_bytes_with_processes_and_again(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(ood_pictures, "_CHUNK", 16)
    ood_pictures.write_ood_benchmark(tmp_path / "again", seed=3, count=COUNT, workers=2)
    assert files_of(tmp_path / "again") == files_of(benchmark)


def test_another_seed_and_another_size(tmp_path, benchmark):
    folder = tmp_path / "other"
    ood_pictures.write_ood_benchmark(folder, seed=4, count=1, size=96, workers=1)
    assert len(list(folder.glob("*/*/*.jpg"))) == len(SETS)
    assert images.read_image(folder / "id/airplane/000000.jpg").shape == (96, 96, 3)
    one, other = (ood_pictures.ood_picture("id", 0, seed=s).picture.image for s in (3, 4))
    assert not np.array_equal(one, other)


def test_the_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    ood_pictures.write_ood_benchmark(tmp_path / "set", count=1, workers=1)
    before = files_of(tmp_path / "set")

    def full_disk(path, *rest):
        raise OSError("disk full")

    monkeypatch.setattr(ood_pictures, "_write", full_disk)
    with pytest.raises(OSError, match="disk full"):
        ood_pictures.write_ood_benchmark(tmp_path / "set", count=2, workers=1)
    assert files_of(tmp_path / "set") == before
    assert visible(tmp_path) == ["set"]


def test_bad_numbers(tmp_path):
    with pytest.raises(InputError, match="num_pictures: 0 per set; ask for 1 or more"):
        ood_pictures.write_ood_benchmark(tmp_path / "x", count=0)
    with pytest.raises(InputError, match="size: 400 pixels; ask for 32 to 256"):
        ood_pictures.write_ood_benchmark(tmp_path / "x", count=1, size=400)
    assert not (tmp_path / "x").exists()
