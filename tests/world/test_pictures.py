"""Single pictures: reproducible one by one, and true to what they say."""

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.data import images
from jaxvlm.world import language, pictures
from jaxvlm.world.vocabulary import (
    ATOMS,
    BACKGROUNDS,
    EVENT_ROLES,
    EVENTS,
    FAVOURITE_BACKGROUND,
    OBJECTS,
)
from tests.listing import visible

SEED = 7


@pytest.fixture(scope="module")
def gallery() -> list[pictures.Picture]:
    return list(pictures.pictures(SEED, 80))


def at_first_sight(things) -> set[str]:
    """Events a picture may be called by: a direct atom, or two different indirect ones."""
    return {
        event
        for event, roles in EVENT_ROLES.items()
        if any(thing in roles.direct for thing in things)
        or sum(atom in things for atom in roles.indirect) >= 2
    }


def may_be_said(picture) -> set[str]:
    things = set(picture.things)
    return things | {picture.background, picture.lighting} | at_first_sight(things)


def test_every_picture_can_be_made_alone(gallery):
    (alone,) = pictures.pictures(SEED, 1, first=17)
    np.testing.assert_array_equal(alone.image, gallery[17].image)
    np.testing.assert_array_equal(alone.concept_map, gallery[17].concept_map)
    assert alone[1:4] == gallery[17][1:4]


def test_another_seed_gives_other_pictures(gallery):
    others = pictures.pictures(SEED + 1, 5)
    for one, other in zip(gallery, others, strict=False):
        assert one.image.shape != other.image.shape or (one.image != other.image).any()


def test_pictures_are_of_many_sizes_places_and_things(gallery):
    sides = {picture.image.shape[0] for picture in gallery}
    assert min(sides) >= 64 and max(sides) <= 128 and len(sides) > 15
    assert all(p.image.shape == (len(p.image), len(p.image), 3) for p in gallery)
    assert {picture.background for picture in gallery} == set(BACKGROUNDS)
    assert {picture.lighting for picture in gallery} == set(language.LIGHTING)
    assert {0, 1, 2, 3} <= {len(picture.things) for picture in gallery}
    shown = {thing for picture in gallery for thing in picture.things}
    assert shown <= {*ATOMS, *OBJECTS} and len(shown & set(ATOMS)) > 25


def test_the_concept_map_shows_the_visible_things_and_the_background(gallery):
    index = {name: k for k, name in enumerate(pictures.concepts())}
    for picture in gallery:
        assert picture.concept_map.shape == picture.image.shape[:2]
        found = set(np.unique(picture.concept_map)) - {-1}
        things = {index[thing] for thing in picture.things}
        assert things <= found <= things | {index[picture.background]}
    ignored = np.concatenate([picture.concept_map.ravel() for picture in gallery]) == -1
    assert 0 < ignored.mean() < 0.1  # occluders and things that are too covered


def test_the_concept_map_lies_where_the_thing_is():
    """Two renderings that differ by the thing alone differ inside its region."""
    with_dog, without = (
        pictures.random_picture(
            np.random.default_rng(3), things=[name], background="field", size=96
        )
        for name in ("dog", "cat")
    )
    dog = with_dog.concept_map == pictures.concepts().index("dog")
    cat = without.concept_map == pictures.concepts().index("cat")
    changed = np.abs(with_dog.image.astype(int) - without.image).max(-1) > 60
    assert 0.02 < dog.mean() < 0.6
    assert changed[dog ^ cat].mean() > 0.4
    near = cv2.dilate((dog | cat).astype(np.uint8), np.ones((9, 9))) > 0  # JPEG blocks
    assert changed[~near].mean() < 0.01


def test_things_place_and_size_can_be_chosen():
    for seed in range(10):
        picture = pictures.random_picture(
            np.random.default_rng(seed), things=["dog", "fireball"], background="beach", size=72
        )
        assert picture.background == "beach" and picture.image.shape == (72, 72, 3)
        assert set(picture.things) <= {"dog", "fireball"}


@pytest.mark.parametrize(("spurious", "low", "high"), [(0.0, 0.0, 0.35), (1.0, 1.0, 1.0)])
def test_spurious_is_the_share_of_favourite_backgrounds(spurious, low, high):
    places = [
        pictures.random_picture(
            np.random.default_rng(seed), things=["cow"], size=64, spurious=spurious
        ).background
        for seed in range(30)
    ]
    share = np.mean([place == FAVOURITE_BACKGROUND["cow"] for place in places])
    assert low <= share <= high  # at random one in ten


def test_a_single_thing_is_large_and_in_the_frame():
    regions = []
    for seed in range(20):
        picture = pictures.random_picture(np.random.default_rng(seed), things=["bus"], size=64)
        assert picture.things == ("bus",)
        regions.append((picture.concept_map == pictures.concepts().index("bus")).mean())
    assert min(regions) > 0.03 and max(regions) > 0.2


def test_captions_name_only_what_is_true(gallery):
    rng = np.random.default_rng(0)
    events = eventful = 0
    for picture in gallery:
        allowed = may_be_said(picture)
        for _ in range(10):
            sentence, named = pictures.picture_caption(rng, picture)
            assert set(named) <= allowed and named
            for name in named:
                ways = (
                    name,
                    *language.PARAPHRASES.get(name, ()),
                    *language.EVENT_PARAPHRASES.get(name, ()),
                )
                assert any(words in sentence for words in ways), (sentence, name)
            if at_first_sight(picture.things):
                eventful += 1
                events += bool(set(named) & set(EVENTS))
    assert eventful > 100 and 0.15 < events / eventful < 0.35  # a quarter


def test_vectors_mark_exactly_the_names(gallery):
    names = pictures.concepts()
    assert len(names) == len(set(names)) == len(ATOMS) + len(OBJECTS) + len(BACKGROUNDS) + 3 + 6
    for picture in gallery[:40]:
        marked = {
            name for name, on in zip(names, pictures.truth_vector(picture), strict=True) if on
        }
        assert marked == may_be_said(picture)
    assert pictures.concept_vector(()).sum() == 0


def test_written_pictures_come_back_through_the_readers(tmp_path, gallery):
    table_path = pictures.write_pictures(tmp_path / "set", SEED, 4)
    assert table_path == tmp_path / "set" / "pictures.csv"
    files = images.list_images(tmp_path / "set")
    table = pd.read_csv(table_path, keep_default_na=False)
    assert table["file"].tolist() == [path.name for path in files]
    for path, row, picture in zip(files, table.itertuples(), gallery, strict=False):
        read = images.read_image(path)
        assert read.shape == picture.image.shape
        assert np.abs(read.astype(int) - picture.image).mean() < 5  # JPEG
        assert tuple(filter(None, row.things.split(";"))) == picture.things
        assert (row.background, row.lighting) == (picture.background, picture.lighting)
        assert row.caption


def test_writing_again_replaces_the_folder_whole(tmp_path):
    pictures.write_pictures(tmp_path / "set", SEED, 3)
    before = (tmp_path / "set" / "000000.jpg").read_bytes()
    pictures.write_pictures(tmp_path / "set", SEED, 2)
    assert visible(tmp_path) == ["set"]
    names = visible(tmp_path / "set")
    assert names == ["000000.jpg", "000001.jpg", "pictures.csv"]
    assert (tmp_path / "set" / "000000.jpg").read_bytes() == before
