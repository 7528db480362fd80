"""What is encoded once: a second run with other settings does no forward pass, and says so."""

import json
import shutil

import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.resources import path as resource
from jaxvlm.world.ood_pictures import write_ood_benchmark
from tests.launch.one_process import run_all
from tests.launch.test_launchers import succeeded

COUNT, FRAMES = 8, 4
ONTOLOGY = """
events:
  fire: [flame, smoke]
  crowd: [crowd of people, smoke]
templates: ["a photo of a {}"]
neutral_prompts: [a photo of a street]
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("store")
    write_ood_benchmark(base / "world", seed=5, count=COUNT, workers=1)
    pictures = sorted((base / "world" / "id").rglob("*.jpg"))
    for v, video in enumerate("ab"):
        (base / "frames" / video).mkdir(parents=True)
        for t in range(FRAMES):
            shutil.copy(pictures[v * FRAMES + t], base / "frames" / video / f"{t:06d}.jpg")
    (base / "words.txt").write_text("tree\nroad\nfield\nchair\nbeach\numbrella\nkite\ncloud\n")
    (base / "ontology.yaml").write_text(ONTOLOGY)
    return base


@pytest.fixture(scope="module")
def ran(base):
    def evaluate(out, *more):
        world = base / "world"
        return ["evaluate_ood", f"--config={resource('configs/ood/world.py')}",
                f"--class_names={world}/class_names.txt", f"--id_dir={world}/id",
                f"--ood_dirs={world}/ood_unseen", "--config.num_resamples=10",
                "--config.negalign.num_groups=2", "--config.batch_size=8",
                f"--cache_dir={base}/texts", f"--out_dir={base}/{out}", *more]  # fmt: skip

    def pipeline(out, *more):
        return ["run_pipeline", f"--frames_root={base}/frames", f"--out_dir={base}/{out}",
                *more, "--config.batch_size=8", f"--store_dir={base}/store"]  # fmt: skip

    store = f"--store_dir={base}/store"
    local = f"--config={resource('configs/world.py')}"
    commands = {
        "first": evaluate("first", store),
        "other": evaluate("other", store, "--config.negalign.lambda_bg=1.5",
                          "--config.negalign.p_align_variant=v1_original",
                          "--methods=neglabel,mcm,negalign", f"--negatives={base}/words.txt"),
        "without": evaluate("without"),
        "again": evaluate("again", store),
        "frames": pipeline("frames_first"),
        "other frames": pipeline("frames_other", "--window=3", "--delta=auto",
                                 f"--ontology={base}/ontology.yaml"),
        "local": pipeline("local", local),
        "other local": pipeline("local_other", local, "--window=2",
                                f"--ontology={base}/ontology.yaml"),
    }  # fmt: skip
    return run_all(commands, cwd=base)


def test_another_score_and_other_negatives_need_no_forward_pass(ran, base):
    pictures = sum(
        len(list((base / "world" / name).rglob("*.jpg"))) for name in ("id", "ood_unseen")
    )
    assert f"{pictures} pictures encoded, " in succeeded(ran["first"])
    for name in ("other", "again"):
        shown = succeeded(ran[name]).splitlines()
        assert f"{pictures} pictures from the store: no forward pass" in shown
        record = json.loads((base / name / "results.json").read_text())["encoding"]
        assert (record["encoded"], record["from_store"]) == (0, pictures)
    assert set(pd.read_csv(base / "other" / "results.csv")["method"]) != set(
        pd.read_csv(base / "first" / "results.csv")["method"]
    )
    scores = [pd.read_csv(base / name / "scores.csv") for name in ("first", "other")]
    assert (scores[0]["mcm"] == scores[1]["mcm"]).all()
    assert (scores[0]["neglabel"] != scores[1]["neglabel"]).any()


@pytest.mark.parametrize("table", ["results.csv", "sweep.csv", "scores.csv"])
def test_the_store_changes_no_byte_of_the_tables(ran, base, table):
    first = (base / "first" / table).read_bytes()
    assert first == (base / "without" / table).read_bytes()
    assert first == (base / "again" / table).read_bytes()


def test_another_ontology_window_and_delta_need_no_forward_pass(ran, base):
    for name, other in (("frames", "other frames"), ("local", "other local")):
        assert f"{2 * FRAMES} pictures encoded, " in succeeded(ran[name])
        shown = succeeded(ran[other]).splitlines()
        assert f"{2 * FRAMES} pictures from the store: no forward pass" in shown
    for first, other in (("frames_first", "frames_other"), ("local", "local_other")):
        for video in "ab":
            one, two = (
                files.read_arrays(base / out / video / "presence.safetensors")
                for out in (first, other)
            )
            assert (one["image_embeddings"] == two["image_embeddings"]).all()
            assert one["presence"].shape != two["presence"].shape == (FRAMES, 3)
