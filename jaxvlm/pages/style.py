"""What all pages share: the template environment, colours, numbers, table cells, pictures, figures.

Figures are drawn in the light page's colours; on a page those become its CSS variables (``--ink``,
``--muted``, ``--rule``), so that one figure serves a file, a light page and a dark one.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import html
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from jaxvlm.evaluation.intervals import Interval
from jaxvlm.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The first six are Okabe and Ito's (2008); the others were sought so that any two of the thirteen
# are told apart, by CIEDE2000, in normal sight and with no red, green or blue cones (Machado,
# Oliveira and Fernandes 2009), and that each shows on white and on the dark page. The test of this
# file holds the distances. Of more names than colours two share one: text stands beside colours.
PALETTE = (
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#BB1122",
    "#BB2288", "#5500EE", "#7777FF", "#665555", "#BBAAAA", "#AABB88",
)  # fmt: skip
INK, MUTED, RULE, PAPER = "#16181d", "#5d636d", "#dcdfe4", "#ffffff"
WIDTH = 7.6  # inches of a figure
_FIGURES = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
}
_QUALITY = {"jpeg": [cv2.IMWRITE_JPEG_QUALITY, 82], "webp": [cv2.IMWRITE_WEBP_QUALITY, 65]}


class Cell(NamedTuple):
    """A table's cell: its text, small print beside it, whether it is a number, and one that the
    reader is warned of."""

    text: str
    small: str
    numeric: bool
    is_loss: bool = False


class Gain(NamedTuple):
    """A mean gain over something and its spread, the level that it led to, and the least gain."""

    value: float
    spread: float
    level: float
    least: float


def render(template: str, *, script: str = "", **values: Any) -> str:
    """A page from a template of this package, everything escaped that is not marked as HTML.

    script: a file beside the templates. It is the one that the page may run: its policy has the
    script's hash, so that nothing that a name smuggled in runs.
    """
    environment = _environment()
    light = {"ink": INK, "muted": MUTED, "rule": RULE, "paper": PAPER}
    code, policy = Markup(""), Markup("")
    if script:
        code = Markup(environment.loader.get_source(environment, script)[0])
        digest = base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode("ascii")
        policy = Markup(f"; script-src 'sha256-{digest}'")
    return environment.get_template(template).render(
        version=__version__, light=light, script=code, script_policy=policy, **values
    )


@functools.cache
def _environment() -> jinja2.Environment:
    """Made once: templates are compiled when they are first used, and videos have a page each."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxvlm.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    return environment


def colors_of(names: Sequence[str]) -> dict[str, str]:
    """One colour per name, by position, the same in every figure of a page."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def emphasised(name: str) -> Markup:
    """A name, escaped, as emphasis."""
    return Markup("<em>{}</em>").format(name) if name else Markup("")


def breakable(name: str) -> Markup:
    """A name, escaped, that may break after ``/``, ``_``, ``-`` and before an ending, not inside a
    word."""
    parts = re.split(r"(?<=[/_-])(?=[^/_-])|(?<=\.)(?=[A-Za-z])", name)
    return Markup("<wbr>").join(escape(part) for part in parts)


def number(value: float, *, places: int = 3, sign: str = "") -> str:
    """A number to some places, a count in full, "–" for what is undefined; "−" is a minus.

    sign: "+" shows that of positive numbers too.
    """
    if isinstance(value, int | np.integer):
        text = f"{int(value):{sign}d}"
    elif not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    else:
        text = f"{value:{sign}.{places}f}"
        if float(text) == 0:
            text = text.lstrip("+-")  # what rounds to 0 has no sign
    return text.replace("-", "−")


def cell(value: Any) -> Cell:
    """A number, an `Interval`, a `Gain`, the mean and spread of `mean_and_spread`, or text, as a
    cell."""
    if isinstance(value, Gain):
        signed, low = (number(v, places=1, sign="+") for v in (value.value, value.least))
        text = f"{signed} ± {number(value.spread, places=1)}"
        small = f"{number(value.level, places=1)}, least {low}"
        return Cell(text, small, True, is_loss=signed.startswith("−"))
    if isinstance(value, Mapping):
        spread = "" if math.isnan(value["std"]) else f"± {number(value['std'])}"
        return Cell(number(float(value["mean"])), spread, True)
    if isinstance(value, Interval):
        if math.isnan(value.value):
            return Cell("–", "", True)
        between = "–" if value.low >= 0 else " to "  # no dash beside a minus
        return Cell(number(value.value), f"{number(value.low)}{between}{number(value.high)}", True)
    if isinstance(value, bool | np.bool_ | str):
        return Cell(str(value), "", False)
    if isinstance(value, int | float | np.integer | np.floating):
        return Cell(number(value), "", True)
    missing = value is None or value is pd.NA or value is pd.NaT
    return Cell("–" if missing else str(value), "", False)


def table(frame: pd.DataFrame) -> dict[str, Any]:
    """For the macro of the templates: headings, each with whether its column has numbers, and rows.

    The index names the rows, unless it merely counts them: then the first column does.
    """
    headings = [_heading(column) for column in frame.columns]
    rows = [[cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    if not isinstance(frame.index, pd.RangeIndex):
        headings.insert(0, _heading(tuple(name or "" for name in frame.index.names)))
        rows = [
            [Cell(_heading(key), "", False), *row]
            for key, row in zip(frame.index, rows, strict=True)
        ]
    numeric = [any(row[i].numeric for row in rows) for i in range(len(headings))]
    return {"headings": list(zip(headings, numeric, strict=True)), "rows": rows}


def _heading(key: Any) -> str:
    return ", ".join(str(part) for part in key if str(part)) if isinstance(key, tuple) else str(key)


def data_uri(image: np.ndarray, *, side: int, kind: str = "jpeg") -> str:
    """The address of an `encoded` picture that holds the picture."""
    data = encoded(image, side=side, kind=kind)
    return f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")


def text_uri(text: str, kind: str) -> str:
    """The address of a text that holds the text. kind: its media type."""
    return f"data:{kind};base64," + base64.b64encode(text.encode("utf-8")).decode("ascii")


def encoded(image: np.ndarray, *, side: int, kind: str = "jpeg") -> bytes:
    """A picture [H, W, 3] uint8 RGB of at most ``side`` pixels, never enlarged.

    kind: ``jpeg``, or ``webp``, which takes about half the bytes for a thumbnail.
    """
    image = np.ascontiguousarray(image, np.uint8)[..., ::-1]
    shrink = side / max(image.shape[:2])
    if shrink < 1:
        size = [max(1, round(n * shrink)) for n in (image.shape[1], image.shape[0])]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(f".{kind}", image, _QUALITY[kind])
    if not done:
        raise ValueError(f"picture {list(image.shape)} cannot be encoded")
    return data.tobytes()


@contextlib.contextmanager
def figures(*, salt: str = "") -> Iterator[None]:
    """matplotlib's settings while a figure is made, and once more while it is printed: ticks take
    their style when they are drawn. salt: makes element ids unique on a page."""
    import matplotlib  # not for the pages of videos, which have no such figure

    with matplotlib.rc_context(_FIGURES | {"svg.hashsalt": salt}), warnings.catch_warnings():
        # A name in a script the default font lacks is set by the reader's browser, not by us.
        warnings.filterwarnings("ignore", message=".*Glyph.*missing")
        yield


def inline_svg(figure: Figure, *, label: str, salt: str | None = None) -> str:
    """A figure as an ``<svg>`` element in the page's colours: no metadata, no style of its own.

    label: what a screen reader says. salt: as of `figures`; None: the label.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with figures(salt=label if salt is None else salt):
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # A style element in inline SVG would restyle the whole page; fonts are the page's as well.
    text = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>| font-family: [^;]*;",
        "",
        text,
        flags=re.DOTALL,
    )
    box = re.search(r'viewBox="[^"]*"', text).group()
    start = (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img" '
        f'aria-label="{html.escape(label)}">'
    )
    text = start + text[text.index(">") + 1 :]  # a label may hold a backslash: no pattern
    # Group ids repeat from figure to figure and nothing refers to them.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for color, variable in ((INK, "--ink"), (MUTED, "--muted"), (RULE, "--rule")):
        text = text.replace(color, f"var({variable})")
    return re.sub(r"\n\s*", "\n", text)
