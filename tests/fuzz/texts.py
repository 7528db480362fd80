"""Readers of texts: ontologies, lists, results of others."""

import json
import math
from pathlib import Path

import jax
import numpy as np

from jaxvlm.data import annotations, image_lists, video_lists
from jaxvlm.data.class_lists import read_class_ids
from jaxvlm.ontology import ontology as ontologies
from jaxvlm.ontology.parameters import role_params
from jaxvlm.ood.words import lists, wordnet
from jaxvlm.pictures.query_texts import read_queries
from jaxvlm.prototypes import ontology as prototype_ontology
from jaxvlm.prototypes import results
from jaxvlm.terminal import control_character
from jaxvlm.video import camera_list
from tests.fuzz.case import Reader
from tests.ood.words.test_wordnet import ADJECTIVES, NOUNS, write_part
from tests.prototypes.prototype_folder import ONTOLOGY as PROTOTYPE
from tests.video.role_runs import ONTOLOGY

RESULTS = {
    "config": {"dataset": "waterbirds_vs_placesbg", "lambda_values": [0.0, 1.0]},
    "baseline_plain": {"method": "plain NegLabel", "metrics": {"auroc": 0.5, "fpr95": 0.25}},
    "method_star": {
        "lambda_results": [{"lambda": 0.0, "auroc": 0.6, "aupr_in": 0.4, "fpr95": 0.2}],
        "best_result": {"lambda": 0.0, "auroc": 0.6, "aupr_in": 0.4, "fpr95": 0.2},
    },
}


def text(name: str, content: str):
    """A function that writes one file."""
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def as_json(name: str, value):
    return text(name, json.dumps(value, indent=1))


def are_texts(values) -> None:
    assert all(isinstance(value, str) for value in values)


def are_names(values, *, least: int = 1) -> None:
    """Names as tables, prompts and pages may have them."""
    values = list(values)
    are_texts(values)
    assert len(values) >= least and all(value.strip() for value in values)
    assert not any(control_character(value) for value in values), values


def _check_ontology(found) -> None:
    are_names(found.events)
    are_names(found.atoms)
    shape = len(found.atoms), len(found.events)
    assert found.candidates.shape == shape and found.candidates.any(axis=0).all()
    assert sorted(set(found.atoms)) == list(found.atoms)
    for strength in found.strengths.values():
        assert strength.shape == shape and (strength >= 0).all() and (strength <= 1).all()
    assert all(template.count("{}") == 1 for template in found.templates)
    are_texts(found.neutral_prompts)
    assert len(found.rules) == len(found.events)
    for column, own in zip(found.candidates.T, found.rules, strict=True):
        named = {atom for atom, is_in in zip(found.atoms, column, strict=True) if is_in}
        for rule in own:
            assert 1 <= len(rule.atoms) <= 2 and 0 < rule.strength <= 1
            assert len({*rule.atoms, *rule.unless}) == len(rule.atoms) + len(rule.unless)
            assert {*rule.atoms, *rule.unless} <= named
            assert all(0 < each <= 1 for each in rule.unless_strengths)
    for leaf in jax.tree.leaves(role_params(found)):
        assert np.isfinite(np.asarray(leaf)).all()


def _ontology(folder: Path):
    """Read in both ways, which must agree on whether it is good."""
    path = next(path for path in sorted(folder.iterdir()))
    reading = ontologies.read_ontology(path)
    found = ontologies.load_ontology(path)
    assert not any(problem.is_error for problem in reading.problems)
    return found


def _prototype_ontology(folder: Path):
    (folder / "read.yaml").write_text(prototype_ontology.to_yaml(folder / "ontology.py"))
    try:
        return ontologies.load_ontology(folder / "read.yaml")
    finally:
        (folder / "read.yaml").unlink()


RULES = """\
events:
  crash:
    direct: [fireball]
    rules:
      - [smoke plume, people running away]
      - crashed car unless tow truck, film crew
      - {atoms: [drums], unless: [brass band: 0.5], strength: 0.8}
      - smoke plume with drums: 0.7
    weights: {direct: 1.2, absence: -2.5, bias: -3}
  riot: {rules: [crashed car with banner unless drums]}
presence: {drums: {scale: 8.5, center: 0.4}}
settings: {fps: 2.0}
training: {videos: 3}
"""
ROLES = {
    "events": {"fire": {"direct": [{"flame": 0.5}], "indirect": ["smoke"], "counter": ["film"]}},
    "atoms": ["flame", "smoke", "film", "tree"],
    "templates": ["a photo of {}"],
}
SPLIT = {
    "neg_object.txt": "cup\nspoon\n",
    "neg_background.txt": "wall\nsky\n",
    "neg_ambiguous.txt": "paper\n",
    "neg_word_scores.csv": "word,r_score\ncup,0.2\nspoon,0.1\nwall,-0.2\nsky,-0.1\npaper,0\n",
}


def _many(contents: dict[str, str]):
    def make(folder: Path) -> None:
        for name, content in contents.items():
            text(name, content)(folder)

    return make


def _check_split(split) -> None:
    groups = split.object, split.background, split.ambiguous
    for group, least in zip(groups, (1, 1, 0), strict=True):
        are_names(group, least=least)
    words = [word for group in groups for word in group]
    assert len(set(words)) == len(words)
    assert all(math.isfinite(split.r_scores[word]) for word in words)


def _check_negatives(found) -> None:
    are_names(found.words)
    assert not set(found.nouns) & set(found.adjectives) and found.repeated >= 0


def _make_wordnet(folder: Path) -> None:
    write_part(folder, "noun", "n", NOUNS)
    write_part(folder, "adj", "a", ADJECTIVES)
    write_part(folder, "verb", "v", {"bark": (32, ["bark"], [])})
    write_part(folder, "adv", "r", {"loudly": (2, ["loudly"], [])})


def _check_candidates(found) -> None:
    are_names([*found.nouns, *found.adjectives], least=0)


def _classes_and_ids(path: Path):
    names = lists.read_classes(path)
    ids = read_class_ids(path)
    assert ids is None or len(ids) == len(names) and all(len(own) == 9 for own in ids)
    return names


def _check_results(table) -> None:
    assert len(table) and list(table.columns) == results.COLUMNS
    for name in ("auroc", "aupr_in", "aupr_out", "fpr95"):
        values = table[name].dropna().astype(float)
        assert values.between(0, 1).all()
    assert results.terminal_table(table)
    are_texts(table["method"])


def _check_annotations(found) -> None:
    assert found
    for key, each in found.items():
        are_names((key, each.name))
        assert all(0 <= a.start < a.end for a in each.intervals)
    are_names((event for each in found.values() for event in each.events), least=0)


def _check_list(found) -> None:
    are_names(found)
    for listed in found.values():
        are_names(listed.events or (), least=0)


def _make_pictures_list(folder: Path) -> None:
    for name in ("a b.png", "c.png"):
        (folder / name).write_bytes(b"no picture is opened")
    text("list.txt", "a b.png 0\nc.png 1\n")(folder)


def _check_pictures(result) -> None:
    _, paths, labels = result
    assert paths and len(labels) in (0, len(paths))
    are_names(labels, least=0)


def _words_and_pickle(folder: Path):
    return lists.read_words(next(folder.iterdir()))


UCF = "Abuse028_x264.mp4  Abuse  165  240  -1  -1\nNormal_1_x264.mp4  Normal  -1  -1  -1  -1\n"
XD = "v=a__#1_label_B1-0-0 10 20 30 40\nw_label_B2-G-0 5 9\n"
XD_CLASSES = "v_label_B1-B2-0 B1 10 20 B2 15 40\nw_label_G-0-0 G 5 9\n"

CAMERAS = """\
cameras:
- name: gate
  source: rtsp://user:pass@10.0.0.7/ch1
  fps: 2
- name: yard
  source: 0
  threshold: {fire: 0.7, other: 0.6}
  cooldown_seconds: 30
"""


def _check_cameras(found) -> None:
    are_names([entry.name for entry in found])
    assert len({entry.name for entry in found}) == len(found)
    for entry in found:
        assert "/" not in entry.name and entry.source
        assert entry.fps is None or 0 < entry.fps < math.inf
        for value in entry.limits.values():
            numbers = value.values() if isinstance(value, dict) else [value]
            assert all(math.isfinite(number) for number in numbers)


READERS = {
    "cameras": Reader(
        text("cameras.yaml", CAMERAS),
        lambda folder: camera_list.read_cameras(folder / "cameras.yaml"),
        _check_cameras,
    ),
    "ontology yaml": Reader(text("ontology.yaml", ONTOLOGY), _ontology, _check_ontology),
    "ontology json": Reader(as_json("ontology.json", ROLES), _ontology, _check_ontology),
    "ontology rules": Reader(text("ontology.yaml", RULES), _ontology, _check_ontology),
    "prototype ontology": Reader(
        text("ontology.py", PROTOTYPE), _prototype_ontology, _check_ontology, names=False
    ),
    "class list": Reader(
        text("classes.txt", "tench\nfire_truck\ngoldfish\n"),
        lambda folder: lists.read_classes(folder / "classes.txt"),
        are_names,
    ),
    "class ids": Reader(
        text("synset_words.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
        lambda folder: _classes_and_ids(folder / "synset_words.txt"),
        are_names,
    ),
    "class json": Reader(
        as_json("classes.json", {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}),
        lambda folder: _classes_and_ids(folder / "classes.json"),
        are_names,
    ),
    "queries": Reader(
        text("queries.txt", "red car\na dog on a beach\n\nTwo men, talking\n"),
        lambda folder: read_queries(folder / "queries.txt"),
        are_names,
    ),
    "words": Reader(
        text("words.txt", "cup\nTurkey\nturkey\nnight club\n"),
        _words_and_pickle,
        lambda found: are_names(found[0]),
    ),
    "negatives": Reader(
        _many({"neg_labels_noun.txt": "cup\nspoon\n", "neg_labels_adj.txt": "red\n"}),
        lists.read_negatives,
        _check_negatives,
    ),
    "split": Reader(_many(SPLIT), lists.read_split, _check_split),
    "wordnet": Reader(
        _make_wordnet,
        lambda folder: wordnet.wordnet_candidates(folder, ["Dog"]),
        _check_candidates,
    ),
    "lexicographer files": Reader(
        _many({"noun.artifact.txt": "cup\nspoon\n", "adj.all.txt": "red\n"}),
        lambda folder: wordnet.lexicographer_candidates(folder, ["Dog"]),
        _check_candidates,
    ),
    "results json": Reader(
        as_json("results.json", RESULTS),
        lambda folder: results.read_results(folder / "results.json"),
        _check_results,
    ),
    "ucf_crime": Reader(
        text("annotations.txt", UCF),
        lambda folder: annotations.read_ucf_crime(folder / "annotations.txt"),
        _check_annotations,
    ),
    "xd_violence": Reader(
        text("annotations.txt", XD),
        lambda folder: annotations.read_xd_violence(folder / "annotations.txt"),
        _check_annotations,
    ),
    "xd_violence classes": Reader(
        text("annotations.txt", XD_CLASSES),
        lambda folder: annotations.read_xd_violence(folder / "annotations.txt"),
        _check_annotations,
    ),
    "video list": Reader(
        text("test.list", "a/x_label_B1-0-0__0.npy\na/x_label_B1-0-0__1.npy\nb/y_label_A.npy\n"),
        lambda folder: video_lists.read_video_list(folder / "test.list"),
        _check_list,
    ),
    "video list csv": Reader(
        text("test.csv", "path,label\na/x__0.npy,B1-B2-0\na/y.npy,Normal\n"),
        lambda folder: video_lists.read_video_list(folder / "test.csv"),
        _check_list,
    ),
    "picture list": Reader(
        _make_pictures_list,
        lambda folder: image_lists.read_list(folder / "list.txt", None),
        _check_pictures,
        intact=("a b.png", "c.png"),
    ),
}
