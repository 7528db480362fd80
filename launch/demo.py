"""The whole job on rendered videos and pictures, measured.

A page shows what happens, when and why, and how it compares with simpler methods.
"""

import os

from absl import flags

from jaxvlm.command import cli, display
from jaxvlm.world import laws

_CONFIG = cli.define_config("config", "world.py", "Settings")
_OOD_CONFIG = cli.define_config("ood_config", "ood/world.py", "Settings of the OOD part")
_OUT_DIR = flags.DEFINE_string("out_dir", "out/demo", "Gets report.html and metrics.json.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Worlds; the page shows the first.")
_LAW = flags.DEFINE_enum("law", laws.PAIRS, laws.LAWS, "How atoms make an event.")
_NUM_TRAIN = flags.DEFINE_integer("num_train", 200, "Training videos of a world.", lower_bound=10)
_NUM_TEST = flags.DEFINE_integer("num_test", 60, "Test videos of a world.", lower_bound=1)
_NUM_OOD = flags.DEFINE_integer("num_ood", 400, "Pictures in each OOD set.", lower_bound=10)


def main() -> None:
    # JAX computes on one thread: the demo learns, looks at frames and draws at the same time, and a
    # small program on several threads waits for those that others have taken.
    os.environ.setdefault("PJRT_NPROC", "1")
    from jaxvlm.video import config
    from jaxvlm.world import demo, demo_tables

    seeds = [int(seed) for seed in _SEEDS.value]
    with display.progress() as on_progress:
        metrics = demo.run_demo(
            _OUT_DIR.value,
            demo.DemoSize(seeds, _NUM_TRAIN.value, _NUM_TEST.value, _NUM_OOD.value),
            config=config.check(_CONFIG.value),
            ood_config=_OOD_CONFIG.value,
            law=_LAW.value,
            on_progress=on_progress,
            say=cli.show,
        )
    for line in demo_tables.summary_lines(metrics):
        cli.show(line)
    cli.show(f"page:    {_OUT_DIR.value}/report.html")
    cli.show(f"metrics: {_OUT_DIR.value}/metrics.json")


if __name__ == "__main__":
    cli.run(main)
