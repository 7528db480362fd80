"""The programs on embeddings: tables and a page without a picture, and what cannot apply."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from jaxvlm import resources
from tests.launch.one_process import run_all

D = 16
GIVEN = "--class_embeddings=classes.npy --negative_embeddings=words.npy"
COMPARED = f"evaluate-ood --id_embeddings=known.npy --ood_embeddings=others.npy {GIVEN}"
SCORED = f"score-images --image_embeddings=others.npy {GIVEN}"

RUNS = {
    "compared": f"{COMPARED} --config.num_resamples=20 --out_dir=compared",
    "streamed": f"{COMPARED} --config.num_resamples=20 --methods=mahalanobis --id_train=known.npy "
    "--stream=shuffled,blocks --ood_share=0.5,0.2 --stream_repeats=2 --stream_methods=steady,oodd "
    "--out_dir=streamed",
    "scored": f"{SCORED} --id_embeddings=known.npy --out_dir=scored",
}
PROTOCOL = (
    "evaluate-ood --id_embeddings=known.npy@labels.txt --ood_embeddings=near/others.1=others.npy "
    "--ood_embeddings=near/few=few.npy,far/far=far.npy --covariate_embeddings=moved.npy@labels.txt "
    f"{GIVEN} --config.num_resamples=20 --config.seed=3 --config.convention=openood "
    "--methods=mcm,neglabel,knn --samples_per_class=9 --max_ood_samples=25"
)
RUNS["protocol"] = f"{PROTOCOL} --out_dir=protocol"
REFUSED = {
    f"{COMPARED} --covariate_dirs=pictures --out_dir=no": "--covariate_dirs: pictures, and --id_em",
    f"{COMPARED} --covariate_embeddings=near/x=moved.npy --out_dir=no": "near/x: groups are of OOD",
    f"{COMPARED} --covariate_embeddings=known.npy --out_dir=no": "known: two sets of this name",
    f"{COMPARED} --ood_embeddings=a/b/c=few.npy --out_dir=no": "the name 'a/b' cannot be a file's",
    f"{COMPARED} --ood_embeddings=sets/x=few.npy --out_dir=no": "sets: a group of this name",
    f"{COMPARED} --ood_dirs=pictures --out_dir=no": "Exactly one of (ood_dirs, ood_embeddings)",
    f"evaluate-ood --id_dir=p --ood_embeddings=others.npy {GIVEN} --out_dir=no": (
        "--id_dir: pictures, and --ood_embeddings: embeddings; give all sets as one of the two"
    ),
    f"{COMPARED} --store_dir=s --out_dir=no": "--store_dir: nothing is encoded",
    f"{COMPARED} --config.negalign.lambda_bg=2 --out_dir=no": "embeddings have no patches",
    f"{COMPARED} --clip=CLIP --out_dir=no": "known has 16 dimensions, the encoder --clip has 128",
    f"score-images --image_embeddings=near/x=few.npy {GIVEN} --out_dir=no": "near/x: groups are",
    f"{SCORED} --method=gl_mcm --out_dir=no": "method 'gl_mcm': looks at patches",
    f"{SCORED} --method=negrefine --out_dir=no": "its pairs of words take a text tower",
    f"{SCORED} --keep_id=0.9 --out_dir=no": "--keep_id: has no effect without ID pictures",
    f"{SCORED} --image_embeddings=known.npy --out_dir=no": "a second set of embeddings",
    "score-images --image_embeddings=others.npy --out_dir=no": "--class_embeddings",
    f"{COMPARED} --class_skew=1 --out_dir=no": "it is of streams; add --stream=shuffled",
    f"{COMPARED} --stream=sorted --out_dir=no": "order 'sorted': unknown",
    f"{COMPARED} --stream=blocks --ood_share=half --out_dir=no": "--ood_share=half: give numbers",
    f"{COMPARED} --out_dir=known.npy": "--out_dir: known.npy is what --id_embeddings reads",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    rng = np.random.default_rng(0)
    banks = {"classes": rng.normal(size=(4, D)), "words": rng.normal(size=(30, D))}
    for name, bank in (("known", banks["classes"]), ("others", banks["words"])):
        rows = np.resize(bank, (40, D))
        banks[name] = rows + 0.2 * rng.normal(size=rows.shape)
    banks["few"], banks["far"] = banks["others"][:12] + 0.1, -banks["others"]
    banks["moved"] = banks["known"] + 0.5 * rng.normal(size=(40, D))
    (folder / "labels.txt").write_text("\n".join(str(n % 4) for n in range(40)))
    for name, bank in banks.items():
        np.save(folder / f"{name}.npy", bank)
    (folder / "words_names.txt").write_text("\n".join(f"thing {n}" for n in range(30)))
    lines = {**RUNS, **{line: line for line in REFUSED}}
    words = {name: line.split() for name, line in lines.items()}
    clip = str(resources.path("checkpoints/clip"))
    words = {name: [w.replace("CLIP", clip) for w in line] for name, line in words.items()}
    return folder, run_all(words, cwd=folder)


def test_tables_and_page_are_there_without_a_picture(done):
    folder, runs = done
    for name in RUNS:
        assert runs[name].returncode == 0, runs[name].stderr
        assert "embeddings as given, nothing encoded" in runs[name].stdout
        page = (folder / name / "report.html").read_text()
        for told in (page, runs[name].stdout):
            assert "GL-MCM, foreground-star and P_align (NegAlign) are left out" in told
    results = pd.read_csv(folder / "compared" / "results.csv").set_index("method")
    assert results.loc["neglabel", "auroc"] > 0.9 and "gl_mcm" not in results.index
    record = json.loads((folder / "compared" / "results.json").read_text())
    assert record["embeddings"]["known"] == {
        "key": "features", "rows": 40, "dimension": D, "type": "float64", "unit": False,
    }  # fmt: skip
    assert record["inputs"]["id_embeddings"]["sha256"] and record["clip"] is None
    scored = pd.read_csv(folder / "scored" / "scores.csv")
    assert (scored["decision"] == "out").mean() > 0.8 and scored["why"].str.contains("thing").all()


def record_of(folder, name):
    return json.loads((folder / name / "results.json").read_text())


def test_a_protocol_has_groups_a_full_spectrum_and_accuracies(done):
    folder, runs = done
    results = pd.read_csv(folder / "protocol" / "results.csv")
    told = runs["protocol"].stdout
    sets = ["others.1", "few", "mean of near", "far", "mean of far", "mean of sets", "pooled"]
    for id_side, count in (("known", 29), ("known, full spectrum", 29 + 36)):
        rows = results[results["id_set"] == id_side]
        assert list(rows["ood_set"].unique()) == sets and set(rows["num_id"]) == {count}
        assert rows["id_accuracy"].nunique() == 1 and f"ID: {id_side}; accuracy of ĉ" in told
    record = record_of(folder, "protocol")
    assert record["groups"] == {"near": ["others.1", "few"], "far": ["far"]}
    assert [row["set"] for row in record["accuracy"]] == ["known", "known, full spectrum", "moved"]
    assert "moved: accuracy of ĉ " in told and "CCR@FPR 1 %" in told
    page = (folder / "protocol" / "report.html").read_text()
    for text in ("known, full spectrum", "mean of near", "AUPR, OOD positive", "CCR@FPR 10 %"):
        assert text in page
    assert "accuracy and CCR are not known, for its pictures have no" in runs["compared"].stdout


def test_a_row_can_be_made_again_from_the_results_alone(done):
    folder, _ = done
    record = record_of(folder, "protocol")
    # What was read is what was read: hashes of the files, of the drawn rows and of the words.
    for given in record["inputs"].values():
        for own in given if isinstance(given, list) else [given]:
            if own["path"].endswith((".npy", ".txt")):
                data = (folder / own["path"]).read_bytes()
                assert own["sha256"] == hashlib.sha256(data).hexdigest()
    known = record["sets"]["id"]["known"]
    assert known["pictures"] == 36 and known["labels"]
    rows = hashlib.sha256(np.load(folder / "known.npy").tobytes()).hexdigest()
    assert known["rows_sha256"] == rows
    scores = pd.read_csv(folder / "protocol" / "scores.csv", dtype=str)
    scores = scores[scores["set"] == "known"]
    lines = "".join(f"{row.path}\t{row.label}\n" for row in scores.itertuples())
    assert known["list_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    words = "".join(f"thing {n}\n" for n in range(30)).encode()
    assert record["words"]["negative"]["words_sha256"] == hashlib.sha256(words).hexdigest()
    assert record["seed"] == 3 == record["config"]["seed"] and record["versions"]["jaxvlm"]
    # The program and its flags as the file has them, into another folder.
    line = [record["program"]]
    for name, value in (record["flags"] | {"out_dir": "again"}).items():
        value = ",".join(map(str, value)) if isinstance(value, list) else value
        line.append(f"--{name}={value}")
    again = run_all({"again": line}, cwd=folder)["again"]
    assert again.returncode == 0, again.stderr
    made = record_of(folder, "again")
    for name in ("results", "accuracy", "choices", "sets", "words", "inputs", "config"):
        assert made[name] == record[name], name
    for name in ("results.csv", "scores.csv", "sweep.csv"):
        assert (folder / "again" / name).read_bytes() == (folder / "protocol" / name).read_bytes()


def test_streams_are_in_their_table_and_told(done):
    folder, runs = done
    streams = pd.read_csv(folder / "streamed" / "streams.csv")
    assert len(streams) == 8 and set(streams["method"]) == {"steady", "oodd"}
    assert "Methods that adapt, ID: known" in (folder / "streamed" / "report.html").read_text()
    record = json.loads((folder / "streamed" / "results.json").read_text())
    assert record["streams"]["orders"] == ["shuffled", "blocks"]
    assert "Steady (ours)" in runs["streamed"].stdout and "20% OOD" in runs["streamed"].stdout
    results = pd.read_csv(folder / "streamed" / "results.csv").set_index("method")
    assert results.loc["mahalanobis", "chosen_on"] == "id_pictures"
    assert not (folder / "compared" / "streams.csv").exists()


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_apply_is_one_line(done, line):
    _, runs = done
    assert runs[line].returncode == 1 and REFUSED[line] in runs[line].stderr
    assert len(runs[line].stderr.strip().splitlines()) == 1
