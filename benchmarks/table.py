"""Results as a table for the reader and as JSON for the next commit."""

from collections.abc import Sequence

from benchmarks.measuring import Limits, Row


def render(rows: Sequence[Row]) -> str:
    """The table, a line per row; columns as wide as what they hold, '-' for what there is not."""
    header = ["", "ms", "against", "ms", "times faster", "of limit", "", "at 2N, 4N, 8N", "MiB"]
    header += ["against MiB"]
    lines = [header, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = (0, 2, 6)  # names; all else are numbers

    def line(cells: list[str]) -> str:
        padded = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, lines))


def describe_limits(limits: Limits) -> str:
    """The measured limits of the device in one line."""
    flops = ", ".join(f"{dtype} {rate / 1e12:.3g}" for dtype, rate in limits.flops.items())
    return (
        f"limits: matmul {flops} TFLOP/s; memory {limits.bandwidth / 1e9:.3g} GB/s "
        f"({limits.fresh_bandwidth / 1e9:.3g} into new memory)"
    )


def _cells(row: Row) -> list[str]:
    ratio, fraction, growth = "-", "-", "-"
    if row.ratio is not None:
        low, high = row.ratio_middle_half
        ratio = f"{row.ratio:.3g} ({low:.3g} to {high:.3g})"
    if row.fraction is not None:
        fraction = f"{100 * row.fraction:.2g} %"
    if row.growth is not None:
        growth = ", ".join(f"{value:.3g}" for value in row.growth)
    return [
        row.name,
        _number(row.seconds * 1e3),
        row.against or "-",
        "-" if row.naive_seconds is None else _number(row.naive_seconds * 1e3),
        ratio,
        fraction,
        row.limit or "-",
        growth,
        "-" if row.megabytes is None else _number(row.megabytes),
        "-" if row.naive_megabytes is None else _number(row.naive_megabytes),
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
