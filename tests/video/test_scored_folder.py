"""A folder of videos scored, and scored again from what was kept, stored and captioned."""

import dataclasses
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm import clip, files
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import kept_frames, role_file, role_model, scored_folder, scoring
from jaxvlm.video.config import AtomsConfig, PresenceConfig

ROLES = """
events:
  riot: {direct: [angry crowd], indirect: [thrown stones, raised fists], counter: [balloons]}
  abuse: {direct: [crying child: 0.9], indirect: [raised fists, thrown stones]}
templates: ["a photo of {}"]
neutral_prompts: [a road, a photo]
"""
SECONDS = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """cam1/a, cam2/a and b: two frames a second, each of one colour."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name in ("cam1/a", "cam2/a", "b"):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 2.0, (64, 48))
        for _ in range(2 * SECONDS):
            writer.write(np.full((48, 64, 3), rng.integers(0, 256, 3), np.uint8))
        writer.release()
    return folder


@pytest.fixture
def scorer(model, tmp_path):
    """Of written roles; a new encoder each time that it is called."""
    (tmp_path / "roles.yaml").write_text(ROLES)

    def make(*, store=None, fps=1.0, kind="contrast", text=None):
        (tmp_path / "other.yaml").write_text(text or ROLES)
        config = AtomsConfig(fps=fps, presence=PresenceConfig(kind=kind))
        roles = role_file.written_roles(tmp_path / "other.yaml", config)
        encoder = clip.make_encoder(model, batch_size=4, store_dir=store)
        return scoring.make_scorer(encoder, roles)

    return make


def encoded(scorer):
    return scorer.encoder.statistics.encoded, scorer.encoder.statistics.from_store


def test_ids_are_paths_and_one_video_has_the_layout_of_many(scorer, videos, tmp_path):
    intervals = tmp_path / "intervals.csv"
    rows = "cam1/a,riot,0,2\nb,abuse,1,3\na,riot,0,1\n"
    intervals.write_text(f"video_id,event,start_seconds,end_seconds\n{rows}")
    result = scored_folder.score_videos(
        videos, tmp_path / "many", scorer(), intervals_csv=intervals, threshold=0.0
    )
    assert [video.name for video in result.videos] == ["b", "cam1/a", "cam2/a"]
    assert len(result.notes) == 1 and "'a'" in result.notes[0], "a is two videos"
    truth = {video.name: video.truth.sum(0).tolist() for video in result.videos}
    assert truth == {"b": [0, 2], "cam1/a": [2, 0], "cam2/a": [0, 0]}
    scored_folder.score_videos(videos / "b.mp4", tmp_path / "one", scorer(), threshold=0.0)
    for name in (*scored_folder.OF_VIDEO,):
        assert (tmp_path / "many" / "cam1" / "a" / name).is_file()
        if name != kept_frames.FILE:  # which tells the path of the video
            one, many = (tmp_path / out / "b" / name for out in ("one", "many"))
            assert one.read_bytes() == many.read_bytes()


def test_detections_are_data_with_their_reasons(scorer, videos, tmp_path):
    result = scored_folder.score_videos(videos, tmp_path / "out", scorer(), threshold=0.0)
    events = [event for video in result.videos for event in video.events]
    table = pd.read_csv(tmp_path / "out" / "detections.csv")
    told = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert len(events) == len(table) == len(told) == 6, "all the time, both events"
    for event, row, data in zip(events, table.itertuples(), told, strict=True):
        assert (row.video, row.event) == (data["video"], data["event"]) == event[:2]
        assert (row.start_seconds, row.end_seconds) == (data["start_seconds"], SECONDS)
        assert row.probability == pytest.approx(data["probability"], rel=1e-5)
        assert row.reasons.count("; ") + 1 == len(data["because"]) > 0
        first = data["because"][0]
        assert row.reasons.startswith(
            f"{' with '.join(first['atoms'])} ({first['role']} {first['contribution']:+.2f})"
        )
    own = pd.read_csv(tmp_path / "out" / "cam1" / "a" / "detections.csv")
    pd.testing.assert_frame_equal(own, table[table["video"] == "cam1/a"].reset_index(drop=True))
    stats = pd.read_csv(tmp_path / "out" / "b" / "stats.csv")
    video = result.videos[0]
    np.testing.assert_allclose(stats["P: riot"], video.probability[:, 0], rtol=1e-5)
    np.testing.assert_allclose(stats["presence: balloons"], video.segment_presence[:, 1], rtol=1e-5)
    np.testing.assert_allclose(stats["divergence"], video.divergence, rtol=1e-5)
    assert stats["divergence"][0] == 0 and (stats["divergence"][1:] > 0).all()


def test_that_nothing_is_detected_is_said(scorer, videos, tmp_path):
    result = scored_folder.score_videos(videos, tmp_path / "out", scorer(), threshold=1.0)
    tables = [
        pd.read_csv(tmp_path / "out" / f"{video.name}" / "events.csv") for video in result.videos
    ]
    highest = max(table[["riot", "abuse"]].to_numpy().max() for table in tables)
    assert result.sentences(1.0) == [
        f"no event detected: P is {highest:.3f} at most, --threshold=1"
    ]
    result = scored_folder.score_videos(videos, tmp_path / "out", scorer(), threshold=0.0)
    assert result.sentences(0.0) and "no event" not in "".join(result.sentences(0.0))


def test_another_fps_threshold_and_ontology_cost_no_forward_pass(scorer, videos, tmp_path):
    store = tmp_path / "store"
    first = scorer(store=store, fps=2.0)
    scored_folder.score_videos(videos, tmp_path / "first", first)
    assert encoded(first) == (3 * 2 * SECONDS, 0)
    other = ROLES.replace("balloons", "fireworks").replace("angry crowd", "crowd")
    for n, again in enumerate(
        (scorer(store=store), scorer(store=store, text=other), scorer(store=store, kind="cosine"))
    ):
        result = scored_folder.score_videos(videos, tmp_path / f"{n}", again, threshold=0.1)
        assert encoded(again) == (0, 3 * SECONDS)
    plain = scorer(kind="cosine")
    expected = scored_folder.score_videos(videos, tmp_path / "plain", plain, threshold=0.1)
    for one, two in zip(result.videos, expected.videos, strict=True):
        np.testing.assert_allclose(one.probability, two.probability, rtol=1e-4)
    half = scorer(store=store, fps=4.0)
    scored_folder.score_videos(videos, tmp_path / "half", half)
    assert encoded(half)[0] == 0, "more instants than frames show the same frames"


def told(result) -> list[str]:
    """The warnings but for that of the atoms: an encoder of chance cannot tell them apart."""
    return [line for line in result.warnings if "tell apart" not in line]


def test_rescoring_is_scoring_without_a_picture(scorer, videos, tmp_path):
    kept = tmp_path / "kept"
    scored_folder.score_videos(videos, kept, scorer())
    other = ROLES.replace("balloons", "fireworks")
    for out, settings in (("same", {}), ("atoms", {"text": other}), ("cosine", {"kind": "cosine"})):
        rescorer = scorer(**settings)
        again = scored_folder.rescore_videos(kept, tmp_path / out, rescorer, threshold=0.2)
        assert encoded(rescorer) == (0, 0) and told(again) == []
        fresh = scored_folder.score_videos(
            videos, tmp_path / f"{out}-fresh", scorer(**settings), threshold=0.2
        )
        for one, two in zip(again.videos, fresh.videos, strict=True):
            assert one.name == two.name
            np.testing.assert_allclose(one.probability, two.probability, rtol=1e-4, atol=1e-7)
            assert [len(f.thumbnails) for f in one.findings] == [
                len(f.thumbnails) for f in two.findings
            ]
    in_place = scored_folder.rescore_videos(kept, kept, scorer(text=other), threshold=0.2)
    table = pd.read_csv(kept / "cam1" / "a" / "stats.csv")
    assert "presence: fireworks" in table and len(in_place.videos) == 3


def test_kept_presence_is_of_one_penalty(model):
    """Frames kept of a sparse code are not those of another λ; elsewhere λ does nothing."""
    for kind, same in (("sparse", False), ("contrast", True)):
        told = []
        for penalty in (0.1, 0.2):
            config = AtomsConfig(presence=PresenceConfig(kind=kind, penalty=penalty))
            roles = role_model.RoleModel(None, ("a",), ("e",), config=config)
            told.append(kept_frames.description(clip.clip_record(model), roles)["seen_as"])
        assert (told[0] == told[1]) == same


def test_what_rescoring_cannot_do_it_says(scorer, videos, tmp_path, model):
    moved = tmp_path / "moved.mp4"
    moved.write_bytes((videos / "b.mp4").read_bytes())
    kept = tmp_path / "kept"
    scored_folder.score_videos(moved, kept, scorer(fps=2.0, kind="local"), threshold=0.0)
    moved.unlink()
    again = scored_folder.rescore_videos(kept, tmp_path / "o", scorer(kind="local"), threshold=0.0)
    (line,) = told(again)
    assert "fps is 2.0" in line and "its page has no pictures" in line
    assert all(found.thumbnails == () for found in again.videos[0].findings)
    assert files.read_json(tmp_path / "o" / "run.json")["warnings"] == again.warnings
    other = scorer(kind="local", text=ROLES.replace("balloons", "fireworks"))
    with pytest.raises(InputError, match="keeps no patches.*--store_dir"):
        scored_folder.rescore_videos(kept, tmp_path / "p", other)
    params = dict(model.params, logit_scale=model.params["logit_scale"] + 1)
    strange = clip.make_encoder(dataclasses.replace(model, params=params), batch_size=4)
    with pytest.raises(InputError, match="another encoder .logit_scale.*--clip="):
        scored_folder.rescore_videos(
            kept, tmp_path / "p", scoring.make_scorer(strange, scorer(kind="local").roles)
        )
    with pytest.raises(InputError, match="no VIDEO/embeddings.safetensors"):
        scored_folder.rescore_videos(videos, tmp_path / "p", scorer())


def test_captions_are_found_by_the_names_of_extracted_frames(scorer, videos, tmp_path):
    captions = tmp_path / "captions.json"
    said = {"atoms": ["thrown stones"], "raw": ""}
    captions.write_text(json.dumps({f"frames/cam1/a/{k:06d}.jpg": said for k in range(3)}))
    plain = scored_folder.score_videos(videos, tmp_path / "plain", scorer(kind="cosine"))
    result = scored_folder.score_videos(
        videos, tmp_path / "out", scorer(kind="cosine"), qwen_json=captions
    )
    assert result.coverage.frames_found == 3 and result.coverage.frames_total == 3 * SECONDS
    rises = {
        one.name: (one.segment_presence - two.segment_presence).max(0)
        for one, two in zip(result.videos, plain.videos, strict=True)
    }
    atoms = load_ontology(tmp_path / "roles.yaml").atoms
    assert np.flatnonzero(rises["cam1/a"] > 1e-3).tolist() == [atoms.index("thrown stones")]
    assert not rises["cam2/a"].any() and not rises["b"].any(), "it has the same folder's name"
    kept = files.read_arrays(tmp_path / "out" / "cam1" / "a" / kept_frames.FILE)["presence"]
    before = files.read_arrays(tmp_path / "plain" / "cam1" / "a" / kept_frames.FILE)["presence"]
    assert (kept == before).all(), "kept as it was before captions"
    captions.write_text(json.dumps({"frames/c/000000.jpg": said}))
    with pytest.raises(InputError, match="matches no frame"):
        scored_folder.score_videos(videos, tmp_path / "out", scorer(), qwen_json=captions)


def test_roles_of_another_encoder_are_refused_or_forced(scorer, model, videos, tmp_path):
    own = scorer()
    trained = own.roles._replace(
        training={"seed": 0, "clip": clip.clip_record(model)}, source="my/roles"
    )
    assert scoring.make_scorer(own.encoder, trained).warnings == ()
    params = dict(model.params, logit_scale=model.params["logit_scale"] + 1)
    strange = clip.make_encoder(dataclasses.replace(model, params=params), batch_size=4)
    with pytest.raises(InputError, match="--roles=my/roles: trained with .*logit_scale.*--force"):
        scoring.make_scorer(strange, trained)
    forced = scoring.make_scorer(strange, trained, force=True)
    result = scored_folder.score_videos(videos / "b.mp4", tmp_path / "out", forced)
    (line,) = told(result)
    assert "another encoder" in line
    record = files.read_json(tmp_path / "out" / "run.json")
    assert record["warnings"] == result.warnings and record["roles"]["trained"] is True
    assert record["clip"]["logit_scale"] == clip.identity(strange.model)["logit_scale"]
    (video,) = record["inputs"]["video"]
    assert video["id"] == "b" and len(video["sha256"]) == 64
    silent = trained._replace(training={"seed": 0})
    assert "does not say which encoder" in scoring.make_scorer(strange, silent).warnings[0]
    assert role_model.check_encoder(own.roles, strange.model) == [], "written roles have none"


GOOD = {
    "instants": np.arange(3),
    "times": np.arange(3) / 2,
    "image_embeddings": np.ones((3, 4), np.float32),
    "presence": np.full((3, 2), 0.5, np.float32),
}
ABOUT = {"clip": {}, "fps": 2.0, "seen_as": {}, "video": {}}


@pytest.mark.parametrize(
    "name, array, cause",
    [
        ("image_embeddings", np.full((3, 4), np.nan, np.float32), "embeddings with NaN"),
        ("image_embeddings", np.ones((3, 4)), "no image_embeddings of float32"),
        ("presence", np.full((3, 2), 1.5, np.float32), r"presence outside \[0, 1\]"),
        ("presence", np.full((2, 2), 0.5, np.float32), "2 rows of presence"),
        ("times", np.zeros(3), "not in order"),
        ("instants", np.array([-1, 0, 1]), "not in order"),
        ("instants", np.zeros(0, np.int64), "0 rows of instants"),
    ],
)
def test_kept_frames_with_other_numbers(tmp_path, name, array, cause):
    path = tmp_path / kept_frames.FILE
    files.write_arrays(path, GOOD, about=ABOUT)
    assert kept_frames.read_frames(path)[1] == ABOUT
    files.write_arrays(path, GOOD | {name: array}, about=ABOUT)
    with pytest.raises(InputError, match=rf"score-video keeps \(.*{cause}"):
        kept_frames.read_frames(path)
    files.write_arrays(path, GOOD, about=ABOUT | {"fps": 0.0})
    with pytest.raises(InputError, match="tells of no video"):
        kept_frames.read_frames(path)
