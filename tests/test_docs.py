"""Every command of README.md and docs/ is run as it stands there, in a folder as a user has it.

A fenced block is

* shell (no language, ``sh``, ``shell``, ``bash``): each command is run and must succeed.
  ``jaxvlm NAME`` and ``python -m launch.NAME`` are the program NAME. Two kinds are
  not run but checked: ``make TARGET`` must be a target of the Makefile, because it would make the
  demo or call these tests, and ``pip install .[EXTRA]`` an extra of pyproject.toml, because tests
  have no network;
* ``python``: executed; the blocks of a document share their names, and find ``frames`` and
  ``pictures``, lists of RGB arrays;
* anything followed by a file name (``yaml my.yaml``, ``python my_config.py``): written to that file
  before the commands are run;
* ``yaml`` and ``json`` without a file name: must parse, and be an ontology if it lists events;
* ``text``: what the commands of the block above print; … stands for anything.

Any other block fails. The files of a user are those that ``user_files`` writes. A hub id such as
openai/clip-vit-base-patch32 is a folder there, with the embedded encoder in it, and SUBSTITUTIONS
are the only words that are changed.
"""

import json
import pkgutil
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from jaxvlm import files
from jaxvlm.command import programs
from jaxvlm.data.images import read_image
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.resources import path as resource
from jaxvlm.world import ood_pictures, vocabulary
from jaxvlm.world.ood_pictures import ID_CLASSES
from jaxvlm.world.splits import write_split
from tests.compiling import as_for_users
from tests.launch.one_process import program_words, run_all
from tests.ood.words.test_wordnet import write_part

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# tests/launch/test_evaluate_video.py runs those of protocols.md: they need annotation files.
RUN_HERE = [path for path in DOCUMENTS if path.name != "protocols.md"]
SHELL = ("", "sh", "shell", "bash")
SUBSTITUTIONS = {"/usr/share/wordnet": "wordnet"}  # Debian's folder may be missing here
HUB_IDS = ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch16")
NUM_VIDEOS = 6
NUM_PICTURES = 12


class Block(NamedTuple):
    """A fenced block: where its text begins, its language, the file it is, and the text."""

    place: str
    language: str
    file: str
    text: str


def read_blocks(path: Path) -> list[Block]:
    blocks, start, lines = [], None, path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            language, _, file = line[3:].strip().partition(" ")
        else:
            text = "\n".join(lines[start : number - 1]) + "\n"
            place = f"{path.relative_to(ROOT)}:{start + 1}"
            blocks.append(Block(place, language, file.strip(), text))
            start = None
    assert start is None, f"{path}:{start}: the block does not end"
    return blocks


def commands(block: Block) -> list[list[str]]:
    """The words of each command; a backslash at the end of a line continues it."""
    text = block.text.replace("\\\n", " ")
    for word, other in SUBSTITUTIONS.items():
        text = text.replace(word, other)
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def to_run(words: list[str]) -> list[str] | None:
    """The words behind ``jaxvlm``, or None for what is checked and not run."""
    if (called := program_words(words)) is not None:
        name = called[0].replace("_", "-") if called else ""
        assert name.startswith("--") or name in programs.NAMES, f"{name}: no such program"
        return called
    program, *rest = words
    if Path(program).name.startswith("python") and rest[:1] == ["-m"]:
        program, rest = rest[1], rest[2:]
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert rest and rest[0] in targets, f"make {rest}: no such target"
        return None
    if program == "pip" and rest[:1] == ["install"]:
        extras = re.fullmatch(r"\.(?:\[([\w,-]+)\])?", rest[1])
        assert extras, f"pip install {rest[1]}: only . and its extras are checked"
        for extra in (extras[1] or "").split(","):
            assert not extra or extra in project()["optional-dependencies"], f"no extra {extra}"
        return None
    raise AssertionError(f"{shlex.join(words)}: no command that this test can run")


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def user_files(tmp_path_factory) -> Path:
    """A folder with the files of a user whom the documents speak to."""
    base = tmp_path_factory.mktemp("user")
    train = write_split(base / "world" / "train", 3, "train", NUM_VIDEOS)
    (base / "clips").mkdir()
    for path in sorted((train / "videos").iterdir()):
        path.rename(base / "clips" / path.name.replace("train", "cam"))
    shutil.copytree(base / "clips", base / "ordinary")
    for name in ("labels.csv", "intervals.csv", "captions.json"):
        # Written by us, as caption-frames would have it, so that it may write it anew.
        files.write_text(base / name, (train / name).read_text().replace("train_", "cam_"))
    shutil.copy(resource("configs/ontology/world_roles.yaml"), base / "my.yaml")
    for name in HUB_IDS:
        shutil.copytree(resource("checkpoints/clip"), base / name)
    ood_pictures.write_ood_benchmark(base / "ood", seed=4, count=NUM_PICTURES, workers=1)
    shutil.copy(base / "ood" / "class_names.txt", base / "classes.txt")
    for source, target in (("id", "known"), ("id_rare", "photos"), ("ood_unseen", "others")):
        (base / "ood" / source).rename(base / target)
    (base / "SUN" / "images").mkdir(parents=True)  # flat, as the preset sun: wants it
    for i, path in enumerate(sorted((base / "ood" / "ood_empty").rglob("*.jpg"))):
        path.rename(base / "SUN" / "images" / f"{i}.jpg")
    write_wordnet(base / "wordnet")
    for name, rows in embeddings().items():
        np.save(base / f"{name}.npy", rows)
    np.savez(base / "sun.npz", features=embeddings()["others"])
    files.write_arrays(base / "words.safetensors", {"lvis.features": embeddings()["negatives"]})
    return base


def embeddings() -> dict[str, np.ndarray]:
    """Of a made-up encoder: pictures near to classes and to negatives."""
    rng = np.random.default_rng(0)
    banks = {
        "classes": rng.normal(size=(len(ID_CLASSES), 32)),
        "negatives": rng.normal(size=(40, 32)),
    }
    for name, bank in (("known", banks["classes"]), ("others", banks["negatives"])):
        rows = np.resize(bank, (80, 32))
        banks[name] = rows + 0.3 * rng.normal(size=rows.shape)
    return {name: bank.astype(np.float32) for name, bank in banks.items()}


def write_wordnet(folder: Path) -> None:
    """WordNet's files with a noun for everything in every place: enough for 100 groups."""
    folder.mkdir()
    things = (*vocabulary.OBJECTS, *vocabulary.ATOMS)
    nouns = [f"{place} {thing}" for place in vocabulary.BACKGROUNDS for thing in things]
    nouns += [f"{thing} {place}" for place in vocabulary.BACKGROUNDS for thing in things]
    nouns += [f"{light} {noun}" for light in ("dim", "foggy") for noun in nouns]
    for suffix, pos, words in (("noun", "n", nouns), ("adj", "a", ["bright"]),
                               ("verb", "v", ["run"]), ("adv", "r", ["slowly"])):  # fmt: skip
        synsets = {word: (6, [word.replace(" ", "_")], []) for word in words}
        write_part(folder, suffix, pos, synsets)


@pytest.mark.parametrize("document", RUN_HERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_does_what_it_says(document, user_files, tmp_path, monkeypatch):
    folder = tmp_path / "user"
    shutil.copytree(user_files, folder)
    monkeypatch.chdir(folder)
    blocks = read_blocks(document)
    for block in blocks:
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
    compiled_as = as_for_users() if document.name == "README.md" else None
    printed = run_commands(blocks, folder, compiled_as)
    names = {"frames": pictures("known"), "pictures": pictures("photos"), **embeddings()}
    for number, block in enumerate(blocks):
        if block.file or block.language in SHELL:
            continue
        if block.language == "python":
            above = "\n" * (int(block.place.split(":")[1]) - 1)  # so that a traceback has its line
            exec(compile(above + block.text, ROOT / block.place.split(":")[0], "exec"), names)
        elif block.language == "text":
            check_output(block, printed.get(number - 1, ""))
        elif block.language in ("yaml", "json"):
            check_data(block)
        else:
            raise AssertionError(f"{block.place}: a block that is not run:\n{block.text}")


def run_commands(
    blocks: list[Block], folder: Path, environment: dict[str, str] | None
) -> dict[int, str]:
    """Runs all programs of a document in one process: what those of each block print."""
    lines = {
        (number, i): line
        for number, block in enumerate(blocks)
        if block.language in SHELL and not block.file
        for i, words in enumerate(commands(block))
        if (line := to_run(words)) is not None
    }
    printed: dict[int, str] = {}
    for (number, i), process in run_all(lines, cwd=folder, environment=environment).items():
        place = f"{blocks[number].place}: {shlex.join(lines[number, i])}"
        assert process.returncode == 0, f"{place}\n{process.stdout}{process.stderr}"
        printed[number] = printed.get(number, "") + process.stdout
    return printed


def pictures(folder: str) -> list[np.ndarray]:
    return [read_image(path) for path in sorted(Path(folder).rglob("*.jpg"))]


def check_output(block: Block, output: str) -> None:
    for line in block.text.splitlines():
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = any(re.search(pattern, " ".join(o.split())) for o in output.splitlines())
        assert found, f"{block.place}: {line!r} is not in\n{output}"


def check_data(block: Block) -> None:
    content = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    if isinstance(content, dict) and "events" in content:
        Path(f"block.{block.language}").write_text(block.text, encoding="utf-8")
        load_ontology(f"block.{block.language}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize(
    "words",
    [
        ["jaxvlm", "nothing"],
        ["make", "tea"],
        ["pip", "install", "numpy"],
        ["rm", "-r", "x"],
    ],
)
def test_what_cannot_be_run_fails(words):
    with pytest.raises(AssertionError):
        to_run(words)


def test_output_is_compared():
    block = Block("x:1", "text", "", "3 videos: …/report.html\n")
    check_output(block, "a\n3  videos: out/report.html\n")
    with pytest.raises(AssertionError, match="3 videos"):
        check_output(block, "4 videos: out/report.html\n")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_functions_are_there(document):
    for name in re.findall(r"`(jaxvlm(?:\.\w+)+)`", document.read_text(encoding="utf-8")):
        pkgutil.resolve_name(name)  # a module, or what is in one


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_files_are_there(document):
    folders = "benchmarks|checkpoints|configs|docs|jaxvlm|launch|tests"
    for name in re.findall(rf"[`=]((?:{folders})/[\w/.]+)`", document.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{document.name}: {name}"
