"""Are pictures like those that an encoder, or what was learned on it, was made on?

Decided from embeddings alone, against those of the training material. Its pictures come in sets
whose members resemble each other: the frames of a video, or single pictures.
"""

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxvlm import files
from jaxvlm.arrays import check_shapes, unit
from jaxvlm.errors import InputError

FILE = "familiar.safetensors"  # in the folder of an encoder or of a role model
LEAST_SETS = 8  # training sets from which on something can be said

_REFERENCES = 1024
_BOUND = 1e9  # of a number of what is kept
_RIDGE = 1e-6  # of the mean variance, added to the covariance
_FOLDS = 5
_ERROR = 0.001  # chance that sets like the training sets are called unlike them
_SMALLEST = 0.6  # a mean rank up to here is no difference worth a warning, however sure it is
_NAMED = 3  # sets that a line names
_LARGEST = 0.995  # and one above here is, even of a single picture


class Familiar(NamedTuple):
    """Training material, as far as new pictures are compared with it; `fit` makes it.

    references [R, D]: unit embeddings of some of it. mean [D] and whitening [D, D]: of all of it.
    distances [Q]: quantiles of its pictures' distances to the other sets, at equal steps from 0
    to 1. sets [S]: the unlikeness of its sets to the others, sorted. variances [2]: of the
    unlikeness from set to set, and of the ranks of pictures within one.
    """

    references: np.ndarray
    mean: np.ndarray
    whitening: np.ndarray
    distances: np.ndarray
    sets: np.ndarray
    variances: np.ndarray


class Verdict(NamedTuple):
    """Whether sets of pictures are unlike the training material.

    unlikeness: the mean over the sets, from 0 to 1; expected: the mean of the training sets;
    limit: from where on it is unlike.
    """

    unlikeness: float
    expected: float
    limit: float

    @property
    def is_unlike(self) -> bool:
        """True: unlike."""
        return self.unlikeness > self.limit


def fit(sets: Sequence[ArrayLike], judged: Sequence[ArrayLike] | None = None) -> Familiar | None:
    """What new pictures are compared with, from embeddings of the training material.

    The distance of a picture is d(v) = ½ log(1 − max_r ⟨v, r⟩) + ½ log ‖W(v − m)‖², to the nearest
    reference and in the metric of the covariance. Distances of training pictures are taken in 5
    folds of sets, so that none is compared with its own set.

    Args:
      sets: embeddings [T, D] per training set.
      judged: sets that are like the training material and no part of it, from which the spread of
        sets is taken; None: from the training sets, in the same folds.

    Returns:
      None for fewer than `LEAST_SETS` sets to take the spread from.
    """
    rows = [_normalised(one) for one in sets]
    if len(rows if judged is None else judged) < LEAST_SETS:
        return None
    fold = np.arange(len(rows)) % _FOLDS
    found: dict[int, np.ndarray] = {}
    for number in range(_FOLDS):
        others = _reference(
            np.concatenate([one for one, own in zip(rows, fold, strict=True) if own != number])
        )
        for n in np.flatnonzero(fold == number):
            found[int(n)] = _distances(*others, rows[n])
    own = [found[n] for n in range(len(rows))]
    whole = _reference(np.concatenate(rows))
    quantiles = np.quantile(np.concatenate(own), np.linspace(0, 1, 401)).astype(np.float32)
    if judged is not None:
        own = [_distances(*whole, _normalised(one)) for one in judged]
    ranks = [_ranks(quantiles, values) for values in own]
    means = np.sort([each.mean() for each in ranks]).astype(np.float32)
    within = float(np.mean([each.var() for each in ranks]))
    # The means of sets differ also because each has but a few pictures.
    sampled = within * float(np.mean([1 / len(each) for each in ranks]))
    between = max(float(means.var(ddof=1)) - sampled, 0.0)
    return Familiar(*whole, quantiles, means, np.float32([between, within]))


def unlikeness(familiar: Familiar, embeddings: ArrayLike) -> float:
    """How unlike the training material a set of pictures [T, D] is, from 0 to 1.

    The mean over the pictures of the share of training pictures whose distance is smaller; about
    0.5 for pictures of the same kind.

    Raises:
      ValueError: no picture, or embeddings of another size.
    """
    check_shapes(
        "unlikeness", embeddings=(embeddings, "T D"), references=(familiar.references, "R D")
    )
    values = _distances(*familiar[:3], _normalised(embeddings))
    if not len(values):
        raise ValueError("unlikeness: no picture")
    return float(_ranks(familiar.distances, values).mean())


def judge(familiar: Familiar, sets: Sequence[ArrayLike]) -> Verdict:
    """Whether sets of pictures, taken together, are unlike the training material.

    With n sets of T_i pictures, training sets of mean μ, σ² the variance between them and τ²
    within one: unlike where the mean unlikeness exceeds μ + z √(σ²/n + τ² Σ_i 1/T_i / n²), z the
    normal quantile of 1 − 0.001, and 0.6; above 0.995 always.

    Raises ValueError for no set, or as `unlikeness`.
    """
    if not len(sets):
        raise ValueError("judge: no set")
    mean = float(np.mean([unlikeness(familiar, one) for one in sets]))
    expected = float(familiar.sets.mean())
    between, within = map(float, familiar.variances)
    variance = between + within * float(np.mean([1 / len(one) for one in sets]))
    z = statistics.NormalDist().inv_cdf(1 - _ERROR)
    limit = max(expected + z * float(np.sqrt(variance / len(sets))), _SMALLEST)
    return Verdict(mean, expected, min(limit, _LARGEST))


def doubts(
    familiar: Familiar | None, sets: Mapping[str, ArrayLike], *, what: str, made: str, cure: str
) -> list[str]:
    """At most one line: all of the sets, or some of many, are unlike the training material.

    Sets are judged together and, unless they are unlike together, each alone.

    Args:
      familiar: None, and sets without a picture, raise no doubt.
      sets: embeddings [T, D] by name.
      what: plural of a set, "videos". made: "the pictures that the encoder was made on".
      cure: what to do, at the end of the line.
    """
    rows = {name: one for name, one in sets.items() if len(one)}
    if familiar is None or not rows:
        return []
    if next(iter(rows.values())).shape[-1] != familiar.references.shape[-1]:
        return []  # of another encoder, which is told elsewhere
    verdict = judge(familiar, list(rows.values()))
    if verdict.is_unlike:
        subject = f"these {what} are" if what.endswith("s") else f"this {what} is"
        return [
            f"{subject} unlike {made} (unlikeness {verdict.unlikeness:.2f}, "
            f"{verdict.expected:.2f} where they are alike, {verdict.limit:.2f} at most): {cure}"
        ]
    found = [name for name, one in rows.items() if judge(familiar, [one]).is_unlike]
    if not found:
        return []
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [
        f"unlike {made}: {len(found)} of {len(rows)} {what}, {', '.join(found[:_NAMED])}{more}; "
        f"{cure}"
    ]


def save_familiar(folder: str | os.PathLike, familiar: Familiar) -> None:
    """Writes ``familiar.safetensors`` into a folder; references in float16."""
    arrays = familiar._asdict()
    arrays["references"] = familiar.references.astype(np.float16)
    files.write_arrays(Path(folder) / FILE, arrays)


def load_familiar(folder: str | os.PathLike) -> Familiar | None:
    """Reads ``familiar.safetensors`` of a folder; None where there is none.

    Raises InputError for a file that holds something else.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    arrays = files.read_arrays(path)
    cure = "remove the file, or make it again"
    if set(arrays) != set(Familiar._fields):
        raise InputError(f"{path}: not the arrays of training material; {cure}")
    found = Familiar(**{name: np.asarray(arrays[name], np.float32) for name in arrays})
    try:
        check_shapes(
            str(path),
            references=(found.references, "R D"),
            mean=(found.mean, "D"),
            whitening=(found.whitening, "D D"),
            distances=(found.distances, "Q"),
            sets=(found.sets, "S"),
            variances=(found.variances, "2"),
        )
    except ValueError as error:
        raise InputError(f"{error}; {cure}") from None
    # Also NaN fails. Whitening is at most 1/√ridge; its square must stay a float.
    within = all((np.abs(array) <= _BOUND).all() for array in found)
    if not within or len(found.sets) < LEAST_SETS:
        raise InputError(f"{path}: too few sets, or a value that no fit gives; {cure}")
    return found


def _reference(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """references, mean and whitening of unit rows [N, D]."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), _REFERENCES)).round().astype(int)
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float64)
    covariance = centred.T @ centred / max(len(rows) - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    ridge = _RIDGE * max(float(values.mean()), 1e-12)
    whitening = vectors / np.sqrt(np.maximum(values, 0) + ridge)
    # As it is stored, so that what is read gives the same numbers.
    references = rows[np.unique(places)].astype(np.float16).astype(np.float32)
    return references, mean, whitening.astype(np.float32)


def _distances(
    references: np.ndarray, mean: np.ndarray, whitening: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    nearest = 1 - (rows @ references.T).max(axis=1)
    whitened = np.square((rows - mean) @ whitening).mean(axis=1)
    return 0.5 * np.log(np.maximum(nearest, 1e-6)) + 0.5 * np.log(np.maximum(whitened, 1e-9))


def _ranks(quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of training pictures whose distance is smaller, per picture."""
    return np.interp(values, quantiles, np.linspace(0, 1, len(quantiles)))


def _normalised(rows: ArrayLike) -> np.ndarray:
    return unit(np.asarray(rows, np.float32))
