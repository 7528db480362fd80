"""Whether "lower than 95 % of ID pictures" is told to at most 5 % of ID pictures.

Pictures of one set are split at random into known ones and new ones, many times; every new one is
told its share by `deciding.decide`. Beside it stands the plain share of the known ones that do not
lie below it, to the nearest percent, which says too much where few are known. ``expected`` is what
exchangeability alone gives: ⌊(1 − share)(n + 1)⌋/(n + 1). Last, known pictures that are seen in
another way than the new ones, means of ten crops against single views, for which it gives nothing.

``--root``: see `benchmarks.real_clip_study`. Scores are those against all of ImageNet's classes.

Run: python -m benchmarks.reported_share --root=EMBEDDINGS
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags

from benchmarks import real_clip_study as study
from jaxvlm import files
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.encoding import of_embeddings
from jaxvlm.ood.methods import method_scores
from jaxvlm.ood.placing import Permutations, place_banks
from jaxvlm.ood.words.label_banks import LabelBanks, group_permutation
from jaxvlm.pictures.deciding import decide

_DRAWS = flags.DEFINE_integer("share_draws", 400, "Splits of each set.", lower_bound=2)
_OUT = flags.DEFINE_string(
    "share_out", "benchmarks/results/reported_share.json", "JSON with every figure."
)

SETS = ("imagenet.train4", "sun397.val", "dtd.test", "ucf101.test")
MOVED = ("sun397.train4", "sun397.val")  # known ones, new ones
KNOWN = (10, 20, 50, 200, 1000)
SHARES = (0.9, 0.95, 0.99)
METHODS = ("mcm", "neglabel")


def main(_) -> None:
    world = study.read_world(Path(study._ROOT.value))
    scores = {name: scores_of(world, name) for name in {*SETS, *MOVED}}
    rows = []
    for method in METHODS:
        for name in SETS:
            found = split_rows(scores[name][method], None, _DRAWS.value)
            rows += [{"set": name, "method": method} | row for row in found]
        known, new = (scores[name][method] for name in MOVED)
        found = split_rows(known, new, _DRAWS.value)
        rows += [{"set": " → ".join(MOVED), "method": method} | row for row in found]
    table = pd.DataFrame(rows)
    print(shown(table))
    files.write_json(_OUT.value, {"draws": _DRAWS.value, "rows": table.round(5).to_dict("records")})


def scores_of(world: study.World, name: str) -> dict[str, np.ndarray]:
    """Of all pictures of a set, higher = nearer to ImageNet's classes."""
    classes, setting = np.arange(1000), study.Setting()
    positive = world.texts[setting.classes]
    negative = study.negatives_of(world, setting, classes, classes[:0])
    config = NegAlignConfig(num_groups=setting.groups, logit_scale=setting.scale)
    permutations = Permutations(group_permutation(len(negative), setting.groups, 0))
    banks = LabelBanks(positive, negative, negative[:0], negative[:0])
    placed = place_banks(banks, config, permutations=permutations)
    encoded = of_embeddings(world.images[name], positive)
    return method_scores(encoded, placed, config, methods=METHODS)


def split_rows(scores: np.ndarray, new: np.ndarray | None, draws: int) -> list[dict]:
    """A row per number of known pictures and share: how many new ones are told at least that.

    new: of another set; None: those of ``scores`` that are not drawn as known.
    """
    rows = []
    for count in (n for n in KNOWN if n <= len(scores) // 2):
        told = np.zeros((2, len(SHARES), draws))
        for draw in range(draws):
            order = np.random.default_rng([count, draw]).permutation(len(scores))
            known, others = scores[order[:count]], scores[order[count:]]
            told[:, :, draw] = told_shares(known, others if new is None else new)
        for index, share in enumerate(SHARES):
            ours, plain = told[:, index]
            rows.append(
                {
                    "known": count,
                    "share": share,
                    "expected": expected(count, share),
                    "told": ours.mean(),
                    "told_half": study.half_width(ours),
                    "told_5": np.quantile(ours, 0.05),
                    "told_95": np.quantile(ours, 0.95),
                    "plain": plain.mean(),
                    "plain_half": study.half_width(plain),
                }
            )
    return rows


def told_shares(known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """[2, shares] of the new pictures that are told at least each share: by p, and plainly."""
    found = decide(new, known)
    higher = 1 - found.id_p_value + 1e-9, np.round(1 - found.share_of_id_below, 2) + 1e-9
    return np.array([[np.mean(own >= share) for share in SHARES] for own in higher])


def expected(count: int, share: float) -> float:
    """⌊(1 − share)(n + 1)⌋/(n + 1)."""
    return math.floor(round((1 - share) * (count + 1), 9)) / (count + 1)


def shown(table: pd.DataFrame) -> str:
    """In percent; ± half of the mean's 95 % interval, in brackets 90 % of the splits."""
    percent = 100 * table.select_dtypes("number").drop(columns="known")
    cells = pd.DataFrame(
        {
            "set": table["set"],
            "method": table["method"],
            "known": table["known"],
            "told at least": [f"{x:.0f} %" for x in percent["share"]],
            "may be": [f"{x:.2f}" for x in percent["expected"]],
            "are": [
                f"{r.told:.2f} ± {r.told_half:.2f} [{r.told_5:.1f}, {r.told_95:.1f}]"
                for r in percent.itertuples()
            ],
            "plain share": [f"{r.plain:.2f} ± {r.plain_half:.2f}" for r in percent.itertuples()],
        }
    )
    return cells.to_string(index=False)


if __name__ == "__main__":
    app.run(main)
