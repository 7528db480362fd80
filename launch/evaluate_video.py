"""Scored videos against their true intervals: frame AUC and AP, video AUC, per event."""

from absl import flags

from jaxvlm import cli, files
from jaxvlm.evaluation import video_evaluation

_SCORES_DIR = flags.DEFINE_string(
    "scores_dir", None, "What score_video wrote for a folder of videos.", required=True
)
_INTERVALS_CSV = flags.DEFINE_string(
    "intervals_csv", None, "video_id,event,start_seconds,end_seconds.", required=True
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write; default SCORES_DIR/metrics.json.")


def main() -> None:
    result = video_evaluation.evaluate_scores(_SCORES_DIR.value, _INTERVALS_CSV.value)
    out = _OUT.value or f"{_SCORES_DIR.value}/metrics.json"
    files.write_json(out, result)
    print(video_evaluation.summary_table(result).to_string(float_format="{:.3f}".format))
    print(f"{result['videos']} videos, {result['frames']} frames: {out}")


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
