"""Methods that adapt while pictures arrive, on streams drawn from the evaluated sets."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip
from jaxvlm.arrays import unit
from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.streams import orders
from jaxvlm.ood.streams.methods import ADAPTIVE, Adaptive, base_scores
from jaxvlm.ood.streams.running import Texts, run
from jaxvlm.ood.streams.tanl import noise_pictures
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels

RESETS = ("pair", "never")


class StreamSettings(NamedTuple):
    """Every combination of order, share and skew is drawn ``repeats`` times.

    orders, ood_shares, class_skews, warm_start: see `orders.Arrival`. batch_size: pictures that
    come together; 0: as published, 64 for OODD and 256 for the others. reset: "pair": the memory
    is empty at the start of each stream, which is of one ID and one OOD set, as published;
    "never": it goes on from one OOD set's stream to the next's. methods: keys of
    `streams.methods.ADAPTIVE`; None: all.
    """

    orders: tuple[str, ...] = ("shuffled",)
    ood_shares: tuple[float, ...] = (0.5, 0.1, 0.02)
    class_skews: tuple[float, ...] = (0.0,)
    warm_start: int = 0
    batch_size: int = 0
    reset: str = "pair"
    repeats: int = 5
    methods: tuple[str, ...] | None = None


def check_streams(settings: StreamSettings) -> None:
    """Raises InputError for a field out of range."""
    for order, share, skew in itertools.product(
        settings.orders, settings.ood_shares, settings.class_skews
    ):
        orders.check(orders.Arrival(order, share, skew, settings.warm_start))
    if settings.reset not in RESETS:
        raise InputError(f"reset {settings.reset!r}: use one of {', '.join(RESETS)}")
    if settings.repeats < 2 or settings.batch_size < 0:
        raise InputError("stream: at least 2 repeats for a spread, and a batch_size of 0 or more")
    for method in settings.methods or ():
        if method not in ADAPTIVE:
            raise InputError(
                f"stream method {method!r}: unknown; use some of {', '.join(ADAPTIVE)}"
            )


class Pictures(NamedTuple):
    """The embedded pictures of a stream: unit rows [N, D] of the ID pictures, their classes or
    None, and the rows of the OOD sets by name."""

    known: np.ndarray
    classes: Sequence | None
    others: Mapping[str, np.ndarray]


def run_streams(
    id_sets: Sequence[ScoredSet],
    ood_sets: Sequence[ScoredSet],
    labels: Labels,
    config: OodConfig,
    settings: StreamSettings,
    *,
    encoder: clip.Encoder | None = None,
) -> pd.DataFrame:
    """`streams_table` of each ID set against all OOD sets.

    encoder: of the noise that TANL starts from; None: it starts without.

    Raises InputError: as `check_streams`, `orders.plan`.
    """
    groups, noise = config.negalign.num_groups, None
    if encoder is not None and "tanl" in (settings.methods or ADAPTIVE):
        noise = noise_embeddings(encoder, config.seed)
    texts = stream_texts(labels, config, noise)
    others = {own.name: np.asarray(own.encoded.image[:]) for own in ood_sets}
    chosen = {k: ADAPTIVE[k] for k in settings.methods or ADAPTIVE}
    tables = []
    for own in id_sets:
        pictures = Pictures(np.asarray(own.encoded.image[:]), own.labels, others)
        table = streams_table(
            pictures, texts, settings, num_groups=groups, seed=config.seed, methods=chosen
        )
        tables.append(table.assign(id_set=own.name))
    return pd.concat(tables, ignore_index=True)


def streams_table(
    pictures: Pictures,
    texts: Texts,
    settings: StreamSettings,
    *,
    num_groups: int,
    seed: int,
    methods: Mapping[str, Adaptive] = ADAPTIVE,
) -> pd.DataFrame:
    """A row per method, OOD set, order, share and skew, over ``repeats`` streams.

    ``auroc`` and ``fpr95`` are means, ``_sd`` their standard deviations, ``auroc_low`` the least;
    ``gain`` is AUROC less that of the static base on the same pictures, ``gain_low`` the least.
    An order of ``temporal_shift`` is one stream of all OOD sets.

    Raises InputError: as `check_streams`, `orders.plan`.
    """
    check_streams(settings)
    names, rows = list(pictures.others), []
    for order, share, skew in itertools.product(
        settings.orders, settings.ood_shares, settings.class_skews
    ):
        arrival = orders.Arrival(order, share, skew, settings.warm_start)
        found: dict[tuple[str, str], list[dict]] = {}
        for repeat in range(settings.repeats):
            states: dict[str, Any] = {}
            for own in [names] if order == "temporal_shift" else [[name] for name in names]:
                if settings.reset == "pair":
                    states = {}
                part = pictures._replace(others={name: pictures.others[name] for name in own})
                stream = _Stream(part, texts, num_groups, settings.batch_size)
                scored = _one_stream(stream, arrival, methods, states, seed + repeat)
                for key, metrics in scored.items():
                    found.setdefault(key, []).append(metrics)
        for (method, ood_set), metrics in found.items():
            rows.append(
                {
                    "method": method,
                    "base": methods[method].base,
                    "ood_set": ood_set,
                    **arrival._asdict(),
                    "batch_size": settings.batch_size or methods[method].batch_size,
                    "reset": settings.reset,
                    "repeats": settings.repeats,
                    **summary(metrics),
                }
            )
    return pd.DataFrame(rows)


def noise_embeddings(encoder: clip.Encoder, seed: int) -> np.ndarray:
    """Unit rows [15, D] of `tanl.noise_pictures`."""
    side = encoder.model.config.vision_config.image_size
    pictures = list(np.asarray(noise_pictures(seed, side)))
    pixels = clip.preprocess(encoder.model, pictures)
    return np.asarray(unit(clip.encode_images(encoder.model, pixels)))


def stream_texts(labels: Labels, config: OodConfig, noise: np.ndarray | None = None) -> Texts:
    """The banks as a stream takes them: the negatives in the drawn order of the groups."""
    negative = np.asarray(labels.banks.negative)
    count = len(negative) - len(negative) % config.negalign.num_groups
    order = np.random.default_rng(config.seed).permutation(count)
    return Texts(
        np.asarray(labels.banks.positive),
        negative[order],
        negative,
        noise,
        np.float32(config.negalign.logit_scale),
    )


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean, spread and worst of several streams."""
    table = pd.DataFrame(metrics)
    gain = table["auroc"] - table["base_auroc"]
    return {
        "num_id": round(table["num_id"].mean()),
        "num_ood": round(table["num_ood"].mean()),
        "auroc": table["auroc"].mean(),
        "auroc_sd": table["auroc"].std(),
        "auroc_low": table["auroc"].min(),
        "fpr95": table["fpr95"].mean(),
        "fpr95_sd": table["fpr95"].std(),
        "base_auroc": table["base_auroc"].mean(),
        "base_fpr95": table["base_fpr95"].mean(),
        "gain": gain.mean(),
        "gain_sd": gain.std(),
        "gain_low": gain.min(),
    }


class _Stream(NamedTuple):
    """What one stream is drawn from and compared with."""

    pictures: Pictures
    texts: Texts
    num_groups: int
    batch_size: int


def _one_stream(
    stream: _Stream,
    arrival: orders.Arrival,
    methods: Mapping[str, Adaptive],
    states: dict[str, Any],
    seed: int,
) -> dict[tuple[str, str], dict]:
    """Metrics by method and OOD set of one drawn stream; ``states`` are read and written."""
    known, classes, others = stream.pictures
    sizes = [len(rows) for rows in others.values()]
    plan = orders.plan(arrival, len(known), sizes, seed=seed, id_labels=classes)
    rows = np.concatenate([known, *others.values()])[plan.indices]
    groups = stream.num_groups
    bases = {methods[name].base for name in methods}
    static = {base: base_scores(base, stream.texts, rows, num_groups=groups) for base in bases}
    found = {}
    for name, method in methods.items():
        config = method.config(groups)
        state = states[name] if name in states else method.start(config, stream.texts)
        size = stream.batch_size or method.batch_size
        states[name], values = run(
            method.step, config, stream.texts, state, rows, base=static[method.base],
            batch_size=size,
        )  # fmt: skip
        for index, ood_set in enumerate(others, start=1):
            masks = [plan.counted & (plan.source == side) for side in (0, index)]
            ours, base = (
                ood_metrics(*(scores[mask] for mask in masks))
                for scores in (values, static[method.base])
            )
            found[name, ood_set] = {
                "num_id": int(masks[0].sum()),
                "num_ood": int(masks[1].sum()),
                "auroc": ours["auroc"],
                "fpr95": ours["fpr95"],
                "base_auroc": base["auroc"],
                "base_fpr95": base["fpr95"],
            }
    return found
