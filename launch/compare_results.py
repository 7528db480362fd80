"""Results of several OOD evaluations in one table.

Published ones or one's own.
"""

from absl import flags

from jaxvlm.command import cli

_RESULTS = flags.DEFINE_list(
    "results",
    None,
    "results.json of evaluate-ood, .json of NegAlign's results/, NegRefine's result.txt, OpenOOD's "
    ".csv.",
    required=True,
)
_OOD = flags.DEFINE_string("ood_set", None, "Only this OOD set; case does not matter.")
_OUT_CSV = flags.DEFINE_string("out_csv", None, "Gets the table, too.")


def main() -> None:
    from jaxvlm import files
    from jaxvlm.prototypes import results as published_results

    table = published_results.read_all(_RESULTS.value, ood_set=_OOD.value)
    cli.show_table(published_results.terminal_table(table))
    if _OUT_CSV.value is not None:
        files.write_csv(_OUT_CSV.value, table)
        cli.show(f"table: {_OUT_CSV.value}")


if __name__ == "__main__":
    cli.run(main)
