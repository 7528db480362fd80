"""An index with a page per video, pictures beside it, and the player."""

import base64
import gc
import re
import weakref
from urllib.parse import unquote

import numpy as np
import pytest

from jaxvlm.pages import video_page, video_pictures
from jaxvlm.pages.role_sections import RoleBook
from jaxvlm.pages.video_page import VideoPages
from tests.pages.test_video_page import ATOMS, BARE, EVENTS, Page, roles, video

COUNT = video_page.MAX_VIDEOS + 3
assert COUNT % 2  # so that the last but one has findings


def ids_and_links(text):
    attributes = Page(text).attributes
    ids = [value for name, value in attributes if name == "id"]
    return ids, [value for name, value in attributes if name in ("href", "src", "poster")]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Every second video has something, and lies in ../clips."""
    base = tmp_path_factory.mktemp("many")
    (base / "clips").mkdir()
    pages = VideoPages(base / "out" / "report.html", RoleBook(EVENTS, ATOMS, roles()))
    for n in range(COUNT):
        name = f"cam {n % 2}/<b>{n:03d}"
        file = base / "clips" / f"{n:03d}#.mp4"
        file.write_bytes(b"")
        pages.add(video(name, detected=bool(n % 2)), base / "out" / name, file)
    pages.finish(notices=["unlike"])
    return base


def test_the_index_leads_to_a_page_per_video(written):
    out = written / "out"
    index = (out / "report.html").read_text()
    assert "<article" not in index and "unlike" in index and "<b>0" not in index
    links = re.findall(r'<a href="([^"#][^"]*report.html)">', index)
    assert len(links) == COUNT == len({(out / unquote(link)).resolve() for link in links})
    found = [bool(int(unquote(link)[-15:-12]) % 2) for link in links]
    assert found == sorted(found, reverse=True), "those with findings first"
    assert index.count("explosion 0.90") == COUNT // 2
    for page in [out / "report.html", *(out / unquote(link) for link in links)]:
        text = page.read_text()
        ids, addresses = ids_and_links(text)
        assert len(ids) == len(set(ids))
        for address in addresses:
            if address.startswith("data:"):
                continue
            path, _, fragment = address.partition("#")
            target = page if not path else (page.parent / unquote(path)).resolve()
            assert target.is_file(), (page, address)
            if target.suffix == ".html" and fragment:
                assert fragment in ids_and_links(target.read_text())[0]


def test_pictures_of_many_are_files_that_load_when_they_are_seen(written):
    out, last = written / "out", COUNT - 2
    name = f"cam 1/<b>{last:03d}"
    assert {path.name for path in (out / name / "pictures").glob("*.jpg")} == {
        "000012000.jpg", "000014000.jpg"
    }  # fmt: skip
    text = (out / name / "report.html").read_text()
    assert 'src="../../cam%201/%3Cb%3E' in text and "data:image/jpeg" not in text
    images = re.findall(r"<img [^>]*>", (out / "report.html").read_text() + text)
    assert images and all('loading="lazy"' in image for image in images)


def test_a_finding_plays_where_it_is(written):
    text = (written / "out" / "cam 1" / "<b>001" / "report.html").read_text()
    address = "../../../clips/001%23.mp4"
    assert f'<video id="video-2-player" controls preload="none" playsinline src="{address}"' in text
    assert f'href="{address}#t=12.000,19.000" data-video="video-2-player"' in text
    assert "media-src 'self' file: data:" in text and "default-src 'none'" in text
    data = re.search(r'<track kind="chapters"[^>]* src="data:text/vtt;base64,([^"]+)"', text)[1]
    assert "00:00:12.000 --> 00:00:19.000\nexplosion" in base64.b64decode(data).decode()


def test_a_video_out_of_reach_has_no_player_and_a_line(tmp_path):
    pages = VideoPages(tmp_path / "report.html", BARE)
    pages.add(video("v"), tmp_path / "v", "/elsewhere/<v>.mp4")
    text = pages.finish().read_text()
    assert "<video" not in text and "&lt;v&gt;.mp4 lies too far from this page" in text


def test_few_videos_are_one_file_until_their_pictures_are_many(tmp_path, monkeypatch):
    sizes = []
    for bound in (video_pictures.INLINE_BYTES, 1000):
        monkeypatch.setattr(video_pictures, "INLINE_BYTES", bound)
        out = tmp_path / str(bound)
        pages = VideoPages(out / "report.html", BARE)
        for name in "ab":
            pages.add(video(name), out / name)
        card = pages.finish().read_text().partition("<article")[2]
        sizes.append((card.count("data:image/jpeg"), len(re.findall('src="[ab]/pictures/', card))))
        assert (out / "a" / "pictures").is_dir() == (bound == 1000)
        assert not list(out.rglob("a/report.html"))
    assert sizes[0] == (4, 0) and sum(sizes[1]) == 4 and sizes[1][1] > 0


def test_many_findings_make_an_index_too(tmp_path, monkeypatch):
    monkeypatch.setattr(video_page, "MAX_FINDINGS", 1)
    for count, split in ((1, False), (2, True)):
        out = tmp_path / str(count)
        pages = VideoPages(out / "report.html", BARE)
        for n in range(count):
            pages.add(video(f"v{n}"), out / f"v{n}")
        text = pages.finish().read_text()
        assert ("<article" not in text) == split == (out / "v0" / "report.html").is_file()


def test_a_video_where_everything_fires_says_so(tmp_path):
    flat = video("v")._replace(probability=np.full((20, 2), 0.97))
    pages = VideoPages(tmp_path / "report.html", BARE)
    pages.add(flat)
    pages.add(video("w"))
    text = pages.finish().read_text()
    assert text.count("2 of 2 events are detected on at least half of the frames") == 1
    assert text.count("2 of 2 events on most frames") == 1


def test_no_video_is_kept(tmp_path):
    pages, alive = VideoPages(tmp_path / "report.html", BARE), []
    for n in range(3):
        one = video(f"v{n}")
        image = one.findings[0].thumbnails[0].image
        alive += [weakref.ref(one.probability), weakref.ref(image)]
        pages.add(one, tmp_path / f"v{n}")
        del one, image
        gc.collect()
        assert not any(reference() is not None for reference in alive)


def test_same_videos_same_bytes(tmp_path):
    for out in ("a", "b"):
        pages = VideoPages(tmp_path / out / "report.html", BARE)
        for n in range(COUNT):
            pages.add(video(f"v{n}"), tmp_path / out / f"v{n}")
        pages.finish()
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) > 2 * COUNT
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
