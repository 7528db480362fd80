"""Tables and sentences of an evaluation, from made-up scores."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxvlm.evaluation.intervals import Interval
from jaxvlm.evaluation.paired import MEAN_OF_SETS
from jaxvlm.ood import Encoded, LabelBanks
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.words.label_banks import LabelNames
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.comparison import evaluate
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.set_names import POOLED

NAMES = LabelNames(("dog", "car"), ("tree", "road", "sky"), ("tree",), ("road", "sky"))


def scored(name, paths, shift=0.0, root="/pictures", labels=None):
    count = len(paths)
    rng = np.random.default_rng(len(name))
    encoded = Encoded(
        image=np.eye(3)[np.arange(count) % 3],
        foreground=None,
        background=None,
        predicted_class_idx=np.arange(count) % 2,
        local_mcm=None,
        cam=None,
        cam_valid=np.arange(count) % 2 == 0,
        local_mcm_output=None,
        foreground_layernorm=None,
    )
    scores = {m: rng.normal(shift, size=count) for m in ("neglabel", "neglabel_star")}
    alignment = {v: rng.normal(size=count) for v in (*VARIANTS, "bg_pos", "bg_neg", "fg_pos")}
    paths = tuple(Path(path) for path in paths)
    return ScoredSet(name, Path(root), paths, labels, encoded, scores, alignment)


def numbered(name, count, **options):
    return scored(name, [f"/pictures/{i}.png" for i in range(count)], **options)


@pytest.fixture(scope="module")
def labels():
    negative = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.1], [0.1, 0.2, 0.7]])
    banks = LabelBanks(np.eye(3)[:2], negative, negative[:1], negative[1:])
    return Labels(banks, NAMES, placed=None)


@pytest.fixture(scope="module")
def evaluation():
    sets = [numbered(name, 30, shift=shift) for name, shift in (("id", 1.0), ("rare", 0.5))]
    others = [numbered("near", 30), numbered("a set with a very long name", 20, shift=-1.0)]
    return evaluate(sets, others, OodConfig(num_resamples=30, lambdas=(0.5,)))


def test_one_row_per_picture_with_every_score(labels):
    pictures = scored("set", ["/pictures/a/1.png", "/pictures/2.png", "/pictures/3.png"],
                      labels=("a", "b", "b"))  # fmt: skip
    mask = np.array([True, False, False])
    table = picture_tables.picture_table(pictures, "id", labels, pictures.scores, mask)
    assert list(table["path"]) == ["a/1.png", "2.png", "3.png"]
    assert list(table["label"]) == ["a", "b", "b"] and set(table["side"]) == {"id"}
    assert list(table["predicted_class"]) == ["dog", "car", "dog"]
    assert list(table["cam_valid"]) == [1, 0, 1]
    assert list(table["part"]) == ["validation", "test", "test"]
    assert list(table["nearest_negatives"]) == [
        "tree; road; sky", "road; sky; tree", "sky; tree; road",
    ]  # fmt: skip
    np.testing.assert_array_equal(table["neglabel"], pictures.scores["neglabel"])
    for name, values in pictures.alignment.items():
        np.testing.assert_array_equal(table[f"p_align_{name}"], values)
    unlabelled = picture_tables.picture_table(pictures._replace(labels=None), "", labels, {})
    assert set(unlabelled["label"]) == {""} and "part" not in unlabelled


def test_pictures_from_elsewhere_and_odd_names_can_be_written(labels, tmp_path):
    paths = ["/elsewhere/1.png", "/pictures/ä b.png", os.fsdecode(b"/pictures/\xff.png")]
    table = picture_tables.picture_table(scored("set", paths), "id", labels, {})
    assert list(table["path"]) == ["/elsewhere/1.png", "ä b.png", "\\xff.png"]
    table.to_csv(tmp_path / "table.csv")


def test_method_table_has_a_cell_per_set(evaluation):
    table = picture_tables.method_table(evaluation, "rare", "auroc")
    assert list(table.columns) == ["near", "a set with a very long name", MEAN_OF_SETS, POOLED]
    rows = evaluation.results[evaluation.results["id_set"] == "rare"]
    assert len(table) == rows["method"].nunique()
    row = rows[(rows["method"] == "neglabel") & (rows["ood_set"] == "near")].iloc[0]
    expected = Interval(row["auroc"], row["auroc_low"], row["auroc_high"])
    assert table.loc["NegLabel (G groups)", "near"] == expected


def test_methods_are_ranked_and_the_variants_folded(evaluation):
    for id_set in ("id", "rare"):
        table, folded = picture_tables.marked_tables(evaluation, id_set, "auroc")
        means = [cell.value for cell in table[MEAN_OF_SETS]]
        assert means == sorted(means, reverse=True)
        assert list(table[""])[0] == "best" and list(table[""]).count("best") == 1
        assert len(folded) == len(VARIANTS) and not set(folded.index) & set(table.index)
        assert all(name.startswith("P_align v") for name in folded.index)
        (line,) = picture_tables.folded_line(evaluation, id_set)
        values = [100 * cell.value for cell in folded[MEAN_OF_SETS]]
        assert f"AUROC {min(values):.2f} to {max(values):.2f} % on {MEAN_OF_SETS}" in line


def test_terminal_lines_are_a_table_per_id_set(evaluation):
    *lines, level, note = picture_tables.terminal_lines(evaluation)
    assert level.startswith("best: the highest AUROC")
    assert note.startswith("* λ, variant or weights were chosen") and "other OOD sets" in note
    rows = evaluation.results
    assert [line.split(";")[0] for line in lines if line.startswith("ID:")] == [
        "ID: id",
        "ID: rare",
    ]
    shown = rows[~rows["method"].isin(VARIANTS)]
    # Two tables an ID set, the second of the other metrics; two heads, blank lines, folded rows.
    assert len(lines) == 2 * (7 + 2 * shown["method"].nunique())
    (line, _) = (line for line in lines if line[7:].startswith("NegLabel (G groups)"))
    own = rows[(rows["method"] == "neglabel") & (rows["id_set"] == "id")].set_index("ood_set")
    for ood_set in own.index:
        auroc, fpr = 100 * own.loc[ood_set, ["auroc", "fpr95"]].astype(float)
        assert f"{auroc:.2f} /{fpr:7.2f}" in line
    gain = [100 * own.loc[MEAN_OF_SETS, f"auroc_gain{end}"] for end in ("", "_low", "_high")]
    assert line.endswith("{:+.2f} [{:+.2f}, {:+.2f}]".format(*gain))
    folded = [line for line in lines if line.startswith("9 forms of P_align")]
    heads = [n for n, line in enumerate(lines) if line.startswith(("ID:", "On "))]
    for start, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        body = [line for line in lines[start + 1 : end] if line and line not in folded]
        assert len({len(line) for line in body}) == 1  # columns stand below each other


def test_terminal_lines_have_the_areas_under_precision_and_recall(evaluation):
    lines = picture_tables.terminal_lines(evaluation)
    at = lines.index(f"On {MEAN_OF_SETS}, in %:")
    assert lines[at + 1].split() == ["AUPR-in", "AUPR-out"]  # no labels: no CCR
    rows = evaluation.results
    rows = rows[(rows["id_set"] == "id") & (rows["ood_set"] == MEAN_OF_SETS)].set_index("method")
    (line,) = (own for own in lines[at : at + 6] if own.startswith("NegLabel (G groups)"))
    expected = 100 * rows.loc["neglabel", ["aupr_in", "aupr_out"]].astype(float)
    assert line.split()[-2:] == [f"{value:.2f}" for value in expected]


def test_small_scores_keep_two_digits():
    shown = [picture_tables.shown_score(score) for score in (0.0, 0.1234, -2.5, 0.00052, -0.0456)]
    assert shown == ["0.000", "0.123", "-2.500", "0.00052", "-0.046"]


def test_a_sentence_names_the_class_and_the_nearest_negative():
    far = picture_tables.sentence(
        "MCM", 0.25, ("dog", 0.2), [("cat", 0.31)], [("meadow", 0.3)], 0.125
    )
    assert far == (
        "MCM: 0.250, lower than 87 % of ID pictures: nearer to cat (0.31) than to any class, "
        "dog (0.20) first; background like meadow"
    )
    near = picture_tables.sentence("MCM", 1.5, ("dog", 0.35), [("cat", 0.31)], [], None)
    assert near == (
        "MCM: 1.500: nearest to dog (0.35), cat (0.31) being the nearest negative label"
    )
