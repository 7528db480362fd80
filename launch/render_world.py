"""Another world: videos, captions, labels and the written truth, from a seed."""

from absl import flags

from jaxvlm import cli
from jaxvlm.data.world import pictures, videos

_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets a folder per split.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0)
_NUM_VIDEOS = flags.DEFINE_integer("num_videos", 20, "Over all splits.", lower_bound=0)
_SPLITS = flags.DEFINE_list(
    "splits", ["train", "validation", "test"], "Splits to render; shares 6 : 1 : 3."
)
_NUM_PICTURES = flags.DEFINE_integer(
    "num_pictures", 0, "Single pictures with captions.", lower_bound=0
)


def main() -> None:
    if _NUM_VIDEOS.value:
        for folder in videos.write_world(
            _OUT_DIR.value,
            _SEED.value,
            _NUM_VIDEOS.value,
            splits=_SPLITS.value,
            progress=cli.is_interactive(),
        ):
            print(folder)
    if _NUM_PICTURES.value:
        print(
            pictures.write_pictures(f"{_OUT_DIR.value}/pictures", _SEED.value, _NUM_PICTURES.value)
        )


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
