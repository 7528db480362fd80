"""Do models rest on what their explanations name? Roles and baselines on presences of known laws.

Spans: the runs of frames that show an event by the law and over which the model's mean probability
is one half or more, so each model has its own; at most `SPANS` of a world, spread evenly. An atom
that leaves has its median p̄ of the training frames, read as that video is read. Explanations:
``leave one out``: fall of the mean logit when an atom leaves; ``removed from the evidence``: the
same by `role_contributions`, where its share of the evidence is taken out; ``gradient × input``: of
the logit; ``random``: an order by chance, the floor. Measures: see `evaluation.faithfulness`, of
probabilities; means over spans, then over worlds. Models whose probabilities are nearer to 0 and 1
have larger measures, so compare explanations of one model, or with its own random order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.rules_data import LawWorld
from benchmarks.rules_models import Fitted
from jaxvlm.atoms.explanation import role_contributions
from jaxvlm.evaluation import faithfulness as measures
from jaxvlm.evaluation.macro import mean_interval
from jaxvlm.evaluation.spans import runs_of

SPANS = 40
_MEASURES = measures.Faithfulness._fields[:-1]

Place = tuple[int, int, int, int]  # video, event, first frame, one past the last


def of_world(world: LawWorld, fitted: Mapping[str, Fitted]) -> dict[str, dict[str, dict]]:
    """By model and explanation, the means over spans of every measure."""
    found = {}
    for name, model in fitted.items():
        places = detected(world, model)
        if places:
            found[name] = of_model(world, model, places)
    return found


def detected(world: LawWorld, model: Fitted) -> list[Place]:
    """The spans of the model."""
    places = []
    scores = model.of_videos(world.test)
    for video, (truth, probability) in enumerate(zip(world.truth, scores, strict=True)):
        for event, column in enumerate(np.asarray(truth).T):
            for start, stop in runs_of(column > 0):
                if probability[start:stop, event].mean() >= 0.5:
                    places.append((video, event, start, stop))
    chosen = np.unique(np.linspace(0, len(places) - 1, min(SPANS, len(places))).round().astype(int))
    return [places[n] for n in chosen]


def of_model(world: LawWorld, model: Fitted, places: Sequence[Place]) -> dict[str, dict]:
    """Every explanation of one model."""
    absent = np.median(np.concatenate(world.train), axis=0)[None]
    videos = sorted({place[0] for place in places})
    read = [model.read(world.test[n], None) for n in videos]
    gone = np.concatenate([model.read(absent, world.test[n]) for n in videos])
    # As many spans in each call, so that it is compiled once.
    own = [(videos.index(video), *rest) for video, *rest in places]
    filled = [own[n % len(own)] for n in range(SPANS)]
    spans = measures.pad_spans(read, filled, gone, multiple=32)
    explained = {
        "leave one out": measures.leave_one_out_importance(model.logits, spans),
        "gradient × input": measures.gradient_times_input(model.logits, spans),
        "random": np.random.default_rng(world.seed).random(spans.absent.shape),
    }
    roles = of_roles(model, spans)
    if roles is not None:
        explained["removed from the evidence"] = roles
    probability = measures.probability_model(model.logits)
    found = {}
    for name, importance in explained.items():
        curves = measures.faithfulness_curves(probability, spans, importance)
        each = measures.faithfulness(curves)
        values = {field: float(getattr(each, field)[: len(own)].mean()) for field in _MEASURES}
        size = each.flip_size[: len(own)]
        found[name] = values | {"flip size, median": float(np.median(size)), "spans": len(own)}
    return found


def of_roles(model: Fitted, spans: measures.Spans) -> np.ndarray | None:
    """The mean over a span's frames of what roles say themselves; None for other models."""
    params, *candidates = model.logits.args
    if not hasattr(params, "theta_direct"):
        return None
    rows = []
    for presence, mask, event in zip(spans.presence, spans.mask, spans.event, strict=True):
        total = role_contributions(params, presence, candidates=candidates[0]).total
        rows.append(np.asarray(total)[mask > 0, :, event].mean(axis=0))
    return np.stack(rows)


def summary(worlds: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, Any]:
    """Means over worlds with Student's interval; of sizes and numbers of spans the mean alone."""
    found: dict[str, Any] = {}
    for name, explanations in worlds[0].items():
        for kind, fields in explanations.items():
            row = {}
            for field in fields:
                values = [own[name][kind][field] for own in worlds if name in own]
                interval = mean_interval(values)
                whole = field in _MEASURES
                row[field] = [round(x, 3) for x in interval] if whole else round(interval.value, 1)
            found.setdefault(name, {})[kind] = row
    return found


def rows(result: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The summary as rows of a table."""
    return {
        f"{name}: {kind}": {
            field: f"{value[0]:.3f}" if isinstance(value, list) else value
            for field, value in fields.items()
        }
        for name, explanations in result.items()
        for kind, fields in explanations.items()
    }
