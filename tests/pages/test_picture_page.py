import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.intervals import Interval
from jaxvlm.pages import picture_plots, style
from jaxvlm.pages.picture_page import (
    PICTURE_SIDE,
    Card,
    Gallery,
    Switched,
    View,
    write_picture_page,
)

NASTY = "</svg></style><script>alert(1)</script><img src=x onerror=y> & $x$ \"'"
VOID = {"meta", "img", "wbr", "input"}


class Page(HTMLParser):
    """Collects tags, attributes, text and table rows; an element closed out of order fails."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.stack, self.rows = [], [], "", [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack[-1:] != ["style"]:
            self.text += data
        if {"th", "td"} & set(self.stack):
            self.rows[-1][-1] += data


def scores(count=2):
    rng = np.random.default_rng(0)
    return {f"m{i}": (rng.normal(i, 1, 300), rng.normal(0, 1, 200)) for i in range(count)}


def grey(height, width, value=128):
    return np.full((height, width, 3), value, np.uint8)


def card(**change):
    values = Card(grey(64, 48), None, "a.png", "near", "boat", -0.25, (("P_align", "−0.1"),))
    return values._replace(**change)


def write(tmp_path, **parts):
    write_picture_page(tmp_path / "page.html", **{"title": "OOD"} | parts)
    return Page((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_everything_written_by_users_is_escaped(tmp_path):
    table = pd.DataFrame({NASTY: [NASTY]}, index=[NASTY])
    figure = picture_plots.roc_curves({NASTY: ([1, 2], [0, 1])}, title=NASTY)
    nasty = card(name=NASTY, set_name=NASTY, predicted=NASTY, facts=((NASTY, NASTY),),
                 overlay=grey(9, 9))  # fmt: skip
    page = write(
        tmp_path,
        title=NASTY,
        notes=[NASTY],
        tables={NASTY: table},
        figures={NASTY: style.inline_svg(figure, label=NASTY)},
        galleries=[Gallery(NASTY, NASTY, (nasty,))],
    )
    assert page.tags.count("img") == 2 and "script" not in page.tags
    assert page.tags.count("style") == 1 and page.tags.count("svg") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    # Document and page title, note (3); three contents, three headings (9); a cell, its row and
    # its column (12); gallery note (13); name, set, class and fact of the card (18); figure title.
    assert page.text.count(NASTY) == 19


def test_the_page_fetches_nothing(tmp_path):
    figure = style.inline_svg(picture_plots.roc_curves(scores()), label="roc")
    page = write(tmp_path, figures={"ROC": figure}, galleries=[Gallery("g", "", (card(),))])
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:image/jpeg;base64,", "#"))
    assert not re.search(r"url\((?!#)", (tmp_path / "page.html").read_text())
    anchors = {value[1:] for name, value in page.attributes if name == "href" and value[0] == "#"}
    assert {"figure-1", "gallery-1"} <= anchors <= {v for n, v in page.attributes if n == "id"}


def test_cells_are_numbers_text_and_intervals(tmp_path):
    table = pd.DataFrame(
        {
            "auroc": [Interval(0.9126, 0.9, 0.92549), Interval(-0.01, -0.02, 0.003)],
            "fpr95": [0.12345, float("nan")],
            "images": [2000, 7],
            "note": ["as it is", None],
            "other": [np.inf, -0.0001],
        },
        index=["a", "b"],
    )
    assert write(tmp_path, tables={"t": table}).rows == [
        ["", "auroc", "fpr95", "images", "note", "other"],
        ["a", "0.913 0.900–0.925", "0.123", "2000", "as it is", "∞"],
        ["b", "−0.010 −0.020 to 0.003", "–", "7", "–", "0.000"],
    ]


def test_an_index_that_only_counts_is_not_shown(tmp_path):
    table = pd.DataFrame({("near", "auroc"): [0.5], "n": [np.int64(3)]})
    assert write(tmp_path, tables={"t": table}).rows == [["near, auroc", "n"], ["0.500", "3"]]
    keys = pd.MultiIndex.from_tuples([("near", "mcm")], names=["set", "method"])
    table = pd.DataFrame({"n": [3]}, index=keys)
    assert write(tmp_path, tables={"t": table}).rows == [["set, method", "n"], ["near, mcm", "3"]]
    assert write(tmp_path, tables={"t": table.iloc[:0]}).rows == [["set, method", "n"]]


def test_of_switched_tables_each_is_there_and_styles_show_one(tmp_path):
    tables = {
        metric: View(pd.DataFrame({"near": [value]}, index=["NegLabel"]),
                     pd.DataFrame({"near": [value - 1]}, index=["v9_fg"]))
        for metric, value in (("AUROC", 3), ("FPR", 5))
    }  # fmt: skip
    page = write(tmp_path, tables={"ID: a": Switched(tables, "9 forms <of> P_align"), "plain":
                                   pd.DataFrame({"n": [7]}, index=["x"])})  # fmt: skip
    values = [row[-1] for row in page.rows if row[0]]
    assert values == ["3", "5", "2", "4", "7"]  # both views, both folded, the plain one
    assert page.tags.count("details") == 1 and "9 forms <of> P_align" in page.text
    assert page.tags.count("input") == 2
    assert len([value for name, value in page.attributes if name == "checked"]) == 1
    text = (tmp_path / "page.html").read_text()
    # Where :has is not known, nothing is hidden.
    start = text.index("@supports selector(:has(a))")
    assert "display: none" in text[start:] and ".switch:has" not in text[:start]
    for view in (1, 2):
        hidden = f'.switch:has([id$="-{view}"]:checked) .scroll:not(.view-{view})'
        assert hidden in text


def test_long_names_break_between_words(tmp_path):
    page = write(tmp_path, tables={"t": pd.DataFrame({"n": [1]}, index=["v9_fg/a.b<0.5"])})
    assert page.rows[-1][0] == "v9_fg/a.b<0.5" and page.tags.count("wbr") == 3


def test_notices_stand_above_the_notes(tmp_path):
    page = write(tmp_path, notices=["unlike <b>"], notes=["a note"])
    assert page.text.index("unlike <b>") < page.text.index("a note")
    assert ("class", "notice") in page.attributes


def test_cards_show_the_picture_and_its_facts(tmp_path):
    red = grey(200, 800)
    red[:] = 255, 0, 0
    cards = (card(image=red, overlay=grey(8, 8)), card(score=float("inf"), set_name="id"))
    page = write(tmp_path, galleries=[Gallery("Far out", "lowest first", cards)])
    sources = [value for name, value in page.attributes if name == "src"]
    assert len(sources) == 3
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(s.partition(",")[2]), np.uint8), 1)
        for s in sources
    ]
    assert [p.shape for p in pictures] == [(80, PICTURE_SIDE, 3), (8, 8, 3), (64, 48, 3)]
    np.testing.assert_allclose(pictures[0].mean(axis=(0, 1)), (0, 0, 255), atol=3)  # BGR
    for text in ("Far out", "lowest first", "a.png", "near", "boat", "−0.250", "∞", "P_align"):
        assert text in page.text
    dots = [value for name, value in page.attributes if (name, value[:4]) == ("style", "--c:")]
    assert dots == [f"--c:{color}" for color in style.PALETTE[:2]]


def test_a_page_of_nothing_and_of_an_empty_gallery(tmp_path):
    assert "nav" not in write(tmp_path).tags
    assert "No picture." in write(tmp_path, galleries=[Gallery("g", "", ())]).text


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_pictures_of_another_kind_are_named(tmp_path, image):
    with pytest.raises(InputError, match="a.png: picture"):
        write(tmp_path, galleries=[Gallery("g", "", (card(image=image),))])
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_figures_are_the_same_bytes_every_time(tmp_path, suffix):
    def draw(name):
        picture_plots.write_figure(
            tmp_path / "a" / (name + suffix), picture_plots.roc_curves(scores(10))
        )
        return (tmp_path / "a" / (name + suffix)).read_bytes()

    first = draw("first")
    assert draw("second") == first
    if suffix == ".svg":
        assert ElementTree.fromstring(first).tag.endswith("svg")
        assert b"<dc:date>" not in first and b"var(" not in first
    else:
        assert cv2.imdecode(np.frombuffer(first, np.uint8), 1).shape[1] == 1216


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match="roc.gif: figures are written as .png or .svg"):
        picture_plots.write_figure(tmp_path / "roc.gif", picture_plots.roc_curves(scores()))


def test_inline_figures_take_the_colours_of_the_page():
    first, second = (
        style.inline_svg(picture_plots.roc_curves(scores()), label=label) for label in "ab"
    )
    for color, variable in (("#16181d", "--ink"), ("#5d636d", "--muted"), ("#dcdfe4", "--rule")):
        assert color not in first and f"var({variable})" in first
    ids = [set(re.findall(r' id="([^"]*)"', text)) for text in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    assert first == style.inline_svg(picture_plots.roc_curves(scores()), label="a")


def test_the_key_ranks_the_methods_by_auroc():
    figure = picture_plots.roc_curves({"bad": ([0], [1]), "good": ([1], [0]), "even": ([1], [1])})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["1.000  good", "0.500  even", "0.000  bad"]
    with pytest.raises(InputError, match="no method"):
        picture_plots.roc_curves({})


def test_the_drawn_curve_has_the_area_it_claims():
    # Many images, ties and infinities; thinned points may cost a cell of 1/300 at most.
    rng = np.random.default_rng(1)
    ids = np.append(np.round(rng.normal(1, 1, 3000), 2), [np.inf, -np.inf])
    oods = np.append(np.round(rng.normal(0, 1, 3000), 2), [np.inf])
    figure = picture_plots.roc_curves({"m": (ids, oods)})
    x, y = figure.axes[0].get_lines()[-1].get_data()
    pairs = np.mean((ids[:, None] > oods) + 0.5 * (ids[:, None] == oods))
    assert np.trapezoid(y, x) == pytest.approx(pairs, abs=1 / 300)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1) and len(x) <= 601


def test_histogram_shares_and_threshold():
    ids, oods = np.arange(1.0, 21), np.append(np.zeros(3), np.inf)
    axes = picture_plots.score_histogram(ids, oods).axes[0]
    shares = [patch.get_data().values.sum() for patch in axes.patches[1::2]]
    assert shares == pytest.approx([1.0, 3 / 4])
    assert axes.get_xlabel() == "score (1 infinite, not drawn)"
    assert axes.get_lines()[0].get_xdata()[0] == 2.0  # 19 of the 20 are at or above it
    assert "25.0 % of OOD" in axes.get_legend().get_texts()[-1].get_text()


@pytest.mark.parametrize("value", [0.0, np.inf, -np.inf])
def test_histogram_of_constant_scores_can_be_drawn(tmp_path, value):
    picture_plots.write_figure(
        tmp_path / "h.png", picture_plots.score_histogram([value] * 3, [value], title="flat")
    )
    assert (tmp_path / "h.png").stat().st_size > 0


def test_overlay_is_the_picture_where_the_map_is_zero():
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    np.testing.assert_array_equal(picture_plots.overlay_cam(image, np.zeros((4, 4))), image)
    # Hot in the left half: a bilinear ramp between the cell centres at 12 and 36.
    out = picture_plots.overlay_cam(image, [[1.0, 0.0]])
    np.testing.assert_array_equal(out[:, 36:], image[:, 36:])
    hot = cv2.applyColorMap(np.full((1, 1), 255, np.uint8), cv2.COLORMAP_INFERNO)[0, 0, ::-1]
    expected = np.rint(0.3 * image[:, :12] + 0.7 * hot.astype(float))
    np.testing.assert_allclose(out[:, :12], expected, atol=1)


def test_outline_runs_along_the_mask():
    image = grey(8, 8, 100)
    out = picture_plots.overlay_cam(image, np.zeros((2, 2)), background=[[False, True]])[..., 0]
    assert out[0].tolist() == [100, 100, 100, 0, 255, 100, 100, 100]
    assert (out == out[0]).all()
    everywhere = picture_plots.overlay_cam(image, np.zeros((2, 2)), background=np.ones((2, 2)))
    np.testing.assert_array_equal(everywhere, image)


@pytest.mark.parametrize(
    "image, cam, message",
    [
        (grey(4, 4)[..., 0], np.zeros((2, 2)), "picture"),
        (grey(4, 4) / 255, np.zeros((2, 2)), "picture"),
        (grey(4, 4), np.zeros(4), "CAM"),
        (grey(4, 4), np.full((2, 2), np.nan), "CAM"),
    ],
)
def test_overlay_refuses_what_it_cannot_draw(image, cam, message):
    with pytest.raises(InputError, match=message):
        picture_plots.overlay_cam(image, cam)
