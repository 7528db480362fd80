"""Whole runs on a tiny rendered benchmark: what they leave behind, and what a failure leaves."""

import dataclasses
import functools
import json
import re

import numpy as np
import pandas as pd
import pytest

from jaxvlm import resources
from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.methods import METHODS
from jaxvlm.ood.referenced import REFERENCED
from jaxvlm.ood.words.lists import read_words, write_words
from jaxvlm.pages.evaluation_page import write_evaluation
from jaxvlm.pages.folder_page import write_folder
from jaxvlm.pictures import evaluating
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.scoring import score_folder, write_scores
from jaxvlm.pictures.sets import read_set
from jaxvlm.world.ood_pictures import ID_CLASSES, write_ood_benchmark
from tests.listing import visible
from tests.pictures.conftest import COUNT

TABLES = ("results.csv", "sweep.csv", "scores.csv")
ODD = "a<b>&amp;$x"  # a set's name that is no HTML and no formula


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The benchmark, with one file in an OOD set that is no picture."""
    folder = tmp_path_factory.mktemp("ood run")
    write_ood_benchmark(folder / "world", seed=2, count=COUNT, workers=1)
    (folder / "world" / "ood_unseen" / "cat" / "broken.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def changed(settings):
    """Settings with few resamples and the model's own logit scale."""
    return functools.partial(settings, num_resamples=20, logit_scale=0.0)


@pytest.fixture(scope="module")
def evaluate(encoder, base, changed):
    def evaluated(out, config=None, classes=None, **options):
        world = base / "world"
        run = evaluating.run_evaluation(
            encoder,
            [read_set(f"known={world}/id")],
            [read_set(f"{world}/ood_unseen"), read_set(f"{ODD}={world}/ood_empty")],
            Words(classes or world / "class_names.txt"),
            config or changed(),
            **options,
        )
        evaluating.write_run(out, run)
        write_evaluation(out, run, encoder.model.preprocessing)
        return run

    return evaluated


@pytest.fixture(scope="module")
def run(evaluate, base):
    return evaluate(base / "out")


@pytest.fixture(scope="module")
def out(run, base):
    return base / "out"


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_leaves_the_documented_files(out):
    names = [f"{kind}-known-{ood}.png" for kind in ("roc", "scores") for ood in (ODD, "ood_unseen")]
    assert visible(out / "plots") == sorted(names)
    expected = {*TABLES, "results.json", "report.html", "plots"}
    assert set(visible(out)) == expected


def test_scores_has_one_row_per_readable_picture_with_every_score(out):
    scores = pd.read_csv(out / "scores.csv")
    assert scores["set"].value_counts(sort=False).to_dict() == {
        "known": COUNT, "ood_unseen": COUNT, ODD: COUNT,
    }  # fmt: skip
    assert set(scores["side"]) == {"id", "ood"} and not scores["path"].str.contains("broken").any()
    zero_shot = [method for method in METHODS if method != "csp"]
    # Of four held out pictures no two are of one class.
    referenced = [method for method in REFERENCED if "mahalanobis" not in method]
    methods = [*zero_shot, *referenced, "negalign", *VARIANTS, "negalign_learned"]
    parts = [f"p_align_{name}" for name in (*VARIANTS, "bg_pos", "bg_neg", "fg_pos")]
    assert np.isfinite(scores[methods + parts].to_numpy()).all()
    known = scores[scores["set"] == "known"]
    assert set(known["label"]) == set(known["path"].str.split("/").str[0]) == set(ID_CLASSES)
    assert set(scores["predicted_class"]) <= set(ID_CLASSES)
    assert scores["nearest_negatives"].str.count(";").eq(4).all()
    assert scores.groupby("set")["part"].value_counts().unstack()["validation"].eq(4).all()


def test_results_can_be_computed_again_from_the_scores(out):
    scores = pd.read_csv(out / "scores.csv")
    scores = scores[scores["part"] == "test"]
    results = pd.read_csv(out / "results.csv")
    assert set(results["ood_set"]) == {"ood_unseen", ODD, "pooled", "mean of sets"}
    for row in results[results["ood_set"] != "mean of sets"].itertuples():
        chosen = (
            scores["set"] == row.ood_set if row.ood_set != "pooled" else scores["side"] == "ood"
        )
        if row.chosen_on == "other_sets":  # the scores are of what all sets chose
            continue
        oods = scores.loc[chosen, row.method]
        ids = scores.loc[scores["set"] == "known", row.method]
        assert (row.num_id, row.num_ood) == (len(ids), len(oods))
        # The table has six digits, so what is a tie there may have been none.
        assert row.auroc == pytest.approx(ood_metrics(ids, oods)["auroc"], abs=0.01)


def test_results_json_tells_config_counts_and_what_was_lost(out, run):
    value = json.loads((out / "results.json").read_text())
    assert value["counts"] == {"known": COUNT, "ood_unseen": COUNT, ODD: COUNT}
    (lost,) = value["unreadable"]
    assert "broken.jpg" in lost and value["unreadable"] == run.failures
    assert value["in_both"] == run.warnings == []
    assert value["config"]["negalign"]["num_groups"] == 5 and value["seed"] == 0
    assert value["labels"]["positive"] == len(ID_CLASSES)
    assert len(value["results"]) == len(pd.read_csv(out / "results.csv"))
    assert set(value["choices"]) == {"ood_unseen", ODD, "pooled"}
    assert set(value["choices"]["pooled"]) == {"negalign", *VARIANTS}
    assert {row["convention"] for row in value["results"]} == {"id_positive"}
    seen = {row["method"]: row["chosen_on"] for row in value["results"] if row["ood_set"] == ODD}
    assert seen["negalign"] == seen["negalign_learned"] == "other_sets" and seen["mcm"] == ""
    assert value["versions"]["jax"] and set(value["seconds"]) >= {"labels", "encode", "evaluate"}


def test_the_same_run_gives_the_same_bytes(evaluate, base, out, run):
    again = evaluate(base / "again")
    assert again.encoding.encoded == run.encoding.encoded == 3 * COUNT  # of the one run alone
    for name in TABLES:
        assert (base / "again" / name).read_bytes() == (out / name).read_bytes(), name
    assert tree(base / "again" / "plots") == tree(out / "plots")
    assert (base / "again" / "report.html").read_text() == (out / "report.html").read_text()


def test_the_page_fetches_nothing_and_escapes_names(out):
    page = (out / "report.html").read_text()
    assert "<b>&amp;" not in page and "a&lt;b&gt;&amp;amp;$x" in page
    assert not re.search("<script|javascript:", page)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    without_namespaces = re.sub(r'xmlns(?::\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://|url\((?!#)", without_namespaces)
    assert page.count("<img ") == 2 * 3 * 12  # picture and map; six most and six least of each set


def test_a_failing_run_leaves_an_earlier_one_untouched(evaluate, changed, out, tmp_path):
    before = tree(out)
    bad = tmp_path / "classes.txt"
    bad.write_text("dog\ncat\ndog\n")
    for problem, says in (
        (dict(classes=bad), "repeats line 1"),
        (dict(methods=["msp"]), "method 'msp'"),
        (dict(config=changed(validation_fraction=0.01)), "0 of them for validation"),
    ):
        with pytest.raises(InputError, match=says):
            evaluate(out, **problem)
        assert tree(out) == before


def test_unknown_methods_are_told_before_anything_is_encoded(evaluate, tmp_path):
    def heard(*progress):
        pytest.fail(f"encoded: {progress}")

    with pytest.raises(InputError, match="method 'msp'"):
        evaluate(tmp_path, methods=["msp"], on_progress=heard)


def test_an_evaluation_writes_nothing_by_itself(encoder, base, changed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    world = base / "world"
    evaluating.run_evaluation(
        dataclasses.replace(encoder, cache_dir=None),
        [read_set(f"{world}/id", max_images=5)],
        [read_set(f"{world}/ood_empty", max_images=5)],
        Words(world / "class_names.txt"),
        changed(num_resamples=2),
        methods=["mcm"],
        on_progress=lambda *progress: told.append(progress),
    )
    assert list(tmp_path.iterdir()) == []
    for name in ("id", "ood_empty"):
        assert [p for p in told if p[0] == name] == [(name, 0, 5), (name, 5, 5)]


@pytest.fixture(scope="module")
def folder(base):
    """Known and unseen pictures under names that are HTML, and one broken file."""
    made = base / "folder"
    made.mkdir()
    sources = [
        path
        for name in ("id", "ood_unseen")
        for path in sorted((base / "world" / name).rglob("0*.jpg"))[: COUNT // 2]
    ]
    for i, source in enumerate(sources):
        (made / f"<b>&amp;{i}.jpg").write_bytes(source.read_bytes())
    (made / "<b>&amp;3a.jpg").write_text("no picture")
    return made


@pytest.fixture(scope="module")
def score(encoder, base, changed):
    def scored(folder, out, config=None, words=None, **options):
        words = words or Words(base / "world" / "class_names.txt")
        image_set, config = read_set(str(folder)), config or changed()
        result = score_folder(encoder, image_set, words, config, **options)
        write_scores(out, result)
        write_folder(out, result, encoder.model.preprocessing)
        return result

    return scored


def test_a_folder_is_scored_and_each_score_explained(score, folder, tmp_path):
    result = score(folder, tmp_path)
    assert len(result.failures) == 1 and "3a.jpg" in result.failures[0]
    table = pd.read_csv(tmp_path / "scores.csv")
    assert list(table["path"]) == [f"<b>&amp;{i}.jpg" for i in range(COUNT)]
    assert "share_of_id_below" not in table
    assert result.table["score"].is_monotonic_increasing
    assert list(result.table.sort_index()["path"]) == list(table["path"])
    assert list(result.final[result.table.index]) == list(result.table["score"])
    assert set(table["method"]) == {"neglabel"} and "s_final" not in table
    for row in table.itertuples():
        assert f" {row.predicted_class} (" in row.why
        assert f"{row.nearest_negatives.split('; ')[0]} (" in row.why
        shown = float(re.match(r"NegLabel \(5 groups\): (\S+):", row.why)[1])
        assert shown == pytest.approx(row.score, abs=6e-4) and row.score == row.neglabel
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["pictures"] == COUNT and len(record["unreadable"]) == 1
    assert (record["method"], record["title"]) == ("neglabel", "NegLabel (5 groups)")


def test_without_known_pictures_there_is_no_decision_and_it_is_said(score, folder, tmp_path):
    result = score(folder, tmp_path)
    assert result.decision is None and not {"decision", "threshold"} & set(result.table)
    assert "No picture is called in or out" in result.rule and "--id_dir" in result.rule
    assert result.rule in (tmp_path / "report.html").read_text()


def test_negalign_scores_by_s_final_and_keeps_its_parts(score, changed, folder, tmp_path):
    config = changed(method="negalign", lambda_bg=0.5, p_align_variant="v6")
    table = score(folder, tmp_path, config).table
    final = table["neglabel_star"] + 0.5 * table["p_align_v6_pos_only"]
    np.testing.assert_allclose(table["s_final"], final, rtol=1e-5)
    assert (table["score"] == table["s_final"]).all() and set(table["method"]) == {"negalign"}
    assert table["why"].str.startswith("NegAlign: ").all()
    page = (tmp_path / "report.html").read_text()
    assert "NegAlign (NegLabel* (M2: object negatives) + λ·P_align, v6_pos_only, λ = 0.5)" in page


def test_scores_come_as_shares_of_known_pictures(score, base, folder, tmp_path):
    known = read_set(str(base / "world" / "id"))
    result = score(folder, tmp_path, id_set=known)
    own = score(base / "world" / "id", tmp_path / "own").table["score"]
    for row in result.table.itertuples():
        # Half of the pictures are known ones, whose own score must not count as lower.
        at_least, at_most = (np.mean(own < row.score + change) for change in (-1e-5, 1e-5))
        assert at_least <= row.share_of_id_below <= at_most
        at_least, at_most = (
            (1 + np.sum(own <= row.score + change)) / (COUNT + 1) for change in (-1e-5, 1e-5)
        )
        assert at_least <= row.id_p_value <= at_most
        told = re.search(r"lower than ([\d.]+) % of ID pictures", row.why)
        assert 0 <= 100 * (1 - row.id_p_value) - float(told[1]) < 1
    assert result.table["share_of_id_below"].is_monotonic_increasing
    # 19 of the 20 known pictures reach the second lowest of their scores.
    np.testing.assert_allclose(result.decision.threshold, np.sort(own)[1], rtol=1e-4)
    out = result.table["score"] < result.decision.threshold
    assert 0 < out.sum() < COUNT and list(result.table["decision"] == "out") == list(out)
    assert set(result.table["threshold"]) == {result.decision.threshold}


def test_m3_needs_known_pictures(score, changed, base, folder, tmp_path):
    m3 = changed(use_scale_stabilization=True, topk_aggregation_k=3, use_p_align=False,
                 method="negalign")  # fmt: skip
    with pytest.raises(InputError, match="use_scale_stabilization: needs ID pictures.*--id_dir"):
        score(folder, tmp_path / "none", m3)
    assert not (tmp_path / "none").exists()
    known = base / "world" / "id"
    id_set = read_set(str(known))
    # Scored by its own statistics, the known set has mean 0 and deviation 1.
    own = score(known, tmp_path / "own", m3, id_set=id_set).table
    assert own["s_final"].mean() == pytest.approx(0, abs=1e-3)
    assert own["s_final"].std(ddof=1) == pytest.approx(1, rel=1e-3)
    page = (tmp_path / "own" / "report.html").read_text()
    assert "NegAlign (NegLabel* (M1 + M2) alone); higher" in page
    assert "p_align_v1_original" not in own


def test_a_folder_page_escapes_file_and_class_names(score, changed, folder, tmp_path):
    classes, negatives = tmp_path / "classes.txt", tmp_path / "negatives.txt"
    classes.write_text("".join(f"<i>{name}</i>&amp;\n" for name in ID_CLASSES))
    words, _ = read_words(resources.path("configs/ood/world_words.txt"))
    write_words(negatives, [word for word in words if word not in ID_CLASSES])
    config = changed(p_align_variant="v9", method="negalign")
    score(folder, tmp_path, config, Words(classes, negatives))
    page = (tmp_path / "report.html").read_text()
    assert "<b>&amp;" not in page and "<i>" not in page
    assert re.search(r"&lt;b&gt;&amp;amp;\d+\.<wbr>jpg", page) and "&lt;/i&gt;&amp;amp;" in page
    assert "P_align v9_fg_bg_contrast" in page
