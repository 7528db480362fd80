import base64
import hashlib
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.atoms.reasons import Reason
from jaxvlm.errors import InputError
from jaxvlm.pages.role_sections import ROLE_COLUMNS, RoleBook
from jaxvlm.pages.video_card import leading_atoms, sentence_html
from jaxvlm.pages.video_page import write_video_page
from jaxvlm.video.detections import Detection, find_detections
from jaxvlm.video.result import Finding, ScoredVideo, Thumbnail

EVENTS, ATOMS = ["explosion", "riot <&>"], ["blast flash", "smoke plume", "</svg><img src=x>"]
BARE = RoleBook(EVENTS, ATOMS)
VOID = {"meta", "img", "input", "wbr", "track"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and fails on an element closed out of order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.stack = [], [], "", []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack[-1:] not in (["style"], ["script"]):
            self.text += data


def video(name, *, detected=True, truth=None):
    rng = np.random.default_rng(1)
    p = 0.1 * rng.random((20, 2))
    if detected:
        p[12:19, 0] = 0.9
    times, presence = np.arange(20.0), rng.random((20, 3))
    reasons = (Reason(ATOMS[:1], "direct", 2.0), Reason(tuple(ATOMS[1:]), "indirect", 1.0))
    image = np.zeros((240, 400, 3), np.uint8)
    image[..., 0] = 255
    peaks = tuple(
        Finding(d, reasons, (Thumbnail(12.0, image), Thumbnail(14.0, image[:50, :60])))
        for d in find_detections(p, times, EVENTS)
    )
    return ScoredVideo(name, times, p, np.eye(20)[5], presence, truth, peaks)


def roles():
    rows = [
        ("explosion", "smoke plume", "indirect", 0.1, 0.8, 0.0, 1.0, 1.5, -2.0),
        ("explosion", "blast flash", "direct", 0.9, 0.2, 0.0, 1.0, 1.5, -2.0),
        ("explosion", ATOMS[2], "none", 0.1, 0.1, 0.1, 1.0, 1.5, -2.0),
    ]
    return pd.DataFrame(rows, columns=ROLE_COLUMNS)


@pytest.fixture
def text(tmp_path):
    metrics = {
        "AP <table>": pd.DataFrame(
            {"overall": [{"mean": 0.9, "std": 0.0123, "n": 3}, float("nan")]}, index=["ours", "<x>"]
        )
    }
    videos = [video("quiet.mp4", detected=False), video("<script>alert(1)</script>")]
    path = tmp_path / "report.html"
    write_video_page(
        path,
        videos,
        RoleBook(EVENTS, ATOMS, roles()),
        metrics=metrics,
        notes=["<i>note"],
        notices=["<A & B>"],
    )
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_says_the_sentence(text):
    said = " ".join(Page(text).text.split())
    assert (
        "explosion 0:12–0:19, because blast flash (direct) and smoke plume with "
        "</svg><img src=x> (indirect)"
    ) in said
    assert "Nothing detected. The highest is" in said
    assert "0.900 ± 0.012" in said and "<A & B>" in said


def test_names_are_text_never_markup(text):
    page = Page(text)
    assert page.tags.count("script") == 1 and "i" not in page.tags
    assert "<script>alert(1)</script>" in page.text and "<i>note" in page.text
    assert ("src", "x") not in page.attributes


def test_nothing_is_fetched(text):
    page = Page(text)
    for name, value in page.attributes:
        if name in ("src", "href", "poster"):
            assert value.startswith(("data:image/", "#")), value
    assert not {"link", "iframe", "object", "video"} & set(page.tags)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"; script-src 'sha256-{digest}'\"" in text
    assert not re.search("innerHTML|eval|fetch|http", script)
    assert not re.search(r"@import|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_ids_are_unique_and_links_lead_somewhere(text):
    attributes = Page(text).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {v[1:] for n, v in attributes if n == "href" and v.startswith("#")}
    assert links <= set(ids) and {"video-1", "video-2", "roles", "results"} <= links


def test_detected_videos_come_first(text):
    assert text.index("&lt;script&gt;") < text.index("quiet.<wbr>mp4")


def test_thumbnails_are_small_and_never_enlarged(text):
    sizes = []
    card = text[text.index("<article") :]  # the overview shows one of them
    for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", card):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        sizes.append(image.shape[:2])
        assert image[..., 2].mean() > 240 and image[..., 0].mean() < 15  # red stays red
    assert sizes == [(96, 160), (50, 60)]


def test_roles_are_sorted_and_the_roleless_folded_away(text):
    page = text[text.index('id="roles"') :]
    assert page.index("blast flash") < page.index("smoke plume") < page.index("<details>")
    assert "1 atom without a role" in page and "γ counter −2.00" in page


def test_same_input_same_bytes(tmp_path, text):
    for name in "ab":
        write_video_page(tmp_path / name, [video("v", truth=np.eye(20, 2))], BARE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "Roles per event" not in (tmp_path / "a").read_text()


def test_leading_atoms_start_with_the_reasons():
    presence = np.zeros((20, 12))
    presence[3, 7], presence[4, 9] = 0.9, 0.5
    names = [f"atom {c}" for c in range(12)]
    report = video("v")
    peak = report.findings[0]._replace(reasons=(Reason(("atom 11", "atom 2"), "indirect", 1.0),))
    shown = leading_atoms(report._replace(segment_presence=presence, findings=(peak,)), names)
    assert shown[:4] == [11, 2, 7, 9] and len(shown) == 8


def test_bad_input_leaves_the_earlier_page(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("earlier")
    with pytest.raises(InputError, match="no column 'rho_direct'"):
        write_video_page(path, [], RoleBook(EVENTS, ATOMS, roles().drop(columns="rho_direct")))
    empty = ScoredVideo("e.mp4", np.zeros(0), np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3)))
    with pytest.raises(InputError, match="e.mp4: no frames"):
        write_video_page(path, [empty], BARE)
    assert path.read_text() == "earlier"


def test_the_sentence_marks_atoms_and_escapes_names():
    detection = Detection("<riot>", 12, 19, 14, 12.0, 19.0, 0.9)
    reasons = (
        Reason(("blast flash",), "direct", 3.0),
        Reason(("smoke plume", "flying debris"), "indirect", 1.0),
        Reason(("a & <b>",), "counter", -1.0),
    )
    assert sentence_html(detection, reasons) == (
        '<b class="event">&lt;riot&gt;</b> <span class="span">0:12–0:19</span>, because '
        '<em>blast flash</em> <span class="role">(direct)</span> and <em>smoke plume</em> with '
        '<em>flying debris</em> <span class="role">(indirect)</span>, despite '
        '<em>a &amp; &lt;b&gt;</em> <span class="role">(counter)</span>'
    )
