"""Frames of videos as JPEGs, with their times."""

from absl import flags

from jaxvlm import outputs, runs
from jaxvlm.command import cli, display
from jaxvlm.names import number_of

_VIDEO = flags.DEFINE_string("video", None, "Video file or a folder of them.", required=True)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets one folder of frames per video.", required=True
)
_FPS = flags.DEFINE_float("fps", 1.0, "Frames per second of presentation time.", lower_bound=1e-6)


def main() -> None:
    from jaxvlm import files
    from jaxvlm.data import videos

    outputs.require_places(_OUT_DIR.value, "run.json")
    seconds: dict[str, float] = {}
    with display.progress() as on_progress:
        with runs.timed(seconds, "extract"):
            result = videos.extract_folder(
                _VIDEO.value, _OUT_DIR.value, fps=_FPS.value, on_progress=on_progress
            )
    settings = {"video": _VIDEO.value, "fps": _FPS.value}
    record = runs.run_record(settings, seed=None, seconds=seconds)
    files.write_json(f"{_OUT_DIR.value}/run.json", record)
    for folder in result.done:
        count = number_of(folder.frames, "frame")
        cli.show(f"{folder.folder}: {count} up to {folder.last_seconds:.1f} s")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
