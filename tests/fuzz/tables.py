"""Readers of tables, and of folders of runs and of scores."""

from pathlib import Path

import numpy as np

from jaxvlm import files
from jaxvlm.data import images, presets, tables
from jaxvlm.evaluation import scored_videos
from jaxvlm.evaluation.protocols import evaluation
from jaxvlm.evaluation.protocols.ground_truth import Sources
from jaxvlm.evaluation.protocols.scores import read_scores
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.ontology.proposals import read_video_labels
from jaxvlm.prototypes import folders, results
from jaxvlm.terminal import shown
from jaxvlm.video.role_learning import read_runs
from tests.fuzz.case import Reader
from tests.fuzz.texts import UCF, _check_results, are_names, text
from tests.video.role_runs import EVENTS, ONTOLOGY, small_config, write_runs

OPENOOD = (
    ",FPR@95,AUROC,AUPR_IN,AUPR_OUT,CCR_4,ACC\nninco,76.59,81.91,97.15,31.95,-,76.19\n"
    "nearood,81.41 ± 0.12,77.06 ± nan,84.33,50.99,1.52,76.19\n"
)
LABELS = "video_id,fire,flood\nv0,1,0\nv1,0,yes\nv2,FALSE,true\n"
FRAME_LABELS = "video_id,frame,fire,flood\nv0,0,1,0\nv0,1,0,0\nv1,0,0,1\n"
INTERVALS = "video_id,event,start_seconds,end_seconds\nv0,fire,0.5,2\nv1,flood,1,1.5\n"
COUNTS = "video,frames,anomalous_frames\nAbuse028_x264,300,75\nNormal_1_x264,50,0\n"
SCORES = "frame,time_seconds,fire,flood\n0,0.0,0.25,0.5\n1,1.0,0.75,0.125\n2,2.0,1,0\n"


def _check_labels(table) -> None:
    names = [name for name in table if name not in ("video_id", "frame")]
    are_names(names)
    assert len(table) and table[names].isin((0, 1)).all(axis=None)
    assert not table.duplicated([n for n in ("video_id", "frame") if n in table]).any()
    if "frame" in table:
        assert table["frame"].dtype == np.int64


def _check_intervals(table) -> None:
    assert table["event"].isin(EVENTS).all()
    start, end = (table[name].to_numpy(np.float64) for name in ("start_seconds", "end_seconds"))
    assert (
        np.isfinite(start).all()
        and np.isfinite(end).all()
        and ((start >= 0) & (end >= start)).all()
    )


def _intervals(folder: Path):
    table = tables.read_intervals(folder / "intervals.csv", EVENTS)
    labels = tables.intervals_to_frames(table, np.arange(4.0), EVENTS)
    assert labels.shape == (4, 2) and labels.max(initial=0) <= 1
    return table


def _check_counts(table) -> None:
    assert len(table) and table["frames"].dtype == np.int64 and (table["frames"] >= 1).all()
    assert table["video"].is_unique and (table["video"] != "").all()


def _make_index(folder: Path) -> None:
    text("index.csv", "frame,time_seconds,timecode\n0,0.0,a\n1,0.5,b\n2,1.0,c\n")(folder)
    for n in range(3):
        (folder / f"{n:06d}.jpg").write_bytes(b"it is not opened")


def _check_times(times) -> None:
    assert times.shape == (3,) and times[0] >= 0 and (np.diff(times) > 0).all()
    assert np.isfinite(times).all()


def _make_runs(folder: Path) -> None:
    write_runs(folder, num_videos=2)


def _runs(folder: Path):
    """The runs as training takes them."""
    ontology = load_ontology(folder / "ontology.yaml")
    packs = tables.read_trainpacks(tables.read_manifest(folder / "manifest.csv"))
    labels = read_video_labels(ontology.events, manifest_csv=folder / "manifest.csv")
    return ontology, packs, read_runs(folder / "manifest.csv", ontology), labels


def _check_runs(result) -> None:
    ontology, packs, data, labels = result
    _check_labels(labels)
    for array in (*(pack.pbar for pack in packs), *data.videos):
        assert (
            array.ndim == 2 and array.shape[1] == len(ontology.atoms) and array.dtype == np.float32
        )
        assert np.isfinite(array).all() and (array >= 0).all() and (array <= 1.001).all()
    assert np.isin(data.labels, (0, 1)).all()
    are_names(data.names)


def _make_waterbirds(folder: Path) -> None:
    rows = "img_id,img_filename,y,split,place\n1,a/x.jpg,0,2,0\n2,a/y.jpg,1,2,1\n3,a/z.jpg,1,0,1\n"
    text("metadata.csv", rows)(folder)
    (folder / "a").mkdir()
    for name in "xyz":
        (folder / "a" / f"{name}.jpg").write_bytes(b"it is not opened")


def _check_set(found) -> None:
    assert found.paths
    if found.labels is not None:
        assert len(found.labels) == len(found.paths)
        are_names([label for label in found.labels if label], least=0)


def _make_scores(folder: Path) -> None:
    for name in ("v0", "v1"):
        (folder / name).mkdir()
        text("events.csv", SCORES)(folder / name)
    files.write_json(
        folder / "run.json", {"videos": ["v0", "v1"], "roles": {"training_videos": []}}
    )
    text("intervals.csv", INTERVALS)(folder)


def _scores(folder: Path):
    return scored_videos.evaluate_scores(folder, folder / "intervals.csv")


def _check_metrics(result) -> None:
    assert scored_videos.summary_lines(result)
    for row in scored_videos.summary_table(result).itertuples():
        for value in row:
            assert not isinstance(value, float) or np.isnan(value) or 0 <= value <= 1, row


def _make_protocol(folder: Path) -> None:
    text("annotations.txt", UCF)(folder)
    text("frames.csv", COUNTS)(folder)
    (folder / "scores").mkdir()
    rows = "score\n" + "".join(f"{n / 300}\n" for n in range(300))
    text("Abuse028_x264.csv", rows)(folder / "scores")
    text("Normal_1_x264.csv", "score\n" + "0.25\n" * 50)(folder / "scores")


def _protocol(folder: Path):
    given = Sources(
        folder / "annotations.txt",
        frame_counts=folder / "frames.csv",
        scores_dir=folder / "scores",
    )
    return evaluation.evaluate_protocol("ucf_crime", given, num_resamples=10)


def _check_protocol(result) -> None:
    for metric in result["overall"].values():
        if isinstance(metric, dict):
            assert all(np.isnan(v) or 0 <= v <= 1 for v in metric.values()), metric


def _check_video_scores(found) -> None:
    assert found
    for scores in found.values():
        assert scores.values.ndim == 2 and np.isfinite(scores.values).all()
        assert len(scores.columns) in (0, scores.values.shape[1])
        if scores.times is not None:
            assert np.isfinite(scores.times).all()


def _make_video_scores(folder: Path) -> None:
    text("v0.csv", SCORES)(folder)
    text("v1.csv", SCORES)(folder)


def _make_prototype(folder: Path) -> None:
    from jaxvlm.data.torch_files import write_torch

    rng = np.random.default_rng(0)
    for n in range(2):
        run = folder / f"v{n}"
        run.mkdir()
        presence = rng.uniform(0, 1, (4, 6)).astype(np.float32)
        for name in ("presence", "seg_presence"):
            write_torch(run / f"{name}.pt", presence)
        for name in ("boundary", "labels"):
            write_torch(run / f"{name}.pt", np.zeros(4, np.float32))
        write_torch(run / "trainpack.pt", {"pbar": presence, "labels": np.zeros(4, np.float32)})
        text("video_event_labels.csv", f"video_id,fire,flood\nv{n},{n},0\n")(run)
    rows = "".join(f"v{n},v{n}/video_event_labels.csv\n" for n in range(2))
    text("manifest.csv", "run_dir,labels_csv\n" + rows)(folder)
    text("ontology.yaml", ONTOLOGY)(folder)
    state = {f"theta_{role}": rng.normal(size=(6, 2)) for role in ("dir", "ind", "ctr")}
    state |= {f"gamma_{role}": rng.normal(size=2) for role in ("dir", "ind", "ctr")}
    state |= {"bias": rng.normal(size=2)}
    state = {name: value.astype(np.float32) for name, value in state.items()}
    write_torch(folder / "role_learner_multi.pt", state)


def _prototype(folder: Path):
    out = folder.with_name("converted")
    ontology = folder / "ontology.yaml"
    found = folders.from_prototype(folder, out, small_config(), ontology_file=ontology)
    assert all(shown(line) == line for line in found.failures), found.failures
    if found.manifest is None:
        return None
    return tables.read_manifest(found.manifest)


def _check_converted(runs) -> None:
    for pack in tables.read_trainpacks(runs or [], most=20.0):
        assert np.isfinite(pack.pbar).all() and (pack.pbar >= 0).all()


LOG = """Namespace(in_dataset_name='imagenet', seed=0)
------------------ sun -------------------
score0     auroc: 0.9463867349999999    fpr: 0.2293
score1     auroc: 0.5    fpr: 1e-05
"""

READERS = {
    "labels": Reader(
        text("labels.csv", LABELS),
        lambda folder: tables.read_event_labels(folder / "labels.csv"),
        _check_labels,
    ),
    "frame labels": Reader(
        text("labels.csv", FRAME_LABELS),
        lambda folder: tables.read_event_labels(folder / "labels.csv", EVENTS),
        _check_labels,
    ),
    "intervals": Reader(text("intervals.csv", INTERVALS), _intervals, _check_intervals),
    "frame counts": Reader(
        text("frames.csv", COUNTS),
        lambda folder: tables.read_frame_counts(folder / "frames.csv"),
        _check_counts,
    ),
    "index.csv": Reader(
        _make_index,
        images.index_times,
        _check_times,
        intact=tuple(f"{n:06d}.jpg" for n in range(3)),
    ),
    "runs": Reader(_make_runs, _runs, _check_runs),
    "waterbirds": Reader(
        _make_waterbirds,
        lambda folder: presets.read_preset("waterbirds", folder),
        _check_set,
        intact=("x.jpg", "y.jpg", "z.jpg"),
    ),
    "scored videos": Reader(_make_scores, _scores, _check_metrics),
    "video scores": Reader(_make_video_scores, read_scores, _check_video_scores),
    "scores npy": Reader(
        lambda folder: np.save(folder / "v0.npy", np.linspace(0, 1, 5)),
        read_scores,
        _check_video_scores,
    ),
    "protocol": Reader(_make_protocol, _protocol, _check_protocol),
    "results log": Reader(
        text("result.txt", LOG),
        lambda folder: results.read_results(folder / "result.txt"),
        _check_results,
    ),
    "openood csv": Reader(
        text("msp.csv", OPENOOD),
        lambda folder: results.read_results(folder / "msp.csv"),
        _check_results,
    ),
    "prototype folder": Reader(_make_prototype, _prototype, _check_converted),
}
