"""The OOD programs on a tiny world: the whole chain, odd pictures, and what goes wrong.

One process runs nearly all command lines, one after the other, because importing and compiling
is most of what they cost. One runs on its own, as a user runs it.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from PIL import Image

from jaxvlm.resources import path as resource
from jaxvlm.world.ood_pictures import ID_CLASSES, write_ood_benchmark
from tests.launch.one_process import run_all
from tests.launch.test_launchers import launch, one_line, succeeded
from tests.listing import visible

COUNT = 20
# The sets below have 20 or 10 pictures, because every size compiles anew.


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A rendered benchmark, folders of pictures, and lists of words, good and bad."""
    base = tmp_path_factory.mktemp("a folder with spaces")
    write_ood_benchmark(base / "world", seed=4, count=COUNT, workers=1)
    (base / "empty").mkdir()
    for name, words in (
        ("repeated", ("dog", "cat", "dog")),
        ("gap", ("dog", "", "cat")),
        ("class", ("tree", "road", "Dog", "field")),
        ("four", ("tree", "road", "field", "chair")),
    ):
        (base / f"{name}.txt").write_text("".join(f"{word}\n" for word in words))
    write_odd_pictures(base / "odd")
    mixed = base / "mixed"
    (mixed / "cat").mkdir(parents=True)
    first = sorted((base / "world" / "id").rglob("*.jpg"))[0]
    for i, source in enumerate(sorted((base / "world" / "ood_unseen").rglob("*.jpg"))[:9]):
        shutil.copy(source, mixed / "cat" / f"{i}.jpg")
    shutil.copy(first, mixed / "cat" / "copy.jpg")
    (mixed / "cat" / "text.jpg").write_text("no picture")
    shutil.copytree(resource("checkpoints/clip"), base / "clip")
    weights = safetensors.numpy.load_file(base / "clip" / "model.safetensors")
    broken = weights["visual_projection.weight"].copy()
    broken[0, 0] = np.nan
    safetensors.numpy.save_file(
        weights | {"visual_projection.weight": broken}, base / "clip" / "model.safetensors"
    )
    return base


def write_odd_pictures(folder):
    folder.mkdir()
    rgb = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)
    picture = Image.fromarray(rgb)
    picture.resize((1, 1)).save(folder / "one_pixel.png")
    picture.convert("L").save(folder / "grey.png")
    picture.convert("LA").save(folder / "grey_alpha.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(folder / "sixteen_bit.png")
    frames = [picture, picture.rotate(180)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:], duration=50)
    picture.resize((20_000, 8)).save(folder / "wide.png")
    picture.save(folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90°
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)


@pytest.fixture(scope="module")
def ran(base):
    """Every command line, run in this order; what came of it, by name."""
    world = base / "world"
    shared = [
        f"--class_names={world}/class_names.txt",
        f"--config={resource('configs/ood/world.py')}",
        "--config.negalign.num_groups=5",
        f"--config.batch_size={COUNT}",
        f"--cache_dir={base}/texts",
    ]

    def evaluate(*more, ids=f"{world}/id", oods=f"{world}/ood_unseen", out="failed"):
        return ["evaluate_ood", *shared, "--config.num_resamples=20", f"--id_dir={ids}",
                f"--ood_dirs={oods}", f"--out_dir={base}/{out}", *more]  # fmt: skip

    def score(*more, images=f"{world}/id_rare", out="failed"):
        return ["score_images", *shared, f"--images={images}", f"--out_dir={base}/{out}", *more]

    def split(*more):
        return ["split_negatives", f"--negatives={base}/mined",
                f"--out_dir={base}/mined/negatives_split", *more]  # fmt: skip

    def mine(*more):
        return ["mine_negatives", f"--class_names={world}/class_names.txt",
                f"--out_dir={base}/mined", *more]  # fmt: skip

    words = resource("configs/ood/world_words.txt")
    commands = {
        "render": [
            "render_ood",
            f"--out_dir={base}/rendered",
            "--num_pictures=1",
            "--size=48",
            "--seed=6",
        ],
        "render too large": ["render_ood", f"--out_dir={base}/failed", "--size=999"],
        "mine": mine(f"--words={words}", "--fraction=0.5"),
        "mine without words": mine(),
        "mine too few": mine(f"--words={base}/four.txt", "--fraction=0.1"),
        "split": split("--percentile=40"),
        "split too high": split("--tau=0.9"),
        "split without backgrounds": split("--tau_obj=-0.5", "--tau_bg=0.9"),
        "evaluate": evaluate(
            f"--negatives={base}/mined",
            "--methods=mcm,negalign",
            "--config.negalign.lambda_bg=2",
            "--max_ood_samples=10",
            oods=f"{world}/ood_unseen,empty={world}/ood_empty",
            out="evaluated",
        ),
        "evaluate mixed": evaluate("--methods=mcm", oods=f"{base}/mixed", out="mixed out"),
        "score": score(
            f"--negatives={base}/mined",
            f"--id_dir={world}/id",
            "--shown=3",
            "--keep_id=0.8",
            "--method=mcm",
            out="scored",
        ),
        "score odd": score(images=f"{base}/odd", out="odd out"),
        "no such folder": evaluate(ids=f"{base}/gone"),
        "empty folder": evaluate(ids=f"{base}/empty"),
        "no set": evaluate(oods=""),
        "class twice": evaluate(f"--class_names={base}/repeated.txt"),
        "empty line": evaluate(f"--class_names={base}/gap.txt"),
        "class as negative": evaluate(f"--negatives={base}/class.txt"),
        "too few negatives": evaluate(
            f"--negatives={base}/four.txt", "--config.split_percentile=50"
        ),
        "high tau": evaluate("--config.split_percentile=0", "--config.negalign.neg_split_tau=0.9"),
        "unknown variant": evaluate("--config.negalign.p_align_variant=v10"),
        "unknown method": evaluate("--methods=mcm,msp"),
        "unknown layout": evaluate(oods=f"textures:{world}/ood_unseen"),
        "negative seed": evaluate("--config.seed=-1"),
        "NaN weights": score(f"--clip={base}/clip"),
        "m3 alone": score("--method=negalign", "--config.negalign.use_scale_stabilization=True"),
        "no such method": score("--method=neglabel_str"),
        "method twice": score("--method=mcm", "--config.method=mcm"),
        "unused by the method": score("--config.negalign.lambda_bg=2"),
        "unused by the methods": evaluate("--methods=mcm", "--config.negalign.lambda_bg=2"),
        "nothing to keep": score("--keep_id=0.9"),
        "too much to keep": score("--keep_id=1.5", f"--id_dir={world}/id"),
        "no picture at all": score(images=f"{base}/mixed/cat/text.jpg"),
        "a word too many": score("extra"),
        "unknown flag": score("--imgaes=x"),
        "required flag": ["score_images"],
        "unknown field": evaluate("--config.nonsense=3"),
        "no config file": [
            "score_images",
            "--images=x",
            "--class_names=x",
            "--out_dir=x",
            "--config=x.py",
        ],
        "wrong type": evaluate("--config.negalign.num_groups=many"),
        "wrong choice": evaluate("--choose_on=training"),
    }
    return run_all(commands, cwd=base)


def test_mined_words_are_split_and_evaluated(ran, base):
    assert "kept" in succeeded(ran["mine"])
    mined = (base / "mined" / "neg_labels_noun.txt").read_text().splitlines()
    assert not set(mined) & set(ID_CLASSES)
    assert succeeded(ran["split"]).startswith(f"{int(len(mined) * 0.4)} object")
    shown = succeeded(ran["evaluate"])
    record = json.loads((base / "evaluated" / "results.json").read_text())
    assert record["labels"] == {
        "positive": len(ID_CLASSES),
        "negative": len(mined),
        "negative_object": int(len(mined) * 0.4),
        "negative_background": int(len(mined) * 0.4),
        "conjugated": 0,
    }
    assert "CSP is left out" in shown and "CSP is left out" in record["notes"][1]
    assert record["counts"] == {"id": COUNT, "ood_unseen": 10, "empty": 10}
    assert record["config"]["num_resamples"] == 20 and record["unreadable"] == []
    results = pd.read_csv(base / "evaluated" / "results.csv")
    assert {"neglabel", "mcm", "negalign", "v9_fg_bg_contrast"} <= set(results["method"])
    given = results[results["method"] == "negalign_given"]
    assert set(given["lambda"]) == {2.0} and set(given["variant"]) == {"v9_fg_bg_contrast"}
    assert "NegAlign (v9_fg_bg_contrast, λ = 2, as given)" in shown
    nearest = pd.read_csv(base / "evaluated" / "scores.csv")["nearest_negatives"]
    assert {word for row in nearest for word in row.split("; ")} <= set(mined)
    names = "pooled", "mean of sets", "NegAlign", "MCM"
    for text in (*names, "evaluated/report.html"):
        assert text in shown


def test_a_folder_is_scored_and_the_farthest_are_shown(ran, base):
    *shown, encoded, rule, last = succeeded(ran["score"]).splitlines()
    assert encoded.startswith(f"scored with MCM; {2 * COUNT} pictures encoded, ")  # of --id_dir too
    table = pd.read_csv(base / "scored" / "scores.csv")
    assert len(table) == COUNT and last.startswith(f"{COUNT} pictures: {base}/scored/scores.csv")
    lowest = table.sort_values("mcm", kind="stable")[:3]
    assert [line.split(": ")[0] for line in shown] == list(lowest["path"])
    assert [line.split(": ")[1].split(",")[0] for line in shown] == list(lowest["decision"])
    # 16 of the 20 known pictures are kept.
    assert rule.startswith("Out below ") and "which 80 % of the ID pictures (20) reach" in rule
    assert set(table["method"]) == {"mcm"} and (table["score"] == table["mcm"]).all()
    assert ((table["score"] < table["threshold"]) == (table["decision"] == "out")).all()
    record = json.loads((base / "scored" / "run.json").read_text())
    assert record["method"] == "mcm" and record["keep_id"] == 0.8
    assert record["out"] == (table["decision"] == "out").sum()
    assert table["share_of_id_below"].between(0, 1).all()
    assert (base / "scored" / "report.html").is_file()


def test_odd_pictures_are_scored(ran, base):
    succeeded(ran["score odd"])
    table = pd.read_csv(base / "odd out" / "scores.csv").set_index("path")
    assert sorted(table.index) == visible(base / "odd")
    scores = table.drop(columns="label").select_dtypes("number")
    assert np.isfinite(scores.to_numpy()).all()
    for same in ("turned.png", "alpha.png"):  # the pixels of upright.png in other files
        np.testing.assert_allclose(scores.loc[same], scores.loc["upright.png"], rtol=1e-4)
    assert (scores.loc["grey.png"] != scores.loc["upright.png"]).any()


def test_what_is_lost_is_told_and_the_rest_is_done(ran, base):
    process = ran["evaluate mixed"]
    assert process.returncode == 1
    copied, broken = process.stderr.splitlines()
    assert copied.startswith(f"failed: {base}/mixed/cat/copy.jpg: also in the ID set")
    assert broken.startswith(f"failed: {base}/mixed/cat/text.jpg: not a readable picture")
    record = json.loads((base / "mixed out" / "results.json").read_text())
    assert record["counts"] == {"id": COUNT, "mixed": 10}
    assert len(pd.read_csv(base / "mixed out" / "scores.csv")) == COUNT + 10
    assert (base / "mixed out" / "results.csv").is_file()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine without words", "give one of --words and --wordnet_dir"),
        ("mine too few", "fraction 0.1 of 4 words keeps none"),
        ("split too high", "tau_obj 0.9: no object-leaning word left"),
        ("split without backgrounds", "tau_bg 0.9: no background-leaning word left"),
        ("no such folder", "gone: no such folder"),
        ("empty folder", "empty: no picture in this folder"),
        ("no set", "ood_dirs: no OOD set"),
        ("class twice", "repeated.txt: line 3, 'dog', repeats line 1"),
        ("empty line", "gap.txt: line 2 is empty"),
        ("class as negative", "'Dog' also names a class"),
        ("too few negatives", "4 cannot fill 5 groups"),
        ("high tau", "neg_split_tau: tau_obj 0.9: no object-leaning word left"),
        ("unknown variant", "p_align_variant 'v10': unknown"),
        ("unknown field", "--config: Field nonsense not found"),
        ("no config file", "--config: x.py is missing or gives no config"),
        ("unknown method", "method 'msp': unknown"),
        ("no such method", "method 'neglabel_str': unknown (did you mean 'neglabel_star'?)"),
        ("method twice", "--config.method: has no effect, because --method=mcm decides"),
        ("unused by the method", "lambda_bg: has no effect, because --method=neglabel_one_group"),
        ("unused by the methods", "lambda_bg: has no effect, because --methods=mcm does not use"),
        ("nothing to keep", "--keep_id: has no effect without ID pictures; give them as --id_dir"),
        ("too much to keep", "keep_id 1.5: no share"),
        ("unknown layout", "textures is expected as images/<texture>"),
        ("negative seed", "seed -1: give 0 or more"),
        ("NaN weights", "visual_projection.weight holds NaN"),
        ("m3 alone", "use_scale_stabilization: needs ID pictures"),
        ("no picture at all", "text.jpg"),
        ("a word too many", "extra: not a flag"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(ran, base, name, says):
    line = one_line(ran[name])
    assert line.startswith("error: ") and says in line
    assert not (base / "failed").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown flag", "imgaes"),
        ("required flag", "--class_names must have a value"),
        ("wrong type", "num_groups=many"),
        ("wrong choice", "other_sets|same_sets|test"),
        ("render too large", "--size=999"),
    ],
)
def test_wrong_flags_say_so_without_a_traceback(ran, name, says):
    assert ran[name].returncode == 1
    assert says in ran[name].stderr and "Traceback" not in ran[name].stderr


def test_scoring_in_a_process_of_its_own(base):
    process = launch(
        "score_images", f"--images={base}/mixed", f"--out_dir={base}/alone",
        f"--class_names={base}/world/class_names.txt",
        f"--config={resource('configs/ood/world.py')}", "--config.negalign.num_groups=5",
    )  # fmt: skip
    assert one_line(process).startswith(f"failed: {base}/mixed/cat/text.jpg: not a readable")
    assert len(pd.read_csv(base / "alone" / "scores.csv")) == 10


def test_a_benchmark_is_rendered(ran, base):
    shown = succeeded(ran["render"])
    assert len(pd.read_csv(base / "rendered" / "truth.csv")) == 5
    assert f"{base}/rendered/ood_spurious" in shown.splitlines()
    record = json.loads((base / "rendered" / "run.json").read_text())
    assert record["config"] == {"num_pictures": 1, "size": 48} and record["seed"] == 6
