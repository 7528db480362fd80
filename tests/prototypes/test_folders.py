"""The prototype's folder, written by PyTorch, to ours and back, and folders that are damaged."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from jaxvlm import files
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import event_probability
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.prototypes import folders as prototype_folders
from jaxvlm.prototypes import ontology as prototype_ontology
from jaxvlm.prototypes.roles import role_params, role_state
from jaxvlm.video import role_data, role_learning, scoring
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, BoundaryConfig, PresenceConfig
from jaxvlm.video.frame_presence import Segmented
from tests.atoms.role_fixtures import random_params
from tests.prototypes.prototype_folder import ATOMS, EVENTS, RoleLearner, video, write_prototype

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def runs(tmp_path):
    return write_prototype(tmp_path / "prototype")


@pytest.fixture
def ontology_py(runs):
    return runs.parent / "src" / "atoms" / "ontology.py"


def convert(runs, ontology=None, config=None):
    out = runs.parent.parent / "out"
    config = config or AtomsConfig()
    return out, prototype_folders.from_prototype(runs, out, config, ontology_file=ontology)


def one_line(error):
    message = str(error.value)
    assert "\n" not in message and ";" in message
    return message


def test_runs_become_safetensors_with_the_same_numbers(runs, ontology_py):
    out, result = convert(runs, ontology_py)
    assert result.done == [f"video_{n}" for n in range(4)] and result.failures == []
    assert (result.manifest, result.roles) == (out / "manifest.csv", out / "roles" / "model")
    for n, run in enumerate(tables.read_manifest(result.manifest)):
        presence, pbar, labels = video(n)
        (pack,) = tables.read_trainpacks([run], most=20.0)
        np.testing.assert_array_equal(pack.pbar, pbar)
        np.testing.assert_array_equal(pack.labels, np.zeros(len(pbar)))
        arrays = files.read_arrays(run.run_dir / "presence.safetensors")
        np.testing.assert_array_equal(arrays["presence"], presence)
        arrays = files.read_arrays(run.run_dir / "seg_presence.safetensors")
        np.testing.assert_array_equal(arrays["seg_presence"], pbar)
        arrays = files.read_arrays(run.run_dir / "boundary.safetensors")
        np.testing.assert_array_equal(arrays["boundary"], np.full(len(pbar), 0.5))
        table = tables.read_event_labels(run.labels_csv, EVENTS)
        assert table[list(EVENTS)].to_numpy().tolist() == [labels]


def test_the_ontology_module_is_read_and_not_run(ontology_py, tmp_path):
    (tmp_path / "o.yaml").write_text(prototype_ontology.to_yaml(ontology_py), encoding="utf-8")
    ontology = load_ontology(tmp_path / "o.yaml")
    assert ontology.events == EVENTS and ontology.atoms == ATOMS
    expected = np.zeros((7, 2))
    expected[[1, 4], 0] = expected[6, 1] = 1
    np.testing.assert_array_equal(ontology.candidates, expected)
    assert ontology.templates == ("a photo of {}", "scene with {} visible")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("EVENTS = [", "OTHERS = [", "no EVENTS"),
        ('EVENTS = ["fire", "flood"]', "EVENTS = list(EVENT2ATOMS)", "EVENTS is not written out"),
        ('["sparks", "siren"]', '["sparks", 3]', "lists of text"),
        ('"flames leaping up.",\n', '"flames  leaping up.",\n', "is in neither list"),
        ('["sparks", "siren"]', '["sparks", "two  blanks"]', "blanks too many"),
        ("EVENTS = [", "EVENTS == [[", "not Python"),
        ('f"a photo of {atom}",', 'f"a photo",', "lists no f-strings"),
    ],
)
def test_a_module_that_says_something_else(ontology_py, old, new, says):
    text = ontology_py.read_text(encoding="utf-8")
    assert old in text
    ontology_py.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=says) as error:
        prototype_ontology.to_yaml(ontology_py)
    assert "ontology.py" in one_line(error)


def test_roles_become_a_role_model_that_knows_how_to_score(runs, ontology_py):
    config = AtomsConfig(presence=PresenceConfig(kind="cosine"))
    out, result = convert(runs, ontology_py, config)
    model = role_models.load_role_model(result.roles, atoms=ATOMS, events=EVENTS)
    state = RoleLearner().state_dict()
    for field, name in (
        ("theta_direct", "theta_dir"),
        ("theta_indirect", "theta_ind"),
        ("theta_counter", "theta_ctr"),
        ("gamma_direct", "gamma_dir"),
        ("gamma_indirect", "gamma_ind"),
        ("gamma_counter", "gamma_ctr"),
        ("bias", "bias"),
    ):
        np.testing.assert_array_equal(getattr(model.params, field), state[name].numpy())
    assert model.params[7:] == (None,) * 4
    np.testing.assert_array_equal(model.candidates, load_ontology(out / "ontology.yaml").candidates)
    assert model.config == config
    assert model.templates == ("a photo of {}", "scene with {} visible")
    assert (out / "roles" / "roles.csv").is_file()


def test_the_first_versions_roles_score_as_they_did(tmp_path):
    """Against the first version's equations: ρ clamped, products, no temperature."""
    rng = np.random.default_rng(0)
    state = {f"rho_{role}": rng.uniform(-0.1, 0.9, (5, 2)) for role in ("dir", "ind", "ctr")}
    state |= {f"gamma_{role}": rng.normal(size=2) for role in ("dir", "ind", "ctr")}
    state |= {"bias": rng.normal(size=2)}
    p = rng.uniform(0.1, 0.9, (4, 5))
    dir_, ind = np.clip(state["rho_dir"], 0, 1), np.clip(state["rho_ind"], 0, 1)
    expected = np.zeros((4, 2))
    for t in range(4):
        for e in range(2):
            direct = 1 - np.prod(1 - dir_[:, e] * p[t])
            pairs = [(i, j) for i in range(5) for j in range(i)]
            a = ind[:, e] * p[t]
            indirect = 1 - np.prod([1 - a[i] * a[j] for i, j in pairs])
            counter = (1 - direct) * (1 - indirect)
            logit = state["bias"][e]
            for role, x in (("dir", direct), ("ind", indirect), ("ctr", counter)):
                logit += state[f"gamma_{role}"][e] * np.log(x / (1 - x))
            expected[t, e] = 1 / (1 + np.exp(-logit))
    got = event_probability(role_params(state, "role.pt"), p.astype(np.float32), temperature=2.0)
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-6)


def test_roles_can_be_learned_from_runs_without_presence_unless_the_boundary_is(runs, ontology_py):
    for path in runs.glob("*/presence.pt"):
        path.unlink()
    out, result = convert(runs, ontology_py)
    ontology = load_ontology(out / "ontology.yaml")
    data = role_data.read_runs(result.manifest, ontology, most=20.0)
    np.testing.assert_array_equal(data.labels, [[0, 0], [1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(data.videos[3], video(3)[1])
    config = AtomsConfig(boundary=BoundaryConfig(delta="learned"))
    with pytest.raises(InputError, match="lacks presence.safetensors, which a learned boundary"):
        role_learning.learn_roles(data, ontology, config, seed=0)


def test_a_folder_without_a_manifest_and_labels_in_the_prototypes_spellings(runs, ontology_py):
    (runs / "manifest.csv").unlink()
    (runs / "video_0" / "video_event_labels.csv").write_text("video_id,fire,flood\nvideo_0,Y,\n")
    (runs / "video_1" / "video_event_labels.csv").write_text("video_id,fire,flood\nx,f,1.0\n")
    (runs / "video_2" / "video_event_labels.csv").unlink()
    out, result = convert(runs, ontology_py)
    assert result.failures == []
    read = [run.labels_csv for run in tables.read_manifest(result.manifest)]
    assert read[2] is None
    labels = [tables.read_event_labels(path)[list(EVENTS)].to_numpy()[0] for path in read[:2]]
    np.testing.assert_array_equal(labels, [[1, 0], [0, 1]])


def test_bad_runs_are_reported_and_skipped(runs, ontology_py, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch '{tmp_path}/ran'",)

    torch.save({"pbar": Evil(), "labels": torch.zeros(3)}, runs / "video_0" / "trainpack.pt")
    torch.save({"pbar": torch.ones(3, 2), "labels": torch.zeros(3)}, runs / "video_1/trainpack.pt")
    (runs / "video_2" / "video_event_labels.csv").write_text("video_id,flood,fire\nv,0,1\n")
    out, result = convert(runs, ontology_py)
    assert result.done == ["video_3"] and not (tmp_path / "ran").exists()
    assert sorted(path.name for path in out.glob("video_*")) == ["video_3"]
    for failure, says in zip(
        result.failures,
        ("video_0", "2 atoms, the ontology has 7", "columns must be video_id and fire,flood"),
        strict=True,
    ):
        assert says in failure and "\n" not in failure
    for content, says in (
        ({"labels": torch.zeros(3)}, "no pbar"),
        ({"pbar": torch.ones(3), "labels": torch.zeros(3)}, "not a tensor of 2 axes"),
        ({"pbar": torch.ones(3, 7), "labels": torch.zeros(2)}, "3 frames, 2 labels"),
    ):
        torch.save(content, runs / "video_3" / "trainpack.pt")
        assert says in convert(runs, ontology_py)[1].failures[-1]


def test_roles_that_do_not_fit_are_reported(runs, ontology_py):
    assert "holds no names of atoms and events; give --ontology" in convert(runs)[1].failures[0]
    path = runs / "role_learner_multi.pt"
    good = RoleLearner().state_dict()
    for change, says in (
        ({"theta_dir": torch.ones(3, 2)}, "theta_ind is not"),
        ({"bias": torch.ones(3)}, "bias is not"),
        ({"gamma_ctr": torch.full((2,), torch.nan)}, "gamma_ctr holds NaN"),
        ({"gamma_ctr": None}, "gamma_ctr is not"),
        ({name: good[name][:3] for name in ("theta_dir", "theta_ind", "theta_ctr")}, "(3, 2)"),
    ):
        torch.save(good | change, path)
        (failure,) = convert(runs, ontology_py)[1].failures
        assert "role_learner_multi.pt" in failure and says in failure
    torch.save({"state": good}, path)
    assert "no parameter bias" in convert(runs, ontology_py)[1].failures[0]
    torch.save([1], path)
    assert "not a state_dict" in convert(runs, ontology_py)[1].failures[0]


def test_folders_that_hold_nothing(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither manifest.csv, run folders nor role") as error:
        convert(tmp_path / "empty")
    assert one_line(error)
    with pytest.raises(InputError, match="neither manifest.csv nor a role model"):
        prototype_folders.to_prototype(tmp_path / "empty", tmp_path / "out")
    shutil.copytree(runs / "video_0", runs / "more" / "video_0")
    (runs / "manifest.csv").write_text("run_dir,labels_csv\nvideo_0,\nmore/video_0,\n")
    with pytest.raises(InputError, match="two runs named video_0"):
        convert(runs)


def test_there_and_back_the_prototype_reads_the_same(runs, ontology_py, tmp_path, monkeypatch):
    out, _ = convert(runs, ontology_py)
    monkeypatch.chdir(tmp_path)
    result = prototype_folders.to_prototype("out", "back")
    assert result.done == [f"video_{n}" for n in range(4)] and result.failures == []
    lines = (tmp_path / "back" / "manifest.csv").read_text().splitlines()
    assert lines[0] == "run_dir,labels_csv"
    # As the prototype's trainer does it, in the same working folder.
    for n, line in enumerate(lines[1:]):
        run_dir, labels_csv = line.split(",")
        pack = torch.load(os.path.join(run_dir, "trainpack.pt"), weights_only=True)
        np.testing.assert_array_equal(pack["pbar"].numpy(), video(n)[1])
        assert pack["labels"].dtype == torch.float32 and not pack["labels"].any()
        with open(labels_csv) as file:
            assert file.readline() == "video_id,fire,flood\n"
        for name in ("presence", "boundary", "seg_presence", "labels"):
            before = torch.load(runs / f"video_{n}" / f"{name}.pt", weights_only=True)
            after = torch.load(os.path.join(run_dir, f"{name}.pt"), weights_only=True)
            assert after.dtype == before.dtype and torch.equal(after, before)
    learner = RoleLearner(seed=1)
    learner.load_state_dict(torch.load("back/role_learner_multi.pt", weights_only=True))
    for name, tensor in RoleLearner().state_dict().items():
        assert torch.equal(learner.state_dict()[name], tensor)


def test_what_the_prototype_lacks_cannot_go_back(tmp_path):
    model = role_models.RoleModel(random_params(0, 3, 2), ("a", "b", "c"), ("x", "y"))
    with pytest.raises(InputError, match="has gamma_explicit, which the prototype's learner lacks"):
        role_state(model, tmp_path)
    role_models.save_role_model(tmp_path / "roles" / "model", model)
    result = prototype_folders.to_prototype(tmp_path, tmp_path / "out")
    assert result.roles is None and "configs/reference.py" in result.failures[0]


def test_a_converted_model_scores_a_video_as_the_prototype_did(tmp_path):
    """Against the prototype's own P on its own, unnormalised p̄ (tests/golden)."""
    golden = files.read_arrays(GOLDEN / "atoms.safetensors")
    names = ("theta_dir", "theta_ind", "theta_ctr", "gamma_dir", "gamma_ind", "gamma_ctr", "bias")
    state = {name: torch.as_tensor(golden[f"role.{name}"]) for name in names}
    torch.save(state, tmp_path / "role_learner_multi.pt")
    mask = golden["role.candidate_mask"]
    atoms, events = [f"atom {c:02d}" for c in range(24)], [f"event {e}" for e in range(6)]
    listed = {
        event: [atoms[c] for c in np.flatnonzero(mask[:, e])] for e, event in enumerate(events)
    }
    (tmp_path / "o.json").write_text(json.dumps({"events": listed, "atoms": atoms}))
    config = AtomsConfig(roles=RoleConfig(reference=True))
    result = prototype_folders.from_prototype(
        tmp_path / "role_learner_multi.pt",
        tmp_path / "out",
        config,
        ontology_file=tmp_path / "o.json",
    )
    roles, _ = scoring.read_roles(result.roles, "", None)
    segmented = Segmented(golden["divergence"], golden["boundary"], golden["pbar_sum"])
    blank = [np.zeros((1, 1, 3), np.uint8)] * len(golden["boundary"])
    report = scoring.explain(
        roles, "v", lambda places: [blank[t] for t in places], np.arange(len(blank)), segmented
    )
    np.testing.assert_allclose(report.probability, golden["role.sum.mask.P"], atol=1e-6)


def test_a_run_that_the_disk_does_not_give_fails_alone(runs, ontology_py, monkeypatch):
    read = prototype_folders.read_torch

    def failing(path):
        if "video_1" in str(path):
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(prototype_folders, "read_torch", failing)
    _, result = convert(runs, ontology_py)
    assert result.done == ["video_0", "video_2", "video_3"]
    (line,) = result.failures
    assert line == f"{runs / 'video_1'}: Input/output error; check the disk"
