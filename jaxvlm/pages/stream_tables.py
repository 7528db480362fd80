"""What the methods that adapt gained and lost, for the page of an OOD evaluation."""

import pandas as pd

from jaxvlm.ood.streams.methods import ADAPTIVE
from jaxvlm.pages.picture_page import Switched, View
from jaxvlm.pages.style import Gain

NOTE = (
    "The gain is what a method's AUROC has, in points, over that of its static base, the score "
    "that it adapts, on the same pictures; a loss, in colour and with a minus, means that not to "
    "learn would have been better. Mean of the OOD sets ± the standard deviation between {repeats} "
    "streams; small, the AUROC in % and the least gain of one stream on one OOD set."
)
_ORDERS = {
    "shuffled": "shuffled",
    "id_first": "all ID pictures first",
    "blocks": "in blocks",
    "temporal_shift": "one OOD set after another",
}
_BASES = {"neglabel": "NegLabel", "mcm": "MCM", "clipscope_static": "CLIPScope without prior"}


def stream_tables(streams: pd.DataFrame | None) -> dict[str, Switched]:
    """By title a table per ID set of `streams.streams_table`: a row per method, with its static
    base, a column per OOD share, a view per order and class skew. None: no streams, no table."""
    if streams is None:
        return {}
    found = {}
    for id_set, own in streams.groupby("id_set", sort=False):
        views = {
            _ORDERS[order] + (f", class skew {skew:g}" if skew else ""): View(_view(part))
            for (order, skew), part in own.groupby(["order", "class_skew"], sort=False)
        }
        note = NOTE.format(repeats=own["repeats"].iloc[0])
        found[f"Methods that adapt, ID: {id_set}"] = Switched(views, note=note)
    return found


def _view(part: pd.DataFrame) -> pd.DataFrame:
    """Gains in points, of one order and skew."""
    columns: dict[str, dict[str, Gain]] = {}
    for (share, method), own in part.groupby(["ood_share", "method"], sort=False):
        auroc, gain, spread = (100 * own[key].mean() for key in ("auroc", "gain", "gain_sd"))
        least = 100 * own["gain_low"].min()
        columns.setdefault(f"{100 * share:g} % OOD", {})[method] = Gain(gain, spread, auroc, least)
    table = pd.DataFrame({heading: pd.Series(cells) for heading, cells in columns.items()})
    methods = list(dict.fromkeys(part["method"]))
    table = table.loc[methods]
    table.insert(0, "static base", [_BASES[ADAPTIVE[method].base] for method in methods])
    table.index = [ADAPTIVE[method].title for method in methods]
    return table
