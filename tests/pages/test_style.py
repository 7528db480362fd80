"""The palette for eyes of every kind, and what all pages share."""

import itertools

import numpy as np
import pytest

from jaxvlm.pages import style

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB: what a protanope, a
# deuteranope and a tritanope sees.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Linear sRGB to XYZ (IEC 61966-2-1), D65.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(color):
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    t = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def ciede2000(first, second):
    """ΔE00 of two CIELAB colours (Sharma, Wu and Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1 + 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    c1, c2 = np.hypot(g * a1, b1), np.hypot(g * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, g * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    dl, dc, dhue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = (h1 + dh / 2) % 360 if c1 * c2 else h1 + h2
    t = (
        1
        - 0.17 * np.cos(np.radians(hm - 30))
        + 0.24 * np.cos(np.radians(2 * hm))
        + 0.32 * np.cos(np.radians(3 * hm + 6))
        - 0.2 * np.cos(np.radians(4 * hm - 63))
    )
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    turn = np.sin(np.radians(60 * np.exp(-(((hm - 275) / 25) ** 2))))
    rt = -2 * np.sqrt(cm**7 / (cm**7 + 25.0**7)) * turn
    return np.sqrt(
        (dl / sl) ** 2 + (dc / sc) ** 2 + (dhue / sh) ** 2 + rt * (dc / sc) * (dhue / sh)
    )


def test_the_distance_is_the_published_one():
    # Sharma, Wu and Dalal (2005), table 1: pairs 1, 7, 17, 25.
    for first, second, expected in (
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ):
        assert ciede2000(first, second) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("sight", SIGHTS)
def test_thirteen_colours_stay_apart(sight):
    assert len(style.PALETTE) == len(set(style.PALETTE)) == 13
    seen = {color: lab(SIGHTS[sight] @ linear(color)) for color in style.PALETTE}
    near = {
        pair: ciede2000(seen[pair[0]], seen[pair[1]])
        for pair in itertools.combinations(style.PALETTE, 2)
    }
    # 1 is just noticeable side by side; 10 is told at a glance.
    assert min(near.values()) > 10, min(near, key=near.get)


def test_every_colour_shows_on_both_pages():
    for color in style.PALETTE:
        light = XYZ[1] @ linear(color) + 0.05
        for page in (style.PAPER, "#14161a"):
            other = XYZ[1] @ linear(page) + 0.05
            assert max(light, other) / min(light, other) > 2, (color, page)


def test_thirteen_events_have_thirteen_colours():
    assert len(set(style.colors_of([f"event {i}" for i in range(13)]).values())) == 13


def test_a_name_breaks_between_words_and_is_escaped():
    assert style.breakable("cam_1/a-b<i>.mp4") == "cam_<wbr>1/<wbr>a-<wbr>b&lt;i&gt;.<wbr>mp4"
    assert style.breakable("λ = 0.5") == "λ = 0.5"
