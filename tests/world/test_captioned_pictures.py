"""Training batches of rendered pictures: reproducible, true, and with maps that stay aligned."""

import itertools

import numpy as np
import pytest
from PIL import Image

from jaxvlm.clip import preprocessing
from jaxvlm.world import captioned_pictures, language, pictures
from jaxvlm.world.bpe import train_tokenizer
from jaxvlm.world.captioned_pictures import PATCH_CONCEPTS, PROMPTS, TEXT_LENGTH, Pictures

COUNT, SEED = 5, 3


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(language.corpus(np.random.default_rng(0), 800))


@pytest.fixture(scope="module")
def rendered(tokenizer):
    return captioned_pictures.render_pictures(SEED, COUNT, tokenizer, workers=1)


def test_rendered_pictures_are_those_of_the_seed(rendered):
    """Made in another process; here again one by one."""
    names = np.array([*pictures.concepts(), "nothing"])
    for index, picture in enumerate(pictures.pictures(SEED, COUNT)):
        resized = Image.fromarray(picture.image).resize((64, 64), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(rendered.images[index], resized)
        np.testing.assert_array_equal(rendered.truth[index], pictures.truth_vector(picture))
        for y, x in itertools.product((0, 9, 31, 63), (0, 17, 40, 63)):
            side = len(picture.image)
            name = names[picture.concept_map[y * side // 64, x * side // 64]]
            found = rendered.concept_maps[index, y, x]
            assert (PATCH_CONCEPTS[found] if found >= 0 else "nothing") == name


def test_captions_are_true_and_token_ids_are_theirs(rendered, tokenizer):
    assert rendered.token_ids.shape == (COUNT, 3, TEXT_LENGTH)
    assert rendered.token_ids.dtype == np.int32
    assert (rendered.named <= rendered.truth[:, None]).all() and rendered.named.any(-1).all()
    end = tokenizer.token_to_id("<|endoftext|>")
    concepts = pictures.concepts()
    for ids, named in zip(
        rendered.token_ids.reshape(-1, TEXT_LENGTH),
        rendered.named.reshape(-1, len(concepts)),
        strict=True,
    ):
        words = ids[1 : ids.tolist().index(end)]
        text = tokenizer.decode(words.tolist()).replace("</w>", " ").replace(" ", "")
        for name in itertools.compress(concepts, named):
            ways = (
                name,
                *language.PARAPHRASES.get(name, ()),
                *language.EVENT_PARAPHRASES.get(name, ()),
            )
            assert any(way.replace(" ", "") in text for way in ways), (text, name)


def test_pixel_values_are_those_of_the_encoder(rendered):
    """Training and encoding must prepare a 64-pixel picture alike."""
    prepared = captioned_pictures.normalise(rendered.images)
    settings = preprocessing.Preprocessing(64, 64)
    np.testing.assert_allclose(
        prepared, preprocessing.apply(settings, list(rendered.images)), atol=1e-6
    )
    assert prepared.flags.c_contiguous and prepared.dtype == np.float32


def test_a_patch_shows_what_its_inner_pixels_agree_on():
    maps = np.full((1, 64, 64), 7, np.int16)
    maps[0, :8, 8:16] = 3  # all of patch 1
    maps[0, 8:16, :4] = 4  # half of patch 8
    maps[0, 16, :] = maps[0, :, 23] = 5  # the rims of patches 16 … 23, and of column 2
    maps[0, 56:, 56:] = -1  # patch 63
    expected = np.full(64, 7)
    expected[[1, 8, 63]] = 3, -1, -1
    got = captioned_pictures.patch_concepts(maps)
    assert got.shape == (1, 64) and got.dtype == np.int32
    np.testing.assert_array_equal(got[0], expected)


def coded_pictures(count: int) -> Pictures:
    """Flat squares of 16 pixels whose colour is 10 times their concept; one name per picture."""
    rng = np.random.default_rng(4)
    maps = rng.integers(0, 20, (count, 4, 4)).repeat(16, 1).repeat(16, 2).astype(np.int16)
    images = np.broadcast_to(10 * maps[..., None], (*maps.shape, 3)).astype(np.uint8)
    truth = rng.integers(0, 2, (count, 9)).astype(np.uint8)
    named = truth[:, None] * rng.integers(0, 2, (count, 3, 9)).astype(np.uint8)
    ids = np.arange(count * 3 * 5, dtype=np.int32).reshape(count, 3, 5)
    return Pictures(images, maps, truth, ids, named)


def take(data, tokenizer, seed, number, batch_size=4):
    stream = captioned_pictures.batches(data, tokenizer, batch_size, seed)
    return list(itertools.islice(stream, number))


def test_an_epoch_shows_every_picture_once(tokenizer):
    data = coded_pictures(12)
    for epoch in range(2):
        batches = take(data, tokenizer, 0, 6)[3 * epoch : 3 * epoch + 3]
        first_ids = np.concatenate([batch.token_ids[:, 0] for batch in batches])
        assert sorted((first_ids // 15).tolist()) == list(range(12))
    assert {batch.pixel_values.shape for batch in batches} == {(4, 3, 64, 64)}


def test_batches_are_fixed_by_their_seed(tokenizer):
    data = coded_pictures(8)
    one, same, other = (take(data, tokenizer, seed, 4) for seed in (0, 0, 1))
    for a, b in zip(one, same, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    assert any((a.token_ids != b.token_ids).any() for a, b in zip(one, other, strict=True))


def test_every_caption_of_a_picture_is_used_and_describes_it(tokenizer):
    data = coded_pictures(8)
    seen = set()
    for batch in take(data, tokenizer, 1, 20):
        picture, caption = np.divmod(batch.token_ids[:, 0] // 5, 3)
        seen |= set(zip(picture.tolist(), caption.tolist(), strict=True))
        assert (np.diagonal(batch.described) == 1).all()
        for i, j in np.ndindex(4, 4):
            names = data.named[picture[j], caption[j]].astype(bool)
            assert batch.described[i, j] == data.truth[picture[i]][names].all()
    assert len(seen) == 24


def test_maps_move_with_their_pictures(tokenizer):
    """Mirrored and shifted by up to four pixels, a patch still shows its concept's colour."""
    data = coded_pictures(8)
    known = mirrored = 0
    pictures_seen = set()
    for batch in take(data, tokenizer, 2, 20):
        mean, std = (
            np.reshape(v, (3, 1, 1)) for v in (preprocessing.CLIP_MEAN, preprocessing.CLIP_STD)
        )
        colours = np.round(255 * (batch.pixel_values * std + mean))
        centres = colours[:, 0, 3::8, 3::8].reshape(4, 64)
        shown = batch.patch_concepts >= 0
        np.testing.assert_array_equal(centres[shown], 10 * batch.patch_concepts[shown])
        known += shown.sum()
        for picture, image in zip(batch.token_ids[:, 0] // 15, colours[:, 0], strict=True):
            pictures_seen.add(image.tobytes())
            mirrored += (image[8, 8] == data.images[picture, 8, 56, 0]) and (
                image[8, 8] != data.images[picture, 8, 8, 0]
            )
    assert known > 0.6 * 20 * 4 * 64
    assert mirrored > 15 and len(pictures_seen) > 60  # of 80


def test_prompts_name_the_patch_concepts_in_order(tokenizer):
    data = coded_pictures(4)
    used = set()
    for batch in take(data, tokenizer, 3, 12):
        sentence = tokenizer.decode(batch.prompt_ids[0].tolist(), skip_special_tokens=True)
        used.add(sentence)
        assert batch.prompt_ids.shape[0] == len(PATCH_CONCEPTS)
        ends = (batch.prompt_ids == tokenizer.token_to_id("<|endoftext|>")).argmax(1)
        assert (ends < batch.prompt_ids.shape[1]).all() and (ends > 1).all()
        for k in (0, 17, len(PATCH_CONCEPTS) - 1):
            words = tokenizer.decode(batch.prompt_ids[k].tolist(), skip_special_tokens=True)
            assert PATCH_CONCEPTS[k].replace(" ", "") in words.replace("</w>", "").replace(" ", "")
    assert len(used) == len(PROMPTS)
