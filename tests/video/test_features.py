"""Features in the place of frames: run folders, scores, texts, and what an encoder is known by."""

import dataclasses
import warnings

import numpy as np
import pytest

import jaxvlm
from jaxvlm import clip, files
from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import Conventions
from jaxvlm.evaluation.protocols.scores import read_scores, score_unit, to_frames
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import feature_runs, role_file, scored_folder
from jaxvlm.video.config import AtomsConfig, PresenceConfig
from jaxvlm.video.feature_texts import Texts, embed_texts
from jaxvlm.video.features import labels_of, open_features
from jaxvlm.video.frame_presence import embed_atoms
from jaxvlm.video.pipeline import run_pipeline
from jaxvlm.video.role_model import check_encoder
from tests.video.runs import ATOMS, EVENTS, arrays

D = 8
CONFIG = AtomsConfig(fps=2.0)


@pytest.fixture
def texts(model):
    """Of the text tower alone, as the programs load it."""
    return Texts(clip.make_encoder(clip.load(model.source, towers="text")))


@pytest.fixture
def features_root(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in {"riot/r1": 9, "normal/n1": 6}.items():
        path = tmp_path / "features" / f"{name}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, 3 * rng.normal(size=(count, D)).astype(np.float16))
    return tmp_path / "features"


@pytest.fixture
def roles(tmp_path):
    (tmp_path / "roles.yaml").write_text(
        "events:\n  riot: {direct: [angry crowd], indirect: [thrown stones, raised fists]}\n"
        "  abuse: {direct: [crying child]}\nneutral_prompts: [a road, a photo]\n"
    )
    return role_file.written_roles(tmp_path / "roles.yaml", CONFIG)


def run(source, tmp_path, texts, ontology_file, out="out", **options):
    return feature_runs.run_features(
        source, tmp_path / out, texts=texts, ontology_file=ontology_file, config=CONFIG, **options
    )


def test_the_embeddings_of_frames_give_the_run_folders_of_the_frames(
    model, texts, frames_root, ontology_file, tmp_path
):
    """What the encoder gave of frames, saved and read as features, is the same run."""
    encoder = clip.make_encoder(model, batch_size=4)
    run_pipeline(
        frames_root, tmp_path / "frames_out", encoder=encoder, ontology_file=ontology_file,
        config=CONFIG,
    )  # fmt: skip
    (tmp_path / "saved").mkdir()
    for name in ("b9", "b10"):
        rows = arrays(tmp_path / "frames_out" / name, "presence")["image_embeddings"]
        np.save(tmp_path / "saved" / f"{name}.npy", rows)
    source = open_features(tmp_path / "saved", frames_per_row=1, fps=2.0)
    result = run(source, tmp_path, texts, ontology_file)
    assert result.done == ["b9", "b10"] and result.encoding is None
    for name in result.done:
        for kind, keys in {
            "presence": ("presence",), "seg_presence": ("seg_presence",), "boundary": ("boundary",),
        }.items():  # fmt: skip
            for key in keys:
                was = arrays(tmp_path / "frames_out" / name, kind)[key]
                now = arrays(tmp_path / "out" / name, kind)[key]
                np.testing.assert_allclose(now, was, atol=2e-6)
    times = arrays(tmp_path / "out" / "b9", "presence")["times"]
    np.testing.assert_allclose(times, np.arange(6) / 2)
    told = files.read_json(tmp_path / "out" / "b9" / "encoder.json")
    whole = files.read_json(tmp_path / "frames_out" / "b9" / "encoder.json")
    assert "weights_sha256" not in told and told["text_sha256"] == whole["text_sha256"]
    assert clip.identity_difference(whole, told) is None


def test_a_list_gives_the_videos_and_their_labels(texts, features_root, ontology_file, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,label\n/x/r1.npy,Riots\n/x/n1.npy,Normal\n/x/s1.npy,Stealing\n")
    source = open_features(features_root, features_list=table)
    result = run(source, tmp_path, texts, ontology_file)
    assert result.done == ["riot/r1", "normal/n1"] or result.done == ["normal/n1", "riot/r1"]
    assert f"{table}: not found here: s1" in result.notes
    labels = arrays(tmp_path / "out" / "riot" / "r1", "labels")["labels"]
    np.testing.assert_array_equal(labels, [[1, 0]] * 9)
    labels = arrays(tmp_path / "out" / "normal" / "n1", "labels")["labels"]
    np.testing.assert_array_equal(labels, [[0, 0]] * 6)
    assert any("made unit" in note for note in result.notes)
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nr1,1,0\nn1,0,0\n")
    with pytest.raises(InputError, match="--labels_csv: the list of the features has labels too"):
        run(source, tmp_path, texts, ontology_file, labels_csv=tmp_path / "labels.csv")


def test_labels_of_xd_violence_and_classes_that_the_ontology_lacks(tmp_path):
    for name in ("a__#0_label_B4-G-0", "b__#0_label_A", "c__#0_label_B1-0-0"):
        np.save(tmp_path / f"{name}__0.npy", np.ones((2, D)))
    table = tmp_path / "list.csv"
    table.write_text(
        "path,label\n/x/a__#0_label_B4-G-0__0.npy,B4-G-0\n/x/b__#0_label_A__0.npy,A\n"
        "/x/c__#0_label_B1-0-0__0.npy,B1-0-0\n"
    )
    labels, notes = labels_of(open_features(tmp_path, features_list=table), EVENTS)
    assert labels.set_index("video_id").to_dict("list") == {"riot": [1, 0, 0], "abuse": [0, 0, 0]}
    assert len(notes) == 1 and notes[0].startswith("explosion (1 videos), fighting (1 videos): no")


def test_a_row_that_cannot_be_is_reported_and_the_other_video_is_run(
    texts, features_root, ontology_file, tmp_path
):
    rows = np.load(features_root / "riot" / "r1.npy")
    rows[4] = np.nan
    np.save(features_root / "riot" / "r1.npy", rows)
    result = run(open_features(features_root), tmp_path, texts, ontology_file)
    assert result.done == ["normal/n1"]
    assert len(result.failures) == 1 and "row 4 is NaN" in result.failures[0]


def test_rows_stand_for_their_frames_in_the_scores(texts, roles, features_root, tmp_path):
    source = open_features(features_root, frames_per_row=4, fps=10.0)
    scorer, notes = feature_runs.make_scorer(texts, roles)
    assert any("vision tower is known by their 8 numbers a row alone" in note for note in notes)
    out = tmp_path / "scores"
    result = feature_runs.score_features(source, out, scorer, threshold=0.0)
    assert {video.name for video in result.videos} == {"riot/r1", "normal/n1"}
    assert not any(finding.thumbnails for video in result.videos for finding in video.findings)
    found = read_scores(out)
    np.testing.assert_allclose(found["r1"].times, np.arange(9) * 4 / 10)
    conventions = Conventions()
    assert score_unit(found, {"r1": 36, "n1": 24}, conventions) == "row"
    frames = to_frames(found["r1"], 34, conventions, unit="row", fps=None)
    by_hand = np.array([found["r1"].values[t // 4] for t in range(34)])
    np.testing.assert_array_equal(frames.values, by_hand)
    # The time of a row is its start, so that the seconds say the same of every frame.
    timed = to_frames(found["r1"], 34, conventions, unit="time", fps=10.0)
    np.testing.assert_array_equal(timed.values, by_hand)
    again = scored_folder.rescore_videos(out, tmp_path / "again", scorer, threshold=0.0)
    assert again.warnings == result.warnings, "no video is missed"
    assert read_scores(tmp_path / "again")["r1"].row_frames == 4


def test_what_score_video_kept_is_read_as_features(
    texts, roles, features_root, ontology_file, tmp_path
):
    scorer, _ = feature_runs.make_scorer(texts, roles)
    source = open_features(features_root, frames_per_row=4, fps=10.0)
    feature_runs.score_features(source, tmp_path / "scores", scorer)
    kept = open_features(tmp_path / "scores")
    assert kept.videos.keys() == source.videos.keys() and kept.fps is None
    first = run(source, tmp_path, texts, ontology_file, out="first")
    second = run(kept, tmp_path, texts, ontology_file, out="second")
    assert first.done == second.done
    for key in ("presence", "times", "image_embeddings"):
        folders = [tmp_path / out / "riot" / "r1" for out in ("first", "second")]
        was, now = (arrays(folder, "presence")[key] for folder in folders)
        np.testing.assert_allclose(now, was, atol=1e-6)
    for flag in ("frames_per_row", "fps", "crop"):
        with pytest.raises(InputError, match=f"--{flag}: .* is what score-video kept"):
            open_features(tmp_path / "scores", **{flag: 1})
    other = Texts(None, np.eye(5, D), np.eye(2, D), "ViT-B/16", 7.0)
    with pytest.raises(InputError, match="made by another encoder"):
        run(kept, tmp_path, other, ontology_file, out="third")


def test_texts_from_embeddings_by_name_or_by_number(model, texts, ontology_file, tmp_path):
    ontology = load_ontology(ontology_file)
    sides = (ontology.atoms, ontology.templates, ontology.neutral_prompts, CONFIG)
    bank = embed_atoms(model, *sides)
    assert np.array_equal(embed_texts(texts, *sides).bank.atoms, bank.atoms)
    order = [3, 0, 4, 1, 2]
    more = np.concatenate([5 * bank.atoms[order], np.ones((1, D))])
    np.save(tmp_path / "atoms.npy", more)
    names = [ATOMS[k].upper().replace(" ", "_") for k in order]
    (tmp_path / "atoms_names.txt").write_text("\n".join([*names, "another"]))
    np.save(tmp_path / "neutral.npy", bank.neutral)
    given = Texts(None, tmp_path / "atoms.npy", tmp_path / "neutral.npy", "ViT-T", 50.0)
    side = embed_texts(given, *sides)
    np.testing.assert_allclose(side.bank.atoms, bank.atoms, atol=1e-6)
    np.testing.assert_allclose(side.bank.neutral, bank.neutral, atol=1e-6)
    assert side.bank.logit_scale == 50.0
    assert side.made_by == {
        "path": None, "name": "ViT-T", "embedding_dimension": D, "logit_scale": 50.0,
    }  # fmt: skip
    assert any("has no names; its rows are taken as a road, a photo" in n for n in side.notes)
    mixed = embed_texts(texts._replace(neutral=tmp_path / "neutral.npy"), *sides)
    np.testing.assert_allclose(mixed.bank.atoms, bank.atoms, atol=1e-6)
    assert mixed.bank.logit_scale == model.logit_scale
    (tmp_path / "atoms_names.txt").write_text("\n".join([*names[:4], "balloon", "another"]))
    with pytest.raises(InputError, match="no row is called 'crying child' .1 of 5 atoms missing"):
        embed_texts(given, *sides)
    (tmp_path / "atoms_names.txt").unlink()
    with pytest.raises(InputError, match="6 rows, but 5 atoms"):
        embed_texts(given, *sides)


def test_texts_that_nothing_gives(ontology_file):
    ontology = load_ontology(ontology_file)
    sides = (ontology.atoms, ontology.templates, ontology.neutral_prompts)
    given = Texts(None, np.eye(5, D), np.eye(2, D), "ViT-T")
    cosine = AtomsConfig(presence=PresenceConfig(kind="cosine"))
    assert len(embed_texts(given._replace(neutral=None), *sides, cosine).bank.neutral) == 0
    for changed, config, message in (
        (given._replace(neutral=None), CONFIG, "--neutral_embeddings: not given"),
        (given._replace(atoms=None), CONFIG, "--atom_embeddings: not given"),
        (given._replace(name=None), CONFIG, "--encoder_name"),
        (given._replace(logit_scale=-1.0), CONFIG, "--logit_scale"),
        (given._replace(neutral=np.eye(2, 7)), CONFIG, "atoms have 8 numbers, neutral prompts 7"),
        (given, AtomsConfig(presence=PresenceConfig(kind="local")), "kind=local: looks at patches"),
    ):
        with pytest.raises(InputError, match=message):
            embed_texts(changed, *sides, config)


def test_roles_refuse_another_encoder_of_features(model, texts, roles):
    trained = roles._replace(training={"clip": clip.named_identity("ViT-B/16", D, 100.0)})
    same = Texts(None, np.eye(len(roles.atoms), D), np.eye(2, D), "ViT-B/16")
    assert feature_runs.make_scorer(same, trained)[0].warnings == ()
    wider = same._replace(atoms=np.eye(len(roles.atoms), 9), neutral=np.eye(2, 9))
    for other, differs in (
        (same._replace(name="ViT-B/32"), "name is ViT-B/32, was ViT-B/16"),
        (same._replace(logit_scale=50.0), "logit_scale is 50.0, was 100.0"),
        (wider, "embedding_dimension is 9, was 8"),
    ):
        with pytest.raises(InputError, match=differs):
            feature_runs.make_scorer(other, trained)
        (warning,) = feature_runs.make_scorer(other, trained, force=True)[0].warnings
        assert differs in warning
    # Roles of features score videos of the same CLIP, and the other way round.
    of_text = roles._replace(training={"clip": clip.clip_record(texts.encoder.model)})
    assert check_encoder(of_text, model) == []
    of_whole = roles._replace(training={"clip": clip.clip_record(model)})
    assert feature_runs.make_scorer(texts, of_whole)[0].warnings == ()
    params = dict(model.params, text_projection={"kernel": np.zeros((16, D), np.float32)})
    with pytest.raises(InputError, match="text_sha256 is"):
        check_encoder(of_text, dataclasses.replace(model, params=params))
    scale = float(f"{model.logit_scale:.6g}")
    named = roles._replace(training={"clip": clip.named_identity("ViT-T", D, scale)})
    (doubt,) = check_encoder(named, model)
    assert "only embedding dimension and logit scale can be compared" in doubt


def test_one_line_of_python_scores_features(model, roles, tmp_path):
    rows = np.random.default_rng(0).normal(size=(7, D))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        whole = jaxvlm.score_features(
            rows, texts=model, ontology=tmp_path / "roles.yaml", seconds_per_row=0.5
        )
        source = str(model.source)
        again = jaxvlm.score_features(2 * rows, texts=source, ontology=tmp_path / "roles.yaml")
    np.testing.assert_allclose(whole.times, np.arange(7) / 2)
    np.testing.assert_allclose(again.times, np.arange(7) * 16 / 30)
    np.testing.assert_allclose(again.probability, whole.probability, atol=1e-5)
    for wrong in (rows[0], rows[:, :3], rows[:0]):
        with pytest.raises(InputError, match=r"features: shape \[.*\]; give \[T, 8\]"):
            jaxvlm.score_features(wrong, texts=model, ontology=tmp_path / "roles.yaml")
