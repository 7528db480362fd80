"""Folders of frames to run folders: the numbers against loops, the files, and what can go wrong."""

from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from transformers import CLIPConfig

from jaxvlm import clip, files
from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import config as settings
from jaxvlm.video import pipeline, role_learning
from jaxvlm.video.config import AtomsConfig, AtomsSettings
from jaxvlm.video.frame_presence import segment
from jaxvlm.world import language
from jaxvlm.world.bpe import BOS, EOS, train_tokenizer

ONTOLOGY = """
events:
  riot: [angry crowd, thrown stones, raised fists]
  abuse: [crying child, raised fists]
clutter: [balloons]
templates: ["a photo of {}", "{} on a road"]
neutral_prompts: [a road, a photo]
"""
EVENTS = ("riot", "abuse")
ATOMS = ("angry crowd", "balloons", "crying child", "raised fists", "thrown stones")
NUM_FRAMES = {"b10": 3, "b9": 6}  # in the order of text, which is not the natural one


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny random CLIP with a tokenizer of its own, saved and loaded as a user's is."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = train_tokenizer(language.corpus(np.random.default_rng(0), 300), 700)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id(EOS)
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": 8,
    }
    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "bos_token_id": tokenizer.token_to_id(BOS),
        "eos_token_id": end,
        "pad_token_id": end,
    }
    config = CLIPConfig(
        text_config=tower | text,
        vision_config=tower | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    # Ten times CLIP's start, or all pictures would look alike to it.
    params = jax.tree.map(
        lambda leaf: 10.0 * leaf if leaf.ndim > 1 else leaf,
        clip.init_params(config, jax.random.key(0)),
    )
    clip.save(folder / "model", params, config, folder / "tokenizer.json")
    return clip.load(folder / "model")


@pytest.fixture
def ontology_file(tmp_path):
    (tmp_path / "ontology.yaml").write_text(ONTOLOGY)
    return tmp_path / "ontology.yaml"


@pytest.fixture
def frames_root(tmp_path):
    """Two videos; the shorter one has an index of its own times."""
    root = tmp_path / "frames"
    rng = np.random.default_rng(1)
    for name, count in NUM_FRAMES.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            image = rng.integers(0, 256, (6, 8, 3)).repeat(6, 0).repeat(6, 1).astype(np.uint8)
            cv2.imwrite(str(root / name / f"{k:06d}.jpg"), image)
    (root / "b10" / "index.csv").write_text("frame,time_seconds\n0,0.0\n1,2.5\n2,4.0\n")
    return root


@pytest.fixture
def run(model, frames_root, ontology_file, tmp_path):
    """Runs the pipeline into ``out``; keywords set dotted fields of the config, or arguments."""

    def run(*, labels_csv=None, qwen_json=None, ontology=ontology_file, out="out", **changes):
        config = AtomsSettings(fps=2.0, batch_size=4)
        for field, value in changes.items():
            part, name = field.split("__")
            setattr(getattr(config, part), name, value)
        return pipeline.run_pipeline(
            frames_root,
            tmp_path / out,
            encoder=clip.make_encoder(model, batch_size=4),
            ontology_file=ontology,
            config=settings.check(config),
            labels_csv=labels_csv,
            qwen_json=qwen_json,
        )

    return run


def arrays(folder: Path, kind: str) -> dict[str, np.ndarray]:
    return files.read_arrays(folder / f"{kind}.safetensors")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def unit(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def text_embeddings(model, names) -> np.ndarray:
    """Mean of the unit embeddings of both templates, unit again."""
    prompts = [[f"a photo of {name}", f"{name} on a road"] for name in names]
    return unit(np.mean([unit(clip.encode_texts(model, pair)) for pair in prompts], axis=1))


def segments_by_loops(p: np.ndarray, b: np.ndarray, window: int) -> np.ndarray:
    """p̄(u) = Σ_t π_{t→u} mean_{s=t..u} p(s) / Σ_t π_{t→u}, in float64."""
    p, b = p.astype(np.float64), b.astype(np.float64)
    pbar = np.zeros_like(p)
    for u in range(len(p)):
        total, mass = 0.0, 0.0
        for t in range(max(0, u - window + 1), u + 1):
            pi = np.prod(1.0 - b[t + 1 : u + 1])
            total = total + pi * p[t : u + 1].mean(0)
            mass += pi
        pbar[u] = total / mass
    return pbar


def test_a_run_writes_the_documented_files(run, tmp_path):
    result = run()
    assert result.manifest == tmp_path / "out" / "manifest.csv"
    assert result.done == ["b9", "b10"] and result.failures == [] and result.coverage is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "b10",
        "b9",
        "manifest.csv",
        "ontology.yaml",
        "pipeline.json",
    ]
    shapes = {
        "presence": {"presence": ("T", 5), "times": ("T",), "image_embeddings": ("T", 8)},
        "boundary": {"boundary": ("T",), "divergence": ("T",)},
        "seg_presence": {"seg_presence": ("T", 5)},
        "labels": {"labels": ("T", 2)},
        "trainpack": {"pbar": ("T", 5), "labels": ("T",)},
    }
    for name, count in NUM_FRAMES.items():
        folder = tmp_path / "out" / name
        assert sorted(p.name for p in folder.iterdir()) == sorted(
            f"{k}.safetensors" for k in shapes
        )
        for kind, expected in shapes.items():
            found = {key: array.shape for key, array in arrays(folder, kind).items()}
            assert found == {
                key: tuple(count if axis == "T" else axis for axis in shape)
                for key, shape in expected.items()
            }
            for array in arrays(folder, kind).values():
                assert array.dtype == (np.int8 if kind == "labels" else array.dtype)
                assert np.isfinite(array).all()
    runs = tables.read_manifest(result.manifest)
    assert [r.run_dir.name for r in runs] == ["b9", "b10"]
    assert [r.labels_csv for r in runs] == [None, None]
    assert (tmp_path / "out" / "ontology.yaml").read_text() == ONTOLOGY
    record = files.read_json(tmp_path / "out" / "pipeline.json")
    assert {"texts", "encode", "segment"} <= set(record["seconds"]) and record["versions"]["jax"]
    config = settings.check(record["config"])
    assert config.fps == 2.0 and config == AtomsConfig(fps=2.0, batch_size=4)


def test_contrast_presence_is_the_formula_of_the_embeddings(run, model, frames_root, tmp_path):
    """p = σ(s⟨v, t⟩ − log mean_k exp(s⟨v, n_k⟩)), s = exp(logit_scale), in float64."""
    run()
    stored = arrays(tmp_path / "out" / "b9", "presence")
    pictures = [clip.read_rgb(path) for path in sorted((frames_root / "b9").glob("*.jpg"))]
    embeddings = clip.encode_images(model, clip.preprocess(model, pictures))
    np.testing.assert_allclose(stored["image_embeddings"], embeddings, rtol=1e-4, atol=1e-5)
    v = unit(embeddings)
    scale = np.exp(float(model.params["logit_scale"]))
    neutral = scale * v @ unit(clip.encode_texts(model, ["a road", "a photo"])).T
    level = np.log(np.exp(neutral).mean(1))
    logits = scale * v @ text_embeddings(model, ATOMS).T - level[:, None]
    np.testing.assert_allclose(stored["presence"], 1 / (1 + np.exp(-logits)), rtol=1e-3, atol=1e-5)


def test_cosine_presence_is_the_formula_of_the_embeddings(run, model, tmp_path):
    run(presence__kind="cosine")
    stored = arrays(tmp_path / "out" / "b9", "presence")
    cosine = unit(stored["image_embeddings"]) @ text_embeddings(model, ATOMS).T
    np.testing.assert_allclose(stored["presence"], (cosine + 1) / 2, rtol=1e-5)


def test_local_presence_is_the_share_of_the_best_patches(run, model, frames_root, tmp_path):
    """p = mean of the k largest softmax shares over patches, neutral prompts beside the atoms."""
    run(presence__kind="local", presence__patches=2)
    stored = arrays(tmp_path / "out" / "b10", "presence")
    pictures = [clip.read_rgb(path) for path in sorted((frames_root / "b10").glob("*.jpg"))]
    pixels = clip.preprocess(model, pictures)
    images, patches = clip.encode_patches(model, pixels)
    np.testing.assert_allclose(images, clip.encode_images(model, pixels), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored["image_embeddings"], images, rtol=1e-4, atol=1e-5)
    assert patches.shape == (3, 4, 8)
    neutral = unit(clip.encode_texts(model, ["a road", "a photo"]))
    texts = np.concatenate([text_embeddings(model, ATOMS), neutral])
    scale = np.exp(float(model.params["logit_scale"]))
    for t in range(3):
        weights = np.exp(scale * unit(patches[t]) @ texts.T)
        share = weights / weights.sum(1, keepdims=True)
        expected = [np.sort(share[:, c])[-2:].mean() for c in range(len(ATOMS))]
        np.testing.assert_allclose(stored["presence"][t], expected, rtol=1e-3)


def test_boundaries_and_segments_follow_from_the_presence(run, tmp_path):
    run(presence__kind="cosine", boundary__delta="0.001", boundary__kappa="900", segments__window=3)
    for name in NUM_FRAMES:
        folder = tmp_path / "out" / name
        p = arrays(folder, "presence")["presence"]
        boundary = arrays(folder, "boundary")
        d = np.concatenate([[0], (np.diff(p.astype(np.float64), axis=0) ** 2).sum(1)])
        np.testing.assert_allclose(boundary["divergence"], d, rtol=1e-3, atol=1e-9)
        b = 1 / (1 + np.exp(-900 * (d - 0.001)))
        np.testing.assert_allclose(boundary["boundary"], b, rtol=1e-3)
        pbar = arrays(folder, "seg_presence")["seg_presence"]
        np.testing.assert_allclose(pbar, segments_by_loops(p, b, 3), rtol=1e-4)
        np.testing.assert_array_equal(arrays(folder, "trainpack")["pbar"], pbar)


@pytest.mark.parametrize(
    ("weighting", "delta", "kappa"), [("running_mean", "0.05", "40"), ("recurrent", "auto", "auto")]
)
def test_padding_to_a_bucket_changes_nothing(weighting, delta, kappa):
    config = AtomsConfig(
        boundary=settings.BoundaryConfig(delta, kappa),
        segments=settings.SegmentConfig(window=5, weighting=weighting),
    )
    numbers = {"delta": delta, "kappa": kappa}
    if delta != "auto":
        numbers = {name: float(value) for name, value in numbers.items()}
    rng = np.random.default_rng(3)
    for length in (1, 65):
        p = rng.uniform(size=(length, 4)).astype(np.float32)
        d = divergence(p)
        b = boundary_probability(d, **numbers)
        expected = segment_presence(p, b, window=5, weighting=weighting)
        segmented = segment(p, config)
        np.testing.assert_allclose(segmented.divergence, d, rtol=1e-6)
        np.testing.assert_allclose(segmented.boundary, b, rtol=1e-5)
        np.testing.assert_allclose(segmented.segment_presence, expected, rtol=1e-5)


def test_a_learned_threshold_starts_at_the_prototypes():
    p = np.random.default_rng(4).uniform(size=(9, 3)).astype(np.float32)
    results = []
    for delta, kappa in (("learned", "learned"), ("0.6", "8.0")):
        config = AtomsConfig(boundary=settings.BoundaryConfig(delta, kappa))
        results.append(segment(p, config))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_automatic_threshold_is_one_of_each_video(run, tmp_path):
    """δ = max(median + 3·1.4826·MAD of the video's own divergences, 1e-6), κ = 4.8/δ."""
    run(boundary__delta="auto", boundary__kappa="auto")
    deltas = []
    for name in NUM_FRAMES:
        stored = arrays(tmp_path / "out" / name, "boundary")
        d = stored["divergence"].astype(np.float64)
        deltas.append(max(np.median(d) + 3 * 1.4826 * np.median(np.abs(d - np.median(d))), 1e-6))
        b = 1 / (1 + np.exp(-4.8 * (d / deltas[-1] - 1)))
        np.testing.assert_allclose(stored["boundary"], b, rtol=1e-3)
    assert len(set(deltas)) == 2 and min(deltas) > 1e-6


def test_times_come_from_the_index_or_the_rate(run, tmp_path):
    run()
    np.testing.assert_array_equal(
        arrays(tmp_path / "out" / "b10", "presence")["times"], [0.0, 2.5, 4.0]
    )
    np.testing.assert_array_equal(
        arrays(tmp_path / "out" / "b9", "presence")["times"], np.arange(6) / 2
    )


def test_labels_of_videos(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,abuse,riot\nb9,yes,0\nb10,0,0\nb11,1,1\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    assert result.failures == []
    labels = arrays(tmp_path / "out" / "b9", "labels")["labels"]
    np.testing.assert_array_equal(labels, [[0, 1]] * 6)  # the ontology's order of events
    np.testing.assert_array_equal(arrays(tmp_path / "out" / "b9", "trainpack")["labels"], [1] * 6)
    np.testing.assert_array_equal(arrays(tmp_path / "out" / "b10", "trainpack")["labels"], [0] * 3)
    runs = tables.read_manifest(result.manifest)
    table = tables.read_event_labels(runs[0].labels_csv, EVENTS)
    assert table.to_dict("records") == [{"video_id": "b9", "riot": 0, "abuse": 1}]


def test_labels_of_frames(run, tmp_path):
    rows = ["video_id,frame,riot,abuse", "b9,1,1,0", "b9,4,0,1", "b9,77,1,1"]
    rows += [f"b10,{k},0,0" for k in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    expected = np.full((6, 2), -1)
    expected[1], expected[4] = (1, 0), (0, 1)
    folder = tmp_path / "out" / "b9"
    np.testing.assert_array_equal(arrays(folder, "labels")["labels"], expected)
    np.testing.assert_array_equal(arrays(folder, "trainpack")["labels"], [-1, 1, -1, -1, 1, -1])
    ontology = load_ontology(tmp_path / "ontology.yaml")
    data = role_learning.read_runs(result.manifest, ontology)
    assert data.labels.tolist() == [[1, 1], [0, 0]]


def test_without_labels_nothing_is_known(run, tmp_path):
    run()
    assert (arrays(tmp_path / "out" / "b9", "labels")["labels"] == -1).all()
    assert (arrays(tmp_path / "out" / "b9", "trainpack")["labels"] == -1).all()
    assert not (tmp_path / "out" / "b9" / "video_event_labels.csv").exists()


def test_a_video_without_a_label_row_is_skipped(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nb9,1,0\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    assert result.done == ["b9"]
    (failure,) = result.failures
    assert "b10" in failure and "labels.csv: no row" in failure and "\n" not in failure


def test_wrong_labels_stop_the_run_before_it_starts(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abus\nb9,1,0\n")
    with pytest.raises(InputError, match="abuse"):
        run(labels_csv=tmp_path / "labels.csv")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_frame_costs_its_video_only(run, frames_root, tmp_path):
    run()
    before = contents(tmp_path / "out" / "b9")
    broken = frames_root / "b9" / "000003.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    result = run(presence__kind="cosine")
    assert result.done == ["b10"]
    (failure,) = result.failures
    assert failure.startswith("b9: ") and str(broken) in failure and "\n" not in failure
    assert contents(tmp_path / "out" / "b9") == before  # the earlier run
    assert [r.run_dir.name for r in tables.read_manifest(result.manifest)] == ["b10"]
    assert arrays(tmp_path / "out" / "b10", "presence")["presence"].min() > 0


def test_if_no_video_can_be_scored_earlier_results_stay(run, frames_root, tmp_path):
    run()
    before = contents(tmp_path / "out")
    for name in NUM_FRAMES:
        (frames_root / name / "000001.jpg").write_text("no picture")
    with pytest.raises(InputError, match="no video could be scored") as caught:
        run(presence__kind="cosine")
    assert "000001.jpg" in str(caught.value) and "\n" not in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_an_empty_folder_and_a_wrong_index_are_reported(run, frames_root):
    (frames_root / "c1").mkdir()
    (frames_root / "b10" / "index.csv").write_text("frame,time_seconds\n0,0.0\n")
    result = run()
    assert result.done == ["b9"] and len(result.failures) == 2
    assert "c1: no picture" in result.failures[0]
    assert "no time for 000001.jpg" in result.failures[1]


def test_a_second_run_replaces_a_run_folder_whole(run, tmp_path):
    run()
    first = contents(tmp_path / "out")
    (tmp_path / "out" / "b9" / "stale.txt").write_text("old")
    run()
    again = contents(tmp_path / "out")
    assert set(again) == set(first)
    for name in first.keys() - {"pipeline.json"}:  # it holds timings
        assert again[name] == first[name], name


def caption_file(path: Path, named: dict[str, list[str]]) -> Path:
    """Keys are paths of another machine."""
    value = {f"/elsewhere/{key}": {"atoms": atoms} for key, atoms in named.items()}
    files.write_json(path, value)
    return path


def test_captions_raise_the_presence_of_what_they_name(run, tmp_path):
    """p + λ(1 − p) where named and p ≥ guard."""
    captions = caption_file(
        tmp_path / "captions.json",
        {
            "b9/000001.jpg": ["Angry crowd", "the balloons", "a spaceship"],
            "b9/000004.jpg": [],
            "b10/000002.jpg": ["raised fist"],  # one of them
        },
    )
    plain = {"presence__kind": "cosine", "presence__resemble_threshold": 1.1}
    run(**plain)
    before = {n: arrays(tmp_path / "out" / n, "presence")["presence"] for n in NUM_FRAMES}
    guard = float(np.sort([before["b9"][1, 0], before["b9"][1, 1]]).mean())
    result = run(
        out="with", qwen_json=captions, presence__guard=guard, presence__lambda_atoms=0.4, **plain
    )
    after = {n: arrays(tmp_path / "with" / n, "presence")["presence"] for n in NUM_FRAMES}
    expected = {n: p.astype(np.float64).copy() for n, p in before.items()}
    for name, t, c in (("b9", 1, 0), ("b9", 1, 1), ("b10", 2, 3)):
        p = expected[name][t, c]
        expected[name][t, c] = p + 0.4 * (1 - p) if p >= guard else p
    for name in NUM_FRAMES:
        np.testing.assert_allclose(after[name], expected[name], rtol=1e-5)
    # One of the two named atoms of b9 lies below the guard.
    assert (after["b9"][1, :2] > before["b9"][1, :2]).sum() == 1
    coverage = result.coverage
    assert (coverage.frames_found, coverage.frames_total) == (3, 9)
    assert coverage.phrases_matched == 3 and dict(coverage.phrases_unknown) == {"spaceship": 1}


def test_captions_that_resemble_an_atom_count_less(run, model, tmp_path):
    """The text encoder decides what resembles; λ_resemble is weighted by its cosine."""
    captions = caption_file(tmp_path / "captions.json", {"b9/000000.jpg": ["furious people"]})
    run(presence__kind="cosine")
    before = arrays(tmp_path / "out" / "b9", "presence")["presence"][0].astype(np.float64)
    result = run(
        out="with",
        qwen_json=captions,
        presence__kind="cosine",
        presence__guard=0.0,
        presence__resemble_threshold=0.0,
        presence__lambda_resemble=0.3,
    )
    after = arrays(tmp_path / "with" / "b9", "presence")["presence"][0]
    cosine = (
        unit(clip.encode_texts(model, ["furious people"]))
        @ unit(clip.encode_texts(model, list(ATOMS))).T
    )
    weight = 0.3 * np.maximum(cosine[0], 0)
    np.testing.assert_allclose(after, before + weight * (1 - before), rtol=1e-4)
    assert result.coverage.phrases_similar == 1


def test_captions_that_match_no_frame_stop_the_run(run, tmp_path):
    captions = caption_file(tmp_path / "captions.json", {"other/000001.jpg": ["balloons"]})
    with pytest.raises(InputError, match="captions.json: matches no frame") as caught:
        run(qwen_json=captions)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_contrast_needs_neutral_prompts_and_the_others_do_not(run, tmp_path):
    bare = tmp_path / "bare.yaml"
    bare.write_text(ONTOLOGY.replace("neutral_prompts: [a road, a photo]\n", ""))
    with pytest.raises(InputError, match="no neutral_prompts.*presence.kind=cosine"):
        run(ontology=bare)
    for kind in ("cosine", "local"):
        assert run(ontology=bare, presence__kind=kind).done == ["b9", "b10"]


def test_a_prompt_that_is_too_long_is_one_line(run, tmp_path):
    long = tmp_path / "long.yaml"
    long.write_text(ONTOLOGY.replace("[balloons]", f"[{'balloons ' * 80}]"))
    with pytest.raises(InputError, match="tokens.*shorten") as caught:
        run(ontology=long)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_role_learning_reads_what_the_pipeline_wrote(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nb9,1,0\nb10,0,1\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    ontology = load_ontology(result.manifest.parent / "ontology.yaml")
    data = role_learning.read_runs(result.manifest, ontology)
    assert ontology.atoms == ATOMS and ontology.events == EVENTS
    assert data.names == result.done and data.labels.tolist() == [[1, 0], [0, 1]]
    for name, pbar, presence in zip(data.names, data.videos, data.presences, strict=True):
        folder = tmp_path / "out" / name
        np.testing.assert_array_equal(pbar, arrays(folder, "seg_presence")["seg_presence"])
        np.testing.assert_array_equal(presence, arrays(folder, "presence")["presence"])
