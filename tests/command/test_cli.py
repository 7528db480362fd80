"""What every launcher does with flags, errors and records."""

import os
import subprocess
import sys

import pytest

from jaxvlm import resources
from jaxvlm.command import cli
from jaxvlm.video.config import AtomsSettings

PROGRAM = """
from absl import flags

from jaxvlm import resources
from jaxvlm.command import cli
from jaxvlm.errors import InputError

_RATE = flags.DEFINE_float("rate", 1.0, "Of something.", lower_bound=0.0)
_TASK = flags.DEFINE_enum("task", "work", ["work", "complain", "break", "stop"], "What to do.")


def main():
    if _TASK.value == "complain":
        raise InputError("frames/a.jpg: not a picture; replace it")
    if _TASK.value == "break":
        raise ZeroDivisionError("a bug")
    if _TASK.value == "stop":
        raise KeyboardInterrupt
    print("done")


if __name__ == "__main__":
    cli.run(main)
"""


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """Runs the program with arguments: (exit code, stdout, stderr)."""
    folder = tmp_path_factory.mktemp("cli")
    script = folder / "program.py"
    script.write_text(PROGRAM)

    def run(*arguments: str) -> tuple[int, str, str]:
        result = subprocess.run(
            [sys.executable, str(script), *arguments],
            env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
            capture_output=True,
            text=True,
        )
        return result.returncode, result.stdout, result.stderr

    return run


def test_good_input_runs_quietly(launch):
    assert launch("--task=work") == (0, "done\n", "")


def test_bad_input_is_one_line_and_exit_code_one(launch):
    assert launch("--task=complain") == (1, "", "error: frames/a.jpg: not a picture; replace it\n")


def test_a_bug_keeps_its_traceback(launch):
    code, _, stderr = launch("--task=break")
    assert code != 0 and "Traceback" in stderr and "ZeroDivisionError: a bug" in stderr


def test_an_interrupt_is_quiet(launch):
    assert launch("--task=stop") == (130, "", "interrupted\n")


@pytest.mark.parametrize("argument", ["--tsak=work", "--task=play", "--task"])
def test_a_wrong_flag_is_refused(launch, argument):
    code, stdout, stderr = launch(argument)
    assert code != 0 and not stdout and "Traceback" not in stderr
    assert "task" in stderr or "tsak" in stderr


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_none_is_refused(launch, value):
    """absl lets nan through any bounds."""
    code, stdout, stderr = launch(f"--rate={value}")
    assert (code, stdout) == (1, "") and stderr.startswith("error: flag --rate=")
    assert stderr.count("\n") == 1


def test_a_leftover_argument_is_one_line(launch):
    code, stdout, stderr = launch("--task=work", "video.mp4", "more")
    assert (code, stdout) == (1, "")
    assert stderr == "error: video.mp4 more: not a flag; write --name=value, see --help\n"


def test_override_sets_dotted_fields_that_were_given():
    config = cli.override(
        AtomsSettings(),
        {"segments.window": 7, "fps": 2.0, "boundary.delta": None, "roles.epochs": 0},
    )
    assert (config.segments.window, config.fps, config.roles.epochs) == (7, 2.0, 0)
    assert config.boundary == AtomsSettings().boundary


def test_override_of_an_unknown_parent_is_an_error():
    with pytest.raises(AttributeError, match="segmnts"):
        cli.override(AtomsSettings(), {"segmnts.window": 7})


def test_failures_are_a_line_each_and_exit_code_one(capsys):
    cli.report_failures([])
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit) as caught:
        cli.report_failures(["a.mp4: cut short", "b.mp4: no video"])
    assert caught.value.code == 1
    assert capsys.readouterr().err == "failed: a.mp4: cut short\nfailed: b.mp4: no video\n"


def test_the_shipped_configs_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = cli._shipped_config("--config=configs/ood/world.py")
    assert shipped == f"--config={resources.path('configs/ood/world.py')}"
    for other in ("--config=mine.py", "--config.fps=2", "--config=configs/none.py", "--video=a"):
        assert cli._shipped_config(other) == other
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "world.py").write_text("")  # the user's own comes first
    assert cli._shipped_config("--config=configs/world.py") == "--config=configs/world.py"
