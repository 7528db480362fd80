"""A scored video as plain data."""

import json

import numpy as np

from jaxvlm.atoms.reasons import Reason
from jaxvlm.video.detections import Detection
from jaxvlm.video.result import Event, Finding, ScoredVideo

REASONS = (
    Reason(("blast flash",), "direct", 3.0),
    Reason(("smoke plume", "flying debris"), "indirect", 1.0, ("fireworks", "campfire")),
    Reason(("film crew",), "counter", -0.5),
)


def scored(*findings):
    times = np.arange(8, dtype=np.float32) / 2
    return ScoredVideo("v", times, np.zeros((8, 2)), np.zeros(8), np.zeros((8, 3)), None, findings)


def test_events_are_plain_data_and_a_table():
    first = Detection("explosion", 2, 5, 3, 1.0, 2.5, 0.9)
    second = Detection("riot", 4, 8, 7, 2.0, 4.0, 0.6)
    video = scored(Finding(first, REASONS), Finding(second))
    because = [
        {"atoms": ["blast flash"], "role": "direct", "contribution": 3.0, "unless": []},
        {
            "atoms": ["smoke plume", "flying debris"],
            "role": "indirect",
            "contribution": 1.0,
            "unless": ["fireworks", "campfire"],
        },
        {"atoms": ["film crew"], "role": "counter", "contribution": -0.5, "unless": []},
    ]
    assert video.events == [
        Event("v", "explosion", 1.0, 2.5, 1.5, 0.9, because),
        Event("v", "riot", 2.0, 4.0, 3.5, 0.6, []),
    ]
    json.dumps(video.events)  # no NumPy in it
    table = video.to_pandas()
    assert list(table) == list(Event._fields)
    assert table["because"].tolist() == [
        "because blast flash (direct) and smoke plume with flying debris, and no fireworks or "
        "campfire (indirect), despite film crew (counter)",
        "",
    ]
    assert table["peak_seconds"].tolist() == [1.5, 3.5]


def test_nothing_found_is_an_empty_table_of_the_same_columns():
    assert scored().events == []
    table = scored().to_pandas()
    assert len(table) == 0 and list(table) == list(Event._fields)
