"""The whole job on rendered worlds: train roles from video labels, score unseen videos, compare."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import clip, files, outputs, resources, runs
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.pooling import pool_video
from jaxvlm.data import images
from jaxvlm.evaluation import baselines
from jaxvlm.evaluation.metrics import event_frame_metrics, mean_and_spread, video_auc
from jaxvlm.evaluation.mil import mil_scores
from jaxvlm.evaluation.mil_forms import NAMES as FORM_OF
from jaxvlm.evaluation.rule_recovery import (
    Rule,
    atom_levels,
    rule_recovery,
    rules_by_behaviour,
)
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.pages.video_page import role_book, write_video_page
from jaxvlm.pictures.config import OodConfig, OodSettings
from jaxvlm.pictures.config import check as check_ood
from jaxvlm.progress import Progress, ignore, stage
from jaxvlm.video import role_data, role_learning, role_outputs, scoring
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.role_model import RoleModel
from jaxvlm.world import demo_ood, demo_tables, ood_pictures
from jaxvlm.world.demo_splits import ONTOLOGY_FILE, Split, look_at, read_split
from jaxvlm.world.laws import PAIRS, numbered_rules
from jaxvlm.world.splits import write_split
from jaxvlm.world.vocabulary import ATOMS
from jaxvlm.world.workers import ahead, in_another_process

ROLE_MODEL = "role model"
BASELINES = ("MIL linear", "MIL quadratic")  # the second can say what pairs of atoms mean
OOD_TABLE = "Unknown objects: AUROC against pictures of 14 known classes"
OOD_SHEET = (
    "Known classes on unusual backgrounds (first row) and unknown objects on a known class's "
    "background (third row), from most to least in-distribution by NegAlign; below each, what "
    "speaks for the predicted class, with the background mask outlined. More: ood/report.html"
)
_SHOWN_VIDEOS = 24  # cards on the page
_FILE_FPS = 2.0  # of the videos: a frame a second is looked at, and drawing takes half as long
_REPORTED = 0.5  # where `center_decision` puts it


class DemoSize(NamedTuple):
    """How much is rendered: a world per seed with its videos, and pictures in each OOD set."""

    seeds: Sequence[int]
    num_train: int
    num_test: int
    num_ood: int


def run_demo(
    out_dir: str | os.PathLike,
    size: DemoSize,
    *,
    config: AtomsConfig | None = None,
    ood_config: OodConfig | OodSettings | None = None,
    law: str = PAIRS,
    on_progress: Progress = ignore,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Renders a world per seed, learns its roles from video labels, scores videos never seen.

    Then renders the OOD benchmark and compares every method on it. law: of the worlds, see `laws`.
    Everything is read back from files as a user's would be: mp4, JPEG folders, run folders.
    Writes ``metrics.json`` (per seed; mean and spread; OOD) and ``report.html`` (videos of the
    first seed) into ``out_dir``, beside the worlds and ``ood/``. Returns the metrics.
    """
    out_dir = Path(out_dir)
    outputs.require_places(out_dir, "metrics.json", "report.html")
    seeds, num_train, num_test, num_ood = size
    config = config or AtomsConfig()
    seconds: dict[str, float] = {}
    ontology = load_ontology(ONTOLOGY_FILE)
    with runs.timed(seconds, "load"):
        model = clip.load(resources.path("checkpoints/clip"))
    ood_config = check_ood(ood_config or OodConfig(), model)
    results: dict[str, Any] = {}
    plan = [
        (seed, split, count)
        for seed in seeds
        for split, count in (("train", num_train), ("test", num_test))
    ]

    def drawing(seed: int, split: str, count: int) -> Callable[[Progress], Path]:
        folder = out_dir / f"world-{seed}" / split
        return lambda told: write_split(
            folder, seed, split, count, law=law, fps=_FILE_FPS, on_progress=told
        )

    told_of_drawing: Progress = ignore

    def look(told: Progress) -> Split:
        nonlocal told_of_drawing
        told_of_drawing = told
        with runs.timed(seconds, "wait for drawing"), stage(told, "render videos"):
            folder = next(drawn)
        for name, took in aside(look_at, folder, config, on_progress=told).items():
            seconds[name] = round(seconds.get(name, 0.0) + took, 3)
        return read_split(folder, ontology)

    def unknown_objects(told: Progress) -> demo_ood.OodDemo:
        say(f"OOD: {num_ood} pictures in each of {len(ood_pictures.SETS)} sets")
        with runs.timed(seconds, "ood"):
            return aside(
                demo_ood.run_ood_demo,
                out_dir / "ood",
                config.batch_size,
                ood_config,
                num_ood,
                on_progress=told,
            )

    # Videos are drawn while those before are looked at, and these while roles are learned: two
    # processes that compute, because programs of JAX in one take turns on its threads.
    with (
        in_another_process() as aside,
        ahead(itertools.starmap(drawing, plan), lambda *news: told_of_drawing(*news)) as drawn,
        ahead([*[look] * len(plan), unknown_objects], on_progress) as made,
    ):
        for seed in seeds:
            say(f"world {seed}: {num_train} train and {num_test} test videos")
            with runs.timed(seconds, "wait for videos"):
                train, test = next(made), next(made)
            with runs.timed(seconds, "train roles"):
                data = role_data.read_runs(train.folder / "runs" / "manifest.csv", ontology)
                # The page shows the roles of the first world alone.
                own = config if seed == seeds[0] else role_learning.without_fits(config)
                options = {"seed": seed, "on_progress": on_progress}
                roles = role_learning.learn_roles(data, ontology, own, **options)
                role_outputs.write_roles(out_dir / f"world-{seed}" / "roles", roles)
            with runs.timed(seconds, "evaluate"):
                results[str(seed)] = evaluate(model, ontology, roles, data, test, seed)
                truth = numbered_rules(law, ontology.events, ontology.atoms)
                found = learned_rules(roles, train)
                results[str(seed)]["rule_recovery"] = rule_recovery(found, truth)
            if seed == seeds[0]:
                shown = roles, test
        ood = next(made)
    summary = mean_and_spread(list(results.values()))
    metrics = {
        "law": law,
        "summary": summary,
        "seeds": results,
        "ood": ood.metrics,
        **runs.run_record(config, seed=None, seconds=seconds),
    }
    files.write_json(out_dir / "metrics.json", metrics)
    write_page(out_dir / "report.html", *shown, summary, seeds, ood)
    return metrics


def evaluate(
    model: clip.ClipModel,
    ontology: Ontology,
    roles: RoleModel,
    train: role_learning.RoleData,
    test: Split,
    seed: int,
) -> dict[str, Any]:
    """Frame and video metrics of the role model and of the baselines."""
    pbar = [segmented.segment_presence for segmented in test.segmented]
    probability = {
        ROLE_MODEL: [roles.probability(p) for p in pbar],
        **{
            name: mil_scores(
                train.videos,
                train.labels,
                pbar,
                form=FORM_OF[name],
                seed=seed,
                candidates=ontology.candidates,
            )
            for name in BASELINES
        },
        "zero-shot names": zero_shot_names(model, ontology, test.embeddings),
        "pixel change": [
            np.repeat(
                _pixel_change(test.folder / "frames" / name)[:, None], len(ontology.events), 1
            )
            for name in test.names
        ],
    }
    labels = np.stack([truth.max(0) for truth in test.truth])
    result: dict[str, Any] = {"frame": {}, "video_auc": {}}
    for name, values in probability.items():
        result["frame"][name] = event_frame_metrics(values, test.truth, ontology.events)
        pooled = np.stack([_pooled(value, name) for value in values])
        result["video_auc"][name] = video_auc(pooled, labels, ontology.events)
    return result


def learned_rules(roles: RoleModel, train: Split) -> frozenset[Rule]:
    """The rules that a model follows where it reports an event, by number of event and atom.

    The truth of the training videos says what p̄ an atom has that is there, see `atom_levels`; the
    model has not seen it.
    """
    columns = [ATOMS.index(atom) for atom in roles.atoms]
    visible = []
    for name, times in zip(train.names, train.times, strict=True):
        truth = files.read_arrays(train.folder / "truth" / f"{name}.safetensors")
        on_screen = np.searchsorted(truth["times"], times, side="right") - 1
        visible.append(truth["atoms"][on_screen][:, columns])
    pbar = [segmented.segment_presence for segmented in train.segmented]
    return rules_by_behaviour(
        roles.probability,
        *atom_levels(pbar, visible),
        threshold=np.full(len(roles.events), _REPORTED),
        candidates=roles.candidates,
    )


def zero_shot_names(
    model: clip.ClipModel, ontology: Ontology, embeddings: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """CLIP on the event names against the ontology's neutral prompts, [T, E] per video."""
    events = clip.embed_prompts(model, ontology.events, ontology.templates)
    neutral = clip.embed_prompts(model, ontology.neutral_prompts, ["{}"])
    scale = model.logit_scale
    return [np.asarray(baselines.zero_shot(e, events, neutral, scale)) for e in embeddings]


def write_page(
    path: Path,
    roles: RoleModel,
    test: Split,
    summary: dict[str, Any],
    seeds: Sequence[int],
    ood: demo_ood.OodDemo,
) -> None:
    """The page: videos of the first seed with truth, role tables, and the comparison."""
    reports = []
    for name, segmented, times, truth in zip(
        test.names, test.segmented, test.times, test.truth, strict=True
    ):
        frames = images.list_images(test.folder / "frames" / name)

        def thumbnails(places: Sequence[int], frames: list[Path] = frames) -> list[np.ndarray]:
            return [images.read_image(frames[t]) for t in places]

        reports.append(scoring.explain(roles, name, thumbnails, times, segmented, truth))
    shown = reports[:_SHOWN_VIDEOS]
    notes = [
        f"Rendered surveillance videos that the model has never seen: {len(shown)} of "
        f"{len(test.names)} test videos of world {seeds[0]}. The roles were learned from video "
        "labels alone; shaded spans are the truth, which was not shown to it.",
    ]
    write_video_page(
        path,
        shown,
        role_book(roles),
        metrics={**demo_tables.metric_tables(summary), OOD_TABLE: ood.table},
        pictures={OOD_SHEET: ood.sheet},
        notes=notes,
    )


def _pixel_change(folder: Path) -> np.ndarray:
    return baselines.mean_pixel_change(
        np.stack([images.read_image(path) for path in images.list_images(folder)])
    )


def _pooled(values: np.ndarray, name: str) -> np.ndarray:
    """A video's score: noisy-OR of probabilities; the highest value of what is no probability."""
    if name == "pixel change":
        return values.max(0)
    return np.asarray(pool_video(pad_frames(values)))
