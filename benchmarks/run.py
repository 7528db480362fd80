"""One table of what the kernels and the encoder cost on this device.

Each row is timed together with its naive form, round by round, so that noise meets both: medians,
and the middle half of the ratios. The limit is the measured rate of matrix products or of memory;
its share is what the algorithm cannot do without, over time and limit. Memory is what XLA plans
beside the arguments. Asserts nothing.

Run: python -m benchmarks.run [--json=FILE] [--only=kernels,scoring,encoder]
Compare two: python -m benchmarks.compare OLD.json NEW.json
"""

import time

from absl import flags

from benchmarks import encoder, kernels, measuring, scoring, table
from jaxvlm import files
from jaxvlm.command import cli

GROUPS = {"kernels": kernels, "scoring": scoring, "encoder": encoder}

_JSON = flags.DEFINE_string("json", "out/benchmark.json", "file for the numbers")
_ONLY = flags.DEFINE_list("only", list(GROUPS), "groups of rows")
flags.register_validator(
    _ONLY, lambda names: set(names) <= set(GROUPS), f"groups are {', '.join(GROUPS)}"
)


def main() -> None:
    start = time.perf_counter()
    limits = measuring.measure_limits()
    print(f"{measuring.device_name()}\n{table.describe_limits(limits)}", flush=True)
    rows = [row for name in _ONLY.value for row in GROUPS[name].rows(limits)]
    print(table.render(rows))
    result = measuring.record(limits) | {"rows": [row._asdict() for row in rows]}
    files.write_json(_JSON.value, result)
    print(f"{time.perf_counter() - start:.0f} seconds; {_JSON.value}")


if __name__ == "__main__":
    cli.run(main)
