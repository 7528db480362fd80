"""Captions of a run's frames: what they raise, what they resemble, and what they match."""

from pathlib import Path

import numpy as np
import pytest

from jaxvlm import clip, files
from jaxvlm.errors import InputError
from tests.video.runs import ATOMS, NUM_FRAMES, arrays, unit


def caption_file(path: Path, named: dict[str, list[str]]) -> Path:
    """Keys are paths of another machine."""
    value = {f"/elsewhere/{key}": {"atoms": atoms} for key, atoms in named.items()}
    files.write_json(path, value)
    return path


def test_captions_raise_the_presence_of_what_they_name(run, tmp_path):
    """p + λ(1 − p) where named and p ≥ guard."""
    captions = caption_file(
        tmp_path / "captions.json",
        {
            "b9/000001.jpg": ["Angry crowd", "the balloons", "a spaceship"],
            "b9/000004.jpg": [],
            "b10/000002.jpg": ["raised fist"],  # one of them
        },
    )
    plain = {"presence__kind": "cosine", "presence__resemble_threshold": 1.1}
    run(**plain)
    before = {n: arrays(tmp_path / "out" / n, "presence")["presence"] for n in NUM_FRAMES}
    guard = float(np.sort([before["b9"][1, 0], before["b9"][1, 1]]).mean())
    result = run(
        out="with", qwen_json=captions, presence__guard=guard, presence__lambda_atoms=0.4, **plain
    )
    after = {n: arrays(tmp_path / "with" / n, "presence")["presence"] for n in NUM_FRAMES}
    expected = {n: p.astype(np.float64).copy() for n, p in before.items()}
    for name, t, c in (("b9", 1, 0), ("b9", 1, 1), ("b10", 2, 3)):
        p = expected[name][t, c]
        expected[name][t, c] = p + 0.4 * (1 - p) if p >= guard else p
    for name in NUM_FRAMES:
        np.testing.assert_allclose(after[name], expected[name], rtol=1e-5)
    # One of the two named atoms of b9 lies below the guard.
    assert (after["b9"][1, :2] > before["b9"][1, :2]).sum() == 1
    coverage = result.coverage
    assert (coverage.frames_found, coverage.frames_total) == (3, 9)
    assert coverage.phrases_matched == 3 and dict(coverage.phrases_unknown) == {"spaceship": 1}


def test_captions_that_resemble_an_atom_count_less(run, model, tmp_path):
    """The text encoder decides what resembles; λ_resemble is weighted by its cosine."""
    captions = caption_file(tmp_path / "captions.json", {"b9/000000.jpg": ["furious people"]})
    run(presence__kind="cosine")
    before = arrays(tmp_path / "out" / "b9", "presence")["presence"][0].astype(np.float64)
    result = run(
        out="with",
        qwen_json=captions,
        presence__kind="cosine",
        presence__guard=0.0,
        presence__resemble_threshold=0.0,
        presence__lambda_resemble=0.3,
    )
    after = arrays(tmp_path / "with" / "b9", "presence")["presence"][0]
    cosine = (
        unit(clip.encode_texts(model, ["furious people"]))
        @ unit(clip.encode_texts(model, list(ATOMS))).T
    )
    weight = 0.3 * np.maximum(cosine[0], 0)
    np.testing.assert_allclose(after, before + weight * (1 - before), rtol=1e-4)
    assert result.coverage.phrases_similar == 1


def test_captions_that_match_no_frame_stop_the_run(run, tmp_path):
    captions = caption_file(tmp_path / "captions.json", {"other/000001.jpg": ["balloons"]})
    with pytest.raises(InputError, match="captions.json: matches no frame") as caught:
        run(qwen_json=captions)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
