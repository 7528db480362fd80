"""Pictures of the rendered world as batches for contrastive training."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from jaxvlm.clip.preprocessing import CLIP_MEAN, CLIP_STD
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.world import language
from jaxvlm.world.bpe import token_ids
from jaxvlm.world.clip_training import ContrastiveBatch, described_by
from jaxvlm.world.pictures import (
    concept_vector,
    concepts,
    picture_caption,
    random_picture,
    truth_vector,
)
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, OBJECTS
from jaxvlm.world.workers import spread

IMAGE_SIZE = 64
PATCH_SIZE = 8
TEXT_LENGTH = 24  # tokens; one caption in a hundred is longer than 20, the longest has 27
PROMPT_LENGTH = 11
CAPTIONS_PER_PICTURE = 3

# What a patch can show: the concepts with a place in the picture.
PATCH_CONCEPTS = (*ATOMS, *OBJECTS, *BACKGROUNDS)
PROMPTS = ("a photo of {}", "{}", "a surveillance picture of {}", "a scene with {}")


class Pictures(NamedTuple):
    """Rendered training data; N pictures, K concepts.

    images [N,S,S,3] uint8; concept_maps [N,S,S] int16; truth [N,K] uint8;
    token_ids [N,3,L] int32; named [N,3,K] uint8.
    """

    images: np.ndarray
    concept_maps: np.ndarray
    truth: np.ndarray
    token_ids: np.ndarray
    named: np.ndarray


def render_pictures(
    seed: int,
    count: int,
    tokenizer: Tokenizer,
    *,
    on_progress: Progress = ignore,
    workers: int | None = None,
) -> Pictures:
    """Renders ``count`` captioned pictures; the same seed gives the same bytes."""
    chunk = 250
    jobs = [(seed, first, min(chunk, count - first)) for first in range(0, count, chunk)]
    with spread(_render_chunk, jobs, workers=workers) as rendered:
        parts = list(counted(rendered, on_progress, "render pictures", len(jobs)))
    images, maps, truth, sentences, named = (
        [item for part in parts for item in part[field]] for field in range(5)
    )
    flat = [sentence for group in sentences for sentence in group]
    ids = token_ids(tokenizer, flat, TEXT_LENGTH).reshape(count, CAPTIONS_PER_PICTURE, -1)
    return Pictures(np.stack(images), np.stack(maps), np.stack(truth), ids, np.stack(named))


def batches(
    pictures: Pictures,
    tokenizer: Tokenizer,
    batch_size: int,
    seed: int,
) -> Iterator[ContrastiveBatch]:
    """Endless shuffled batches, mirrored and shifted at random, one caption per picture."""
    rng = np.random.default_rng(seed)
    prompt_ids = [
        token_ids(
            tokenizer,
            [prompt.format(language.with_article(name)) for name in PATCH_CONCEPTS],
            TEXT_LENGTH,
        )
        for prompt in PROMPTS
    ]
    count = len(pictures.images)
    while True:
        order = rng.permutation(count)
        for first in range(0, count - batch_size + 1, batch_size):
            rows = np.sort(order[first : first + batch_size])
            which = rng.integers(CAPTIONS_PER_PICTURE, size=batch_size)
            images, maps = _augment(rng, pictures.images[rows], pictures.concept_maps[rows])
            yield ContrastiveBatch(
                normalise(images),
                pictures.token_ids[rows, which],
                described_by(pictures.truth[rows], pictures.named[rows, which]),
                prompt_ids[rng.integers(len(prompt_ids))],
                patch_concepts(maps),
            )


def normalise(images: np.ndarray) -> np.ndarray:
    """[N,H,W,3] uint8 -> CLIP's [N,3,H,W] float32."""
    scaled = (images.astype(np.float32) / 255.0 - np.float32(CLIP_MEAN)) / np.float32(CLIP_STD)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def patch_concepts(maps: np.ndarray) -> np.ndarray:
    """[N,S,S] concept maps -> [N,P]: what a patch shows if its inner pixels agree, else −1."""
    quarter = PATCH_SIZE // 4
    low, high = maps[:, quarter::PATCH_SIZE], maps[:, PATCH_SIZE - 1 - quarter :: PATCH_SIZE]
    corners = np.stack(
        [
            half[:, :, start::PATCH_SIZE]
            for half in (low, high)
            for start in (quarter, PATCH_SIZE - 1 - quarter)
        ]
    )
    agreed = (corners == corners[0]).all(0)
    return np.where(agreed, corners[0], -1).reshape(len(maps), -1).astype(np.int32)


def _augment(
    rng: np.random.Generator, images: np.ndarray, maps: np.ndarray, reach: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    images = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    maps = np.pad(maps, ((0, 0), (reach, reach), (reach, reach)), constant_values=-1)
    side = IMAGE_SIZE
    moved = np.empty((len(images), side, side, 3), np.uint8)
    moved_maps = np.empty((len(images), side, side), maps.dtype)
    shifts = rng.integers(2 * reach + 1, size=(len(images), 2))
    flips = rng.random(len(images)) < 0.5
    for index, ((dy, dx), flip) in enumerate(zip(shifts.tolist(), flips, strict=True)):
        step = -1 if flip else 1
        moved[index] = images[index, dy : dy + side, dx : dx + side][:, ::step]
        moved_maps[index] = maps[index, dy : dy + side, dx : dx + side][:, ::step]
    return moved, moved_maps


@functools.cache
def _patch_index() -> np.ndarray:
    """Concept index -> index in PATCH_CONCEPTS, or −1."""
    place = {name: index for index, name in enumerate(PATCH_CONCEPTS)}
    return np.array([*(place.get(name, -1) for name in concepts()), -1], np.int16)


def _render_chunk(job: tuple[int, int, int]) -> tuple[list, list, list, list, list]:
    seed, first, count = job
    images, maps, truth, sentences, named = [], [], [], [], []
    for index in range(first, first + count):
        rng = np.random.default_rng((seed, index))
        picture = random_picture(rng)
        scaled = Image.fromarray(picture.image).resize((IMAGE_SIZE, IMAGE_SIZE), Image.BICUBIC)
        images.append(np.asarray(scaled))
        rows = np.arange(IMAGE_SIZE) * len(picture.image) // IMAGE_SIZE
        maps.append(_patch_index()[picture.concept_map[np.ix_(rows, rows)]])
        truth.append(truth_vector(picture))
        said = [picture_caption(rng, picture) for _ in range(CAPTIONS_PER_PICTURE)]
        sentences.append([sentence for sentence, _ in said])
        named.append(np.stack([concept_vector(names) for _, names in said]))
    return images, maps, truth, sentences, named
