"""A flag that would do nothing is refused, and the line names what decides.

No program gets further than its flags: the folders and videos are not there.
"""

import re

import pytest

from jaxvlm.resources import path as resource
from tests.launch.one_process import run_all
from tests.launch.test_launchers import one_line

PIPELINE = ("run-pipeline", "--frames_root=frames", "--out_dir=out")
TRAIN = ("train-role-learning", "--manifest_csv=m.csv", "--out_dir=out")
CAPTION = ("caption-frames", "--frames_root=frames", "--out=out.json")
MINE = ("mine-negatives", "--class_names=c.txt", "--words=words.txt", "--out_dir=out")
SCORE = ("score-video", "--video=v.mp4", "--out_dir=out")
RESCORE = ("score-video", "--rescore=kept", "--out_dir=out")
WATCH = ("watch", "--source=v.mp4")
EVALUATE = ("evaluate-video", "--scores_dir=s")
MINE_OWN = (*EVALUATE, "--intervals_csv=i.csv")
UCF = (*EVALUATE, "--protocol=ucf_crime")
WRITTEN = (*SCORE, "--roles=ontology")
# The command, and words of the line.
REFUSED = {
    (*PIPELINE, "--lambda_atoms=0.3"): "--lambda_atoms: .*--qwen_json",
    (*PIPELINE, "--lambda_resemble=0.3"): "--lambda_resemble: .*--qwen_json",
    (*PIPELINE, "--config.presence.guard=0.3"): "presence.guard: .*--qwen_json",
    (*PIPELINE, "--config.roles.epochs=3"): "roles.epochs: train-role-learning decides",
    (*PIPELINE, "--window=3", "--config.segments.window=4"): "segments.window: --window says it",
    (*PIPELINE, "--config.presence.patches=2"): "presence.kind=contrast looks at no patches",
    (*PIPELINE, "--config.fps=2"): "--config.fps: index.csv beside the frames decides",
    (*PIPELINE, "--num_processes=2"): "--num_processes: .*--coordinator_address",
    (*PIPELINE, "--dry_caption", "--qwen_json=c.json"): "--qwen_json: --dry_caption only",
    (*PIPELINE, "--dry_caption", "--clip=c"): "--clip: --dry_caption only",
    (*PIPELINE, "--dry_caption", "--window=2"): "--window: --dry_caption only",
    (*PIPELINE, "--dry_caption", "--config.fps=2"): "--config.fps: --dry_caption only",
    (*TRAIN, "--config.boundary.delta=auto"): "boundary.delta: the run folders decide",
    (*TRAIN, "--config.fps=2"): "--config.fps: the run folders decide",
    (*TRAIN, "--epochs=2", "--config.roles.epochs=3"): "roles.epochs: --epochs says it",
    ("split-negatives", "--negatives=n", "--out_dir=o", "--percentile=45", "--tau=0.1"): (
        "--tau: --percentile decides"
    ),
    (*CAPTION, "--timeout=3"): "--timeout: --backend=transformers",
    (*CAPTION, "--base_url=http://u:p@h/v1"): "--base_url: --backend=transformers",
    (*CAPTION, "--backend=openai", "--batch_size=3"): "--batch_size: --backend=openai",
    (*CAPTION, "--backend=dry", "--model=x"): "--model: --backend=dry",
    (*MINE, "--pool=written_forms"): "--pool: .*--wordnet_dir",
    (*MINE, "--nofilter"): "--filter: .*--wordnet_dir",
    (*MINE, "--noadjectives"): "--adjectives: --words is a list",
    (*SCORE, "--ontology=my.yaml"): "--ontology: --roles=checkpoints/roles decides",
    (*SCORE, f"--config={resource('configs/default.py')}"): "presence.kind=contrast: the role mod",
    (*SCORE, "--config.presence.kind=local"): "presence.kind=local: the role model decides",
    (*SCORE, "--config.roles.topk=3"): "roles.topk=3: the role model decides",
    (*SCORE, "--config.presence.guard=0.3"): "presence.guard=0.3: .*--qwen_json",
    (*SCORE, "--config.boundary.delta=learned"): "delta=learned: train-role-learning learns it",
    (*SCORE, "--rescore=kept"): "either --features_root, --video or --rescore",
    (*WRITTEN, "--config.roles.epochs=3"): "roles.epochs=3: .*not trained",
    (*WRITTEN, "--force"): "--force: --roles=ontology was trained with no encoder",
    (*RESCORE, "--store_dir=s"): "--store_dir: --rescore encodes nothing",
    (*RESCORE, "--config.fps=2"): "--config.fps: --rescore decides",
    (*RESCORE, "--config.batch_size=2"): "--config.batch_size: --rescore encodes nothing",
    (*WATCH, "--config.batch_size=2"): "--config.batch_size: .*one at a time",
    (*WATCH, "--fps=2", "--config.fps=3"): "--config.fps: --fps says it",
    (*WATCH, "--reconnect=2"): "--reconnect: --source is a file",
    (*WATCH, "--qwen_json=c.json"): "--qwen_json: a source that runs.*score-video --qwen_json",
    (*WATCH, "--store_dir=s"): "--store_dir: a source that runs.*score-video --store_dir",
    (*WATCH, "--ontology=my.yaml"): "--ontology: --roles=checkpoints/roles decides",
    (*MINE_OWN, "--partial"): "--partial: goes with --protocol",
    (*MINE_OWN, "--nopartial"): "--partial: goes with --protocol",
    (*MINE_OWN, "--video_fps=30"): "--video_fps: goes with --protocol",
    (*MINE_OWN, "--score_unit=frame"): "--score_unit: goes with --protocol",
    (*UCF, "--intervals_csv=i.csv"): "--intervals_csv: --protocol=ucf_crime",
    (*UCF, "--class_annotations=c.txt"): "--class_annotations: only --protocol=xd_violence",
    (*UCF, "--embeddings=e"): "--embeddings: no step of --postprocess uses them",
    (*UCF, "--postprocess=vera", "--caption_embeddings=e"): "--caption_embeddings: .*=lavad uses",
    ("evaluate-video", "--protocol=ucf_crime", "--overlap=0.5"): "--overlap: there are no scores",
    ("evaluate-video", "--protocol=ucf_crime", "--partial"): "--partial: there are no scores",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    (folder / "v.mp4").write_text("no video")
    (folder / "words.txt").write_text("tree\n")
    (folder / "frames" / "v").mkdir(parents=True)
    for name in ("000000.jpg", "index.csv"):
        (folder / "frames" / "v" / name).write_text("not read")
    return run_all({command: command for command in REFUSED}, cwd=folder)


@pytest.mark.parametrize("command", REFUSED, ids=lambda command: " ".join(command))
def test_it_is_one_line_that_names_what_decides(ran, command):
    line = one_line(ran[command])
    assert line.startswith("error: ")
    assert re.search(REFUSED[command], line), line
