"""Scored videos of one's own: what is measured, and what an earlier run left."""

import math

import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.evaluation import scored_videos


def scored(folder, *names):
    for name in names:
        table = pd.DataFrame({"frame": [0, 1], "time_seconds": [0.0, 1.0], "riot": [0.1, 0.9]})
        files.write_csv(folder / name / "events.csv", table)
    files.write_json(folder / "run.json", {"videos": list(names)})


def test_videos_of_an_earlier_run_are_told(tmp_path):
    scored(tmp_path / "out", "a", "b", "c")
    scored(tmp_path / "out", "b")
    (tmp_path / "i.csv").write_text("video_id,event,start_seconds,end_seconds\nb,riot,1,2\n")
    result = scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
    assert result["videos"] == 3 and result["of_earlier_runs"] == ["a", "c"]
    lines = scored_videos.summary_lines(result)
    assert lines[-1] == "a, c: scored by an earlier run than the others"
    assert all("\n" not in line for line in lines)
    (tmp_path / "out" / "run.json").unlink()  # of another program, or none
    again = scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
    assert again["of_earlier_runs"] == []


def test_events_without_a_positive_and_events_that_were_not_looked_for(tmp_path):
    scored(tmp_path / "out", "a", "b")
    record = {"videos": ["a", "b"], "roles": {"not_looked_for": ["panic"]}}
    files.write_json(tmp_path / "out" / "run.json", record)
    (tmp_path / "i.csv").write_text("video_id,event,start_seconds,end_seconds\nb,panic,0,2\n")
    result = scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
    assert result["positive_frames"] == 0 and result["frames"] == 4
    assert math.isnan(result["frame"]["events"]["riot"]["auc"])  # no video shows it
    assert math.isnan(result["video_auc"]["mean"])
    lines = scored_videos.summary_lines(result)
    assert "panic: not looked for, because its labels taught nothing: no figures" in lines
    files.write_json(tmp_path / "out" / "run.json", {"roles": {"not_looked_for": None}})
    with pytest.raises(InputError, match="unknown event 'panic'"):
        scored_videos.evaluate_scores(tmp_path / "out", tmp_path / "i.csv")
