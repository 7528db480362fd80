"""Figures of an OOD evaluation with deterministic bytes, and the picture of what a CAM looks at."""

import os
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxvlm import outputs
from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.names import number_of
from jaxvlm.pages import style
from jaxvlm.pages.style import INK, MUTED, PALETTE, PAPER, RULE, WIDTH

ID_COLOR, OOD_COLOR = PALETTE[1], PALETTE[0]
LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))  # the next style once every colour is used
BINS, NAME_LENGTH, PNG_DPI = 60, 34, 160
CURVE_CELLS = 300  # points of a curve closer than this share of the axis are not told apart
HEAT = cv2.COLORMAP_INFERNO
HEAT_OPACITY, OUTLINE_SHARE = 0.7, 160  # of the short side, for one pixel of outline


def roc_curves(scores: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str = "") -> Figure:
    """ROC curves of several methods, best AUROC first in the key; ID images are the positives.

    Args:
      scores: (ID scores [N_id], OOD scores [N_ood]) by method; higher = in-distribution.
      title: plain text above the axes.

    Raises:
      InputError: no method, or scores that `ood_metrics` refuses.
    """
    if not scores:
        raise InputError("ROC curves: no method; choose at least one")
    auroc = {name: ood_metrics(*pair)["auroc"] for name, pair in scores.items()}
    below, above = 0.5, 0.3 if title else 0.1
    height = max(3.4, 0.4 + 0.19 * len(scores)) + below + above
    with style.figures():
        figure = Figure(figsize=(WIDTH, height))
        # The axes are square, the key stands to their right.
        bottom = 1 - (3.4 + above) / height
        axes = figure.add_axes((0.6 / WIDTH, bottom, 3.4 / WIDTH, 3.4 / height))
        axes.plot([0, 1], [0, 1], color=RULE, lw=1)
        axes.axhline(0.95, color=MUTED, lw=0.8, ls=(0, (1, 2)))
        lines = {}
        for i, (name, (ids, oods)) in enumerate(scores.items()):
            (lines[name],) = axes.plot(
                *_roc(np.asarray(ids, float), np.asarray(oods, float)),
                color=PALETTE[i % len(PALETTE)],
                ls=LINES[i // len(PALETTE) % len(LINES)],
                lw=1.5,
                solid_joinstyle="round",
            )
        ranked = sorted(scores, key=lambda name: -auroc[name])
        axes.legend(
            [lines[name] for name in ranked],
            [f"{auroc[name]:.3f}  {_short(name)}" for name in ranked],
            title="AUROC",
            loc="upper left",
            bbox_to_anchor=(1.04, 1.03),
            frameon=False,
            alignment="left",
            handlelength=1.8,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.005))
        axes.set_xlabel("OOD images accepted (FPR)")
        axes.set_ylabel("ID images accepted (TPR)")
        _finish(axes, title)
    return figure


def score_histogram(id_scores: ArrayLike, ood_scores: ArrayLike, *, title: str = "") -> Figure:
    """Histograms of one method's ID and OOD scores, each side's shares adding to one.

    The dotted line is the threshold of FPR@95: at least 95 % of the ID images lie at or right of
    it. Infinite scores cannot be drawn; the axis says how many there are.

    Args:
      id_scores: [N_id], higher = in-distribution. ood_scores: [N_ood].
      title: plain text above the axes.

    Raises:
      InputError: scores that `ood_metrics` refuses.
    """
    metrics = ood_metrics(id_scores, ood_scores)
    ids = np.sort(np.asarray(id_scores, float))
    threshold = ids[ids.size - (19 * ids.size + 19) // 20]
    label = f"95 % of ID kept, {100 * metrics['fpr95']:.1f} % of OOD"
    sides = {"ID": (id_scores, ID_COLOR), "OOD": (ood_scores, OOD_COLOR)}
    return _histogram(sides, (threshold, label), title)


def folder_histogram(
    scores: ArrayLike, known: ArrayLike | None = None, threshold: float | None = None
) -> Figure:
    """Histograms of a folder's scores and, if there are any, of the ID pictures', with the
    threshold; each side's shares add to one.

    Args:
      scores: [N], higher = in-distribution, not empty. known: [N_id].
    """
    sides = {"scored": (scores, OOD_COLOR)}
    if known is not None:
        sides = {"ID": (known, ID_COLOR)} | sides
    line = None
    if threshold is not None:
        out = np.mean(np.asarray(scores, float) < threshold)
        line = threshold, f"threshold, {100 * out:.1f} % below"
    return _histogram(sides, line, "")


def _histogram(
    sides: Mapping[str, tuple[ArrayLike, str]], line: tuple[float, str] | None, title: str
) -> Figure:
    """sides: scores and colour by name; line: where, and what it is."""
    both = np.concatenate([np.asarray(scores, float) for scores, _ in sides.values()])
    finite = both[np.isfinite(both)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    with style.figures():
        height = 2.9 + (0.3 if title else 0)
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0.6 / WIDTH, 0.5 / height, 1 - 0.8 / WIDTH, 2.1 / height))
        for name, (scores, color) in sides.items():
            scores = np.asarray(scores, float)
            share = np.histogram(scores[np.isfinite(scores)], edges)[0] / scores.size
            label = f"{name}, {number_of(scores.size, 'image')}"
            axes.stairs(share, edges, fill=True, color=color, alpha=0.3, lw=0)
            axes.stairs(share, edges, color=color, lw=1.2, label=label)
        if line is not None and np.isfinite(line[0]):
            axes.axvline(line[0], color=INK, lw=1, ls=(0, (1, 2)), label=line[1])
        lost = both.size - finite.size
        axes.set_xlabel("score" + (f" ({lost} infinite, not drawn)" if lost else ""))
        axes.set_ylabel("share of the images")
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", frameon=False, ncols=3, handlelength=1.4, columnspacing=1.4,
                    borderaxespad=0.1, bbox_to_anchor=(0, 1.15))  # fmt: skip
        _finish(axes, title, pad=26)
    return figure


def write_figure(path: str | os.PathLike, figure: Figure) -> None:
    """Writes a figure as ``.png`` or ``.svg`` on white, atomically, the same bytes every time.

    Raises:
      InputError: another suffix.
    """
    kind = Path(path).suffix.lower()
    if kind not in (".png", ".svg"):
        raise InputError(f"{path}: figures are written as .png or .svg; change the suffix")
    # matplotlib stamps its version into a PNG and the time into an SVG.
    metadata = {"Software": None} if kind == ".png" else {"Date": None, "Creator": None}
    with style.figures(salt="ood"), outputs.output_path(path) as temporary:
        FigureCanvasAgg(figure)
        figure.savefig(temporary, format=kind[1:], dpi=PNG_DPI, facecolor=PAPER, metadata=metadata)


def overlay_cam(
    image: np.ndarray, cam: ArrayLike, *, background: ArrayLike | None = None
) -> np.ndarray:
    """A class activation map as heat over its picture, with the background mask outlined.

    out = (1 − a) image + a heat(cam), a = 0.7 cam, cam upsampled bilinearly. The outline is light
    on the background's side and dark on the other, so it shows on any picture.

    Args:
      image: [H, W, 3] uint8 RGB, the part of the picture that the encoder saw.
      cam: [h, w], values in 0..1.
      background: [h, w] (any size) true where background, or None for no outline.

    Returns:
      [H, W, 3] uint8 RGB.

    Raises:
      InputError: another shape or type of picture, a map that is not [h, w] or not finite.
    """
    image, cam = np.asarray(image), np.asarray(cam, np.float32)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"picture {list(image.shape)} {image.dtype}: give [H, W, 3] uint8 RGB")
    if cam.ndim != 2 or not cam.size or not np.isfinite(cam).all():
        raise InputError(f"CAM {list(cam.shape)}: not a finite [h, w] map; check the weights")
    size = image.shape[1], image.shape[0]
    cam = np.clip(cv2.resize(cam, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    heat = cv2.applyColorMap(np.rint(255 * cam).astype(np.uint8), HEAT)[..., ::-1]
    opacity = HEAT_OPACITY * cam[..., None]
    out = np.rint((1 - opacity) * image + opacity * heat).astype(np.uint8)
    if background is not None:
        mask = np.asarray(background, bool).astype(np.uint8)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        width = max(1, round(min(size) / OUTLINE_SHARE))
        kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
        out[cv2.dilate(mask, kernel) > mask] = 0
        out[cv2.erode(mask, kernel) < mask] = 255
    return out


def _roc(ids: np.ndarray, oods: np.ndarray) -> np.ndarray:
    """[2, V] FPR and TPR from (0, 0) to (1, 1), one point per distinct score that can be seen."""
    thresholds = np.unique(np.concatenate([ids, oods]))[::-1]
    curve = np.stack(
        [
            np.append(0, 1 - np.searchsorted(np.sort(side), thresholds) / side.size)
            for side in (oods, ids)
        ]
    )
    cell = np.rint(curve * CURVE_CELLS)
    seen = np.append(True, (np.diff(cell, axis=1) != 0).any(axis=0))
    seen[-1] = True
    return curve[:, seen]


def _finish(axes: Axes, title: str, pad: float = 8) -> None:
    axes.tick_params(length=3, width=0.7, pad=3)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, loc="left", color=INK, fontsize=10, fontweight="bold", pad=pad)


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
