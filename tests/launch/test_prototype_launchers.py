"""What a researcher already has, through the programs: the prototypes' folders, lists and tars."""

import json
import pickle
import tarfile

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.ood.words.lists import read_words
from jaxvlm.resources import path as resource
from jaxvlm.world.ood_pictures import ID_CLASSES, write_ood_benchmark
from tests.launch.one_process import run_all
from tests.launch.test_launchers import one_line, succeeded
from tests.prototypes.prototype_folder import ATOMS, EVENTS, write_prototype

COUNT = 10


def write_video(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 5, (64, 48))
    for i in range(20):
        writer.write(np.full((48, 64, 3), (10 * i, 90, 200), np.uint8))
    writer.release()


def write_negatives(base):
    """NegRefine's output folder with pickles alone, and NegAlign's data folder with its split."""
    words, _ = read_words(resource("configs/ood/world_words.txt"))
    words = [word for word in words if word not in ID_CLASSES][:60]
    (base / "negrefine").mkdir()
    for name, part in (("noun", words[:40]), ("adj", words[40:])):
        (base / "negrefine" / f"neg_labels_{name}.pkl").write_bytes(pickle.dumps(part))
    split = base / "negalign" / "data" / "negatives_split"
    split.mkdir(parents=True)
    rows = [f"{word},{0.5 - i / 60}\n" for i, word in enumerate(words)]
    (split / "neg_word_scores.csv").write_text("".join(["word,r_score\n", *rows]))
    for name, part in (("object", words[:25]), ("background", words[35:]), ("ambiguous", [])):
        (split / f"neg_{name}.txt").write_text("".join(f"{word}\n" for word in part))
    return words


def write_tars(world, folder):
    """The rendered pictures as two shards with labels; the second has lost its end."""
    folder.mkdir()
    pictures = sorted((world / "id").rglob("*.jpg"))
    for shard in range(2):
        with tarfile.open(folder / f"{shard:06d}.tar", "w") as archive:
            for i, path in enumerate(pictures[shard::2]):
                label = folder / "label"
                label.write_text(str(i % 3))
                archive.add(label, f"{i:04d}.cls")
                archive.add(path, f"{i:04d}.jpg")
                label.unlink()
    content = (folder / "000001.tar").read_bytes()
    (folder / "000001.tar").write_bytes(content.rstrip(b"\0")[:-50])
    return len(pictures)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("a folder with spaces")
    write_prototype(base / "prototype")
    write_video(base / "v.mp4")
    write_negatives(base)
    write_ood_benchmark(base / "world", seed=4, count=COUNT, workers=1)
    write_tars(base / "world", base / "shards")
    below = sorted(
        p.relative_to(base / "world") for p in (base / "world" / "ood_unseen").rglob("*.jpg")
    )
    (base / "list.txt").write_text("".join(f"{path.as_posix()} -1\n" for path in below))
    evil = base / "evil" / "video_0"
    evil.mkdir(parents=True)
    torch.save(torch.nn.Linear(2, 2), evil / "trainpack.pt")
    (base / "old.json").write_text(
        json.dumps({"ood_dataset": "SUN", "plain": {"auroc": 0.5, "fpr95": 0.9}})
    )
    return base


@pytest.fixture(scope="module")
def ran(base):
    runs, world = base / "prototype" / "runs", base / "world"
    ontology = f"--ontology={base}/prototype/src/atoms/ontology.py"
    pictures = [
        f"--class_names={world}/class_names.txt",
        f"--config={resource('configs/ood/world.py')}",
        "--config.negalign.num_groups=5",
        f"--config.batch_size={COUNT}",
        "--cache_dir=",
    ]

    def convert(source, *more, out="failed"):
        return ["convert_prototype", f"--source={source}", f"--out_dir={base}/{out}", *more]

    def shards(*more):
        return ["score_images", *pictures, f"--images={base}/shards", "--shown=0",
                f"--out_dir={base}/scored tars", *more]  # fmt: skip

    commands = {
        "convert": convert(runs, ontology, out="converted"),
        "train": ["train_role_learning", f"--manifest_csv={base}/converted/manifest.csv",
                  "--epochs=2", "--topk=2", "--freeze_bias_epochs=1", f"--out_dir={base}/trained",
                  f"--config={resource('configs/reference.py')}"],
        "score": ["score_video", f"--video={base}/v.mp4", f"--roles={base}/converted/roles/model",
                  f"--out_dir={base}/scored"],
        "back": convert(base / "converted", "--to=prototype", out="back"),
        "trained back": convert(base / "trained", "--to=prototype", out="trained back"),
        "without ontology": convert(runs, out="nameless"),
        "other ontology": convert(
            runs, f"--ontology={resource('configs/ontology/world.yaml')}", out="other"
        ),
        "code in it": convert(base / "evil", ontology),
        "nothing in it": convert(base / "shards", ontology),
        "no such folder": convert(base / "gone", ontology),
        "unknown form": convert(runs, "--to=pytorch"),
        "negrefine": shards(f"--negatives={base}/negrefine"),
        "negalign": [
            "evaluate_ood", *pictures, f"--id_dir=tars={base}/shards/000000.tar",
            f"--ood_dirs=listed={base}/list.txt@{world}", "--methods=mcm,neglabel",
            "--config.num_resamples=20",
            f"--negatives={base}/negalign/data", f"--out_dir={base}/evaluated",
        ],
        "list without root": [
            "score_images", *pictures, f"--images={base}/list.txt", f"--out_dir={base}/failed"
        ],
        "compare": ["compare_results", f"--results={base}/old.json,{base}/evaluated/results.json",
                    f"--out_csv={base}/both.csv"],
        "compare nothing": ["compare_results", f"--results={base}/converted/pipeline.json"],
    }  # fmt: skip
    return run_all(commands, cwd=base)


def test_a_prototypes_folder_is_trained_and_scored_on(ran, base):
    shown = succeeded(ran["convert"])
    assert f"4 runs: {base}/converted/manifest.csv" in shown
    assert f"roles: {base}/converted/roles/model" in shown
    assert load_ontology(base / "converted" / "ontology.yaml").atoms == ATOMS
    record = json.loads((base / "converted" / "pipeline.json").read_text())
    assert record["config"]["presence"]["kind"] == "cosine"
    assert f"role model: {base}/trained/model" in succeeded(ran["train"])
    roles = pd.read_csv(base / "trained" / "roles.csv")
    assert set(roles["atom"]) == {ATOMS[1], ATOMS[4], ATOMS[6]}
    assert "1 video: " in succeeded(ran["score"])
    events = pd.read_csv(base / "scored" / "v" / "events.csv")
    assert list(events) == ["frame", "time_seconds", *EVENTS] and len(events) == 4
    assert events[list(EVENTS)].stack().between(0, 1).all()


def test_and_goes_back_to_the_prototype(ran, base):
    succeeded(ran["back"])
    before = base / "prototype" / "runs"
    for run in [f"video_{n}" for n in range(4)]:
        pack = torch.load(base / "back" / run / "trainpack.pt", weights_only=True)
        original = torch.load(before / run / "trainpack.pt", weights_only=True)
        assert torch.equal(pack["pbar"], original["pbar"])
    state = torch.load(base / "back" / "role_learner_multi.pt", weights_only=True)
    original = torch.load(before / "role_learner_multi.pt", weights_only=True)
    assert all(torch.equal(state[name], original[name]) for name in original)
    # Roles trained here in the prototype's form can be read there.
    succeeded(ran["trained back"])
    state = torch.load(base / "trained back" / "role_learner_multi.pt", weights_only=True)
    assert sorted(state) == sorted(original) and state["theta_dir"].shape == (len(ATOMS), 2)


def test_what_cannot_be_converted_is_one_line(ran, base):
    assert "give --ontology" in one_line(ran["without ontology"])
    assert (base / "nameless" / "manifest.csv").is_file()
    lines = ran["other ontology"].stderr.splitlines()
    assert len(lines) == 5 and all("7" in line and "ontology" in line for line in lines)
    assert "Linear" in one_line(ran["code in it"])
    for name in ("nothing in it", "no such folder"):
        assert "neither manifest.csv, run folders nor role_learner_multi.pt" in one_line(ran[name])
    assert ran["unknown form"].returncode == 1
    assert "jaxvlm|prototype" in ran["unknown form"].stderr


def test_pickled_negatives_and_tars_of_which_one_is_cut_off(ran, base):
    failed = one_line(ran["negrefine"])
    assert "000001.tar: cut off or damaged after" in failed
    table = pd.read_csv(base / "scored tars" / "scores.csv")
    whole = [f"000000.tar/{i:04d}.jpg" for i in range(COUNT // 2)]
    assert table["path"].tolist()[: COUNT // 2] == whole
    assert len(table) == COUNT - 1
    words = {word for name in ("noun", "adj") for word in pickle.loads(
        (base / "negrefine" / f"neg_labels_{name}.pkl").read_bytes())}  # fmt: skip
    assert {w for row in table["nearest_negatives"] for w in row.split("; ")} <= words


def test_negaligns_folder_with_a_tar_and_a_list_below_a_root(ran, base):
    succeeded(ran["negalign"])
    record = json.loads((base / "evaluated" / "results.json").read_text())
    assert record["labels"] == {
        "positive": len(ID_CLASSES),
        "negative": 60,
        "negative_object": 25,
        "negative_background": 25,
        "conjugated": 0,
    }
    assert record["counts"] == {"tars": COUNT // 2, "listed": COUNT}
    assert "list.txt@ROOT" in one_line(ran["list without root"])


def test_results_are_compared(ran, base):
    shown = succeeded(ran["compare"]).splitlines()
    assert shown[1].split() == ["old.json", "SUN", "plain", "id_positive", "50.00", "90.00"]
    table = pd.read_csv(base / "both.csv")
    own = pd.read_csv(base / "evaluated" / "results.csv")
    assert len(table) == 1 + len(own)
    np.testing.assert_allclose(table["auroc"][1:], own["auroc"], rtol=1e-5)
    assert "pipeline.json: no AUROC in it" in one_line(ran["compare nothing"])
