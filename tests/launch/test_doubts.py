"""What a user is told where the scores mean nothing: in the terminal, in run.json and on the page.

The strange pictures are stripes and checks, which the rendered world does not have.
"""

import cv2
import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.world import ood_pictures
from jaxvlm.world.splits import write_split
from tests.launch.one_process import run_all

UNLIKE_ENCODER = "unlike the pictures that the encoder was made on"
ONTOLOGY = """
events:
  arson: {direct: [a burglar with a crowbar, thermonuclear warhead, quarterly balance sheet,
    xylophone, mitochondrion]}
templates: ["{}"]
neutral_prompts: [a road]
"""


def pattern(n: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(96), np.arange(96))
    stripes = ((x * (n % 5 + 1) + y * (n % 3)) // 7) % 2
    colors = np.random.default_rng(n).integers(0, 256, (2, 3), np.uint8)
    return colors[stripes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    base = tmp_path_factory.mktemp("doubts")
    own = write_split(base / "world", 5, "test", 2) / "videos"
    (base / "strange").mkdir()
    writer = cv2.VideoWriter(
        str(base / "strange" / "cam.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 1, (96, 96)
    )
    (base / "patterns").mkdir()
    for n in range(40):
        writer.write(pattern(n))
        cv2.imwrite(str(base / "patterns" / f"{n:02d}.png"), pattern(n))
    writer.release()
    ood_pictures.write_ood_benchmark(base / "ood", seed=4, count=20, workers=1)
    (base / "odd.yaml").write_text(ONTOLOGY)
    pictures = ["score_images", "--class_names=ood/class_names.txt", "--shown=0"]
    lines = {
        "own": ["score_video", f"--video={own}", "--out_dir=own"],
        "strange": ["score_video", "--video=strange/cam.mp4", "--out_dir=strange_out"],
        "words": ["score_video", f"--video={own}", "--out_dir=words", "--roles=ontology",
                  "--ontology=odd.yaml"],
        "known": [*pictures, "--images=ood/id", "--out_dir=known"],
        "patterns": [*pictures, "--images=patterns", "--out_dir=patterns_out"],
    }  # fmt: skip
    processes = run_all(lines, cwd=base)
    for name, process in processes.items():
        assert process.returncode == 0, (name, process.stderr)
    return base, processes


def everywhere(finished, name: str, folder: str) -> list[str]:
    """The warnings of run.json, which stand in the terminal and on the page too."""
    base, processes = finished
    warnings = files.read_json(base / folder / "run.json")["warnings"]
    page = (base / folder / "report.html").read_text()
    printed = processes[name].stdout
    assert printed.count("warning: ") == len(warnings) == page.count('class="notice"')
    for warning in warnings:
        assert f"warning: {warning}\n" in printed and warning.split(" (")[0] in page
    return warnings


@pytest.mark.parametrize(("name", "folder"), [("own", "own"), ("known", "known")])
def test_what_the_encoder_was_made_on_is_not_warned_of(finished, name, folder):
    assert everywhere(finished, name, folder) == []


def test_strange_videos_are_told(finished):
    (warning,) = everywhere(finished, "strange", "strange_out")
    assert UNLIKE_ENCODER in warning and warning.endswith("take another --clip")


def test_strange_pictures_are_told(finished):
    (warning,) = everywhere(finished, "patterns", "patterns_out")
    assert "these pictures are unlike those that the encoder was made on" in warning


def test_words_that_the_encoder_does_not_know_are_told(finished):
    (warning,) = everywhere(finished, "words", "words")
    assert "pairs of atoms have a cosine" in warning or "can hardly tell apart" in warning
