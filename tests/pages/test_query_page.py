"""The page of texts that were looked for, from made-up matches: what a user sees of each."""

from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.pages import folder_page
from jaxvlm.pages.query_page import NEAREST, SHOWN, write_queries
from jaxvlm.pictures.queries import QueryMatches
from jaxvlm.pictures.query_texts import QueryTexts

NASTY, FOUND, NOTHING = '<script>alert("q")</script> & co', "dog", "a unicorn in the snow"
QUERIES = (NASTY, FOUND, NOTHING)
MATCHES = {NASTY: 1, FOUND: SHOWN + 5, NOTHING: 0}
COUNT = SHOWN + 8


class Sections(HTMLParser):
    """The text of every query's section, and how many cards and pictures it has."""

    def __init__(self, text):
        super().__init__()
        self.found, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if ("class", "query") in attrs:
            self.found.append({"text": "", "cards": 0, "images": 0})
        if self.found:
            self.found[-1]["cards"] += ("class", "card picture") in attrs
            self.found[-1]["images"] += tag == "img"

    def handle_data(self, data):
        if self.found:
            self.found[-1]["text"] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for n in range(COUNT):
        picture = rng.integers(0, 256, (24, 30, 3), np.uint8)
        cv2.imencode(".png", picture)[1].tofile(folder / f"<b>{n}.png")
    return folder


def made(folder):
    rows = []
    for query in QUERIES:
        for rank in range(1, COUNT + 1):
            yes = rank <= MATCHES[query]
            rows.append(
                {
                    "query": query,
                    "rank": rank,
                    "path": f"<b>{rank - 1}.png",
                    "score": 0.9 - 0.01 * rank if yes else 0.02,
                    "cosine": 0.25,
                    "matches": "yes" if yes else "no",
                    "nearest_negatives": "tree & <i>sea</i>; road",
                    "other_queries": f"{FOUND}; {NASTY}" if rank == 1 and query != FOUND else "",
                    "picture": rank - 1,
                }
            )
    table = pd.DataFrame(
        {
            "query": QUERIES,
            "matches": list(MATCHES.values()),
            "anything_matches": ["yes", "yes", "no"],
            "best_path": "<b>0.png",
            "best_score": [0.89, 0.89, 0.02],
            "best_resembles": "tree",
            "compared_as": [NASTY, f"a photo of a {FOUND}", NOTHING],
        }
    )
    texts = QueryTexts(QUERIES, (), ("tree", "road"), np.zeros((3, 2)), np.zeros((2, 4)), ())
    paths = tuple(folder / f"<b>{n}.png" for n in range(COUNT))
    return QueryMatches(table, pd.DataFrame(rows), texts, paths, 0.5, [], None, {}, ["a <warning>"])


@pytest.fixture(scope="module")
def text(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    page = write_queries(out, made(folder), Preprocessing(16, 16))
    assert page == out / "report.html"
    return page.read_text(encoding="utf-8")


def test_a_query_has_its_best_matches_or_a_plain_line(text):
    nasty, found, nothing = Sections(text).found
    assert (nasty["cards"], found["cards"], nothing["cards"]) == (1, SHOWN, NEAREST)
    assert all(one["images"] == one["cards"] for one in (nasty, found, nothing))
    assert "1 picture matches" in nasty["text"] and "Nothing" not in nasty["text"]
    assert f"{SHOWN + 5} pictures match; the best {SHOWN}" in found["text"]
    assert "Nothing in this folder matches." in nothing["text"]
    assert "else like tree" in found["text"] and "0.890" in found["text"]
    assert f"also matches {FOUND}, {NASTY}" in " ".join(nothing["text"].split())
    assert "Taken as written" in nothing["text"] and "aken as written" not in found["text"]
    assert "2 of 3 match something" in text


def test_all_text_is_escaped_and_nothing_runs_or_is_fetched(text):
    parsed = Sections(text)
    assert NASTY in parsed.found[0]["text"] and "tree & <i>sea</i>" in parsed.found[0]["text"]
    assert not {"script", "b", "i", "warning"} & set(parsed.tags)
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text


def test_thumbnails_have_a_bound_and_the_best_get_theirs_first(folder, tmp_path, monkeypatch):
    whole = write_queries(tmp_path, made(folder), Preprocessing(16, 16)).stat().st_size
    monkeypatch.setattr(folder_page, "THUMBNAIL_BYTES", 2000)
    page = write_queries(tmp_path, made(folder), Preprocessing(16, 16))
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < whole
    images = [one["images"] for one in Sections(text).found]
    assert min(images) >= 1 and sum(images) < 1 + SHOWN + NEAREST  # of each query the best one
    assert "Listed without a thumbnail: " in text
