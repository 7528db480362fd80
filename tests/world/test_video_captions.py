"""Captions of rendered videos, as noisy as a captioning model's."""

import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.ontology import captions
from jaxvlm.world import splits
from jaxvlm.world.language import PARAPHRASES
from jaxvlm.world.videos import VideoTruth
from jaxvlm.world.vocabulary import ATOMS, EVENTS


@pytest.fixture(scope="module")
def spoken():
    """500 seconds of known atoms, and the captions of their frames."""
    rng = np.random.default_rng(0)
    atoms = np.zeros((2000, len(ATOMS)), np.uint8)
    for second in range(500):
        atoms[4 * second : 4 * second + 4, rng.choice(len(ATOMS), 4, replace=False)] = 1
    truth = VideoTruth(np.arange(2000) / 4, atoms, np.zeros((2000, len(EVENTS)), np.uint8))
    return truth, splits.noisy_captions(np.random.default_rng(1), "clip", truth)


def test_captions_are_for_paths_of_another_machine(spoken, tmp_path):
    truth, answers = spoken
    files.write_json(tmp_path / "captions.json", answers)
    read = captions.read_captions(tmp_path / "captions.json")
    frames = [tmp_path / "frames" / "clip" / f"{k:06d}.jpg" for k in range(500)]
    assert not set(read.frames) & {path.as_posix() for path in frames}
    found = captions.match_captions(read, frames, ATOMS)
    assert found.coverage.frames_found == 500
    present = truth.atoms[::4] > 0
    # 0.8 are said, a third of those that can be reworded is: about 0.56 go by their own name.
    assert 0.50 < found.named[present].mean() < 0.62
    assert 0.0005 < found.named[~present].mean() < 0.003  # invented: 1/12 of a frame's 49


def test_captions_miss_invent_and_paraphrase(spoken):
    truth, answers = spoken
    meaning = {words: atom for atom, options in PARAPHRASES.items() for words in options}
    meaning |= {atom: atom for atom in ATOMS}
    said = present = invented = reworded = rewordable = 0
    for second, answer in enumerate(answers.values()):
        there = {ATOMS[c] for c in np.flatnonzero(truth.atoms[4 * second])}
        named = [meaning[words] for words in answer["atoms"]]
        assert len(named) == len(set(named))
        present += len(there)
        said += len(there & set(named))
        invented += bool(set(named) - there)
        rewordable += sum(atom in PARAPHRASES for atom in named)
        reworded += sum(words not in ATOMS for words in answer["atoms"])
        spoken_words = tuple(answer["atoms"])
        assert captions.parse_raw(answer["raw"]) == spoken_words
    assert abs(said / present - 0.8) < 0.03
    assert abs(invented / 500 - 1 / 12) < 0.04
    assert abs(reworded / rewordable - 0.33) < 0.04


def test_an_answer_without_atoms_says_none():
    truth = VideoTruth(
        np.arange(400) / 4,
        np.zeros((400, len(ATOMS)), np.uint8),
        np.zeros((400, len(EVENTS)), np.uint8),
    )
    answers = splits.noisy_captions(np.random.default_rng(0), "clip", truth).values()
    silent = [answer for answer in answers if not answer["atoms"]]
    assert len(silent) > 80 and {answer["raw"] for answer in silent} == {"ATOMS: none"}
