"""The classes and negatives of an evaluation: read, split into roles, embedded, placed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from numpy.typing import ArrayLike

from jaxvlm import clip, resources
from jaxvlm.errors import InputError
from jaxvlm.ood.placing import Permutations, PlacedBanks, place_banks
from jaxvlm.ood.words import label_banks, mining, split
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words.label_banks import LabelBanks, LabelNames
from jaxvlm.ood.words.lists import NegativeWords
from jaxvlm.ood.words.prompts import is_phrase
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.given_labels import given_classes, given_negatives


class Words(NamedTuple):
    """What pictures are compared with, as a user gives it: paths, or the words themselves.

    class_names: None: those that lie with ``class_embeddings``.
    negatives: a word list, or a folder as ``mine_negatives`` writes it; None: the words of the
    rendered world, without the classes.
    class_embeddings, negative_embeddings: ``FILE[#KEY]`` of `read_embeddings` or [K, D], [M, D],
    any length of rows, in the order of the words, which need no encoder then; None: by an encoder.
    """

    class_names: str | os.PathLike | Sequence[str] | None = None
    negatives: str | os.PathLike | Sequence[str] | None = None
    class_embeddings: str | os.PathLike | ArrayLike | None = None
    negative_embeddings: str | os.PathLike | ArrayLike | None = None

    @property
    def need_encoder(self) -> bool:
        """Whether a text has to be embedded."""
        return self.class_embeddings is None or self.negative_embeddings is None


class Labels(NamedTuple):
    """The words and their embeddings, on the host for tables and on the devices for scores.

    notes: a line on each method that these words do not serve, or serve in another form. read: a
    line on what was read otherwise than it is written, or not at all.
    """

    banks: LabelBanks
    names: LabelNames
    placed: PlacedBanks
    notes: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


def prepare_labels(encoder: clip.Encoder | None, words: Words, config: OodConfig) -> Labels:
    """Reads the classes and the negatives, splits these and embeds what is not given as embeddings.

    A split that lies beside the negatives is read, unless ``neg_split_recompute``; else they are
    split by the config, which takes an encoder: without one no word leans to a side.

    Raises InputError: what the files or the split lack; no r-score for soft weights; embeddings
    that are not one for each word.
    """
    classes, positive, told = given_classes(words.class_names, words.class_embeddings)
    negative, stored = None, stored_split(words.negatives)
    if words.negative_embeddings is None:
        listed = _negatives(words.negatives, classes)
    else:
        listed, negative, more = given_negatives(
            words.negatives, words.negative_embeddings, classes
        )
        told += more
    negatives = listed.words
    if stored is not None and not config.negalign.neg_split_recompute:
        roles = word_lists.read_split(stored)
    elif encoder is not None:
        roles = _split(encoder, negatives, config)
    else:
        roles = word_lists.NegativeSplit((), (), tuple(negatives), {})
    banks, names = label_banks.build_banks(
        encoder,
        classes,
        negatives,
        roles,
        config.negalign,
        prompts=config.prompt_set,
        adjectives=listed.adjectives,
        given=label_banks.GivenRows(positive, negative),
    )
    label_banks.check_banks(banks, config.negalign)
    soft = None
    if set(negatives) <= set(roles.r_scores):
        soft = label_banks.object_weights(negatives, roles, config.negalign)
    groups = config.negalign.num_groups
    orders = [
        label_banks.group_permutation(count, groups, config.seed) if count >= groups else None
        for count in (len(negatives), len(banks.negative_object), len(names.conjugated))
    ]
    placed = place_banks(
        banks,
        config.negalign,
        permutations=Permutations(*orders),
        soft_weights=soft,
        mesh=None if encoder is None else encoder.mesh,
    )
    notes = [f"NegLabel, CSP and NegRefine: G = {groups} groups", _csp_note(listed.adjectives)]
    if encoder is None:
        notes.append("NegRefine is left out: the texts of its pairs take a text tower; give --clip")
        notes.append("CMA is left out: its neutral texts take a text tower; give --clip")
        if not roles.object:
            notes.append(
                "NegLabel* (M2) is left out: no split of the negatives; give a folder with one as "
                "--negatives, or --clip"
            )
    underscores = None
    if words.class_names is not None:
        underscores = word_lists.underscore_note(words.class_names)
    read = () if underscores is None else (underscores,)
    return Labels(banks, names, placed, tuple(notes), (*read, *told))


def check_served(method: str, labels: Labels, *, text_tower: bool = True) -> None:
    """Raises InputError for a method that these words do not serve.

    text_tower: whether there is an encoder of texts.
    """
    texts = {"negrefine": "pairs of words", "cma": "neutral texts"}
    if method in texts and not text_tower:
        raise InputError(f"method {method!r}: its {texts[method]} take a text tower; give --clip")
    placed = labels.placed.negatives
    few = placed.star, "its object-leaning negatives are fewer than num_groups"
    lacks = {
        "csp": (placed.conjugated, "there are no adjectives among the negatives, or too few"),
        "neglabel_star": few,
        "neglabel_star_m1": few,
        "foreground_star": few,
        "neglabel_star_soft": (placed.soft, "the split has no r-score for some words"),
    }
    if method in lacks and lacks[method][0] is None:
        raise InputError(f"method {method!r}: {lacks[method][1]}; give other negatives or method")


def _csp_note(adjectives: Sequence[str]) -> str:
    """What the CSP row is with these words."""
    alone = sum(not is_phrase(word) for word in adjectives)
    if not adjectives:
        return (
            "CSP is left out: there is no adjective among the negative labels, and its words are "
            "nouns and adjectives with a superclass; give a folder of jaxvlm mine-negatives"
        )
    if alone:
        return (
            f"CSP: {alone} of {len(adjectives)} adjectives got a superclass here, they were mined "
            "without"
        )
    return "CSP: the negative labels are its words, so that NegLabel (G groups) on them is its row"


def stored_split(source: str | os.PathLike | Sequence[str] | None) -> Path | None:
    """The folder of the split that lies beside the negatives, if there is one."""
    if source is None or not word_lists.is_path(source):
        return None
    stored = Path(source) / word_lists.SPLIT_FOLDER
    return word_lists.find_split(source) or (stored if stored.is_dir() else None)


def _negatives(
    source: str | os.PathLike | Sequence[str] | None, classes: Sequence[str]
) -> NegativeWords:
    """The negative labels."""
    if source is None:
        listed, _ = word_lists.read_words(resources.path("configs/ood/world_words.txt"))
        return NegativeWords(mining.list_candidates(listed, classes).nouns, ())
    words = word_lists.read_negatives(source)
    mining.check_banks_words(classes, words.words)
    return words


def _split(
    encoder: clip.Encoder, words: Sequence[str], config: OodConfig
) -> word_lists.NegativeSplit:
    """Splits words by the config; what is wrong with it is said under the config's own names."""
    r = split.score_words(encoder, words).r
    try:
        if config.split_percentile:
            return split.split_by_percentile(words, r, percentile=config.split_percentile)
        return split.split_by_threshold(words, r, tau=config.negalign.neg_split_tau)
    except InputError as error:
        field = "split_percentile" if config.split_percentile else "neg_split_tau"
        raise InputError(f"{field}: {error}") from None
