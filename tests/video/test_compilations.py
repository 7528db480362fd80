"""Videos of many lengths: what was compiled for one of them is compiled for all."""

import dataclasses

import cv2
import jax
import numpy as np
import pandas as pd
import pytest

from jaxvlm import clip, files
from jaxvlm.atoms.padding import bucket
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.resources import path as resource
from jaxvlm.video import pipeline, role_data, scored_folder, scoring
from jaxvlm.video.config import AtomsConfig, BoundaryConfig, PresenceConfig
from jaxvlm.video.detections import segments_table
from jaxvlm.video.frame_presence import FrameFeatures, presence_in_blocks, segment
from jaxvlm.video.ordinary_learning import learn
from jaxvlm.video.ordinary_model import new_model
from jaxvlm.video.role_model import load_role_model

LENGTHS = (2, 3, 7, 20, 33, 63, 65, 66, 80, 100, 111, 120, 127, 128)  # of two buckets
EVENTS = ("fire", "flood")
ONTOLOGY = """
events: {fire: [flame, smoke plume], flood: [wave, boat]}
templates: ["a photo of {}"]
neutral_prompts: [a road]
"""


@pytest.fixture(scope="module")
def encoder():
    return clip.make_encoder(clip.load(resource("checkpoints/clip")), batch_size=4)


@pytest.fixture(scope="module")
def roles():
    return load_role_model(resource("checkpoints/roles"))


def explained(scorer, length):
    """All that follows the encoder in `score_video`, and its tables, for a video of a length."""
    rng = np.random.default_rng(length)
    width = scorer.encoder.model.config.projection_dim
    features = rng.normal(size=(length, 4, width)).astype(np.float32)
    frames = FrameFeatures(features[:, 0], features)
    presence = presence_in_blocks(frames, scorer.bank, scorer.roles.config.presence)
    segmented = segment(presence, scorer.roles.config)
    times, blank = np.arange(float(length)), [np.zeros((1, 1, 3), np.uint8)] * length
    video = scoring.explain(
        scorer.roles,
        "v",
        lambda places: [blank[t] for t in places],
        times,
        segmented,
        threshold=0.0,
    )
    assert len(video.findings) == len(scorer.roles.events)
    return segments_table(
        times,
        video.probability,
        video.boundary,
        video.segment_presence,
        scorer.roles.events,
        scorer.roles.atoms,
    )


def scorer_of(encoder, roles, delta):
    config = dataclasses.replace(roles.config, boundary=BoundaryConfig(delta, "auto"))
    return scoring.make_scorer(encoder, roles._replace(config=config))


def test_scoring_compiles_for_the_first_video_alone(encoder, roles):
    scorer = scorer_of(encoder, roles, "0.6")
    explained(scorer, 100)
    with jax.no_tracing():
        for length in (*LENGTHS, 300, 600, 1_500):
            assert len(explained(scorer, length)) >= 1


def test_a_threshold_of_the_whole_video_compiles_once_for_a_bucket(encoder, roles):
    scorer = scorer_of(encoder, roles, "auto")
    assert {bucket(length) for length in LENGTHS} == {64, 128}
    for first in (64, 65):
        explained(scorer, first)
    with jax.no_tracing():
        for length in LENGTHS:
            assert len(explained(scorer, length)) >= 1


@pytest.fixture(scope="module")
def frames_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("frames")
    image = np.zeros((8, 8, 3), np.uint8)
    for length in (64, *LENGTHS[:6]):
        (root / f"v{length}").mkdir()
        for t in range(length):
            image[:] = 3 * t + length
            cv2.imwrite(str(root / f"v{length}" / f"{t:06d}.jpg"), image)
    return root


def test_the_pipeline_compiles_for_the_first_video_alone(encoder, frames_root, tmp_path):
    """Captions, presence, boundaries and segments of seven videos."""
    (tmp_path / "ontology.yaml").write_text(ONTOLOGY)
    names = [f"v{length}" for length in (64, *LENGTHS[:6])]
    captions = {f"{name}/000001.jpg": {"atoms": ["flame"]} for name in names}
    files.write_json(tmp_path / "captions.json", captions)
    rows = [[name, n % 2, 1 - n % 2] for n, name in enumerate(names)]
    files.write_csv(tmp_path / "labels.csv", pd.DataFrame(rows, columns=["video_id", *EVENTS]))
    config = AtomsConfig(presence=PresenceConfig(kind="cosine"))
    options = {"ontology_file": tmp_path / "ontology.yaml", "config": config}
    options |= {"labels_csv": tmp_path / "labels.csv", "qwen_json": tmp_path / "captions.json"}
    first = tmp_path / "first"
    first.mkdir()
    (first / "v7").symlink_to(frames_root / "v7")
    pipeline.run_pipeline(first, tmp_path / "one", encoder=encoder, **options)
    with jax.no_tracing():
        result = pipeline.run_pipeline(frames_root, tmp_path / "all", encoder=encoder, **options)
    assert len(result.done) == 7
    ontology = load_ontology(tmp_path / "ontology.yaml")
    data = role_data.read_runs(result.manifest, ontology)
    assert sorted(map(len, data.videos)) == sorted((64, *LENGTHS[:6]))


def write_videos(folder, lengths):
    folder.mkdir()
    for length in lengths:
        kind = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(folder / f"v{length}.mp4"), kind, 1.0, (32, 32))
        for t in range(length):
            writer.write(np.full((32, 32, 3), (7 * t) % 256, np.uint8))
        writer.release()


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two videos to warm up with, one of each bucket, and others; and captions of all."""
    folder = tmp_path_factory.mktemp("films")
    write_videos(folder / "first", (1, 70))
    write_videos(folder / "others", (3, 12, 33, 65, 66, 80))
    return folder


def captions_of(folder, atoms):
    frames = {f"{path.stem}/000000.jpg": {"atoms": list(atoms)} for path in folder.glob("*.mp4")}
    file = folder.with_suffix(".json")
    files.write_json(file, frames)
    return file


def ordinary_of(scorer):
    """Of made-up footage, five minutes long."""
    rng, roles = np.random.default_rng(0), scorer.roles
    width = scorer.encoder.model.config.projection_dim
    model = new_model("gate", scorer.made_by, roles, width, roles.config.fps)
    rows = rng.normal(size=(300, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return learn(model, rng.uniform(size=(300, len(roles.atoms))), rows, continues=False)


WAYS = ("plain", "store", "captions", "ordinary", "recurrent", "rescored")


@pytest.mark.parametrize("way", WAYS)
def test_after_two_videos_nothing_is_compiled_for_others(encoder, roles, films, tmp_path, way):
    """What `score-video` does with videos of other lengths, counted."""
    if way == "recurrent":
        form = dataclasses.replace(roles.config.segments, weighting="recurrent")
        roles = roles._replace(config=dataclasses.replace(roles.config, segments=form))
    if way == "store":
        encoder = clip.make_encoder(encoder.model, batch_size=4, store_dir=tmp_path / "store")
    scorer = scoring.make_scorer(encoder, roles)
    if way == "ordinary":
        scorer = scoring.make_scorer(encoder, roles, ordinary=ordinary_of(scorer))

    def score(name):
        options = {"threshold": 0.0}
        if way == "captions":
            options["qwen_json"] = captions_of(films / name, roles.atoms[:2])
        found = scored_folder.score_videos(films / name, tmp_path / name, scorer, **options)
        if way == "rescored":
            again = tmp_path / f"{name} again"
            found = scored_folder.rescore_videos(tmp_path / name, again, scorer, **options)
        assert found.failures == [] and all(video.findings for video in found.videos)
        return len(found.videos)

    def count(event, seconds, **about):
        if event == "/jax/core/compile/jaxpr_to_mlir_module_duration":
            lowered.append(about)

    lowered: list[dict] = []
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        jax.jit(lambda x: x + 1)(np.float32(1)).block_until_ready()
        assert len(lowered) == 1  # so that what is counted is there
        assert score("first") == 2
        lowered.clear()
        assert score("others") == 6
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert lowered == []
