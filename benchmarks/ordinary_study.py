"""Ordinary footage as the zero: do alarms by budget keep their rate, and what do they find?

``rendered``: eight cameras of `camera_day`, three hours learned from and held out, three later
hours without an event, 48 minutes with one each; roles as written. ``by budget``: alarms and recall
at thresholds from the held-out hours. ``achieved``: alarms in the later
hours at thresholds from the held-out ones, beside what was expected, with Garwood's interval.
``recall``: events that raise any alarm, at thresholds at which the later hours have so many a day;
"one threshold": the same P for all events, "own thresholds": in units of the held-out peaks; mean
over cameras, and of "ordinary, own" less "contrast, one" its standard error.
``contaminated``: with events on 5 % of the footage that is learned from. ``drift``: lines that a
camera no longer fits on its own hours, on another camera's footage, and with a covered lens.
``real``: five real videos that have minutes before their event: two thirds of their normal rows
are learned from, the rest is scored. AUC over all rows, and the mean of the videos; of the highest
atom, and of the video's own class.

What q and w, the units and the budget's form were chosen on: cameras 100 and 101, docs/results.md.

Run: python -m benchmarks.ordinary_study --embeddings=FOLDER [--root=REAL_CLIP]
"""

from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from sklearn.metrics import roc_auc_score

from benchmarks.camera_day import Footage, event_spans, images, standing
from benchmarks.presence_data import embed, real_videos
from jaxvlm import clip, files, resources
from jaxvlm.arrays import unit
from jaxvlm.atoms import alarm_budget
from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.evaluation.intervals import poisson_interval
from jaxvlm.video import ordinary_reading, role_file, scoring
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import AtomBank, FrameFeatures, presence_in_blocks, segment
from jaxvlm.video.ordinary_learning import learn
from jaxvlm.video.ordinary_model import new_model
from jaxvlm.video.ordinary_reading import Ordinary
from jaxvlm.video.ordinary_watching import drift_judge
from jaxvlm.video.role_model import RoleModel

_EMBEDDINGS = flags.DEFINE_string("embeddings", None, "Keeps the rendered cameras' embeddings.")
_ROOT = flags.DEFINE_string("root", None, "Real features.", allow_override=True)
_OUT = flags.DEFINE_string("ordinary_out", "benchmarks/results/ordinary_study.json", "JSON.")

CAMERAS, HOURS, EVENTS = tuple(range(8)), 3.0, 48
RATES = (16.0, 48.0, 128.0)  # false alarms a day
CLASSES = (  # of the real features' texts
    "abuse", "arrest", "arson", "assault", "burglary", "explosion", "fighting", "accident",
    "robbery", "shooting", "shoplifting", "stealing", "vandalism",
)  # fmt: skip
LONGEST = 300  # rows from which on a real video has minutes of ordinary footage


def camera_rows(folder: Path, model: clip.ClipModel, footage: Footage) -> np.ndarray:
    """Unit embeddings [T, D] of a camera's footage, rendered where the folder lacks them."""
    path = folder / f"cam_{footage.camera}_{footage.kind}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(model, list(images(footage))).astype(np.float16))
    rows = np.load(path)  # of more hours the first: they are rendered in order
    seconds = 60 if footage.kind == "events" else 3600
    return np.asarray(unit(rows[: round(footage.count * seconds)].astype(np.float32)))


def presence_of(scorer: scoring.Scorer, rows: np.ndarray) -> np.ndarray:
    """p [T, C] as the encoder and the texts give it."""
    return presence_in_blocks(FrameFeatures(rows, None), scorer.bank, scorer.roles.config.presence)


def logits_of(ordinary: Ordinary, roles: RoleModel, presence: np.ndarray, rows: np.ndarray):
    """Logits [T, E + 1] of the signals."""
    pbar = segment(ordinary.read(presence), roles.config).segment_presence
    return np.column_stack([roles.logits(pbar), ordinary.novelty_logit(rows)])


def count(logits: np.ndarray, thresholds: np.ndarray) -> int:
    """Alarms of all signals, at one frame a second."""
    times = np.arange(float(len(logits)))
    pairs = zip(logits.T, thresholds, strict=True)
    return sum(alarm_budget.count_alarms(column, times, level) for column, level in pairs)


def recall(logits: np.ndarray, thresholds: np.ndarray, spans: list) -> float:
    """Share of the events within which some signal reaches its threshold."""
    return float(np.mean([(logits[a:b] >= thresholds).any() for _, a, b in spans]))


def levels_at(logits: np.ndarray, rate: float, hours: float, held: list | None) -> np.ndarray:
    """Thresholds at which this footage itself has ``rate`` alarms a day: one for all signals, or in
    units of the held-out peaks."""
    times = np.arange(float(len(logits)))
    own = [alarm_budget.alarm_peaks(column, times) for column in logits.T]
    if held is None:
        pooled = np.sort(np.concatenate(own))[::-1]
        return np.full(logits.shape[1], pooled[round(rate * hours / 24) - 1])
    scales = alarm_budget.shared_units(held)
    pairs = zip(scales, own, strict=True)
    pooled = np.sort(np.concatenate([scale.of(peaks) for scale, peaks in pairs]))[::-1]
    return np.array([scale.back(pooled[round(rate * hours / 24) - 1]) for scale in scales])


def rendered(folder: Path) -> dict[str, Any]:
    model = clip.load(str(resources.path("checkpoints/clip")))
    written = str(resources.path("configs/ontology/world_roles.yaml"))
    roles = role_file.written_roles(written, AtomsConfig())
    scorer = scoring.make_scorer(clip.make_encoder(model), roles)
    achieved = {rate: [] for rate in RATES}
    recalls: dict[str, dict[float, list[float]]] = {}
    by_camera, drift = {}, {"own": 0, "other camera": 0, "covered": 0}
    learned, standing_sign = {}, {}
    for camera in CAMERAS:
        kinds = {"learn": HOURS, "ordinary": HOURS, "events": EVENTS}
        rows = {k: camera_rows(folder, model, Footage(camera, k, n)) for k, n in kinds.items()}
        presence = {kind: presence_of(scorer, own) for kind, own in rows.items()}
        spans = event_spans(Footage(camera, "events", EVENTS))
        variants = {}
        start = new_model("camera", scorer.made_by, roles, rows["learn"].shape[1], 1.0)
        clean = learn(start, presence["learn"], rows["learn"], continues=False)
        variants["ordinary"] = ordinary_reading.prepare(clean, roles, scorer.made_by)
        variants["contrast"] = variants["ordinary"]._replace(reads_presence=False)
        disturbed = [
            np.insert(a["learn"], *_disturbance(a, spans), axis=0) for a in (presence, rows)
        ]
        dirty = learn(start, *disturbed, continues=False)
        variants["contaminated"] = ordinary_reading.prepare(dirty, roles, scorer.made_by)
        sign = roles.atoms.index(standing(camera).atom)
        read = variants["ordinary"].read(presence["ordinary"])[:, sign]
        medians = (np.median(presence["ordinary"][:, sign]), np.median(read))
        standing_sign[f"{camera}, {roles.atoms[sign]}"] = [round(float(x), 3) for x in medians]
        learned[camera] = variants["ordinary"], presence["ordinary"]
        of_camera = {}
        for name, ordinary in variants.items():
            later = logits_of(ordinary, roles, presence["ordinary"], rows["ordinary"])
            events = logits_of(ordinary, roles, presence["events"], rows["events"])
            logits, times = ordinary_reading.held_logits(ordinary, roles)
            held = [alarm_budget.alarm_peaks(column, times) for column in logits.T]
            for rate in RATES:
                budget = alarm_budget.budget_thresholds(held, ordinary.model.held_hours, rate)
                raised = count(later, budget.thresholds)
                found = recall(events, budget.thresholds, spans)
                if name == "ordinary":
                    achieved[rate].append((raised, budget.expected_per_day * HOURS / 24))
                of_camera[f"{name}, {rate:g} a day"] = {"alarms": raised, "recall": round(found, 3)}
                for kind, scale in (("one threshold", None), ("own thresholds", held)):
                    levels = levels_at(later[:, :-1], rate, HOURS, scale and scale[:-1])
                    found = recall(events[:, :-1], levels, spans)
                    recalls.setdefault(f"{name}, {kind}", {}).setdefault(rate, []).append(found)
                levels = levels_at(later[:, -1:], rate, HOURS, None)
                found = recall(events[:, -1:], levels, spans)
                recalls.setdefault("novelty alone", {}).setdefault(rate, []).append(found)
        by_camera[str(camera)] = of_camera
    black = embed(model, [np.full((64, 64, 3), 3, np.uint8)] * 64)
    for camera, (ordinary, own) in learned.items():
        _, other = learned[CAMERAS[(CAMERAS.index(camera) + 1) % len(CAMERAS)]]
        covered = np.repeat(presence_of(scorer, black), 20, axis=0)
        for name, footage in (("own", own), ("other camera", other), ("covered", covered)):
            judge = drift_judge(ordinary)
            drift[name] += sum("no longer" in line for row in footage for line in judge(row))
    return {
        "cameras": len(CAMERAS),
        "hours": {"learned and held out": HOURS, "later": HOURS},
        "events": EVENTS * len(CAMERAS),
        "achieved": {f"{rate:g} a day": _achieved(pairs) for rate, pairs in achieved.items()},
        "recall": {
            name: {f"{rate:g} a day": round(float(np.mean(v)), 3) for rate, v in found.items()}
            for name, found in sorted(recalls.items())
        },
        "difference": {f"{rate:g} a day": _difference(recalls, rate) for rate in RATES},
        "by budget": {
            what: {
                "alarms": sum(of[what]["alarms"] for of in by_camera.values()),
                "recall": round(
                    float(np.mean([of[what]["recall"] for of in by_camera.values()])), 3
                ),
            }
            for what in by_camera[str(CAMERAS[0])]
        },
        "presence of what always stands there, as it is and read": standing_sign,
        "by camera": by_camera,
        "drift lines": drift,
    }


def _difference(recalls: dict, rate: float) -> list[float]:
    """Mean over cameras and its standard error."""
    one = np.array(recalls["contrast, one threshold"][rate])
    own = np.array(recalls["ordinary, own thresholds"][rate]) - one
    return [round(float(x), 3) for x in (own.mean(), own.std(ddof=1) / len(own) ** 0.5)]


def _disturbance(arrays: dict[str, np.ndarray], spans: list) -> tuple[int, np.ndarray]:
    """Where in the ordinary footage, and the frames of events, as often as gives 5 % of it."""
    frames = np.concatenate([arrays["events"][a:b] for _, a, b in spans[:12]])
    size = round(0.05 * len(arrays["learn"]))
    return 3600, np.resize(frames, (size, frames.shape[1]))


def _achieved(pairs: list[tuple[int, float]]) -> dict[str, Any]:
    days = HOURS * len(pairs) / 24
    raised, expected = sum(n for n, _ in pairs), sum(e for _, e in pairs)
    low, high = poisson_interval(raised)
    return {
        "expected": round(expected, 2),
        "alarms": raised,
        "alarms of each camera": [n for n, _ in pairs],
        "a day": round(raised / days, 1),
        "95 % interval": [round(low / days, 1), round(high / days, 1)],
    }


def real(root: Path) -> dict[str, Any]:
    found, texts = real_videos(root)
    names = tuple(f"atom {k:02d}" for k in range(13))
    none = np.zeros((13, 13), np.float32)
    params = roles_from_strengths(np.eye(13, dtype=np.float32), none, none)
    video = next(v for v in found if len(v.rows) > LONGEST)
    roles = RoleModel(params, names, names, None, AtomsConfig(fps=video.fps), ("{}",), ("normal",))
    bank = AtomBank(texts["ucf_crime14"][1:], texts["ucf_crime14"][:1], 100.0)
    known = clip.named_identity("ViT-B/16", 512, 100.0)
    plain = scoring.Scorer(None, bank, roles, (), known)
    pooled: dict[str, list[np.ndarray]] = {}
    truths, of_video, raised, expected, seconds = [], {}, 0, 0.0, 0.0
    for video in found:
        labels = np.array([video.labels[video.at == t].max() for t in range(len(video.rows))])
        normal = np.flatnonzero(labels == 0)
        if len(normal) <= LONGEST:
            continue
        kept, later = normal[: 2 * len(normal) // 3], normal[2 * len(normal) // 3 :]
        scored = np.sort(np.concatenate([later, np.flatnonzero(labels)]))
        presence = presence_of(plain, video.rows)
        model = new_model(video.name, known, roles, 512, video.fps)
        model = learn(model, presence[kept], video.rows[kept], continues=False)
        ordinary = ordinary_reading.prepare(model, roles, known)
        own = CLASSES.index(video.name.rstrip("0123456789"))
        rows = {
            "contrast": presence.max(axis=1),
            "ordinary": ordinary.read(presence).max(axis=1),
            "contrast, own class": presence[:, own],
            "ordinary, own class": ordinary.read(presence)[:, own],
            "novelty": ordinary.novelty_logit(video.rows),
        }
        truths.append(labels[scored])
        for name, values in rows.items():
            pooled.setdefault(name, []).append(values[scored])
        of_video[video.name] = {
            name: round(float(roc_auc_score(labels[scored], values[scored])), 3)
            for name, values in rows.items()
        }
        rate = 24 / model.held_hours  # one alarm in as much as was held out
        budget = ordinary_reading.choose_thresholds(ordinary, roles, rate)
        pbar = segment(ordinary.read(presence[later]), roles.config).segment_presence
        p = np.column_stack([roles.probability(pbar), ordinary.novelty(video.rows[later])])
        times = np.arange(len(later)) / video.fps
        for column, level in zip(p.T, budget.thresholds, strict=True):
            raised += alarm_budget.count_alarms(column, times, level)
        expected += budget.expected_per_day / 86_400 * len(later) / video.fps
        seconds += len(later) / video.fps
    truth = np.concatenate(truths)
    low, high = poisson_interval(raised)
    return {
        "videos": len(of_video),
        "AUC of all rows": {
            name: round(float(roc_auc_score(truth, np.concatenate(values))), 3)
            for name, values in pooled.items()
        },
        "mean AUC of videos": {
            name: round(float(np.mean([each[name] for each in of_video.values()])), 3)
            for name in pooled
        },
        "by video": of_video,
        "alarms on later normal rows": {
            "minutes": round(seconds / 60, 1),
            "expected": round(expected, 2),
            "alarms": raised,
            "95 % interval": [round(low, 1), round(high, 1)],
        },
    }


def main(_: list[str]) -> None:
    out = Path(_OUT.value)
    result = files.read_json(out) if out.is_file() else {}
    if _EMBEDDINGS.value is not None:
        result["rendered"] = rendered(Path(_EMBEDDINGS.value))
    if _ROOT.value is not None:
        result["real"] = real(Path(_ROOT.value))
    files.write_json(out, result)
    print(out)


if __name__ == "__main__":
    app.run(main)
