"""Scored videos against the truth, mine or a benchmark's.

Mine: --intervals_csv, at frames that score-video sampled. A benchmark: --protocol, every frame."""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, unused
from jaxvlm.evaluation.detection_rules import RULES, DetectionRules
from jaxvlm.evaluation.protocols.conventions import CHOICES, Conventions
from jaxvlm.evaluation.protocols.sources import PROTOCOLS, READ, Sources
from jaxvlm.evaluation.steps import HELP
from jaxvlm.evaluation.trained_on import CHOICES as TRAINED

_PROTOCOL = flags.DEFINE_enum("protocol", None, PROTOCOLS, "The benchmark to evaluate.")
_INTERVALS_CSV = flags.DEFINE_string("intervals_csv", None, "video_id,event,start_seconds,"
                                     "end_seconds, instead of --protocol.")  # fmt: skip
_SOURCES = {name: flags.DEFINE_string(name, None, text) for name, text in READ.items()}
_CONVENTIONS = {
    name: flags.DEFINE_enum(name, next(iter(of)), list(of), "; ".join(f"{k}: {of[k]}" for k in of))
    for name, of in CHOICES.items()
} | {
    "snippet_frames": flags.DEFINE_integer("snippet_frames", 16, "Frames per snippet."),
    "tolerance_frames": flags.DEFINE_integer("tolerance_frames", 32, "Mismatch that is no error."),
}
_RULES = {n: flags.DEFINE_float(n, DetectionRules._field_defaults[n], RULES[n]) for n in RULES}
_POSTPROCESS = flags.DEFINE_string("postprocess", "", f"Steps on the scores, in order: {HELP}.")
_VIDEO_FPS = flags.DEFINE_float("video_fps", None, "Of the videos, for scores and delays.")
_PARTIAL = flags.DEFINE_bool("partial", False, "Evaluate the videos that have scores.")
_TRAINED = flags.DEFINE_enum(
    "trained", "refuse", list(TRAINED),
    "Videos that the roles were trained on: " + "; ".join(f"{k}: {v}" for k, v in TRAINED.items()),
)  # fmt: skip
_RESAMPLES = flags.DEFINE_integer("num_resamples", 1000, "Bootstrap resamples of the videos.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the resamples.")
_OUT = flags.DEFINE_string("out", None, "JSON file to write; default SCORES_DIR/metrics.json.")


def main() -> None:
    from jaxvlm import files
    from jaxvlm.evaluation import scored_videos
    from jaxvlm.evaluation.protocols import evaluation, tables

    unused.in_evaluate_video(list(_CONVENTIONS))
    sources = {name: flag.value for name, flag in _SOURCES.items()}
    if out := _OUT.value or scored_videos.default_out(sources):
        outputs.require_replaceable(out)
    rules = DetectionRules(**{name: flag.value for name, flag in _RULES.items()})
    used = {name: flag.value for name, flag in _CONVENTIONS.items()}
    conventions = Conventions(**used, rules=rules, postprocess=_POSTPROCESS.value)
    if _PROTOCOL.value is None:
        mine = dict(trained=_TRAINED.value, conventions=conventions)
        result = scored_videos.evaluate_mine(sources, _INTERVALS_CSV.value, **mine)
        lines = scored_videos.summary_lines(result)
    else:
        result = evaluation.evaluate_protocol(
            _PROTOCOL.value, Sources(**sources), conventions,
            video_fps=_VIDEO_FPS.value, partial=_PARTIAL.value, trained=_TRAINED.value,
            num_resamples=_RESAMPLES.value, seed=_SEED.value,
        )  # fmt: skip
        lines = tables.terminal_lines(result)
    if out:
        files.write_json(out, result)
        lines.append(str(out))
    for line in lines:
        cli.show(line)


if __name__ == "__main__":
    cli.run(main)
