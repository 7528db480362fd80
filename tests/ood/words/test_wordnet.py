"""A WordNet of twenty synsets, written here in wndb(5WN)'s format."""

import collections

import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.words import wordnet
from jaxvlm.ood.words.wordnet import Pool

# synset: (lexicographer file number, written forms, pointers)
NOUNS = {
    "entity": (3, ["entity"], []),
    "animal": (5, ["animal"], [("@", "entity")]),
    "dog": (5, ["dog", "domestic_dog"], [("@", "animal"), ("~", "poodle"), ("~", "boxer")]),
    "poodle": (5, ["poodle"], [("@", "dog"), ("~", "toy_poodle")]),
    "toy_poodle": (5, ["toy_poodle"], [("@", "poodle")]),
    "boxer": (5, ["boxer"], [("@", "dog")]),
    "fighter": (18, ["boxer", "pugilist"], []),
    "bird": (5, ["turkey"], [("@", "animal")]),
    "state": (15, ["Turkey"], [("@i", "country")]),
    "country": (15, ["country"], [("~i", "state")]),
    "city": (15, ["Paris"], [("@i", "country")]),
    "herb": (20, ["Paris", "genus_Paris"], []),  # a genus, which is no instance of anything
    "star": (17, ["star"], []),
    "sun": (17, ["sun", "Sun"], [("@i", "star")]),
    "sunlight": (19, ["sun"], []),
    "meter": (23, ["meter"], []),
    "crowd": (14, ["crowd"], []),
    "club": (6, ["night_club"], []),
}
ADJECTIVES = {
    "red": (0, ["red"], []),
    "scarlet": (0, ["scarlet"], [("&", "red")]),
    "solar": (1, ["solar"], []),
    "canine": (0, ["dog"], []),
}
KEPT = ["animal", "country", "entity", "night club", "star", "sun", "turkey"]


def write_part(folder, suffix, pos, synsets):
    """data.SUFFIX and index.SUFFIX; the offset of a synset is where its line begins."""

    def line(key, offsets):
        number, forms, pointers = synsets[key]
        kind = "s" if any(symbol == "&" for symbol, _ in pointers) else pos
        words = "".join(f" {form} 0" for form in forms)
        links = "".join(f" {symbol} {offsets[to]:08d} {pos} 0000" for symbol, to in pointers)
        head = f"{offsets[key]:08d} {number:02d} {kind} {len(forms):02x}{words}"
        return f'{head} {len(pointers):03d}{links} | what it is; "an example"  \n'

    header = "  1 A very small WordNet.\n"
    offsets = dict.fromkeys(synsets, 0)
    position = len(header)
    for key in synsets:  # every field has a fixed width, so zeros measure as well
        offsets[key], position = position, position + len(line(key, dict.fromkeys(synsets, 0)))
    (folder / f"data.{suffix}").write_text(header + "".join(line(k, offsets) for k in synsets))
    senses = collections.defaultdict(list)
    for key, (_, forms, _) in synsets.items():
        for form in {form.lower() for form in forms}:
            senses[form].append(offsets[key])
    rows = [
        f"{lemma} {pos} {len(found)} 0 {len(found)} 0 {' '.join(f'{o:08d}' for o in found)}  \n"
        for lemma, found in sorted(senses.items())
    ]
    (folder / f"index.{suffix}").write_text(header + "".join(rows))
    (folder / f"{suffix}.exc").write_text("")


@pytest.fixture
def folder(tmp_path):
    for suffix, pos, synsets in (
        ("noun", "n", NOUNS),
        ("adj", "a", ADJECTIVES),
        ("verb", "v", {"bark": (32, ["bark"], [])}),
        ("adv", "r", {"loudly": (2, ["loudly"], [])}),
    ):
        write_part(tmp_path, suffix, pos, synsets)
    return tmp_path


def test_each_rule_removes_its_words(folder):
    found = wordnet.wordnet_candidates(folder, ["Dog"])
    assert list(found.nouns) == KEPT
    assert list(found.adjectives) == ["red", "scarlet"]
    assert found.removed == {
        "excluded files": (4, ("crowd", "meter", "pugilist", "solar")),
        "proper noun": (4, ("Paris", "Sun", "Turkey", "genus Paris")),
        "class": (2, ("dog", "dog")),  # the noun and the adjective
        "synonym": (1, ("domestic dog",)),
        "subcategory": (3, ("boxer", "poodle", "toy poodle")),
    }


def test_hypernyms_go_where_asked_for(folder):
    found = wordnet.wordnet_candidates(folder, ["dog"], Pool(drop_hypernyms=True))
    assert found.removed["hypernym"] == (2, ("animal", "entity"))
    assert list(found.nouns) == [word for word in KEPT if word not in ("animal", "entity")]


def test_the_published_pool_is_the_first_lemmas_in_small_letters(folder):
    """Of every synset outside noun.animal, noun.food and the excluded files its first form."""
    pool = Pool("first_lemmas", filtered=False)
    found = wordnet.wordnet_candidates(folder, ["star"], pool)
    # By hand from NOUNS: no animal, no second form (Sun, genus Paris), no one-letter word.
    assert found.nouns == ("country", "entity", "night club", "paris", "sun", "turkey")
    assert found.adjectives == ("dog", "red", "scarlet")
    assert found.removed["class"] == (1, ("star",))
    assert found.removed["excluded files"] == (4, ("boxer", "crowd", "meter", "solar"))
    every = wordnet.wordnet_candidates(folder, ["dog"], pool._replace(excluded=()))
    assert {"boxer", "crowd", "meter"} < set(every.nouns) and "solar" in every.adjectives
    assert "poodle" not in every.nouns  # NegLabel's files have no noun.animal either
    sifted = wordnet.wordnet_candidates(folder, ["dog"], pool._replace(filtered=True))
    assert sifted.nouns == ("country", "entity", "night club", "star")
    assert sifted.removed["proper noun"] == (3, ("paris", "sun", "turkey"))
    with pytest.raises(InputError, match="pool 'all': unknown; use one of written_forms, first"):
        wordnet.wordnet_candidates(folder, ["dog"], Pool("all"))


def test_a_folder_of_lexicographer_files_is_taken_to_the_word(tmp_path):
    for name, words in {
        "noun.act": "running\n[odd\nbank",
        "noun.person": "nurse",
        "adj.all": "red\nbank",
        "adj.pert": "solar",
        "verb.act": "run",
    }.items():
        (tmp_path / f"{name}.txt").write_text(words + "\n")
    found = wordnet.read_candidates(tmp_path, None, ["Running"])
    assert found == (("[odd", "bank"), ("bank", "red"), {"class": (1, ("running",))})
    every = wordnet.read_candidates(tmp_path, None, ["x"], Pool(excluded=()))
    assert every.nouns == ("[odd", "bank", "nurse", "running")
    assert every.adjectives == ("bank", "red", "solar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no noun.*txt or adj.*txt in it"):
        wordnet.read_candidates(tmp_path / "empty", None, ["x"])
    with pytest.raises(InputError, match="give one of --words and --wordnet_dir"):
        wordnet.read_candidates(None, None, ["x"])


def test_a_plural_class_is_understood(folder):
    found = wordnet.wordnet_candidates(folder, ["dogs"])
    assert found.removed["synonym"].examples == ("dog", "domestic dog")
    assert found.removed["subcategory"].count == 3


def test_an_unknown_class_removes_nothing(folder):
    found = wordnet.wordnet_candidates(folder, ["flux capacitor"])
    assert [found.removed[r].count for r in ("class", "synonym", "subcategory")] == [0, 0, 0]
    assert len(found.nouns) == len(KEPT) + 5  # dog, domestic dog, boxer, poodle, toy poodle


def test_nltk_is_left_as_it_was(folder):
    before = list(wordnet.nltk.data.path)
    wordnet.wordnet_candidates(folder, ["dog"])
    assert wordnet.nltk.data.path == before


def test_no_wordnet_says_where_to_get_it(folder):
    with pytest.raises(InputError, match="no such folder; apt install wordnet-base .* --words"):
        wordnet.wordnet_candidates(folder / "gone", ["dog"])
    (folder / "index.verb").unlink()
    with pytest.raises(InputError, match="no index.verb in it; apt install"):
        wordnet.wordnet_candidates(folder, ["dog"])


@pytest.mark.parametrize("name", ["data.noun", "index.noun", "data.adj"])
@pytest.mark.parametrize("keep", [0.7, 0.72, 0.74])
def test_a_cut_or_foreign_file_is_refused(folder, name, keep):
    text = (folder / name).read_text()
    (folder / name).write_text(text[: int(len(text) * keep)] + "\nno WordNet at all\n")
    with pytest.raises(InputError) as caught:
        wordnet.wordnet_candidates(folder, ["dog"])
    assert "not WordNet's files" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, lines",
    [("data.noun", 0), ("index.noun", 0), ("data.adj", 0), ("index.adj", 0), ("data.noun", 2),
     ("data.adj", 2)],
)  # fmt: skip
def test_an_empty_file_and_one_cut_between_lines_are_refused(folder, name, lines):
    text = (folder / name).read_text().splitlines(keepends=True)
    (folder / name).write_text("".join(text[:lines]))
    with pytest.raises(InputError) as caught:
        wordnet.wordnet_candidates(folder, ["dog"])
    message = str(caught.value)
    assert name.partition(".")[2] in message and "apt install" in message and "\n" not in message


def test_a_file_cut_in_its_last_line_is_refused(folder):
    text = (folder / "data.noun").read_text()
    (folder / "data.noun").write_text(text[:-20])
    with pytest.raises(InputError, match="or cut: 0 of"):
        wordnet.wordnet_candidates(folder, ["dog"])


@pytest.mark.parametrize("name", ["data.noun", "index.noun", "data.adj"])
def test_line_ends_of_windows_are_refused_with_the_cure(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"\n", b"\r\n"))
    with pytest.raises(InputError, match=rf"{name}: has the line ends of Windows.*dos2unix"):
        wordnet.wordnet_candidates(folder, ["dog"])
