"""The demo, whose figures the README quotes, on a world of a few videos."""

import dataclasses
import html.parser
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm import files
from jaxvlm.atoms.roles import event_probability
from jaxvlm.data import tables
from jaxvlm.pictures.config import OodConfig
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import demo, demo_tables, ood_pictures
from jaxvlm.world.laws import EVENT_LAWS
from jaxvlm.world.vocabulary import EVENTS

SEED = 25  # its three test videos: nothing, fighting and shooting, a car accident
SIZE = demo.DemoSize(seeds=(SEED,), num_train=6, num_test=3, num_ood=6)
TEMPERATURE = 0.5
METHODS = {"role model", "MIL linear", "MIL quadratic", "zero-shot names", "pixel change"}
OOD_METHODS = {
    "mcm", "neglabel", "neglabel_one_group", "neglabel_star", "negrefine", "negalign",
    "negalign_learned",
}  # fmt: skip


def small_configs():
    """The defaults but for few epochs, no repeated fits, another τ, and batch sizes that are not
    measured."""
    config = AtomsConfig()
    roles = dataclasses.replace(config.roles, epochs=2, rule_fits=0, temperature=TEMPERATURE)
    ood = OodConfig()
    negalign = dataclasses.replace(ood.negalign, num_groups=10)
    return {
        "config": dataclasses.replace(config, batch_size=32, roles=roles),
        "ood_config": dataclasses.replace(
            ood, batch_size=8, negalign=negalign, lambdas=(0.1, 1.0), num_resamples=50
        ),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder, what the demo returned, said, and passed on to its page."""
    folder, said, pages = tmp_path_factory.mktemp("a folder with spaces"), [], []
    write_page = demo.write_page
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "write_page", lambda *args: pages.append(args) or write_page(*args))
        metrics = demo.run_demo(folder, SIZE, say=said.append, **small_configs())
    (arguments,) = pages
    return SimpleNamespace(folder=folder, metrics=metrics, said=said, page_arguments=arguments)


@pytest.fixture(scope="module")
def scored(run):
    """The test videos read back: names, p̄ [T, C], truth [T, E], and the role model."""
    test = run.folder / f"world-{SEED}" / "test"
    intervals = tables.read_intervals(test / "intervals.csv", EVENTS)
    names = sorted(path.stem for path in (test / "videos").iterdir())
    pbar, truth = [], []
    for name in names:
        times = files.read_arrays(test / "runs" / name / "presence.safetensors")["times"]
        own = intervals[intervals["video_id"] == name]
        pbar.append(files.read_arrays(test / "runs" / name / "seg_presence.safetensors"))
        truth.append(tables.intervals_to_frames(own, times, EVENTS))
    roles = load_role_model(run.folder / f"world-{SEED}" / "roles" / "model")
    return SimpleNamespace(
        names=names, pbar=[arrays["seg_presence"] for arrays in pbar], truth=truth, roles=roles
    )


def without_seconds(folder):
    """metrics.json but for its last entry, how long it took."""
    text, seconds, _ = (folder / "metrics.json").read_text().partition('"seconds": {')
    assert seconds
    return text


def test_metrics_have_every_table(run):
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert set(metrics["seeds"]) == {str(SEED)}
    of_seed = metrics["seeds"][str(SEED)]
    for table in (of_seed, metrics["summary"]):
        assert set(table) == {"frame", "video_auc", "rule_recovery"}
        assert set(table["frame"]) == set(table["video_auc"]) == METHODS
        assert set(table["rule_recovery"]) == {"singles", "pairs", "counters", "rules"}
        for method in METHODS:
            assert set(table["frame"][method]) == {"events", "any", "mean"}
            assert set(table["frame"][method]["events"]) == set(EVENTS)
            assert set(table["video_auc"][method]["events"]) == set(EVENTS)
    laws = [EVENT_LAWS["pairs"][event] for event in EVENTS]
    for size, kind in ((1, "singles"), (2, "pairs")):
        true = sum(len(rule.atoms) == size for law in laws for rule in law.rules)
        assert of_seed["rule_recovery"][kind]["true"] == true > 0
    for method in METHODS:
        mean = metrics["summary"]["frame"][method]["any"]["ap"]
        assert mean == {"mean": of_seed["frame"][method]["any"]["ap"], "std": None, "n": 1}
    ids = [name for name in ood_pictures.SETS if name.startswith("id")]
    oods = [name for name in ood_pictures.SETS if not name.startswith("id")] + [
        "pooled",
        "mean of sets",
    ]
    rows = [(row["method"], row["id_set"], row["ood_set"]) for row in metrics["ood"]]
    assert len(rows) == len(set(rows))
    assert set(rows) == {(m, i, o) for m in OOD_METHODS for i in ids for o in oods}
    assert all(r["auroc_low"] <= r["auroc"] <= r["auroc_high"] for r in metrics["ood"])
    assert metrics["config"]["roles"]["temperature"] == TEMPERATURE


def test_a_second_run_gives_the_same_bytes(run, tmp_path):
    demo.run_demo(tmp_path, SIZE, **small_configs())
    assert without_seconds(tmp_path) == without_seconds(run.folder)
    assert (tmp_path / "report.html").read_bytes() == (run.folder / "report.html").read_bytes()


def any_event(scored, temperature):
    """AP and AUC of the highest event on a frame, AUC of videos by noisy-OR of the 10 highest."""
    probability = [
        np.asarray(
            event_probability(
                scored.roles.params, p, candidates=scored.roles.candidates, temperature=temperature
            )
        )
        for p in scored.pbar
    ]
    truth = np.concatenate(scored.truth).max(1)
    frames = np.concatenate(probability).max(1)
    videos = [(1 - np.prod(1 - np.sort(p, 0)[-10:], axis=0)).max() for p in probability]
    labels = [y.max() for y in scored.truth]
    return [
        average_precision_score(truth, frames),
        roc_auc_score(truth, frames),
        roc_auc_score(labels, videos),
    ]


def test_the_role_model_is_measured_at_its_own_temperature(run, scored):
    result = run.metrics["seeds"][str(SEED)]
    frame, video = result["frame"]["role model"]["any"], result["video_auc"]["role model"]["any"]
    measured = [frame["ap"], frame["auc"], video]
    np.testing.assert_allclose(measured, any_event(scored, TEMPERATURE), rtol=1e-6)
    assert not np.allclose(measured, any_event(scored, 2.0), rtol=1e-3)  # so it can be told


class Headings(html.parser.HTMLParser):
    """The text of every h3, as a browser shows it."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "h3":
            self.inside = True
            self.texts.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "h3"

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data


def test_the_page_has_a_card_for_every_test_video(run, scored):
    page = (run.folder / "report.html").read_text()
    shown = [text for text in Headings(page).texts if text in scored.names]
    assert sorted(shown) == scored.names and len(scored.names) == SIZE.num_test
    assert "data:image/" in page  # the OOD sheet


def test_the_page_escapes_the_names_of_videos(run, scored, tmp_path):
    path, *rest = run.page_arguments
    (split,) = [value for value in rest if isinstance(value, demo.Split)]
    name = "<b>1 & 2"
    frames = split.folder / "frames"
    (tmp_path / "frames").mkdir()
    for old in split.names:
        new = name if old == split.names[0] else old
        (tmp_path / "frames" / new).symlink_to(frames / old, target_is_directory=True)
    other = split._replace(folder=tmp_path, names=[name, *split.names[1:]])
    page = tmp_path / "page.html"
    demo.write_page(page, *(other if value is split else value for value in rest))
    assert name in Headings(page.read_text()).texts
    assert name not in page.read_text()


def test_the_lines_of_the_terminal_are_the_metrics(run):
    metrics = json.loads((run.folder / "metrics.json").read_text())
    lines = demo_tables.summary_lines(run.metrics)

    def figures(start):
        (line,) = [line for line in lines if re.match(rf"{re.escape(start)}\s", line)]
        return [float(x) for x in re.findall(r"\d+\.\d+", line)]

    for method, table in metrics["summary"]["frame"].items():
        expected = [table[key]["ap"]["mean"] for key in ("any", "mean")]
        np.testing.assert_allclose(figures(method), expected, atol=5.1e-4)
    for name, kind in demo_tables.RULES.items():
        values = metrics["summary"]["rule_recovery"][name]
        shares = [values[of]["mean"] for of in ("recall", "precision")]
        expected = [share for share in shares if share is not None]  # none: nothing was found
        np.testing.assert_allclose(figures(kind), expected, atol=5.1e-3)
    for method in OOD_METHODS:
        means = [
            row
            for row in metrics["ood"]
            if (row["method"], row["ood_set"]) == (method, "mean of sets")
        ]
        expected = [row[k] for row in means for k in ("auroc", "auroc_low", "auroc_high")]
        np.testing.assert_allclose(figures(method), expected, atol=5.1e-4)
    assert "nan" not in "\n".join(lines)


def test_three_worlds_have_a_spread():
    value = {"mean": 0.9412, "std": 0.0031, "n": 3}
    summary = {
        "frame": {"role model": {"any": {"ap": value}, "mean": {"ap": value}}},
        "rule_recovery": {
            name: {of: {"mean": share, "std": 0.0, "n": 3} for of in ("recall", "precision")}
            for name, share in (("singles", 0.5), ("pairs", 0.25), ("counters", math.nan))
        },
    }
    row = {
        "ood_set": "mean of sets",
        "method": "mcm",
        "auroc": 0.5,
        "auroc_low": 0.4,
        "auroc_high": 0.6,
    }
    lines = demo_tables.summary_lines({"summary": summary, "ood": [row]})
    assert lines[1] == f"{'role model':26}0.941 ± 0.003 0.941 ± 0.003"
    assert lines[4:7] == [
        f"{'atoms that suffice alone':26}0.50{'':17}0.50",
        f"{'pairs that suffice':26}0.25{'':17}0.25",
        f"{'counters of these':26}–{'':20}–",
    ]


def test_the_demo_says_what_it_renders(run):
    assert run.said == [
        f"world {SEED}: 6 train and 3 test videos",
        "OOD: 6 pictures in each of 5 sets",
    ]


def test_its_worlds_are_of_the_law_that_was_asked_for(tmp_path, monkeypatch):
    class Seen(Exception):
        pass

    def write_split(folder, seed, split, count, *, law, fps, on_progress):
        raise Seen(law)

    monkeypatch.setattr(demo, "write_split", write_split)
    with pytest.raises(Seen, match="specific"):
        demo.run_demo(tmp_path / "demo", SIZE, law="specific", **small_configs())
