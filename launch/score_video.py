"""What happens in a video, when and why: tables and a page."""

from absl import flags

from jaxvlm import outputs
from jaxvlm.command import cli, display, encoder_flags, feature_flags, ordinary_flags, role_flags
from jaxvlm.names import number_of
from jaxvlm.video import export_kinds

_VIDEO = flags.DEFINE_string("video", None, "Video file or a folder of them.")
_RESCORE = flags.DEFINE_string("rescore", None, "An earlier --out_dir, instead of --video: its "
                               "frames, nothing is encoded.")  # fmt: skip
_OUT_DIR = flags.DEFINE_string("out_dir", None, "Gets report.html, detections.csv and a folder "
                               "per video.", required=True)  # fmt: skip
_EXPORT = flags.DEFINE_list("export", [], "Detections for editors and benchmarks: "
                            f"{', '.join(export_kinds.KINDS)}.")  # fmt: skip
_FEATURES = feature_flags.define_features()
_ROLES = role_flags.define_roles(captions=True)
_ORDINARY = ordinary_flags.define_ordinary()
_ENCODER = encoder_flags.define_encoder()
_INTERVALS = flags.DEFINE_string("intervals_csv", None, "True intervals to show: "
                                 "video_id,event,start_seconds,end_seconds.")  # fmt: skip
_THRESHOLD = flags.DEFINE_float("threshold", 0.5, "Probability from which an event is reported.",
                                lower_bound=0.0, upper_bound=1.0)  # fmt: skip


def main() -> None:
    from jaxvlm.ontology import captions
    from jaxvlm.pages.scored_outputs import ScoredOutputs
    from jaxvlm.video import feature_runs, ordinary_reading, scored_folder, scoring

    of_features = feature_flags.asked("video", "rescore")
    if _RESCORE.value is not None:
        role_flags.refuse_without_video()
    export_kinds.check_kinds(_EXPORT.value)
    outputs.require_places(_OUT_DIR.value, *scored_folder.TOP)
    asked, again, notes = _ROLES(), _RESCORE.value is not None, []
    roles, model = asked.roles, _ORDINARY.model()
    trust = {"force": asked.force, "warnings": asked.warnings, "ordinary": model}
    options = {"intervals_csv": _INTERVALS.value, "qwen_json": asked.qwen_json}
    with display.progress() as on_progress:
        options["on_progress"] = on_progress
        if of_features:
            texts = _FEATURES.texts(roles.config.presence.kind, on_progress)
            scorer, notes = feature_runs.make_scorer(texts, roles, **trust)
            source, score = _FEATURES.source(), feature_runs.score_features
        else:
            encoder = _ENCODER(roles.config.batch_size, on_progress)
            scorer, source = scoring.make_scorer(encoder, roles, **trust), _VIDEO.value
            score = scored_folder.rescore_videos if again else scored_folder.score_videos
        budget = _ORDINARY.budget(scorer)
        threshold = options["threshold"] = budget.thresholds if budget else _THRESHOLD.value
        made = ScoredOutputs(_OUT_DIR.value, scorer, threshold=threshold, export=_EXPORT.value)
        options["on_scored"] = made.add
        result = score(source or _RESCORE.value, _OUT_DIR.value, scorer, **options)
    made.finish(result.warnings)
    lines = [*notes, *result.notes, *result.sentences(threshold)]
    lines += ordinary_reading.budget_lines(budget, made.alarms)
    if not of_features:
        lines.append("no picture encoded" if again else encoder.statistics.sentence())
    lines += [captions.describe(result.coverage)] if result.coverage else []
    for line in (*(f"warning: {warning}" for warning in result.warnings), *lines):
        cli.show(line)
    cli.show(f"{number_of(len(result.names), 'video')}: {made.page}")
    cli.report_failures(result.failures)


if __name__ == "__main__":
    cli.run(main)
