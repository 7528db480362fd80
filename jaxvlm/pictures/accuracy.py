"""Whether the predicted class ĉ of a picture is the true one, and how often."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxvlm.data.class_lists import read_class_ids
from jaxvlm.evaluation.intervals import Interval, share_interval
from jaxvlm.ood.words.lists import is_path
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import WNID, plain

ACCURACY_COLUMNS = ["set", "pictures", "accuracy", "accuracy_low", "accuracy_high"]


def right_pictures(
    sets: Sequence[ScoredSet], words: Words, class_names: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Per set [N] whether ĉ is the label's class, of sets whose labels say it, and what to tell.

    Labels are classes by name, see `sets.plain`; or numbers, which count the classes from 0, as in
    OpenOOD's lists and ImageNet-V2's folders; or WordNet ids, which stand in the file of classes,
    or else number the classes in their order where a set has as many as there are classes.
    """
    found, notes = {}, []
    ids, told = _wordnet_ids(sets, words, len(class_names))
    for own in sets:
        truth, why = _truth(own, class_names, ids)
        if truth is None:
            notes.append(f"{own.name}: accuracy and CCR are not known, {why}")
            continue
        named = [plain(class_names[k]) for k in np.asarray(own.encoded.predicted_class_idx)]
        found[own.name] = np.array(named) == np.array(truth)
    return found, [*notes, *told]


def _wordnet_ids(
    sets: Sequence[ScoredSet], words: Words, count: int
) -> tuple[list[str] | None, list[str]]:
    """The id of each class, if that is known, and how."""
    labels = [sorted(set(own.labels or ())) for own in sets]
    if not any(_are(WNID, own) for own in labels):
        return None, []
    if words.class_names is not None and is_path(words.class_names):
        ids = read_class_ids(words.class_names)
        if ids is not None and len(ids) == count:
            return ids, []
    for own in labels:
        if _are(WNID, own) and len(own) == count:
            return own, [f"accuracy: the {count} WordNet ids, sorted, are taken for the classes"]
    return None, []


def _truth(
    own: ScoredSet, class_names: Sequence[str], ids: Sequence[str] | None
) -> tuple[list[str] | None, str]:
    """The true class's name of each picture, as `plain` has it; or None, and why."""
    if own.labels is None:
        return None, "for its pictures have no labels: give class folders, or a list with labels"
    labels, known = set(own.labels), {plain(name) for name in class_names}
    if all(plain(label) in known for label in labels):
        return [plain(label) for label in own.labels], ""
    if _are(r"[0-9]+", labels):
        places = {str(k): k for k in range(len(class_names))}
        kind = "number"
    elif _are(WNID, labels):
        if ids is None:
            count = len(class_names)
            return None, (
                "for its labels are WordNet ids: give --class_names with an id before each name "
                f"(n01440764 tench), or an ID set with all {count}"
            )
        places = {label: k for k, label in enumerate(ids)}
        kind = "WordNet id"
    else:
        return None, "for its labels are no classes"
    trimmed = [label.lstrip("0") or "0" for label in own.labels]
    strange = sorted(set(trimmed) - places.keys())
    if strange:
        return None, f"for its label {strange[0][:20]} is the {kind} of none of the classes"
    return [plain(class_names[places[label]]) for label in trimmed], ""


def _are(pattern: str, labels: Sequence[str] | set[str]) -> bool:
    return bool(labels) and all(re.fullmatch(pattern, label) for label in labels)


def joined(right: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Of the pictures that ``parts`` [N] bool chooses of each set; None if one set is unknown."""
    if not parts.keys() <= right.keys():
        return None
    return np.concatenate([right[name][chosen] for name, chosen in parts.items()])


def accuracy_interval(right: np.ndarray | None) -> Interval:
    """The accuracy of some pictures; nan where it is not known."""
    if right is None:
        return Interval(np.nan, np.nan, np.nan)
    return share_interval(int(right.sum()), len(right))


def accuracy_table(
    right: Mapping[str, np.ndarray], sides: Mapping[str, Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """A row with `ACCURACY_COLUMNS` per side: what it is called, and the pictures of each set."""
    rows = [
        (name, sum(int(chosen.sum()) for chosen in parts.values()))
        + accuracy_interval(joined(right, parts))
        for name, parts in sides.items()
    ]
    return pd.DataFrame(rows, columns=ACCURACY_COLUMNS)
