"""What a program imports before its flags are read, and what when it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

from jaxvlm.command import programs
from jaxvlm.world import videos as world

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "jax", "transformers", "torch", "sklearn", "matplotlib", "pandas", "cv2", "scipy", "grain",
    "openvino",
)  # fmt: skip
# Runs command lines of `jaxvlm`, one after the other; prints for each its exit code and, of the
# modules named first, those that were imported by then.
CODE = """
import json, sys
watched, *lines = map(json.loads, sys.argv[1:])
from absl import flags
from ml_collections import config_flags  # defines a flag
from jaxvlm.command import cli, programs
for line in lines:
    own = set(flags.FLAGS)
    try:
        programs.main(line)
        code = 0
    except SystemExit as end:
        code = 0 if not end.code else 1
    print(json.dumps([code, [name for name in watched if name in sys.modules]]), file=sys.stderr)
    flags.FLAGS.remove_flag_values(set(flags.FLAGS) - own)
    flags.FLAGS.unparse_flags()
"""


def imported(watched, lines, folder):
    """(exit code, which of the modules are there) after each command line, in one process."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(json.dumps, (watched, *lines))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]


def test_help_and_a_wrong_flag_of_every_program_import_nothing_heavy(tmp_path):
    asked = ["--help"], ["--nonsense=1"]
    lines = [[name, *words] for name in programs.NAMES for words in asked]
    found = imported(HEAVY, lines, tmp_path)
    expected = [[0, []], [1, []]] * len(programs.NAMES)
    wrong = [one for one in zip(lines, found, expected, strict=True) if one[1] != one[2]]
    assert not wrong


def test_fields_of_a_config_and_wrong_values_import_nothing_heavy(tmp_path):
    lines = [
        ["score-video", "--help=config"],
        ["evaluate-ood", "--help=config"],
        ["score-video", "--video=a.mp4", "--out_dir=out", "--threshold=2"],
        ["score-images", "--images=a", "--out_dir=out", "--config.num_resamples=x"],
        ["demo", "--config.no_such_field=1"],
    ]
    codes = [0, 0, 1, 1, 1]
    assert imported(HEAVY, lines, tmp_path) == [[code, []] for code in codes]


def test_a_video_is_scored_and_watched_without_what_has_no_part_in_it(tmp_path):
    """transformers, which imports PyTorch where it is installed, and what trains and measures."""
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:1]), tmp_path / "clip.mp4")
    watched = [
        "torch", "transformers", "sklearn", "scipy.stats", "optax", "grain", "matplotlib",
        "openvino",
    ]  # fmt: skip
    lines = [
        ["watch", "--source=clip.mp4", "--fps=0.2", "--out=lines.jsonl"],
        ["score-video", "--video=clip.mp4", "--out_dir=out", "--config.fps=0.2"],
    ]
    assert imported(watched, lines, tmp_path) == [[0, []], [0, []]]
    assert (tmp_path / "out" / "report.html").is_file()
