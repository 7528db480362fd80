"""The rendered OOD benchmark, from a seed.

Known, rare, unseen, spurious and empty pictures.
"""

from absl import flags

from jaxvlm import runs
from jaxvlm.command import cli, display

_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets a folder per set, masks, truth.csv and class_names.txt.", required=True
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0)
_NUM_PICTURES = flags.DEFINE_integer("num_pictures", 2_000, "Per set.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 64, "Side in pixels.", lower_bound=32, upper_bound=256)


def main() -> None:
    from jaxvlm import files
    from jaxvlm.world import ood_pictures

    seconds: dict[str, float] = {}
    with display.progress() as on_progress:
        with runs.timed(seconds, "pictures"):
            table = ood_pictures.write_ood_benchmark(
                _OUT_DIR.value,
                seed=_SEED.value,
                count=_NUM_PICTURES.value,
                size=_SIZE.value,
                on_progress=on_progress,
            )
    settings = {"num_pictures": _NUM_PICTURES.value, "size": _SIZE.value}
    record = runs.run_record(settings, seed=_SEED.value, seconds=seconds)
    files.write_json(f"{_OUT_DIR.value}/run.json", record)
    for name in ood_pictures.SETS:
        cli.show(f"{_OUT_DIR.value}/{name}")
    cli.show(table)


if __name__ == "__main__":
    cli.run(main)
