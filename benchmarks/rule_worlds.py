"""Rendered worlds of the three laws as presences on disk: studies of rules run from them.

A folder ``LAW_SEED`` holds

    train.safetensors, test.safetensors   VIDEO.FIELD of every video, fields of `RuleVideo`
    world.json                            law, seed, atoms, events, storyboards, what it was made
                                          with

One frame a second, the embedded encoder, `configs/ontology/world.yaml` (which states no roles);
presence and segments of `configs/world.py`, as in the demo, and of the defaults. Unlike the demo's,
the frames go to the encoder as they are drawn, without a video file: so a video can be rendered
again with one thing changed, and nothing else is.

Run: python -m benchmarks.rule_worlds --rule_worlds=FOLDER --world_laws=pairs --world_seeds=901
     [--train_videos=200 --test_videos=100]
"""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from configs import world
from jaxvlm import clip, files, outputs, resources
from jaxvlm.arrays import unit
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.video.config import AtomsConfig, check
from jaxvlm.video.frame_presence import (
    AtomBank,
    FrameFeatures,
    embed_atoms,
    frame_features,
    presence_in_blocks,
    segment,
)
from jaxvlm.world.laws import LAWS, check_law
from jaxvlm.world.scene import Actor, Camera, Scene
from jaxvlm.world.storyboard import Shot
from jaxvlm.world.videos import WorldVideo, render_video, truth_of, world_video
from jaxvlm.world.vocabulary import ATOMS, EVENTS

FOLDER = flags.DEFINE_string("rule_worlds", "out/rule_worlds", "Gets a folder per world.")
WORLD_LAWS = flags.DEFINE_list("world_laws", list(LAWS), "Laws.")
SEEDS = flags.DEFINE_list("world_seeds", ["901", "902", "903", "904", "905"], "Of the worlds.")
_TRAIN = flags.DEFINE_integer("train_videos", 200, "Of each world.", lower_bound=1)
_TEST = flags.DEFINE_integer("test_videos", 100, "Of each world.", lower_bound=1)

KIND = "presences of a rendered world"
ONTOLOGY = "configs/ontology/world.yaml"
_AT_ONCE, _BLOCK = 16, 64  # videos drawn, and frames encoded, at a time


class RuleVideo(NamedTuple):
    """A video as the encoder sees it, and its truth; all of T frames."""

    name: str
    times: np.ndarray  # [T] seconds
    presence: np.ndarray  # [T, C], of patches
    segment_presence: np.ndarray  # [T, C]
    image_presence: np.ndarray  # [T, C], the default, of the image embedding
    image_segment_presence: np.ndarray  # [T, C]
    embeddings: np.ndarray  # [T, D], unit
    atoms: np.ndarray  # [T, C] 0/1, visible
    events: np.ndarray  # [T, E] 0/1, by the law


class RuleWorld(NamedTuple):
    """A world: what it is made of, its videos, and how to draw each of them again."""

    law: str
    seed: int
    atoms: tuple[str, ...]
    events: tuple[str, ...]
    train: list[RuleVideo]
    test: list[RuleVideo]
    storyboards: dict[str, WorldVideo]


class Eyes(NamedTuple):
    """What sees a frame, made once: encoder, ontology, its texts encoded, and the settings of the
    presence of patches and of the default one, which have the same templates and frame rate."""

    model: clip.ClipModel
    ontology: Ontology
    bank: AtomBank
    config: AtomsConfig
    default: AtomsConfig


def embedded_eyes() -> Eyes:
    """The embedded encoder with the world's ontology."""
    config, model = check(world.get_config()), clip.load(resources.path("checkpoints/clip"))
    ontology = load_ontology(resources.path(ONTOLOGY))
    texts = (ontology.atoms, ontology.templates, ontology.neutral_prompts)
    return Eyes(model, ontology, embed_atoms(model, *texts, config), config, AtomsConfig())


def see(eyes: Eyes, videos: Sequence[WorldVideo]) -> list[RuleVideo]:
    """Renders videos, a frame a second, and encodes all their frames together."""
    columns = [ATOMS.index(atom) for atom in eyes.ontology.atoms]
    order = [EVENTS.index(event) for event in eyes.ontology.events]
    fps = eyes.config.fps
    rendered = [list(render_video(video, fps)) for video in videos]
    features = _features(eyes, [image for frames in rendered for _, image, _ in frames])
    ends = np.cumsum([len(frames) for frames in rendered])[:-1]
    parts = zip(*(np.split(rows, ends) for rows in features), strict=True)
    found = []
    for video, frames, part in zip(videos, rendered, parts, strict=True):
        times, _, seen = zip(*frames, strict=True)
        truth = truth_of(times, seen, video.law, fps)
        both = []
        for config in (eyes.config, eyes.default):
            presence = presence_in_blocks(FrameFeatures(*part), eyes.bank, config.presence)
            both += [presence, segment(presence, config).segment_presence]
        atoms, events = truth.atoms[:, columns], truth.events[:, order]
        rows = np.asarray(unit(part[0]))
        found.append(RuleVideo(video.name, truth.times, *both, rows, atoms, events))
    return found


def _features(eyes: Eyes, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of pictures [T, D] and of their patches [T, P, D], compiled for one number."""
    parts = []
    for start in range(0, len(images), _BLOCK):
        own = list(images[start : start + _BLOCK])
        pixels = clip.preprocess(eyes.model, own + own[-1:] * (_BLOCK - len(own)))
        features = frame_features(eyes.model, pixels, eyes.config.presence)
        parts.append([np.asarray(rows)[: len(own)] for rows in features])
    image, patches = zip(*parts, strict=True)
    return np.concatenate(image), np.concatenate(patches)


def labels(videos: Sequence[RuleVideo]) -> np.ndarray:
    """What a person would say of the videos, [N, E] 0/1."""
    return np.stack([video.events.max(axis=0) for video in videos]).astype(int)


def make_world(
    folder: Path, eyes: Eyes, law: str, seed: int, counts: Mapping[str, int]
) -> RuleWorld:
    """Reads the world, or renders it with ``counts`` videos of each split and writes it first.

    Raises InputError for an unknown law, and a folder with another number of videos, encoder or
    settings.
    """
    out = folder / f"{check_law(law)}_{seed}"
    made_with = {
        "videos": dict(counts),
        "weights_sha256": clip.weights_hash(eyes.model),
        "config": dataclasses.asdict(eyes.config),
        "default": dataclasses.asdict(eyes.default),
    }
    if not out.is_dir():
        storyboards = {}
        with outputs.output_path(out, kind=KIND) as part:
            for split, count in counts.items():
                videos = [world_video(seed, split, index, law) for index in range(count)]
                storyboards |= {video.name: stored(video) for video in videos}
                arrays = {}
                for start in range(0, count, _AT_ONCE):
                    for video in see(eyes, videos[start : start + _AT_ONCE]):
                        named = zip(video._fields[1:], video[1:], strict=True)
                        arrays |= {f"{video.name}.{field}": rows for field, rows in named}
                files.write_arrays(part / f"{split}.safetensors", arrays)
            record = {
                "law": law,
                "seed": seed,
                "atoms": eyes.ontology.atoms,
                "events": eyes.ontology.events,
                "made_with": made_with,
                "storyboards": storyboards,
            }
            files.write_json(part / "world.json", record)
    if files.read_json(out / "world.json")["made_with"] != made_with:
        raise InputError(f"{out}: made otherwise than asked for now; remove it, or use another")
    return read_world(out)


def read_world(folder: Path) -> RuleWorld:
    """A world that `make_world` wrote."""
    record = files.read_json(folder / "world.json")
    return RuleWorld(
        record["law"],
        record["seed"],
        tuple(record["atoms"]),
        tuple(record["events"]),
        *(_read_videos(folder / f"{split}.safetensors") for split in ("train", "test")),
        {name: video_of(video) for name, video in record["storyboards"].items()},
    )


def _read_videos(path: Path) -> list[RuleVideo]:
    arrays = files.read_arrays(path)
    fields = RuleVideo._fields[1:]
    names = sorted({key.rpartition(".")[0] for key in arrays})
    return [RuleVideo(name, *(arrays[f"{name}.{field}"] for field in fields)) for name in names]


def stored(value: Any) -> Any:
    """NamedTuples as mappings of their fields, all the way down, for JSON."""
    if hasattr(value, "_asdict"):
        return {name: stored(field) for name, field in value._asdict().items()}
    return [stored(item) for item in value] if isinstance(value, tuple) else value


def video_of(record: Mapping[str, Any]) -> WorldVideo:
    """The video that `stored` wrote, equal to the last bit."""

    def actor(fields: Mapping[str, Any]) -> Actor:
        return Actor(**fields | {"tint": tuple(fields["tint"])})

    shots = []
    for shot in record["shots"]:
        scene = dict(shot["scene"])
        scene["actors"] = tuple(actor(fields) for fields in scene["actors"])
        scene["occluders"] = tuple(tuple(box) for box in scene["occluders"])
        scene["camera"] = Camera(**scene["camera"])
        shots.append(Shot(shot["start"], shot["end"], Scene(**scene)))
    return WorldVideo(**{**record, "shots": tuple(shots)})


def main(_) -> None:
    eyes = embedded_eyes()
    counts = {"train": _TRAIN.value, "test": _TEST.value}
    for seed, law in itertools.product(map(int, SEEDS.value), WORLD_LAWS.value):
        began = time.perf_counter()
        made = make_world(Path(FOLDER.value), eyes, law, seed, counts)
        seconds = time.perf_counter() - began
        number = len(made.train) + len(made.test)
        print(f"{law} {seed}: {number} videos, {seconds / number:.3f} s a video", flush=True)


if __name__ == "__main__":
    app.run(main)
