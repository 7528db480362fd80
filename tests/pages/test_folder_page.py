"""The page of a scored folder, from made-up scores: what a user sees of every picture."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.ood import Encoded, LabelBanks
from jaxvlm.ood.words.label_banks import LabelNames
from jaxvlm.pages import folder_page
from jaxvlm.pages.folder_page import PAGE_SIZE, write_folder
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.deciding import decide
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.scoring import FolderScores

COUNT = PAGE_SIZE + 20
NASTY = "<i>a&b.png"
NAMES = [*(f"{i}.png" for i in range(COUNT - 1)), NASTY]
PREPROCESSING = Preprocessing(16, 16)


class Cards(HTMLParser):
    """The text of every card, in the order of the document; those of the template apart."""

    def __init__(self, text):
        super().__init__()
        self.shown, self.kept, self.open, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if ("class", "card picture") in attrs:
            (self.kept if "template" in self.open else self.shown).append([dict(attrs), ""])
        if tag in ("img", "input", "meta", "wbr"):
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open.pop() != tag:  # path and rect of a figure
            pass

    def handle_data(self, data):
        cards = self.kept if "template" in self.open else self.shown
        if "li" in self.open and cards:
            cards[-1][1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name in NAMES:
        picture = rng.integers(0, 256, (24, 30, 3), np.uint8)
        cv2.imencode(".png", picture)[1].tofile(folder / name)
    return folder


def made(folder, names, known=None):
    count = len(names)
    rng = np.random.default_rng(1)
    final = rng.permutation(np.linspace(0, 1, count)).astype(np.float32)
    final[-1] = -1.0  # the last of the names is the farthest out
    rows = np.eye(3, dtype=np.float32)
    encoded = Encoded(
        image=rows[np.arange(count) % 3],
        foreground=None,
        background=rows[np.arange(count) % 3],
        predicted_class_idx=np.arange(count) % 2,
        local_mcm=None,
        cam=np.full((count, 2, 2), 0.5, np.float32),
        cam_valid=np.ones(count, bool),
        local_mcm_output=None,
        foreground_layernorm=None,
    )
    paths = tuple(Path(folder) / name for name in names)
    scored = ScoredSet("set", Path(folder), paths, None, encoded, {"neglabel": final}, {})
    banks = LabelBanks(rows[:2], rows, rows[:1], rows[1:])
    words = LabelNames(("dog <&>", "car"), ("tree", "road", "sky"), ("tree",), ("road", "sky"))
    decision = None if known is None else decide(final, known, 0.9)
    table = pd.DataFrame(
        {
            "why": [f"NegLabel (10 groups): why of {name}" for name in names],
            "method": "neglabel",
            "score": final,
            "path": names,
            "predicted_class": [words.positive[k] for k in encoded.predicted_class_idx],
        }
    )
    if decision is not None:
        table["id_p_value"] = decision.id_p_value
        table["decision"] = np.where(decision.is_out, "out", "in")
    table = table.iloc[np.argsort(final, kind="stable")]
    labels = Labels(banks, words, placed=None)
    return FolderScores(table, [], None, scored, final, labels, OodConfig(), {}, decision)


def written(tmp_path, scores, **options):
    page = write_folder(tmp_path, scores, PREPROCESSING, **options)
    return page.read_text(encoding="utf-8")


def test_every_picture_is_there_the_farthest_first(tmp_path, folder):
    scores = made(folder, NAMES, known=np.linspace(0, 1, 10))
    text = written(tmp_path, scores)
    page = Cards(text)
    assert (len(page.shown), len(page.kept)) == (PAGE_SIZE, COUNT - PAGE_SIZE)
    names = [card["data-name"] for card, _ in (*page.shown, *page.kept)]
    assert names == [NAMES[i] for i in np.argsort(scores.final, kind="stable")]
    assert names[0] == NASTY and "<i>" not in text
    for (card, words), row in zip(
        (*page.shown, *page.kept), scores.table.itertuples(), strict=True
    ):
        said = " ".join(words.split())
        assert row.why in said and card["data-decision"] == row.decision
        assert said.startswith(f"{row.decision} ")
        assert f"{100 * row.id_p_value:.1f} % of ID pictures score as low" in said
        assert card["data-predicted"] == row.predicted_class
    # One of the ten known ones lies below the threshold, 1/9.
    assert "Out below 0.111, which 90 % of the ID pictures (10) reach" in text
    assert "threshold, " in text and "scored, 68 images" in text and "ID, 10 images" in text


def test_without_scripts_the_first_page_is_a_plain_list(tmp_path, folder):
    page = Cards(written(tmp_path, made(folder, NAMES)))
    hidden = {attrs["id"] for tag, attrs in page.tags if "hidden" in attrs and "id" in attrs}
    assert {"controls", "pager-top", "pager-bottom"} <= hidden  # the script shows them
    text = (tmp_path / "report.html").read_text()
    assert f"The {PAGE_SIZE} farthest of {COUNT}." in text and "scores.csv has all" in text


def test_without_known_pictures_nothing_is_called_out(tmp_path, folder):
    text = written(tmp_path, made(folder, NAMES))
    assert "No picture is called in or out" in text and "score lower" not in text
    assert 'id="decision"' not in text and "threshold" not in text


def test_the_page_runs_its_own_script_alone_and_fetches_nothing(tmp_path, folder):
    text = written(tmp_path, made(folder, NAMES))
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"; script-src 'sha256-{digest}'") and "default-src 'none'" in policy
    assert text.count("<script") == 1 and not re.search("innerHTML|eval|fetch|http", script)
    for tag, attrs in Cards(text).tags:
        assert not [name for name in attrs if name.startswith("on")], tag
        assert attrs.get("src", "data:image/").startswith("data:image/")


def test_notices_come_first_and_are_escaped(tmp_path, folder):
    scores = made(folder, NAMES[:4])._replace(warnings=["unlike <the> encoder's"])
    text = written(tmp_path, scores)
    place = text.index('<p class="notice" role="alert">unlike &lt;the&gt; encoder&#39;s</p>')
    assert place < text.index("scored with NegLabel (10 groups)")


def test_thumbnails_are_what_the_encoder_saw_and_have_a_bound(tmp_path, folder, monkeypatch):
    told = []
    text = written(
        tmp_path, made(folder, NAMES), on_progress=lambda *progress: told.append(progress)
    )
    assert told[0] == ("thumbnails", 0, COUNT) and told[-1] == ("thumbnails", COUNT, COUNT)
    uris = re.findall(r'data:image/webp;base64,([^"]+)"', text)
    assert len(uris) == COUNT
    image = cv2.imdecode(np.frombuffer(base64.b64decode(uris[0]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (16, 16, 3)
    sizes = [len(uri) + len("data:image/webp;base64,") for uri in uris]
    monkeypatch.setattr(folder_page, "THUMBNAIL_BYTES", sum(sizes[:9]))
    text = written(tmp_path, made(folder, NAMES))
    assert len(re.findall("data:image/webp", text)) == 9
    assert f"Listed without a thumbnail: {COUNT - 9} pictures" in text
    cards = Cards(text)
    assert all("no thumbnail" in words for _, words in (*cards.shown[9:], *cards.kept))


def test_a_picture_that_is_gone_is_listed_without_its_thumbnail(tmp_path, folder):
    scores = made(folder, NAMES)
    gone = scores.scored.paths[:3] + (folder / "gone.png",) + scores.scored.paths[4:]
    index = int(np.flatnonzero(scores.table.index == 3)[0])
    text = written(tmp_path, scores._replace(scored=scores.scored._replace(paths=gone)))
    cards = Cards(text)
    assert "no thumbnail" in (*cards.shown, *cards.kept)[index][1]
    assert text.count("no thumbnail<") == 1


def test_a_picture_costs_little_besides_its_thumbnail(tmp_path, folder):
    sizes = []
    for names in (NAMES[:8], NAMES[:-1]):
        text = written(tmp_path / str(len(names)), made(folder, names))
        sizes.append(len(re.sub(r'data:image/[^"]+"', "", text)))
    assert (sizes[1] - sizes[0]) / (COUNT - 1 - 8) < 1000
