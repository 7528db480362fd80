"""Everything that runs on a mesh, once: what `test_devices` starts with different devices.

python -m tests.devices.program WORK OUT LABEL [ADDRESS COUNT NUMBER] scores the pictures and frames
below WORK, trains roles, and writes the numbers to OUT (one process does), runs to OUT.runs.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from jaxvlm import clip, parallel, resources
from jaxvlm.atoms import train_roles, training
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.pictures import evaluating
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.config import check as check_ood
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set
from jaxvlm.video import pipeline
from jaxvlm.video.config import AtomsSettings, check


def evaluate(model: clip.ClipModel, work: Path, out: Path, mesh: jax.sharding.Mesh | None) -> dict:
    """Scores of every method and P_align, classes, and the table of metrics."""
    encoder = clip.make_encoder(model, batch_size=2, mesh=mesh, store_dir=f"{out}.store")
    negalign = NegAlignConfig(num_groups=10, logit_scale=0.0)
    run = evaluating.run_evaluation(
        encoder,
        [read_set(f"{work}/pictures/id")],
        [read_set(f"{work}/pictures/{name}") for name in ("ood_unseen", "ood_empty")],
        Words(work / "pictures" / "class_names.txt"),
        check_ood(OodConfig(negalign, num_resamples=20), model),
    )
    if parallel.is_writer():
        evaluating.write_run(out, run)
    numbers = {}
    for scored in (*run.id_sets, *run.ood_sets):
        numbers |= {f"{scored.name}.{name}": x for name, x in scored.scores.items()}
        numbers |= {f"{scored.name}.align.{name}": x for name, x in scored.alignment.items()}
        numbers[f"{scored.name}.predicted"] = scored.encoded.predicted_class_idx
        numbers[f"{scored.name}.paths"] = np.array([path.name for path in scored.paths])
    results = run.evaluation.results
    metrics = results[["auroc", "aupr_in", "aupr_out", "fpr95", "auroc_low", "auroc_high"]]
    return numbers | {"metrics": metrics.to_numpy(), "failures": np.array(run.failures)}


def train(mesh: jax.sharding.Mesh | None) -> dict:
    """Role parameters from made-up videos; 7 a step, which no number of devices divides."""
    rng = np.random.default_rng(0)
    videos = [rng.uniform(size=(length, 9)).astype(np.float32) for length in range(5, 25)]
    labels = np.array([[video[:, 0].max() > 0.9, video[:, 1].max() > 0.9] for video in videos])
    config = training.RoleConfig("product", epochs=8, batch_size=7, topk=3, freeze_bias_epochs=2)
    params = train_roles(videos, labels.astype(int), config=config, seed=3, mesh=mesh)
    return {f"roles.{name}": np.asarray(x) for name, x in params._asdict().items() if x is not None}


def main(work: Path, out: Path, label: int, *processes: str) -> None:
    if processes:
        address, count, number = processes
        parallel.start(address, int(count), int(number))
    mesh = parallel.make_mesh(label=label) if jax.device_count() > 1 else None
    model = clip.load(resources.path("checkpoints/clip"))
    numbers = evaluate(model, work, Path(f"{out}.ood"), mesh) | train(mesh)
    config = AtomsSettings(batch_size=2)
    config.presence.kind = "local"
    ontology = resources.path("configs/ontology/world.yaml")
    pipeline.run_pipeline(
        work / "frames",
        f"{out}.runs",
        encoder=clip.make_encoder(model, batch_size=config.batch_size, mesh=mesh),
        ontology_file=ontology,
        config=check(config),
    )
    if parallel.is_writer():
        np.savez(out, **numbers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
