"""What the study of queries is measured on: pictures, texts, alternatives, and what matches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.real_clip_study import World, plain
from jaxvlm import clip, files, resources
from jaxvlm.arrays import unit
from jaxvlm.data.image_sets import read_image_set
from jaxvlm.ood.words.lists import normalize_word, read_words

PROMPT, WORDS_PROMPT = "imagenet_ensemble80", "lvis_ensemble"
# Words of LVIS and the classes of ImageNet that they cover, first and last.
COARSE = {
    "dog": [(151, 268)], "cat": [(281, 285)], "bear": [(294, 297)], "shark": [(2, 4)],
    "turtle": [(33, 37)], "frog": [(30, 32)], "lizard": [(38, 48)], "snake": [(52, 68)],
    "spider": [(72, 77)], "bird": [(7, 24), (80, 100), (127, 146)], "butterfly": [(321, 326)],
    "monkey": [(370, 382)], "fish": [(0, 6), (389, 397)], "crab": [(118, 121)],
    "mushroom": [(947, 947), (991, 997)], "beetle": [(300, 307)],
    "car": [(n, n) for n in (436, 468, 511, 609, 627, 656, 661, 751, 817)],
    "truck": [(n, n) for n in (555, 569, 675, 717, 864, 867)],
    "boat": [(n, n) for n in (472, 484, 554, 576, 625, 814, 871, 914)],
    "bus": [(n, n) for n in (654, 779, 874)], "hat": [(n, n) for n in (439, 452, 515, 808)],
    "clock": [(n, n) for n in (409, 530, 892)], "guitar": [(402, 402), (546, 546)],
    "ball": [(n, n) for n in (430, 522, 574, 722, 768, 805, 852, 890)],
    "chair": [(n, n) for n in (423, 559, 765, 857)],
    "bottle": [(n, n) for n in (440, 720, 737, 898, 907)],
    "telephone": [(n, n) for n in (487, 528, 707)], "wolf": [(269, 272)],
}  # fmt: skip


class Library(NamedTuple):
    """N pictures [N, D] with their classes [N], Q texts [Q, D] with what they match [N, Q], M words
    [M, D], and which of these say a text's own name [Q, M]. coarse [Q]: the text names a group.
    null [D]: "a photo", or the mean of the words where there is no text tower."""

    images: np.ndarray
    labels: np.ndarray
    texts: np.ndarray
    truth: np.ndarray
    words: np.ndarray
    same: np.ndarray
    coarse: np.ndarray
    null: np.ndarray

    def of(self, chosen: np.ndarray) -> "Library":
        """With some of the texts."""
        return self._replace(
            texts=self.texts[chosen],
            truth=self.truth[:, chosen],
            same=self.same[chosen],
            coarse=self.coarse[chosen],
        )


def halves(library: Library) -> tuple[np.ndarray, np.ndarray]:
    """Half of the fine and half of the coarse texts, and the others."""
    order = np.random.default_rng(0).permutation(len(library.texts))
    parts = [order[library.coarse[order] == kind] for kind in (False, True)]
    return tuple(np.sort(np.concatenate([part[half::2] for part in parts])) for half in (0, 1))


def imagenet(world: World, others: float) -> Library:
    """Four pictures of each class of ImageNet. Words: LVIS's and a share of the classes' names."""
    names = [plain(name.split(",")[0]) for name in world.words["imagenet"]]
    lvis = [plain(word) for word in world.words["lvis"]]
    rows, words = world.texts[PROMPT], world.texts[WORDS_PROMPT]
    taken = np.random.default_rng(5).permutation(len(names))[: round(others * len(names))]
    coarse = {word: ranges for word, ranges in COARSE.items() if word in lvis}
    labels = world.labels["imagenet.train4"]
    groups = [
        np.concatenate([np.arange(first, last + 1) for first, last in ranges])
        for ranges in coarse.values()
    ]
    return _library(
        world.images["imagenet.train4"],
        labels,
        (
            [*names, *coarse],
            np.concatenate([rows, words[[lvis.index(word) for word in coarse]]]),
            [np.array([k]) for k in range(len(names))] + groups,
        ),
        ([*lvis, *(names[k] for k in taken)], np.concatenate([words, rows[taken]])),
        len(names),
    )


def other_set(world: World, name: str, key: str) -> Library:
    """A set whose classes are called as ImageNet's or LVIS's are; the other classes' pictures are
    in the library, too. Words: LVIS's."""
    known = {}
    for bank, prompt in (("lvis", WORDS_PROMPT), ("imagenet", PROMPT)):
        known |= {
            plain(w.split(",")[0]): row
            for w, row in zip(world.words[bank], world.texts[prompt], strict=True)
        }
    own = [plain(word) for word in world.words[name]]
    found = [(k, word if word in known else word.removesuffix("s")) for k, word in enumerate(own)]
    found = [(k, word) for k, word in found if word in known]
    return _library(
        world.images[key],
        world.labels[key],
        (
            [word for _, word in found],
            np.stack([known[word] for _, word in found]),
            [np.array([k]) for k, _ in found],
        ),
        ([plain(word) for word in world.words["lvis"]], world.texts[WORDS_PROMPT]),
        len(found),
    )


def own_pictures(model_path: str, folder: str, names_path: str | None) -> Library:
    """Class folders through a CLIP: the folders' names are the texts, the words those that
    score-images takes where none are given."""
    model = clip.load(model_path)
    found = read_image_set(folder)
    names = sorted(set(found.labels))
    said = files.read_json(names_path) if names_path else {}
    shown = [said[name][0] if name in said else plain(name) for name in names]
    rows, lost = clip.encode_image_stream(model, list(found.paths))
    kept = np.delete(np.arange(len(found.paths)), [index for index, _ in lost])
    words, _ = read_words(resources.path("configs/ood/world_words.txt"))
    templates = ("a photo of a {}", "a close-up photo of a {}")
    library = _library(
        unit(np.asarray(rows)),
        np.array([names.index(found.labels[i]) for i in kept]),
        (
            shown,
            clip.embed_prompts(model, shown, templates),
            [np.array([k]) for k in range(len(names))],
        ),
        (words, clip.embed_prompts(model, words, templates)),
        len(names),
    )
    return library._replace(null=unit(clip.encode_texts(model, ["a photo"]))[0])


def _library(
    images: np.ndarray,
    labels: np.ndarray,
    texts: tuple[Sequence[str], np.ndarray, Sequence[np.ndarray]],
    words: tuple[Sequence[str], np.ndarray],
    fine: int,
) -> Library:
    names = np.array([normalize_word(name) for name in texts[0]])
    return Library(
        images,
        labels,
        texts[1],
        np.stack([np.isin(labels, classes) for classes in texts[2]], axis=1),
        words[1],
        names[:, None] == np.array([normalize_word(word) for word in words[0]]),
        np.arange(len(names)) >= fine,
        unit(words[1].mean(axis=0)),
    )
