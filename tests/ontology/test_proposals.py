"""Captions are built here so that the right proposals follow by counting."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from jaxvlm.errors import InputError
from jaxvlm.ontology.captions import Captions, FrameCaption, read_captions
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.ontology.proposals import (
    merge_phrases,
    proposals_table,
    proposals_yaml,
    propose_atoms,
    rank_separation,
    read_video_labels,
)
from tests.launch.one_process import run_all

ONTOLOGY = """
events:
  riot: {direct: [burning barricade], indirect: [angry crowd]}
  theft: {direct: [broken lock]}
"""
# Words that mean the same point the same way; all other words are orthogonal.
SYNONYMS = {"thrown stones": "stones", "flying stones": "stones", "stones in the air": "stones"}


def embed(phrases):
    """Unit vectors: one axis per meaning, found by the order of a fixed list."""
    axes = [*dict.fromkeys([SYNONYMS.get(p, p) for p in WORDS])]
    return np.eye(len(axes), dtype=np.float32)[[axes.index(SYNONYMS.get(p, p)) for p in phrases]]


WORDS = [
    *("burning barricade", "angry crowd", "broken lock"),
    *("thrown stones", "flying stones", "stones in the air"),
    *("crowbar", "carnival", "lamp", "rare thing"),
]


def world():
    """20 videos of 4 frames: 0 to 7 riots, 8 to 13 thefts, the rest normal.

    All riots and two carnivals (14, 15) and two more (16, 17) show a burning barricade. Stones
    are said in riots 0 to 6 and nowhere else, in three words; a crowbar in 8 thefts and normal
    videos; the carnival in 14 to 17; a lamp everywhere; the rare thing in two riots.
    """
    frames = {}
    for n in range(20):
        said = [["lamp"], ["A lamp."], [], ["none"]]
        if n < 8 or 14 <= n < 18:
            said[0].append("burning barricade")
            said[1].append("Burning Barricades")
        if n < 7:
            words = ("thrown stones", "flying stones", "thrown stones", "stones in the air")
            said[n % 3].append(words[n % 4])
        if 14 <= n < 18:
            said[0].append("the carnival")
            said[2].append("carnival")
        if 8 <= n < 14:
            said[3].append("crowbar")
        if n < 2:
            said[2].append("rare thing")
        for t, phrases in enumerate(said):
            frames[f"C:\\data\\v{n:02d}\\{t}.jpg"] = FrameCaption(tuple(phrases), ())
    labels = pd.DataFrame(
        {
            "video_id": [f"v{n:02d}" for n in range(20)],
            "riot": [int(n < 8) for n in range(20)],
            "theft": [int(8 <= n < 14) for n in range(20)],
        }
    )
    return Captions("c.json", frames), labels


@pytest.fixture
def ontology(tmp_path):
    (tmp_path / "o.yaml").write_text(ONTOLOGY)
    return load_ontology(tmp_path / "o.yaml")


def test_right_phrases_come_out_with_their_counts(ontology):
    captions, labels = world()
    result = propose_atoms(captions, labels, ontology, embed)
    assert (result.videos, result.frames) == (20, 80)
    assert (result.unknown_phrases, result.groups) == (7, 5)  # stones are one group
    by_phrase = {p.phrase: p for p in result.proposals}
    stones, crowbar, carnival = map(by_phrase.get, ("thrown stones", "crowbar", "carnival"))
    assert len(result.proposals) == 3
    assert stones[:7] == (
        *("riot", "direct", "thrown stones", ("flying stones", "stones in the air")),
        *(7, 7, 7),
    )
    # 7 of 8 riots say it on one frame and no other video does: U = 7·12 + 12/2 of 8·12 pairs.
    assert stones.auroc == pytest.approx((7 * 12 + 6) / 96)
    assert crowbar[:7] == ("theft", "direct", "crowbar", (), 6, 6, 6)
    assert crowbar.auroc == 1.0 and crowbar.z == pytest.approx(np.sqrt(19))  # said = label
    # Among the 12 videos with a barricade: 4 say carnival, none of them is one of the 8 riots.
    assert carnival[:7] == ("riot", "counter", "carnival", (), 8, 4, 0)
    assert carnival.auroc == 0.0 and carnival.z == pytest.approx(-np.sqrt(11))


def test_thresholds(ontology):
    captions, labels = world()

    def phrases(**options):
        found = propose_atoms(captions, labels, ontology, embed, **options).proposals
        return [(p.phrase, p.event) for p in found]

    assert ("rare thing", "riot") not in phrases(min_z=1.0)
    assert ("rare thing", "riot") in phrases(min_z=1.0, min_videos=2)
    assert phrases(min_z=3.5) == [("crowbar", "theft"), ("thrown stones", "riot")]
    assert all(phrase != "lamp" for phrase, _ in phrases(min_z=0.1))


def test_no_counter_without_a_direct_atom(tmp_path):
    (tmp_path / "o.yaml").write_text("events: {riot: [burning barricade], theft: [broken lock]}")
    captions, labels = world()
    found = propose_atoms(captions, labels, load_ontology(tmp_path / "o.yaml"), embed).proposals
    assert [(p.phrase, p.role) for p in found] == [
        ("crowbar", "direct"),
        ("thrown stones", "direct"),
    ]


def test_phrases_that_resemble_an_atom_are_known(ontology):
    captions, labels = world()
    with_stones = ontology._replace(
        atoms=("angry crowd", "broken lock", "burning barricade", "flying stones"),
        candidates=np.pad(ontology.candidates, ((0, 1), (0, 0))),
        strengths={r: np.pad(s, ((0, 1), (0, 0))) for r, s in ontology.strengths.items()},
    )
    found = propose_atoms(captions, labels, with_stones, embed).proposals
    assert {p.phrase for p in found} == {"crowbar", "carnival"}


def test_order_of_the_captions_does_not_matter(ontology):
    captions, labels = world()
    turned = captions._replace(frames=dict(reversed(captions.frames.items())))
    shuffled = labels.sample(frac=1, random_state=0)
    assert propose_atoms(captions, labels, ontology, embed) == propose_atoms(
        turned, shuffled, ontology, embed
    )


def test_captions_of_other_videos(ontology):
    captions, labels = world()
    with pytest.raises(InputError, match="c.json: no key lies in the folder of a labelled video"):
        propose_atoms(captions, labels.assign(video_id="w" + labels.video_id), ontology, embed)
    # Videos without labels are left out, and so are labels without captions.
    some = labels[labels["video_id"] < "v10"]
    more = pd.concat([some, pd.DataFrame({"video_id": ["x"], "riot": [1], "theft": [0]})])
    assert propose_atoms(captions, more, ontology, embed).videos == 10


@pytest.mark.parametrize("seed", range(4))
def test_rank_separation_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, 4, 8), rng.permutation(np.arange(8) < 3)

    def auroc(truth):
        pairs = itertools.product(scores[truth], scores[~truth])
        return np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])

    # Under the null hypothesis every choice of the three true ones is as likely.
    chosen = [np.isin(np.arange(8), c) for c in itertools.combinations(range(8), 3)]
    null = np.array([auroc(c) for c in chosen])
    expected = (auroc(truth) - null.mean()) / null.std()
    assert rank_separation(scores, truth) == pytest.approx((auroc(truth), expected))


def test_rank_separation_of_nothing_to_separate():
    assert rank_separation(np.ones(3), [True, False, True]) == (0.5, 0.0)
    assert rank_separation(np.arange(3), [True, True, True]) == (0.5, 0.0)
    assert rank_separation(np.array([]), np.array([], bool)) == (0.5, 0.0)


def test_merging_takes_the_nearest_name():
    angles = np.array([0.0, 50.0, 22.0, 48.0, 90.0])
    unit = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], 1)
    groups = merge_phrases(["a", "b", "c", "d", "e"], unit, np.cos(np.radians(30)))
    # c is 22° from a and 28° from b; e is 42° from d, but d is no name.
    assert groups == [("a", ("c",)), ("b", ("d",)), ("e", ())]


def test_yaml_is_an_ontology_and_quotes_what_yaml_would_change(tmp_path, ontology):
    captions, labels = world()
    found = propose_atoms(captions, labels, ontology, embed).proposals
    text = proposals_yaml([found[0]._replace(phrase="no"), *found[1:]])
    assert yaml.safe_load(text) == {
        "events": {
            "riot": {"direct": ["thrown stones"], "counter": ["carnival"]},
            "theft": {"direct": ["no"]},
        }
    }
    (tmp_path / "p.yaml").write_text(text)
    assert load_ontology(tmp_path / "p.yaml").events == ("riot", "theft")
    assert yaml.safe_load(proposals_yaml([])) == {"events": {}}
    assert len(proposals_table([])) == 0


def test_labels_from_a_table_or_a_manifest(tmp_path):
    (tmp_path / "l.csv").write_text("video_id,frame,riot,theft\nv,0,0,1\nv,1,1,0\nw,0,0,0\n")
    labels = read_video_labels(("riot", "theft"), labels_csv=tmp_path / "l.csv")
    assert labels.to_numpy().tolist() == [["v", 1, 1], ["w", 0, 0]]
    for name, row in (("v", "v,1,0"), ("w", "w,0,0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "l.csv").write_text(f"video_id,riot,theft\n{row}\n")
    (tmp_path / "m.csv").write_text("run_dir,labels_csv\nw,w/l.csv\nv,v/l.csv\n")
    labels = read_video_labels(("riot", "theft"), manifest_csv=tmp_path / "m.csv")
    assert labels.to_numpy().tolist() == [["v", 1, 0], ["w", 0, 0]]
    (tmp_path / "m.csv").write_text("run_dir,labels_csv\nw,\n")
    with pytest.raises(InputError, match="m.csv: no run has labels"):
        read_video_labels(("riot", "theft"), manifest_csv=tmp_path / "m.csv")
    with pytest.raises(InputError, match="either --labels_csv or --manifest_csv"):
        read_video_labels(("riot", "theft"))


def test_program(tmp_path):
    captions, labels = world()
    frames = {key: {"atoms": list(c.named), "raw": ""} for key, c in captions.frames.items()}
    (tmp_path / "c.json").write_text(json.dumps(frames))
    assert read_captions(tmp_path / "c.json").frames == captions.frames
    (tmp_path / "o.yaml").write_text(ONTOLOGY)
    labels.to_csv(tmp_path / "l.csv", index=False)
    line = ["propose_atoms", "--captions=c.json", "--ontology=o.yaml", "--out_dir=out"]
    line.append("--tau=1")  # the embedded encoder does not know these words
    done = run_all({"good": [*line, "--labels_csv=l.csv"], "unlabelled": line}, cwd=tmp_path)
    assert done["good"].returncode == 0, done["good"].stderr
    table = pd.read_csv(tmp_path / "out" / "proposals.csv").set_index("phrase")
    assert table.loc["crowbar", ["event", "role", "videos"]].tolist() == ["theft", "direct", 6]
    assert table.loc["carnival", "role"] == "counter"
    assert "crowbar" in (tmp_path / "out" / "proposals.yaml").read_text()
    assert "theft: crowbar (direct; 6 of 6 videos, AUROC 1.00, z 4.4)" in done["good"].stdout
    assert done["unlabelled"].returncode == 1
    assert done["unlabelled"].stderr.startswith("error: labels: give either")
