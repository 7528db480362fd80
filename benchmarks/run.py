"""One table of what the kernels, the encoder and whole programs cost on this device.

A kernel is timed together with its naive form, round by round, so that noise meets both: medians,
and the middle half of the ratios. The limit is the measured rate of matrix products or of memory;
its share is what the algorithm cannot do without, over time and limit. Memory is what XLA plans
beside the arguments. For whole programs see `benchmarks.programs`. Asserts nothing.

Run: OMP_WAIT_POLICY=passive python -m benchmarks.run [--json=FILE] [--only=kernels,start]
What changed since the last committed result: python -m benchmarks.compare
"""

import time

from absl import flags

from benchmarks import encoder, kernels, measuring, programs, scoring, table
from jaxvlm import files
from jaxvlm.command import cli

GROUPS = {
    "kernels": kernels.rows,
    "scoring": scoring.rows,
    "encoder": encoder.rows,
    "start": programs.start_rows,
    "towers": programs.tower_rows,
    "video": programs.video_rows,
    "scale": programs.scale_rows,
    "demo": programs.demo_rows,
}

_JSON = flags.DEFINE_string("json", "out/benchmark.json", "file for the numbers")
_ONLY = flags.DEFINE_list("only", list(GROUPS), "groups of rows")
flags.register_validator(
    _ONLY, lambda names: set(names) <= set(GROUPS), f"groups are {', '.join(GROUPS)}"
)


def main() -> None:
    if "towers" in _ONLY.value:
        measuring.require_passive()
    start = time.perf_counter()
    limits = measuring.measure_limits()
    print(f"{measuring.device_name()}\n{table.describe_limits(limits)}", flush=True)
    rows = [row for name in _ONLY.value for row in GROUPS[name](limits)]
    print(table.render(rows))
    result = measuring.record(limits) | {"rows": [row._asdict() for row in rows]}
    files.write_json(_JSON.value, result)
    print(f"{time.perf_counter() - start:.0f} seconds; {_JSON.value}")


if __name__ == "__main__":
    cli.run(main)
