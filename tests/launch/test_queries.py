"""score-images --queries on a tiny world: the tables, the store, and what goes wrong."""

import json

import pandas as pd
import pytest

from jaxvlm.world.ood_pictures import write_ood_benchmark
from tests.launch.one_process import run_all
from tests.launch.test_launchers import one_line, succeeded

COUNT = 14
ASKED = ("boat", "guitar", "a bus on a road", "<b>dog</b>")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("queries")
    write_ood_benchmark(base / "world", seed=4, count=COUNT, workers=1)
    (base / "world" / "id" / "boat" / "text.jpg").write_text("no picture")
    for name, lines in (
        ("queries", ASKED),
        ("others", ("horse", "", "truck")),
        ("twice", ("horse", "Horse")),
        ("empty", ("",)),
        ("words", ("tree", "road", "field", "chair", "boat")),
    ):
        (base / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return base


@pytest.fixture(scope="module")
def ran(base):
    def find(*more, queries="queries", out="failed", images="id_rare"):
        return ["score_images", f"--images={base}/world/{images}",
                f"--queries={base}/{queries}.txt", f"--out_dir={base}/{out}",
                f"--cache_dir={base}/texts", f"--config.batch_size={COUNT}", *more]  # fmt: skip

    store = f"--store_dir={base}/store"
    commands = {
        "first": find(store, "--shown=3", out="first"),
        "other": find(store, f"--negatives={base}/words.txt", queries="others", out="other"),
        "bad picture": find(images="id", out="bad"),
        "strict": find("--threshold=0.999999999", out="strict"),
        "empty": find(queries="empty"),
        "twice": find(queries="twice"),
        "gone": find(queries="gone"),
        "classes": find(f"--class_names={base}/words.txt"),
        "id": find(f"--id_dir={base}/world/id"),
        "method": find("--method=mcm"),
        "config method": find("--config.method=mcm"),
        "groups": find("--config.negalign.num_groups=5"),
        "threshold": find("--threshold=2"),
        "no queries": ["score_images", f"--images={base}/world/id", "--threshold=0.3",
                       f"--class_names={base}/words.txt", f"--out_dir={base}/failed"],
        "neither": ["score_images", f"--images={base}/world/id", f"--out_dir={base}/failed"],
        "over": find(out="queries.txt"),
    }  # fmt: skip
    return run_all(commands, cwd=base)


def test_a_folder_is_searched(ran, base):
    *told, words, encoded, rule, last = succeeded(ran["first"]).splitlines()
    table = pd.read_csv(base / "first" / "queries.csv")
    assert list(table["query"]) == list(ASKED)
    assert [line.split(":")[0] for line in told] == list(ASKED[:3])  # --shown=3
    assert "no --negatives" in words and encoded.startswith(f"{COUNT} pictures encoded, ")
    assert rule.startswith("A picture matches from a score of 0.5 on, the same for all queries")
    assert last.startswith(f"4 queries, {COUNT} pictures: {base}/first/queries.csv")
    matches = pd.read_csv(base / "first" / "matches.csv")
    counts = matches[matches["matches"] == "yes"].groupby("query").size()
    assert (table.set_index("query")["matches"] == counts.reindex(ASKED, fill_value=0)).all()
    first = matches[matches["rank"] == 1].set_index("query")["path"]
    assert first["boat"].startswith("boat/") and first["a bus on a road"].startswith("bus/")
    page = (base / "first" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;dog&lt;/b&gt;" in page and "<b>dog" not in page
    record = json.loads((base / "first" / "run.json").read_text())
    assert record["threshold"] == 0.5 and record["pictures"] == COUNT and record["queries"] == 4
    assert record["inputs"]["queries"]["sha256"]


def test_other_queries_and_words_need_no_forward_pass(ran, base):
    shown = succeeded(ran["other"]).splitlines()
    assert f"{COUNT} pictures from the store: no forward pass" in shown
    assert list(pd.read_csv(base / "other" / "queries.csv")["query"]) == ["horse", "truck"]
    assert not any("no --negatives" in line for line in shown)
    words = pd.read_csv(base / "other" / "matches.csv")["nearest_negatives"]
    assert {word for row in words for word in row.split("; ")} <= {
        "tree", "road", "field", "chair", "boat",
    }  # fmt: skip


def test_a_bad_picture_is_told_and_the_rest_is_done(ran, base):
    line = one_line(ran["bad picture"])
    assert line.startswith(f"failed: {base}/world/id/boat/text.jpg: not a readable picture")
    assert len(pd.read_csv(base / "bad" / "queries.csv")) == 4


def test_where_nothing_matches_it_is_said(ran, base):
    assert "0 of 4 match something" in succeeded(ran["strict"])
    assert "boat: nothing matches; nearest is boat/" in ran["strict"].stdout
    assert set(pd.read_csv(base / "strict" / "queries.csv")["anything_matches"]) == {"no"}
    page = (base / "strict" / "report.html").read_text(encoding="utf-8")
    assert page.count("Nothing in this folder matches.") == 4


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "empty.txt: no text in it"),
        ("twice", "twice.txt: line 2, 'Horse', repeats line 1"),
        ("gone", "gone.txt"),
        ("classes", "--class_names: --queries="),
        ("id", "--id_dir: --queries="),
        ("method", "--method: --queries="),
        ("config method", "--config.method: has no effect with --queries"),
        ("groups", "--config.negalign.num_groups: has no effect with --queries"),
        ("threshold", "threshold 2: scores lie between 0 and 1"),
        ("no queries", "--threshold: goes with --queries"),
        ("neither", "or --class_embeddings or --queries"),
        ("over", "is what --queries reads"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(ran, base, name, says):
    line = one_line(ran[name])
    assert line.startswith("error: ") and says in line
    assert not (base / "failed").exists()
