"""Another world of rendered videos, from a seed.

Videos, captions, labels and the written truth.
"""

from absl import flags

from jaxvlm import outputs, runs
from jaxvlm.command import cli, display
from jaxvlm.world import laws

_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets a folder per split.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0)
_NUM_VIDEOS = flags.DEFINE_integer("num_videos", 20, "Over all splits.", lower_bound=0)
_SPLITS = flags.DEFINE_list(
    "splits", ["train", "validation", "test"], "Splits to render; shares 6 : 1 : 3."
)
_LAW = flags.DEFINE_enum("law", laws.THRESHOLD, laws.LAWS, "How atoms make an event.")
_NUM_PICTURES = flags.DEFINE_integer(
    "num_pictures", 0, "Single pictures with captions.", lower_bound=0
)


def main() -> None:
    from jaxvlm import files
    from jaxvlm.world import pictures, splits

    seconds: dict[str, float] = {}
    seed, out_dir = _SEED.value, _OUT_DIR.value
    outputs.require_places(out_dir, "run.json")
    if _NUM_PICTURES.value:
        outputs.require_replaceable(f"{out_dir}/pictures", kind=pictures.FOLDER)
    if _NUM_VIDEOS.value:
        with display.progress() as on_progress, runs.timed(seconds, "videos"):
            folders = splits.write_world(
                out_dir,
                seed,
                _NUM_VIDEOS.value,
                splits=_SPLITS.value,
                law=_LAW.value,
                on_progress=on_progress,
            )
        for folder in folders:
            cli.show(folder)
    if _NUM_PICTURES.value:
        with runs.timed(seconds, "pictures"):
            table = pictures.write_pictures(f"{out_dir}/pictures", seed, _NUM_PICTURES.value)
        cli.show(table)
    settings = {
        "num_videos": _NUM_VIDEOS.value,
        "splits": _SPLITS.value,
        "law": _LAW.value,
        "num_pictures": _NUM_PICTURES.value,
    }
    record = runs.run_record(settings, seed=seed, seconds=seconds)
    files.write_json(f"{out_dir}/run.json", record)


if __name__ == "__main__":
    cli.run(main)
