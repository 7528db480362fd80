"""Caption files are written by hand here; the expected evidence is read off them."""

import json
from collections import Counter

import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.ontology import captions

ATOMS = ("blast flash", "crashed cars", "smoke plume")
FRAMES = ("/data/frames/v1/000000.jpg", "/data/frames/v1/000001.jpg", "/data/frames/v2/000000.jpg")


def read(tmp_path, content):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(content))
    return captions.read_captions(path)


def named(result):
    """(frame, atom) pairs."""
    return [(t, ATOMS[c]) for t, c in np.argwhere(result.named)]


@pytest.mark.parametrize(
    ("raw", "phrases"),
    [
        ("ATOMS: a; b, c", ("a", "b", "c")),
        ("atoms : Smoke plume.", ("Smoke plume",)),
        (
            "I see things; many.\nATOMS: - \"blast flash\"; 'smoke plume'.\nDone, thanks",
            ("blast flash", "smoke plume"),
        ),
        ("ATOMS: a\nATOMS: b", ("b",)),
        ("ATOMS: a; a", ("a",)),
        ("ATOMS: none", ()),
        ("ATOMS: None.", ()),
        ("ATOMS: [N/A]", ()),
        ("ATOMS:", ()),
        ("", ()),
        ("a; b", ("a", "b")),  # the marker forgotten
        ("A picture of a road.\nNothing else.", ()),  # prose
    ],
)
def test_parse_raw(raw, phrases):
    assert captions.parse_raw(raw) == phrases


@pytest.mark.parametrize(
    ("phrase", "same"),
    [
        ("The Crashed-Cars!", "crashed cars"),
        ("  a   smoke\nplume", "smoke plume"),
        ("a", "a"),
    ],
)
def test_normalize_phrase(phrase, same):
    assert captions.normalize_phrase(phrase) == same


@pytest.mark.parametrize(
    ("phrase", "same"),
    [
        ("crashed cars", "crashed car"),
        ("broken glass", "broken glass"),
        ("bus", "bus"),
        ("Toys guns", "toy gun"),
        ("gas", "gas"),
    ],
)
def test_singular(phrase, same):
    assert captions.singular(phrase) == same


def test_new_and_older_form(tmp_path):
    source = read(
        tmp_path,
        {
            FRAMES[0]: {"atoms": ["Blast Flash", "smoke plumes"], "raw": "ATOMS: ignored"},
            FRAMES[1]: {"raw": "ATOMS: crashed car"},
            FRAMES[2]: {
                "confirm": ["smoke plume"],
                "resemble": ["blast flash", "smoke plume"],
                "raw": "",
            },
        },
    )
    result = captions.match_captions(source, FRAMES, ATOMS)
    assert named(result) == [
        (0, "blast flash"),
        (0, "smoke plume"),
        (1, "crashed cars"),
        (2, "smoke plume"),
    ]
    # Only resembled; where the atom is named as well, being named is all that counts.
    assert result.resembled.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert result.named.dtype == bool and result.resembled.dtype == np.float32


@pytest.mark.parametrize("prefix", ["", "./", "/data/frames/", "C:\\other\\frames\\", "x/y/z/"])
def test_frames_are_found_by_path_or_by_folder_and_name(tmp_path, prefix):
    key = prefix + ("v2\\000000.jpg" if "\\" in prefix else "v2/000000.jpg")
    result = captions.match_captions(
        read(tmp_path, {key: {"atoms": ["blast flash"]}}), FRAMES, ATOMS
    )
    assert named(result) == [(2, "blast flash")]
    assert (result.coverage.frames_found, result.coverage.frames_total) == (1, 3)


def test_the_longest_common_path_wins(tmp_path):
    source = read(
        tmp_path,
        {
            "/old/test/v1/0.jpg": {"atoms": ["smoke plume"]},
            "/old/train/v1/0.jpg": {"atoms": ["blast flash"]},
            "/z/new/test/v1/0.jpg": {"atoms": []},
            "/new/test/v1/0.jpg": {"atoms": ["crashed cars"]},
        },
    )
    result = captions.match_captions(source, ["/new/train/v1/0.jpg", "/new/test/v1/0.jpg"], ATOMS)
    assert named(result) == [(0, "blast flash"), (1, "crashed cars")]


def test_two_keys_that_fit_equally_well(tmp_path):
    source = read(
        tmp_path, {"/a/v1/0.jpg": {"atoms": ["smoke plume"]}, "/b/v1/0.jpg": {"atoms": []}}
    )
    with pytest.raises(InputError, match="/a/v1/0.jpg and /b/v1/0.jpg both fit .*; ") as error:
        captions.match_captions(source, ["/c/v1/0.jpg"], ATOMS)
    assert str(error.value).startswith(str(tmp_path / "captions.json"))


def test_file_that_matches_no_frame(tmp_path):
    source = read(tmp_path, {"/a/other/0.jpg": {"atoms": []}})
    with pytest.raises(InputError, match="matches no frame") as error:
        captions.match_captions(source, FRAMES, ATOMS)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "captions.json")) and "\n" not in message
    assert "/a/other/0.jpg" in message and "v1/000000.jpg" in message
    with pytest.raises(InputError, match="matches no frame"):
        captions.match_captions(read(tmp_path, {}), FRAMES, ATOMS)


def test_similarity_and_coverage(tmp_path):
    source = read(
        tmp_path,
        {
            FRAMES[0]: {"atoms": ["flash of light", "Pink Elephant", "blast flash", "none"]},
            FRAMES[1]: {"atoms": ["pink elephant", "dense smoke"]},
        },
    )
    asked = []
    table = {
        "dense smoke": (0.1, 0.2, 0.9),
        "flash of light": (0.86, 0, 0.85),
        "pink elephant": (0.84, 0.1, 0),
    }

    def similarity(phrases):
        asked.append(phrases)
        return np.array([table[p] for p in phrases])

    result = captions.match_captions(source, FRAMES, ATOMS, similarity=similarity)
    assert asked == [["dense smoke", "flash of light", "pink elephant"]]  # once, no atom in it
    assert named(result) == [(0, "blast flash")]
    np.testing.assert_allclose(result.resembled, [[0, 0, 0.85], [0, 0, 0.9], [0, 0, 0]], rtol=1e-6)
    assert result.coverage == captions.Coverage(2, 3, 1, 2, Counter({"pink elephant": 2}))

    result = captions.match_captions(source, FRAMES, ATOMS)
    assert not result.resembled.any()
    assert result.coverage.phrases_unknown == Counter(
        {"pink elephant": 2, "dense smoke": 1, "flash of light": 1}
    )


def test_plural_is_used_only_where_one_atom_fits(tmp_path):
    source = read(
        tmp_path, {"v/0.jpg": {"atoms": ["crashed car"]}, "v/1.jpg": {"atoms": ["burning cars"]}}
    )
    result = captions.match_captions(
        source, ["v/0.jpg", "v/1.jpg"], ["crashed car", "crashed cars", "burning car"]
    )
    assert result.named.tolist() == [[True, False, False], [False, False, True]]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ([], "must be one JSON object"),
        ({"v/0.jpg": ["a"]}, "v/0.jpg: must be an object"),
        ({"v/0.jpg": {"atoms": "a"}}, "v/0.jpg: atoms must be a list"),
        ({"v/0.jpg": {"confirm": [1]}}, "v/0.jpg: confirm must be a list"),
        ({"v/0.jpg": {"raw": None}}, "v/0.jpg: raw must be a text"),
    ],
)
def test_bad_file(tmp_path, content, cause):
    with pytest.raises(InputError, match=cause) as error:
        read(tmp_path, content)
    assert str(error.value).startswith(str(tmp_path / "captions.json"))


def test_not_json(tmp_path):
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(InputError, match="c.json: not valid JSON"):
        captions.read_captions(tmp_path / "c.json")


def test_dry_captions_match_every_frame_and_name_nothing(tmp_path):
    path = tmp_path / "c.json"
    captions.write_dry_captions(path, FRAMES)
    assert list(files.read_json(path)) == list(FRAMES)
    result = captions.match_captions(captions.read_captions(path), FRAMES, ATOMS)
    assert result.coverage == captions.Coverage(3, 3, 0, 0, Counter())
    assert not result.named.any() and not result.resembled.any()


def test_what_is_said_not_to_be_there_resembles_nothing(tmp_path):
    """To CLIP, "no smoke plume" is as near to "smoke plume" as "thick smoke" is."""
    source = read(
        tmp_path,
        {
            FRAMES[0]: {"atoms": ["No smoke plume", "not crashed cars", "without a blast flash"]},
            FRAMES[1]: {"atoms": ["thick smoke", "notable smoke"]},
        },
    )
    result = captions.match_captions(
        source, FRAMES, ATOMS, similarity=lambda phrases: np.full((len(phrases), 3), 0.9)
    )
    assert result.resembled.any(axis=1).tolist() == [False, True, False]
    assert result.coverage.phrases_similar == 2 and len(result.coverage.phrases_unknown) == 3


@pytest.mark.parametrize("name", ["atoms", "outside", "confirm", "resemble"])
def test_a_phrase_with_a_control_character_is_refused(tmp_path, name):
    (tmp_path / "c.json").write_text(json.dumps({"a/1.jpg": {name: ["fire", "smo\x1bke"]}}))
    with pytest.raises(InputError, match=rf"a/1.jpg: {name} holds the control character \\x1b"):
        captions.read_captions(tmp_path / "c.json")


def test_a_model_s_answer_loses_its_control_characters():
    found = captions.parse_answer("ATOMS: fire\x07, sm\x1boke, white\u202evan")
    assert found.named == ("fire", "sm oke", "white van")
