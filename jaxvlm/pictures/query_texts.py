"""Texts that are looked for: read, put into prompts or taken as they are, and embedded, beside the
negative labels in the same form."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm import clip, resources
from jaxvlm.clip.similar_texts import similar_pairs, unknown_words
from jaxvlm.data.text_files import read_lines
from jaxvlm.errors import InputError
from jaxvlm.ood import queries as scores
from jaxvlm.ood.queries import QueryBank
from jaxvlm.ood.words.lists import (
    NegativeWords,
    is_path,
    normalize_word,
    read_negatives,
    read_words,
)
from jaxvlm.ood.words.prompts import embed_negatives, same_for_all
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.given_labels import given_negatives
from jaxvlm.pictures.labels import Words
from jaxvlm.terminal import control_character

NAME_WORDS = 3  # a query of more is a sentence
OPENINGS = ("a", "an", "the", "photo", "picture", "image")  # and one that begins so
# A sentence is compared with words that stand like one: another prompt would shift all of them.
BESIDE_SENTENCES = same_for_all(("a {}",))
_NEGATIONS = {"no", "not", "without", "nobody", "nothing", "never"}
_UNCLEAR = 0.5  # share of the words that are near a query from which on it says nothing
_NAMED = 3


class QueryTexts(NamedTuple):
    """Q queries and M negative labels.

    prompts: what each query was embedded as. left_out [Q, M]: the words that are no alternative to
    a query. rows [M, D]: of the words. forms: of the queries of one form their places [q], and what
    they are compared with. told: a line on what was taken how; doubts: on what speaks against it.
    """

    queries: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    left_out: np.ndarray
    rows: np.ndarray
    forms: tuple[tuple[np.ndarray, QueryBank], ...]
    told: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def read_queries(source: str | os.PathLike | Sequence[str]) -> tuple[str, ...]:
    """The texts of a file, one a line, or of a sequence, in order; empty ones are passed over.

    Raises InputError: no such file, not UTF-8, a control character, no text, one that stands there
    twice (case, blanks and underscores apart).
    """
    in_file = is_path(source)
    lines = read_lines(source, cure="save the list as UTF-8") if in_file else list(source)
    place = f"{source}: line" if in_file else "queries: text"
    first: dict[str, int] = {}
    found = []
    for number, line in enumerate(lines, 1):
        if not isinstance(line, str) or control_character(line):
            raise InputError(f"{place} {number} is no printable text; write what to look for")
        text = " ".join(line.split())
        if key := normalize_word(text):
            if key in first:
                raise InputError(
                    f"{place} {number}, {text!r}, repeats {place.split()[-1]} {first[key]}; "
                    "remove one of them"
                )
            first[key] = number
            found.append(text)
    if not found:
        source = source if in_file else "queries"
        raise InputError(f"{source}: no text in it; write what to look for, one a line")
    return tuple(found)


def is_sentence(query: str) -> bool:
    """Whether a query is taken as it is: it has more than `NAME_WORDS` words, or begins with one of
    `OPENINGS`. Others are names, which go into the templates."""
    words = query.casefold().split()
    return len(words) > NAME_WORDS or words[0] in OPENINGS


def embed_queries(
    encoder: clip.Encoder, queries: Sequence[str], words: Words, config: OodConfig
) -> QueryTexts:
    """Embeds the queries, and for each of the two forms that they have the negative labels.

    Args:
      words: of its fields the negatives count, as words or as embeddings, which have one form.

    Raises InputError: what the files lack, a text that is too long, embeddings of another width, or
    no word that is an alternative to some query.
    """
    listed, given, told = _negatives(words)
    prompts = config.prompt_set
    names = np.array([normalize_word(query) for query in queries])
    left_out = names[:, None] == np.array([normalize_word(word) for word in listed.words])
    sentence = np.array([is_sentence(query) for query in queries])
    forms, banks, unclear, doubts = [], [], [], _negated(queries)
    for whole in sorted(set(sentence.tolist())):
        own = np.flatnonzero(sentence == whole)
        texts = [queries[i] for i in own]
        rows = clip.embed_names(
            encoder,
            texts,
            ("{}",) if whole else prompts.nouns,
            raw_mean=not whole and prompts.raw_mean,
        )
        beside = given
        if beside is None:
            form = BESIDE_SENTENCES if whole else prompts
            beside = embed_negatives(encoder, listed.words, listed.adjectives, form)
        if beside.shape[1] != rows.shape[1]:
            raise InputError(
                f"embeddings: the negatives have {beside.shape[1]} dimensions, the encoder --clip "
                f"has {rows.shape[1]}; take both from one encoder"
            )
        near = (rows @ beside.T > scores.NEAR).mean(axis=1)
        unclear += [queries[i] for i, share in zip(own, near, strict=True) if share > _UNCLEAR]
        left_out[own] |= scores.near_words(rows, beside)
        bank = scores.query_bank(rows, beside, left_out[own], scale=config.negalign.logit_scale)
        forms.append((own, bank))
        banks.append(beside)
        unknown = unknown_words(similar_pairs(rows), len(rows), "queries")
        doubts += [] if unknown is None else [f"{unknown}; take another --clip"]
    if unclear:
        doubts.append(
            f"this encoder can hardly tell {_some(unclear)} from half of the negative labels, so "
            "that what matches is chance; take another --clip"
        )
    if given is not None and len(forms) > 1:
        told.append("negative_embeddings: of one prompt, which names or sentences do not have")
    return QueryTexts(
        tuple(queries),
        tuple(
            (query,) if whole else tuple(text.replace("{}", query) for text in prompts.nouns)
            for query, whole in zip(queries, sentence, strict=True)
        ),
        listed.words,
        left_out,
        banks[0],
        tuple(forms),
        tuple(told),
        tuple(doubts),
    )


def _negatives(words: Words) -> tuple[NegativeWords, np.ndarray | None, list[str]]:
    """The negative labels, their rows where they are given, and what to tell."""
    if words.negative_embeddings is not None:
        return given_negatives(words.negatives, words.negative_embeddings, ())
    if words.negatives is not None:
        return read_negatives(words.negatives), None, []
    path = resources.path("configs/ood/world_words.txt")
    told = "no --negatives: the rendered world's words take their place; for photographs give more"
    return NegativeWords(read_words(path)[0], ()), None, [told]


def _negated(queries: Sequence[str]) -> list[str]:
    """At most one line, on texts that say what shall not be there."""
    found = [query for query in queries if _NEGATIONS & set(query.casefold().split())]
    if not found:
        return []
    return [
        f"CLIPs hardly read a negation, and find what it names: {_some(found)}; say what is to be "
        "seen"
    ]


def _some(queries: Sequence[str]) -> str:
    more = f" and {len(queries) - _NAMED} more" if len(queries) > _NAMED else ""
    return ", ".join(repr(query) for query in queries[:_NAMED]) + more
