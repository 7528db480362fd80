"""``jaxvlm PROGRAM --help``: what comes first, the example, the settings."""

import re
import sys

import pytest
from absl import flags

from jaxvlm.command import help, programs
from jaxvlm.pictures.config import OodConfig
from jaxvlm.video.config import AtomsConfig
from tests.launch.one_process import run_all

SETTINGS = {"demo": "ood_config", "score-video": "config", "evaluate-ood": "config"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """What each program's --help prints, and what --help=config does, by program."""
    lines = {name: [name, "--help"] for name in programs.NAMES}
    lines |= {f"{name} settings": [name, f"--help={flag}"] for name, flag in SETTINGS.items()}
    answers = run_all(lines, cwd=tmp_path_factory.mktemp("help"))
    for answer in answers.values():
        assert (answer.returncode, answer.stderr) == (0, "")
    return {name: answer.stdout for name, answer in answers.items()}


def listed(text: str) -> list[str]:
    """The flags that a help lists, in its order."""
    return re.findall(r"^  --(?:\[no\])?([\w.]+)", text, re.MULTILINE)


@pytest.mark.parametrize("name", programs.NAMES)
def test_the_example_has_every_flag_that_is_needed_and_none_that_there_is_not(texts, name):
    text = texts[name]
    example = re.search(rf"^    jaxvlm {name} .*?[^\\]$", text, re.MULTILINE | re.DOTALL)
    assert example
    given = re.findall(r"--([\w.]+)=", example.group())
    known = listed(text)
    assert set(given) <= set(known)
    needed = re.search(r"^Needed:\n((?:  .*\n)*)", text, re.MULTILINE)
    assert set(listed(needed.group(1)) if needed else []) <= set(given)
    assert len(known) == len(set(known))


@pytest.mark.parametrize("name", programs.NAMES)
def test_no_library_s_flag_is_listed_and_lines_fit(texts, name):
    own = set(listed(texts[name]))
    assert not own & {"grain_num_threads", "verbosity", "alsologtostderr", "only_check_args"}
    assert not [flag for flag in own if flag.startswith(("grain", "jax_", "chex"))]
    assert max(len(line) for line in texts[name].split("\n")) <= 100


def test_what_is_needed_comes_first_then_the_rest_by_what_it_is_about(texts):
    headings = re.findall(r"^(\w.*):$", texts["score-video"], re.MULTILINE)
    assert headings == [
        "Needed", "May be given", "The encoder", "Settings", "Devices and processes",
    ]  # fmt: skip
    # Those of the example come first: what one would set.
    assert listed(texts["score-video"])[:4] == ["out_dir", "video", "roles", "ontology"]
    words = " ".join(texts["score-video"].split())
    assert "(default: checkpoints/roles)" in words  # wherever it is installed
    assert "(default: 0.5)" in words


def test_a_config_s_fields_come_with_value_choices_and_meaning(texts):
    text = texts["score-video settings"]
    assert listed(text)[:2] == ["config.fps", "config.batch_size"]
    words = " ".join(text.split())
    assert "--config.fps Frames per second taken from a video. (here: 1.0)" in words
    assert "One of contrast, cosine, local, sparse. (here: contrast)" in words
    assert len(listed(text)) == 2 + 10 + 3 + 4 + 17  # AtomsConfig and its four parts


def test_a_flag_that_sets_a_field_shows_the_config_s_value(texts):
    roles, ood = AtomsConfig(), OodConfig()
    for program, flag, value in [
        ("train-role-learning", "epochs", roles.roles.epochs),
        ("train-role-learning", "topk", roles.roles.topk),
        ("run-pipeline", "window", roles.segments.window),
        ("run-pipeline", "delta", roles.boundary.delta),
        ("watch", "fps", roles.fps),
        ("score-images", "method", ood.method),
    ]:
        entry = re.search(rf"^  --{flag} (.*?)^(?:  --|\S|$)", texts[program], re.M | re.S)
        assert f"(default: {value}, of --config)" in " ".join(entry.group(1).split()), flag


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_says_what_it_means(texts, name):
    text = texts[f"{name} settings"]
    for entry in re.split(r"^  --", text, flags=re.MULTILINE)[1:]:
        words = entry.split("(here:")[0].split()
        assert len(words) > 2, entry


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        (["--help"], ""),
        (["-h"], ""),
        (["--video=a", "--helpshort"], ""),
        (["--helpfull"], ""),
        (["--help=config"], "config"),
        (["help"], None),
        (["--helper"], None),
        ([], None),
    ],
)
def test_what_asks_for_help(words, subject):
    assert help.asked(words) == subject


def test_a_narrow_terminal_has_narrow_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "64")
    own = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", own)
    module = sys.argv[0]
    flags.DEFINE_string("given", None, "word " * 40, flag_values=own, module_name=module)
    lines = help.text("none", "What it does.").split("\n")
    assert lines[:3] == ["What it does.", "", "May be given:"]
    assert 40 < max(map(len, lines)) <= 64
