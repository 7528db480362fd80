"""What a notebook has: one line of Python for a video, a source, a folder of pictures."""

import dataclasses

import numpy as np
import pytest

import jaxvlm
from jaxvlm import clip
from jaxvlm.resources import path as resource
from jaxvlm.video import scoring
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import ood_pictures
from jaxvlm.world import videos as world


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A rendered video that the embedded roles find something in."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    world.write_video(world.world_video(0, "test", 4), path)
    return path


@pytest.fixture(scope="module")
def encoder():
    return clip.make_encoder(clip.load(resource("checkpoints/clip")), batch_size=1)


@pytest.fixture(scope="module")
def scored(video, encoder):
    return jaxvlm.score_video(video, clip=encoder)


def test_a_video_gives_events_as_plain_data(scored, video, encoder):
    assert scored.events, "the fixture's video should show something"
    for event in scored.events:
        assert (
            event.video == "clip"
            and event.event in load_role_model(resource("checkpoints/roles")).events
        )
        assert 0 <= event.start_seconds <= event.peak_seconds < event.end_seconds
        assert 0.5 <= event.probability <= 1
        for reason in event.because:
            assert set(reason) == {"atoms", "role", "contribution", "unless"}
            assert reason["role"] in ("direct", "indirect", "counter")
    names = ", ".join(event.event for event in scored.events)
    assert repr(scored) == f"ScoredVideo(clip, {len(scored.times)} frames: {names})"
    table = scored.to_pandas()
    assert list(table["event"]) == [event.event for event in scored.events]
    assert table["because"].str.startswith("because ").all()


def test_it_is_what_the_program_computes(scored, video, encoder):
    roles = load_role_model(resource("checkpoints/roles"))
    program = scoring.score_video(scoring.make_scorer(encoder, roles), video)
    np.testing.assert_array_equal(program.probability, scored.probability)
    assert program.events == scored.events


def test_settings_apply_and_what_contradicts_itself_is_refused(video, encoder):
    roles = load_role_model(resource("checkpoints/roles"))
    slow = roles._replace(config=dataclasses.replace(roles.config, fps=0.5))
    told = []
    found = jaxvlm.score_video(
        video, clip=encoder, roles=slow, threshold=1.0, on_progress=lambda *n: told.append(n)
    )
    assert found.events == [] and found.to_pandas().empty
    assert told[-1] == ("clip", len(found.times), len(found.times))
    ontology = resource("configs/ontology/world_roles.yaml")
    written = jaxvlm.score_video(video, clip=encoder, ontology=ontology)
    assert written.probability.shape == (len(written.times), 6)
    with pytest.raises(jaxvlm.InputError, match="roles and ontology: one of them"):
        jaxvlm.score_video(video, clip=encoder, roles=roles, ontology=ontology)
    with pytest.raises(ValueError, match="no such"):
        jaxvlm.score_video("missing.mp4", clip=encoder)


def test_a_source_tells_the_events_that_its_video_has(scored, video, encoder):
    lines = []
    summary = jaxvlm.watch_video(str(video), lines.append, clip=encoder)
    assert lines[-1]["state"] == "summary" and summary.frames == len(scored.times)
    started = [line["time_seconds"] for line in lines if line["state"] == "start"]
    over = np.asarray(scored.probability) >= 0.5
    first = np.flatnonzero(over.any(axis=1))[0]
    assert started[0] == pytest.approx(scored.times[first], abs=1e-3)
    assert all(np.isfinite(line.get("probability", 0)) for line in lines)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ood")
    ood_pictures.write_ood_benchmark(folder, seed=1, count=6, workers=1)
    return folder


def test_pictures_give_a_row_and_a_sentence_each(pictures, encoder):
    told = []
    classes = pictures / "class_names.txt"
    found = jaxvlm.score_images(
        pictures / "ood_unseen",
        class_names=classes,
        clip=encoder,
        id_images=pictures / "id",
        on_progress=lambda *progress: told.append(progress),
    )
    table = found.to_pandas()
    assert len(table) == 6 and found.failures == []
    assert table["score"].is_monotonic_increasing
    assert table["why"].str.startswith("NegLabel (10 groups): ").all()
    assert set(table["predicted_class"]) <= set(classes.read_text().split("\n"))
    assert table["share_of_id_below"].between(0, 1).all()
    assert table["id_p_value"].between(1 / 7, 1).all()  # of six known pictures
    assert ("ood_unseen", 6, 6) in told
    assert not list(pictures.glob("**/scores.csv")), "a notebook's call writes nothing"


def test_pictures_may_be_a_list_and_words_too(pictures, encoder):
    folder, classes = pictures / "ood_unseen", pictures / "class_names.txt"
    paths = sorted(folder.rglob("*.jpg"))[:3]
    words = classes.read_text().split("\n")[:-1]
    listed = jaxvlm.score_images(paths, class_names=words, clip=encoder).to_pandas()
    whole = jaxvlm.score_images(folder, class_names=classes, clip=encoder).to_pandas()
    score = {path.split("/")[-1]: s for path, s in zip(whole["path"], whole["score"], strict=True)}
    for row in listed.itertuples():
        assert row.score == pytest.approx(score[row.path.split("/")[-1]], abs=1e-6)
    with pytest.raises(jaxvlm.InputError, match="no picture in the list"):
        jaxvlm.score_images([], class_names=words, clip=encoder)


def test_settings_of_trained_roles_apply_with_a_warning_or_are_refused(video, encoder):
    with pytest.warns(UserWarning, match="^fps is 0.5; the roles were trained with 1.0$"):
        found = jaxvlm.score_video(video, clip=encoder, config={"fps": 0.5}, threshold=1.0)
    assert (np.diff(found.times) == 2).all()
    for config in ({"presence": {"kind": "cosine"}}, {"presence.kind": "cosine"}):
        with pytest.raises(jaxvlm.InputError, match="presence.kind=cosine: the role model decides"):
            jaxvlm.score_video(video, clip=encoder, config=config)
    params = dict(encoder.model.params, logit_scale=encoder.model.params["logit_scale"] + 1)
    other = clip.make_encoder(dataclasses.replace(encoder.model, params=params), batch_size=1)
    with pytest.raises(jaxvlm.InputError, match="another encoder .logit_scale .* --clip="):
        jaxvlm.score_video(video, clip=other)
    with pytest.warns(UserWarning, match="another encoder"):
        jaxvlm.score_video(video, clip=other, force=True, threshold=1.0)
