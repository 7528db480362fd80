import base64
import re
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest

from jaxvlm.pages import style, video_plots
from jaxvlm.video.result import ScoredVideo


def draw(frames=30, atoms=("smoke", "$x$ <b> & c"), presence=None, truth=None, **options):
    rng = np.random.default_rng(0)
    boundary = np.zeros(frames)
    boundary[frames // 2] = 0.9
    presence = rng.random((frames, len(atoms))) if presence is None else presence
    times, probability = np.arange(frames) * 0.5, rng.random((frames, 2))
    video = ScoredVideo("v", times, probability, boundary, presence, truth)
    return video_plots.timeline(video, ["riot", "abuse"], atoms, threshold=0.5, **options)


def test_same_arguments_same_bytes():
    truth = np.eye(30, 2)
    assert draw(truth=truth, marks={"riot": [3.0]}) == draw(truth=truth, marks={"riot": [3.0]})


def test_is_well_formed_carries_plain_names_and_no_document_wide_style():
    svg = draw()
    texts = ["".join(e.itertext()).strip() for e in ElementTree.fromstring(svg).iter()]
    assert "$x$ <b> & c" in texts and "0:10" in texts
    assert "<style" not in svg and "font-family" not in svg and "<?xml" not in svg


def test_it_has_no_ids_that_could_collide_on_a_page():
    assert " id=" not in draw(truth=np.eye(30, 2))


def test_time_axis_and_curve_lie_where_they_say():
    times = np.arange(4) * 5.0
    probability = np.array([[0.0], [1.06], [0.53], [0.53]])
    video = ScoredVideo("v", times, probability, np.zeros(4), np.zeros((4, 0)))
    svg = video_plots.timeline(video, ["riot"], [], threshold=0.53)
    left, right = (share * video_plots.WIDTH for share in video_plots.plot_span())
    places = {t: float(x) for x, t in re.findall(r'<text x="([\d.]+)"[^>]*>(\d:\d\d)<', svg)}
    assert places == {
        f"0:{s:02d}": pytest.approx(left + (right - left) * s / 20, abs=0.06)
        for s in (0, 5, 10, 15, 20)
    }
    curve = re.search(r'd="(M[^"]+)" fill="none" stroke="#D55E00"', svg)[1]
    x = {s: f"{left + (right - left) * s / 20:.1f}".removesuffix(".0") for s in (0, 5, 10, 20)}
    assert curve == f"M{x[0]} 202H{x[5]}V12H{x[10]}V107H{x[20]}"  # 190 high, from 12 on


def test_events_keep_their_colour_and_truth_is_shaded():
    colors = style.colors_of(["riot", "abuse"])
    assert len(set(colors.values())) == 2
    plain, shaded = draw(), draw(truth=np.eye(30, 2))
    for color in colors.values():
        assert f'stroke="{color}"' in plain
        assert f'fill="{color}" opacity="0.16"' in shaded
        assert f'fill="{color}" opacity="0.16"' not in plain
    for placeholder in (style.INK, style.MUTED, style.RULE):
        assert placeholder not in plain
    assert "var(--ink)" in plain


def heat(svg):
    data = base64.b64decode(re.search(r"data:image/png;base64,\s*([^\"]+)", svg).group(1))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]


def test_a_cue_of_one_frame_survives_in_a_long_video():
    presence = np.zeros((5000, 1))
    presence[3217] = 1.0
    alpha = heat(draw(5000, ["x"], presence=presence))
    assert alpha.shape[1] == video_plots.MAX_COLUMNS
    np.testing.assert_array_equal(np.flatnonzero(alpha.max(axis=0)), [3217 * 600 // 5000])
    assert alpha.max() == 255


def test_noise_is_not_stretched_to_full_contrast():
    presence = np.array([[0.10], [0.15]] * 5)
    assert heat(draw(10, ["x"], presence=presence)).max() == round(255 * 0.05 / 0.25)


def test_no_atoms_and_one_frame():
    assert draw(1, ["x"]).startswith("<svg")
    assert draw(5, [], presence=np.zeros((5, 0))).count("<image") == 0
