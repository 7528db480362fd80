"""A small campaign over every reader, and what the campaign itself must notice."""

import sys
import warnings

import numpy as np
import pytest

from jaxvlm.errors import InputError
from tests.fuzz import campaign
from tests.fuzz.case import ACCEPTED, CLEAN, FAILED, Reader, judge, write_case
from tests.fuzz.readers import READERS

CASES = 1_500
FIRST_SEED = 20_000


def test_every_reader_takes_mutated_files():
    ended = list(campaign.run(campaign.cases(READERS, CASES, FIRST_SEED)))
    failed = [each for each in ended if each.outcome.kind == FAILED]
    assert not failed, "\n".join(f"{each.command}\n{each.outcome.text}" for each in failed)
    counts = {kind: sum(each.outcome.kind == kind for each in ended) for kind in (CLEAN, ACCEPTED)}
    # The mutations neither spare the files nor destroy all of them.
    assert len(ended) == CASES and min(counts.values()) > CASES / 5, counts


def _raises(error):
    def read(folder):
        raise error

    return read


def _says(line):
    def read(folder):
        print(line, file=sys.stderr)

    return read


def _warns(line, kind):
    def read(folder):
        warnings.warn(line, kind, stacklevel=1)

    return read


@pytest.mark.parametrize(
    "read, kind",
    [
        (_raises(InputError("a.txt: cut; correct it")), CLEAN),
        (_raises(InputError("cut; correct it")), FAILED),  # does not name the file
        (_raises(InputError("")), FAILED),
        (_raises(ValueError("a.txt: cut; correct it")), FAILED),
        (_raises(MemoryError()), FAILED),
        (_raises(SystemExit(0)), FAILED),
        (_says("Traceback (most recent call last):"), FAILED),
        (_warns("a.txt: damaged; it is left out", UserWarning), ACCEPTED),
        (_warns("a.txt: \x1b[31m", UserWarning), FAILED),
        (_warns("overflow", RuntimeWarning), FAILED),
        (lambda folder: 1.0, ACCEPTED),
        (lambda folder: np.inf, FAILED),
    ],
)
def test_an_outcome_is_judged(tmp_path, read, kind):
    def check(result):
        assert result is None or np.isfinite(result)

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    reader = Reader(lambda folder: None, read, check)
    assert judge(reader, tmp_path / "in", tmp_path / "in" / "a.txt").kind == kind


@pytest.mark.parametrize(
    "reader, text",
    [("crash", "Segmentation fault"), ("memory", "MemoryError"), ("hang", "more than 1 s of CPU")],
)
def test_a_worker_that_ends_is_one_failure_and_the_next_case_goes_on(reader, text):
    bounds = campaign.Bounds(cpu=1.0)
    todo = [(reader, 0), ("good", 0)]
    ended = list(campaign.run(todo, workers=1, bounds=bounds, table="tests.fuzz.bad_readers"))
    assert [each.outcome.kind for each in ended] == [FAILED, ACCEPTED]
    assert text in ended[0].outcome.text and "bad_readers.py" in ended[0].outcome.text
    assert ended[0].command == f"python -m tests.fuzz --reader={reader} --seed=0"


def test_a_seed_tells_a_case(tmp_path):
    good = tmp_path / "good"
    for name in ("labels", "npy"):
        (good / name).mkdir(parents=True)
        READERS[name].make(good / name)
    contents = []
    for n, seed in enumerate((1, 1, 2, 3, 4)):
        folder = tmp_path / str(n)
        path = write_case(READERS["labels"], "labels", seed, good / "labels", good, folder)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] and len(set(contents)) == 4
