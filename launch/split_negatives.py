"""Negative labels split into objects and backgrounds.

What leans to neither side is ambiguous.
"""

from absl import flags

from jaxvlm import outputs, runs
from jaxvlm.command import cli, display, encoder_flags, unused

_NEGATIVES = flags.DEFINE_string(
    "negatives", None, "List of words, or a folder with neg_labels_noun.txt.", required=True
)
_OUT_DIR = flags.DEFINE_string(
    "out_dir",
    None,
    "Gets neg_word_scores.csv and neg_{object,background,ambiguous}.txt; NegAlign's name for it "
    "is negatives_split, in the folder of the negatives.",
    required=True,
)
_TAU = flags.DEFINE_float("tau", 0.05, "Threshold of r on both sides.")
_TAU_OBJ = flags.DEFINE_float("tau_obj", None, "Objects where r > tau_obj (default: tau).")
_TAU_BG = flags.DEFINE_float("tau_bg", None, "Backgrounds where r < -tau_bg (default: tau).")
_PERCENTILE = flags.DEFINE_float(
    "percentile", None, "Instead: this percentage on each side; the published split is 45."
)
_CLIP = encoder_flags.define_clip()


def main() -> None:
    from jaxvlm import clip
    from jaxvlm.ood.words import lists as word_lists
    from jaxvlm.ood.words import split

    unused.in_split_negatives()
    names = (*word_lists.GROUP_FILES.values(), word_lists.SCORES_FILE, "run.json")
    outputs.require_places(_OUT_DIR.value, *names)
    negatives = word_lists.read_negatives(_NEGATIVES.value)
    with display.progress() as on_progress:
        model = _CLIP(on_progress)
        encoder = clip.make_encoder(model, on_progress=on_progress)
        scores = split.score_words(encoder, negatives.words)
    if _PERCENTILE.value is None:
        result = split.split_by_threshold(
            negatives.words,
            scores.r,
            tau=_TAU.value,
            tau_object=_TAU_OBJ.value,
            tau_background=_TAU_BG.value,
        )
    else:
        result = split.split_by_percentile(negatives.words, scores.r, percentile=_PERCENTILE.value)
    cosines = {"cos_obj": scores.cos_obj.tolist(), "cos_bg": scores.cos_bg.tolist()}
    word_lists.write_split(_OUT_DIR.value, result, cosines)
    settings = {flag.name: flag.value for flag in (_TAU, _TAU_OBJ, _TAU_BG, _PERCENTILE)}
    runs.write_record(_OUT_DIR.value, settings, made_with={"clip": clip.clip_record(model)})
    counts = ", ".join(f"{len(getattr(result, g))} {g}" for g in word_lists.GROUP_FILES)
    cli.show(f"{counts}; {negatives.repeated} repeated lines left out: {_OUT_DIR.value}")


if __name__ == "__main__":
    cli.run(main)
