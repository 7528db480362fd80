"""Everything that is wrong or doubtful in an ontology file, at once, and what is in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip
from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT, ROLES
from jaxvlm.clip.similar_texts import similar_pairs, unknown_words
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology.ontology import Ontology, Reading
from jaxvlm.ontology.parts import Problem, in_order
from jaxvlm.ontology.rules import WrittenRule
from jaxvlm.ontology.trained import FAINT


class OntologyCheck(NamedTuple):
    """What could be read, errors first and then warnings, and the longest prompt in tokens."""

    ontology: Ontology
    problems: list[Problem]
    longest: int

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)


def check_ontology(
    reading: Reading, model: clip.ClipModel, *, similar: float = 0.95
) -> OntologyCheck:
    """Checks what `read_ontology` found in a file, for the encoder that it is meant for.

    Errors are what `load_ontology` refuses, a prompt that is too long for the text tower, and
    a list of neutral prompts without any, without which presence as by default cannot be computed.
    Warnings: an event that no evidence can show, roles that cannot tell two events apart, a rule
    that can never matter, and atoms whose embeddings (means over the templates) have a cosine of
    ``similar`` or more.

    Raises:
      InputError: a model without a tokenizer.
    """
    longest, too_long = _lengths(reading, model)
    problems = [*reading.problems, *too_long, *_doubtful_roles(reading), *_idle_rules(reading)]
    if not reading.ontology.neutral_prompts:
        problems.append(
            Problem(
                None,
                "neutral_prompts is empty, and contrast presence is measured against them; list "
                "what your normal videos show, or leave the key out for everyday scenes (only "
                "--config.presence.kind=cosine, local or sparse do without)",
            )
        )
    if not too_long:
        problems += _similar_atoms(reading, model, similar)
    return OntologyCheck(reading.ontology, in_order(problems), longest)


def summary_table(ontology: Ontology) -> pd.DataFrame:
    """Per event, how many atoms have each role, how many rules there are if any event has one, and
    how many candidates are in neither. Of learned strengths those from `FAINT` on count."""
    weights = [ontology.trained.weights_of(e) for e in range(len(ontology.events))]
    least = np.array([0.0 if own is None else FAINT for own in weights])
    has = {r: (table > 0) & (table >= least) for r, table in ontology.strengths.items()}
    stated, used = {role: has[role].sum(axis=0) for role in ROLES}, np.any([*has.values()], axis=0)
    for e, rules in enumerate(ontology.rules):
        used[[ontology.atoms.index(atom) for rule in rules for atom in _names(rule)], e] = True
    unused = ((ontology.candidates > 0) & ~used).sum(axis=0)
    counts = {"rules": list(map(len, ontology.rules))} if any(ontology.rules) else {}
    return pd.DataFrame({"event": ontology.events, **stated, **counts, "no role": unused})


def describe(check: OntologyCheck, max_tokens: int) -> str:
    """What the file holds, in one line."""
    ontology = check.ontology
    per_atom = ontology.candidates.sum(axis=1)
    count = sum(map(len, ontology.rules))
    rules = f"{number_of(count, 'rule')}, " if count else ""
    return (
        f"{number_of(len(ontology.events), 'event')}, {number_of(len(ontology.atoms), 'atom')} "
        f"({int((per_atom > 1).sum())} of several events, {int((per_atom == 0).sum())} of none), "
        f"{rules}{number_of(len(ontology.templates), 'template')}, "
        f"{number_of(len(ontology.neutral_prompts), 'neutral prompt')}, "
        f"at most {check.longest} of {max_tokens} tokens"
    )


def _lengths(reading: Reading, model: clip.ClipModel) -> tuple[int, list[Problem]]:
    """Tokens of the longest prompt, and an error for each atom and neutral prompt too long."""
    if model.tokenizer is None:
        raise InputError("--clip: the model came without a tokenizer; add tokenizer.json to it")
    most = model.config.text_config.max_position_embeddings
    ontology, problems, longest = reading.ontology, [], 0

    def tokens(prompt: str) -> int:
        return len(clip.token_ids(model.tokenizer, [prompt])[0])

    for atom in ontology.atoms:
        by_template = {t: tokens(t.replace("{}", atom)) for t in ontology.templates}
        template = max(by_template, key=by_template.get)
        longest = max(longest, by_template[template])
        if by_template[template] > most:
            problems.append(
                Problem(
                    reading.atom_lines[atom],
                    f"the atom {atom!r} has {by_template[template]} tokens under {template!r}, the "
                    f"text tower takes {most}; shorten it",
                )
            )
    for prompt in ontology.neutral_prompts:
        longest = max(longest, tokens(prompt))
        if tokens(prompt) > most:
            problems.append(
                Problem(
                    None,
                    f"the neutral prompt {prompt!r} has {tokens(prompt)} tokens, the text tower "
                    f"takes {most}; shorten it",
                )
            )
    return longest, problems


def _doubtful_roles(reading: Reading) -> Iterator[Problem]:
    """Written roles that do not say when an event happens, or not which."""
    ontology = reading.ontology
    if not ontology.has_roles:
        return
    events = ontology.events
    stated = {role: (ontology.strengths[role] > 0).sum(axis=0) for role in ROLES}
    for e, event in enumerate(events):
        direct, indirect = stated[DIRECT][e], stated[INDIRECT][e]
        found = direct > 0 or indirect > 1 or ontology.rules[e]
        if ontology.candidates[:, e].any() and not found:
            has = "one indirect atom, which needs a partner" if indirect else "none"
            yield Problem(
                reading.event_lines[event],
                f"event {event!r} needs a direct atom, two indirect ones or a rule to be found and "
                f"has {has}; add some, or do not use --roles=ontology",
                is_error=False,
            )
    columns = np.concatenate([ontology.strengths[role] for role in ROLES])
    for e, event in enumerate(events):
        for f in range(e):
            same = np.array_equal(columns[:, e], columns[:, f])
            same = same and _meanings(ontology.rules[e]) == _meanings(ontology.rules[f])
            if same and (columns[:, e].any() or ontology.rules[e]):
                yield Problem(
                    reading.event_lines[event],
                    f"events {events[f]!r} and {event!r} have the same atoms in the same roles "
                    f"{'and rules ' if ontology.rules[e] else ''}and cannot be told apart; give "
                    "each an atom of its own",
                    is_error=False,
                )


def _idle_rules(reading: Reading) -> Iterator[Problem]:
    """Rules that change nothing: what they say another one says, or their atom argues against all.

    A rule is covered by one of at least its strength that needs no atom more and has no counter
    more, be it a direct atom or a pair of indirect ones.
    """
    ontology = reading.ontology
    for e, event in enumerate(ontology.events):
        tables = {role: ontology.strengths[role][:, e] for role in ROLES}
        rules, lines = ontology.rules[e], reading.rule_lines[e]
        for rule, line in zip(rules, lines, strict=True):
            own = [ontology.atoms.index(atom) for atom in rule.atoms]
            title = f"event {event!r}: the rule {str(rule)!r} can never matter"
            if against := [c for c in own if tables[COUNTER][c] >= rule.strength]:
                told = f"{ontology.atoms[against[0]]!r} is a counter atom of the event"
            elif alone := [c for c in own if tables[DIRECT][c] >= rule.strength]:
                told = f"{ontology.atoms[alone[0]]!r} is direct and suffices alone"
            elif len(own) == 2 and np.prod(tables[INDIRECT][own]) >= rule.strength:
                told = "its atoms are indirect and make a pair already"
            elif wider := [other for other in rules if _covers(other, rule)]:
                told = f"{str(wider[0])!r} says as much with less"
            else:
                continue
            yield Problem(line, f"{title}, for {told}; take one of them out", is_error=False)


def _covers(other: WrittenRule, rule: WrittenRule) -> bool:
    """Whether the other rule holds wherever this one does, and another one."""
    fewer = set(other.atoms) <= set(rule.atoms) and set(other.unless) <= set(rule.unless)
    same = len(other.atoms) == len(rule.atoms) and len(other.unless) == len(rule.unless)
    return fewer and not same and other.strength >= rule.strength


def _meanings(rules: Sequence[WrittenRule]) -> set[tuple]:
    """What rules say, whatever order they and their names are in."""
    return {
        (frozenset(r.atoms), frozenset(zip(r.unless, r.unless_strengths, strict=True)), r.strength)
        for r in rules
    }


def _names(rule: WrittenRule) -> tuple[str, ...]:
    return (*rule.atoms, *rule.unless)


def _similar_atoms(reading: Reading, model: clip.ClipModel, similar: float) -> Iterator[Problem]:
    ontology = reading.ontology
    atoms = ontology.atoms
    if len(atoms) < 2:
        return
    pairs = similar_pairs(clip.embed_prompts(model, atoms, ontology.templates), similar)
    if unknown := unknown_words(pairs, len(atoms), "atoms", similar):
        cure = "check with --clip, the encoder that you will use"
        yield Problem(None, f"{unknown}; {cure}", is_error=False)
        return
    for i, j, cosine in pairs:
        both = (ontology.strengths[INDIRECT][[i, j]] > 0).all(axis=0)
        events = [event for event, twice in zip(ontology.events, both, strict=True) if twice]
        pair = f", and as indirect atoms of {events[0]!r} they make a pair" if events else ""
        named = {atoms[i], atoms[j]}
        ruled = [
            (event, rule)
            for event, rules in zip(ontology.events, ontology.rules, strict=True)
            for rule in rules
            if named <= set(_names(rule))
        ]
        if ruled and not pair:
            pair = f", and the rule {str(ruled[0][1])!r} of {ruled[0][0]!r} tells them apart"
        yield Problem(
            reading.atom_lines[atoms[i]],
            f"the atoms {atoms[i]!r} and {atoms[j]!r} are nearly one to this encoder "
            f"(cosine {cosine:.3f}){pair}; keep one, or word them further apart",
            is_error=False,
        )
