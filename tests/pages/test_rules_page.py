"""Rules on the page: sentence, rows, what is uncertain; names are text, never markup."""

import math

import pandas as pd
import pytest

from jaxvlm.atoms.reasons import Reason
from jaxvlm.pages.role_sections import ROLE_COLUMNS, RoleBook, role_sections
from jaxvlm.pages.video_card import sentence_html
from jaxvlm.pages.video_page import write_video_page
from jaxvlm.video.detections import Detection
from jaxvlm.video.rule_figures import RuleFigures
from tests.pages.test_video_page import Page, video

BAD = "</script><img src=x>"
EVENTS, ATOMS = ("explosion", "riot"), ("crashed car", "tow truck", BAD)
RULES = (
    RuleFigures("explosion", ("crashed car",), ("tow truck", BAD), 0.61, 1, 0.5, 0.2),
    RuleFigures("explosion", ("crashed car", BAD), (), 0.93, 12, 0.917, 0.9),
    RuleFigures("riot", (BAD,), (), 0.4, 0, math.nan),
)


def book(rules=RULES):
    rows = [
        ("explosion", "tow truck", "counter", 0.1, 0.1, 0.9, 1.0, 1.5, -2.0),
        ("explosion", "crashed car", "none", 0.1, 0.1, 0.1, 1.0, 1.5, -2.0),
        ("riot", "crashed car", "none", 0.1, 0.1, 0.1, 1.0, 1.5, -2.0),
    ]
    return RoleBook(EVENTS, ATOMS, pd.DataFrame(rows, columns=ROLE_COLUMNS), {}, rules)


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "report.html"
    write_video_page(path, [video("v.mp4", detected=False)], book())
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_speaks_in_rules(page):
    said = " ".join(page.text.split())
    assert (
        f"explosion: crashed car with {BAD}; or crashed car unless tow truck or {BAD} (uncertain); "
        "never with tow truck." in said
    )
    assert f"riot: {BAD}." in said
    assert f"crashed car with {BAD} 0.93 12 92 %" in said
    assert f"crashed car unless tow truck or {BAD} uncertain 0.61 1 50 %" in said
    assert f"{BAD} 0.40 0 –" in said
    assert "Rules and roles per event" in said and "No atom has a role" not in said
    titles = [value for name, value in page.attributes if name == "title"]
    assert "It came back in 20 % of repeated fits." in titles


def test_an_atom_has_the_strength_of_its_strongest_rule():
    """Its own ρ is next to nothing where a rule has it."""
    explosion, riot = role_sections(book())
    of = {row["atom"]: [text for _, text, _ in row["rho"]] for row in explosion["rest"]}
    assert of == {"crashed car": ["0.61", "0.93", "0.10"]}  # alone, and with another
    assert [text for _, text, _ in explosion["named"][0]["rho"]] == ["0.10", "0.10", "0.90"]
    assert [text for _, text, _ in riot["rest"][0]["rho"]] == ["0.10", "0.10", "0.10"]


def test_faint_rules_are_folded_and_fits_told_of_where_there_were_some(tmp_path, page):
    assert "Uncertain:" in page.text and "faint rule" not in page.text
    rules = (RULES[1]._replace(stability=None), RULES[2]._replace(strength=0.01))
    write_video_page(tmp_path / "f.html", [video("v.mp4", detected=False)], book(rules))
    again = Page((tmp_path / "f.html").read_text(encoding="utf-8"))
    assert "1 faint rule " in " ".join(again.text.split()) and "Uncertain:" not in again.text


def test_names_in_rules_are_text(page):
    assert page.tags.count("script") == 1 and ("src", "x") not in page.attributes


def test_a_person_s_rules_have_no_figures(tmp_path):
    rules = (RuleFigures("explosion", ("crashed car",), ("tow truck",), 0.99),)
    write_video_page(tmp_path / "r.html", [video("v.mp4", detected=False)], book(rules))
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    said = " ".join(page.text.split())
    assert "crashed car unless tow truck 0.99 atom" in said
    assert "training videos" not in said


def test_without_rules_roles_are_told_as_rules():
    explosion, riot = role_sections(book(()))
    assert explosion["sentence"] == riot["sentence"] == "" and explosion["rules"] == []
    table = book().table
    table.loc[1, "role"] = "direct"
    told = role_sections(RoleBook(EVENTS, ATOMS, table))[0]["sentence"]
    assert told == "<em>crashed car</em>; never with <em>tow truck</em>"


def test_a_reason_names_the_counters_that_are_not_there():
    detection = Detection("riot", 12, 19, 14, 12.0, 19.0, 0.9)
    reasons = [Reason(("crashed car",), "direct", 3.0, ("tow truck", "<b>"))]
    assert sentence_html(detection, reasons) == (
        '<b class="event">riot</b> <span class="span">0:12–0:19</span>, because '
        "<em>crashed car</em>, and no <em>tow truck</em> or <em>&lt;b&gt;</em> "
        '<span class="role">(direct)</span>'
    )
