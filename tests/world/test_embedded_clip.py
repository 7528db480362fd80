"""The embedded encoder: how it is made, measured and stored, and the one that is shipped."""

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.clip.architecture import expected_shapes
from jaxvlm.world import embedded_clip, language
from jaxvlm.world.bpe import train_tokenizer
from jaxvlm.world.pictures import random_picture
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, EVENTS, OBJECTS
from tests.listing import visible

MEGABYTES_8 = 8 * 2**20


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(language.corpus(np.random.default_rng(0), 800))


@pytest.fixture(scope="module")
def shipped():
    return clip.load(resources.path("checkpoints/clip"))


def test_the_architecture_is_small_and_fits_its_tokenizer(tokenizer):
    config = embedded_clip.clip_config(tokenizer)
    vision, text = config.vision_config, config.text_config
    assert (vision.image_size, vision.patch_size) == (64, 8)
    assert vision.num_attention_heads * 16 <= vision.hidden_size
    assert text.vocab_size == tokenizer.get_vocab_size()
    assert text.max_position_embeddings == 77
    assert text.eos_token_id == tokenizer.token_to_id("<|endoftext|>") != 2
    numbers = sum(int(np.prod(shape)) for shape in expected_shapes(config).values())
    assert 2 * numbers < MEGABYTES_8 / 2  # float16


def test_what_is_saved_loads_as_it_was_in_float16(tokenizer, tmp_path):
    config = embedded_clip.clip_config(tokenizer)
    rng = np.random.default_rng(1)
    flat = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in expected_shapes(config).items()
    }
    params = clip.model.unflatten_dict(flat, sep=".")
    embedded_clip.save_embedded(tmp_path / "clip", params, tokenizer)
    model = clip.load(tmp_path / "clip")
    loaded = clip.model.flatten_dict(model.params, sep=".")
    assert set(loaded) == set(flat)
    for name, array in flat.items():
        np.testing.assert_array_equal(loaded[name], array.astype(np.float16).astype(np.float32))
    assert visible(tmp_path) == ["clip"]
    text = "a dog on a road"
    assert model.tokenizer.encode(text).ids == tokenizer.encode(text).ids


CONCEPTS = (*ATOMS, *OBJECTS, *BACKGROUNDS)


class _World:
    """Pictures that need no rendering, and an encoder that knows or misreads every one."""

    def __init__(self, knows: float):
        self.knows = knows
        self.seed = None

    def pictures(self, seed, count):
        self.seed = seed if self.seed is None else self.seed
        rng = np.random.default_rng(0)
        for index in range(count):
            names = ATOMS if index % 2 else OBJECTS
            chosen = rng.choice(len(names), 1 + index % 3, replace=False)
            yield embedded_clip.Picture(
                np.zeros((1, 1, 3)),
                tuple(names[i] for i in chosen),
                BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
                "bright",
                np.zeros((1, 1)),
            )

    def encode_image_stream(self, model, images):
        shown = list(self.pictures(0, len(images)))
        truth = [[name in (*p.things, p.background) for name in CONCEPTS] for p in shown]
        return 3.0 * (0.1 + self.knows * np.array(truth, np.float32)), []

    def embed_prompts(self, model, names, templates):
        return np.eye(len(CONCEPTS), dtype=np.float32)[[CONCEPTS.index(name) for name in names]]


@pytest.mark.parametrize(("knows", "accuracy"), [(1.0, 1.0), (-1.0, 0.0)])
def test_the_measure_of_an_encoder_that_knows_all_or_the_opposite(monkeypatch, knows, accuracy):
    world = _World(knows)
    monkeypatch.setattr(embedded_clip, "pictures", world.pictures)
    monkeypatch.setattr(embedded_clip.clip, "encode_image_stream", world.encode_image_stream)
    monkeypatch.setattr(embedded_clip.clip, "embed_prompts", world.embed_prompts)
    result = embedded_clip.evaluate_embedded(None, count=90, seed=5)
    assert result["pictures"] == 90
    assert result["atoms"] == result["objects"] == result["backgrounds"] == accuracy
    for kind, names in (("atoms", ATOMS), ("objects", OBJECTS)):
        precision = result[f"ap_of_{kind}"]
        assert set(precision) <= set(names) and len(precision) > 20
        np.testing.assert_allclose(result[f"ap_{kind}"], np.mean(list(precision.values())))
        assert (result[f"ap_{kind}"] == 1.0) == (knows > 0)
    # Training draws from the streams (seed, i); these are of another seed.
    assert world.seed != 5 and world.seed > 1000


def test_the_shipped_encoder_is_small_and_complete():
    folder = resources.path("checkpoints/clip")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < MEGABYTES_8
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
    } <= set(visible(folder))


def test_the_shipped_encoder_knows_the_names_a_person_tries_first(shipped):
    for name in (*ATOMS, *OBJECTS, *BACKGROUNDS, *EVENTS, "smoke", "fire", "a man with a pistol"):
        for word in name.split():
            assert len(shipped.tokenizer.encode(word).ids) - 2 <= 4, word


def test_the_shipped_encoder_recognises_things_and_places(shipped):
    """Far above chance (1 in 53, 28 and 10) on a few pictures; its README has the numbers."""
    pictures = [
        random_picture(np.random.default_rng((99, k)), things=[name], background=place, size=96)
        for k, (name, place) in enumerate(
            zip(
                (*ATOMS[::3], *OBJECTS[::3]),
                (*BACKGROUNDS, *BACKGROUNDS, *BACKGROUNDS),
                strict=False,
            )
        )
    ]
    shown = [picture for picture in pictures if picture.things]
    embeddings, failures = clip.encode_image_stream(shipped, [p.image for p in shown])
    assert not failures and len(shown) > 20

    def share_right(names, truth):
        prompts = clip.embed_prompts(shipped, names, ["a photo of {}", "a scene with {}"])
        return np.mean(
            [names[k] == t for k, t in zip((embeddings @ prompts.T).argmax(1), truth, strict=True)]
        )

    assert share_right((*ATOMS, *OBJECTS), [p.things[0] for p in shown]) > 0.4
    assert share_right(BACKGROUNDS, [p.background for p in shown]) > 0.5
