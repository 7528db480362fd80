"""A world of another law, by its program."""

import json

import pandas as pd

from jaxvlm.world.laws import EVENT_LAWS
from tests.launch.one_process import run_all


def test_the_law_is_a_flag_and_a_name(tmp_path):
    own = ["--splits=test", "--seed=4", f"--out_dir={tmp_path}/world"]
    found = run_all(
        {
            "specific": ["render-world", "--law=specific", "--num_videos=1", *own],
            "other": ["render-world", "--law=linear", "--num_videos=1", *own],
        },
        cwd=tmp_path,
    )
    assert found["specific"].returncode == 0, found["specific"].stderr
    assert json.loads((tmp_path / "world/run.json").read_text())["config"]["law"] == "specific"
    rules = pd.read_csv(tmp_path / "world/test/rules.csv")
    written = rules[rules["event"] == "riot"]["rule"].tolist()
    assert len(written) == len(EVENT_LAWS["specific"]["riot"].rules) == 4
    assert "burning barricade unless carnival parade" in written
    assert found["other"].returncode != 0 and "Traceback" not in found["other"].stderr
    assert "threshold" in found["other"].stderr  # what it may be
