"""No output lands in or over an input, in any program."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvlm.command import places, programs
from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.sources import READ
from tests.launch.one_process import run_all

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {"DEFINE_string", "DEFINE_list", "DEFINE_multi_string", "define_config"}


def text_flags(path: Path) -> set[str]:
    """The names of a file's flags that hold text; of a comprehension over a table, its keys."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", None) in TEXTS:
            name = call.args[0]
            if isinstance(name, ast.Constant):
                found.add(name.value)
            else:  # evaluate_video: {name: flags.DEFINE_string(name, …) for name in READ}
                found |= set(READ)
    return found


FILES = sorted({*(ROOT / "launch").glob("*.py"), *(ROOT / "jaxvlm" / "command").glob("*.py")})


def test_every_flag_with_a_text_is_sorted():
    """A new flag has to say whether it names an input, an output or neither."""
    flags = {name for path in FILES if path.name != "cli.py" for name in text_flags(path)}
    flags |= {"coordinator_address"}  # of cli.py, whose other calls are definitions of helpers
    sorted_ones = (*places.OUTPUTS, *places.DATA, *places.INPUTS, *places.NEITHER)
    assert len(sorted_ones) == len(set(sorted_ones))
    assert flags == set(sorted_ones)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("clips", "clips/deep", "photos", "words"):
        Path(name).mkdir()
    for name in ("a.mp4", "ontology.yaml", "clips/a.mp4", "list.txt"):
        Path(name).touch()
    Path("link").symlink_to("clips")
    return tmp_path


@pytest.mark.parametrize(
    "values",
    [
        {"out_dir": "clips", "video": "clips"},
        {"out_dir": "clips/out", "video": "clips"},
        {"out_dir": "clips/deep/../out", "video": "clips/"},
        {"out_dir": "link/out", "video": "clips"},
        {"out_dir": "clips", "video": "link"},
        {"out_dir": "clips/out", "frames_root": "."},
        {"out_dir": "out", "frames_root": "."},
        {"out": "ontology.yaml", "ontology": "./ontology.yaml"},
        {"out": "clips/a.mp4", "source": "clips/a.mp4"},
        {"out": "a.mp4", "source": "file://a.mp4"},
        {"out_dir": "photos/x", "id_dir": ["name=photos"]},
        {"out_dir": "photos/x", "id_dir": ["clips", "waterbirds:photos"]},
        {"out_dir": "photos/x", "ood_dirs": ["name=waterbirds:photos"]},
        {"out_dir": "photos/x", "ood_dirs": ["list.txt@photos"]},
        {"out_dir": "photos/x", "ood_dirs": ["a.mp4,near=photos"]},
        {"out_csv": "list.txt", "ood_dirs": ["near=list.txt@photos"]},
        {"out_dir": "words", "wordnet_dir": "words"},
        {"out_dir": "words", "roles": "words"},
    ],
)
def test_an_output_in_or_over_an_input_is_refused(folder, values):
    out, source = list(values)
    with pytest.raises(InputError, match=f"--{out}: .*--{source} reads.*choose") as caught:
        places.check_places(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"out_dir": ".", "video": "clips"},
        {"out_dir": ".", "video": "a.mp4"},
        {"out_dir": "out", "video": "clips", "ontology": None},
        {"out_dir": "clips-out", "video": "clips"},
        {"out_dir": "words", "negatives": "words"},
        {"out_dir": "words/out", "roles": "words"},
        {"out": "words/metrics.json", "scores_dir": "words"},
        {"out": "lines.jsonl", "source": "rtsp://user:secret@camera/clips"},
        {"out_dir": "clips", "id_dir": ["clips=photos"]},
        {"out_dir": "nowhere", "frames_root": "nowhere"},
        {},
    ],
)
def test_other_places_are_taken(folder, values):
    places.check_places(values)


def test_every_program_tests_its_output_before_it_reads_anything(tmp_path):
    """A file stands where the folder shall be; no input exists."""
    (tmp_path / "file").touch()
    out = {"out": "file/a.json", "out_csv": "file/a.csv", "out_dir": "file/run"}
    required = {
        "caption-frames": ["frames_root"],
        "compare-results": ["results"],
        "convert-prototype": ["source"],
        "evaluate-ood": ["id_dir", "ood_dirs", "class_names", "negatives"],
        "export-roles": ["roles"],
        "extract-frames": ["video"],
        "mine-negatives": ["class_names"],
        "propose-atoms": ["captions", "labels_csv", "ontology"],
        "run-pipeline": ["frames_root"],
        "score-images": ["images", "class_names", "negatives"],
        "split-negatives": ["negatives"],
        "train-role-learning": ["manifest_csv"],
        "watch": ["source"],
    }
    commands = {}
    for name in programs.NAMES:
        flags = text_flags(ROOT / "launch" / f"{name.replace('-', '_')}.py") & set(out)
        assert len(flags) == (name != "check-ontology"), name
        inputs = [f"--{flag}=nothing" for flag in required.get(name, ())]
        commands[name] = [name, *inputs, *(f"--{flag}={out[flag]}" for flag in flags)]
    del commands["check-ontology"]
    for name, done in run_all(commands, cwd=tmp_path).items():
        assert done.returncode == 1, name
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1, name
        assert "file: a file, where a folder is needed" in done.stderr, (name, done.stderr)


def test_a_full_disk_says_what_is_written():
    paths = [Path(name) for name in "abcde"]
    again = "run it again when there is room"
    assert places.standing([]) == f"nothing is written; {again}"
    assert places.kept("s") == "what is encoded is kept in --store_dir=s"
    assert places.kept(None).startswith("with --store_dir=FOLDER ")
    assert places.standing(paths[:2]) == f"written and whole: a, b; the rest is missing: {again}"
    assert places.standing(paths) == (
        f"written and whole: a, b, c and 2 more; the rest is missing: {again}"
    )


def test_a_program_whose_disk_fills_ends_in_one_line(tmp_path):
    program = """
from jaxvlm import outputs
from jaxvlm.command import cli
def main():
    for name in "ab":
        with outputs.output_path(name) as new:
            new.touch()
            if name == "b":
                raise OSError(28, "No space left on device")
cli.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: b: cannot be written (No space left on device); make room, or choose a folder "
        "that can be written; written and whole: a; the rest is missing: run it again when there "
        "is room\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".jaxvlm-written.json", "a"]


# Each writes these beside others; all of them are looked at before anything else is read.
WRITTEN = {
    "split-negatives": (["--negatives=no"], ["neg_object.txt", "neg_word_scores.csv", "run.json"]),
    "propose-atoms": (["--captions=no", "--ontology=no"], ["proposals.csv", "run.json"]),
    "render-world": (["--num_pictures=1"], ["run.json", "test/mine.txt", "pictures/mine.txt"]),
    "render-ood": ([], ["run.json", "mine.txt"]),
    "extract-frames": (["--video=no"], ["run.json"]),
    "convert-prototype": (["--source=no"], ["run.json"]),
}


def test_what_the_user_has_in_an_output_s_place_is_found_before_the_work(tmp_path):
    lines, places_of = {}, {}
    for program, (given, names) in WRITTEN.items():
        for number, name in enumerate(names):
            out = tmp_path / f"{program}_{number}"
            (out / name).parent.mkdir(parents=True)
            (out / name).write_text("mine")
            places_of[out.name] = out, name
            lines[out.name] = [program, *given, f"--out_dir={out}"]
    (tmp_path / "all.csv").write_text("mine")
    lines["compare"] = ["compare-results", "--results=no.json", f"--out_csv={tmp_path}/all.csv"]
    lines["evaluate"] = ["evaluate-video", "--scores_dir=no", "--intervals_csv=no.csv",
                         f"--out={tmp_path}/all.csv"]  # fmt: skip
    done = run_all(lines, cwd=tmp_path)
    for key, process in done.items():
        assert process.returncode == 1, key
        told = process.stderr
        assert "jaxvlm did not write" in told or "not written by jaxvlm" in told, (key, told)
        assert told.count("\n") == 1, (key, told)
    for out, name in places_of.values():
        mine = [path for path in out.rglob("*") if path.is_file()]
        assert mine == [out / name] and mine[0].read_text() == "mine"
