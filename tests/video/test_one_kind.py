"""Events that all training videos show, or none: nothing is learned of them, and it is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.atoms.rules import Rules
from jaxvlm.errors import InputError
from jaxvlm.evaluation import baselines
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.pages.video_page import role_book, write_video_page
from jaxvlm.video import one_kind, role_file, role_learning
from jaxvlm.video import role_model as role_models
from jaxvlm.video.held_out import Holdout
from tests.atoms.role_fixtures import random_params
from tests.video.role_runs import ATOMS, EVENTS, ONTOLOGY, small_config, write_runs

# riot has roles, panic has none; neither stands in the labels of the others' ontology.
WITH_BOTH = ONTOLOGY.replace(
    "clutter", "  riot: {direct: [smoke: 0.8], counter: [tree]}\n  panic: [tree, boat]\nclutter"
)
RIOT, PANIC = (
    "riot: all the 24 training videos show it, so nothing can be learned of it; its roles are "
    "those that the ontology states",
    "panic: none of the 24 training videos shows it, so nothing can be learned of it; the ontology "
    "states no roles of it, so it is not looked for",
)

CONFIG = small_config(form="product")  # what is learned of the others is not the matter here


def relabelled(manifest, **labels) -> None:
    """Writes the same labels of some events into every run."""
    for path in manifest.parent.glob("*/video_event_labels.csv"):
        table = pd.read_csv(path).assign(**labels)
        table.to_csv(path, index=False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Folder, what was learned without the two events, and with them."""
    base = tmp_path_factory.mktemp("one kind")
    manifest = write_runs(base / "runs", 24)
    taught = role_learning.train_manifest(manifest, base / "taught", CONFIG, seed=4)
    relabelled(manifest, riot=1, panic=0)
    (manifest.parent / "ontology.yaml").write_text(WITH_BOTH)
    both = role_learning.train_manifest(manifest, base / "both", CONFIG, seed=4)
    return base, taught, both


def test_what_is_learned_of_the_others_does_not_change_by_a_bit(learned):
    _, taught, both = learned
    assert taught.model.one_kind == () and both.model.events == (*EVENTS, "riot")
    for name, own in taught.model.params._replace(rules=None)._asdict().items():
        if own is not None:
            found = np.asarray(getattr(both.model.params, name))
            found = found if name.startswith("presence") else found[..., :2]  # fire, flood
            np.testing.assert_array_equal(found, own)
    own, found = taught.model.params.rules, both.model.params.rules
    assert (own is None) == (found is None)
    for field, kept in zip(found or (), own or (), strict=True):
        np.testing.assert_array_equal(field[:2], kept)
    pd.testing.assert_frame_equal(both.measured.figures, taught.measured.figures)
    assert both.measured.plan.held_out


def test_written_roles_are_kept_and_computed_as_without_training(learned):
    base, _, both = learned
    loaded = role_models.load_role_model(base / "both" / "model")
    written = role_file.written_roles(base / "runs" / "ontology.yaml", loaded.config)
    pbar = np.random.default_rng(1).uniform(size=(9, len(ATOMS))).astype(np.float32)
    place = written.events.index("riot")
    for model in (both.model, loaded):
        np.testing.assert_allclose(
            model.probability(pbar)[:, 2], written.probability(pbar)[:, place], rtol=1e-5
        )
        got, expected = (each.contributions(pbar, "riot") for each in (model, written))
        for one, other in zip(got, expected, strict=True):
            if other is not None:  # the strengths of rules, of which riot has none
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert [kind.sentence() for kind in loaded.one_kind] == [RIOT, PANIC]
    assert "one_kind" not in loaded.training


def test_they_are_marked_in_the_tables_and_named(learned):
    base, _, both = learned
    table = files.read_csv(base / "both" / "roles.csv", keep_default_na=False)
    sources = table.groupby("event")["roles_from"].unique().map(list).to_dict()
    assert sources == {
        "fire": ["labels"], "flood": ["labels"], "riot": ["ontology"], "panic": ["nothing"],
    }  # fmt: skip
    riot = table[table["event"] == "riot"].set_index("atom")
    assert riot["role"].to_dict() == {"smoke": "direct", "tree": "counter"}
    np.testing.assert_allclose(float(riot["rho_direct"]["smoke"]), 0.8, rtol=1e-5)
    (panic,) = table[table["event"] == "panic"].itertuples()
    assert (panic.atom, panic.role, panic.rho_direct) == ("", "none", "")
    assert files.read_json(base / "both" / "run.json")["warnings"] == [RIOT, PANIC]
    assert files.read_json(base / "taught" / "run.json")["warnings"] == []
    write_video_page(base / "page.html", [], role_book(both.model))
    page = (base / "page.html").read_text()
    assert page.count(RIOT) == page.count(PANIC) == 1


def test_folds_leave_them_out_too(learned, tmp_path):
    base, _, _ = learned
    model, measured = role_learning.train_manifest(
        base / "runs" / "manifest.csv", tmp_path / "out", CONFIG, holdout=Holdout(0.0, 2)
    )
    assert model.events == (*EVENTS, "riot") and measured.plan.folds == 2
    assert not set(measured.figures["event"]) & {"riot", "panic"}


def test_where_no_event_has_both_kinds_it_is_said_what_is_needed(tmp_path):
    manifest = write_runs(tmp_path / "runs", 4)
    relabelled(manifest, fire=1, flood=0)
    with pytest.raises(InputError) as caught:
        role_learning.train_manifest(manifest, tmp_path / "out", CONFIG)
    assert str(caught.value) == (
        f"{manifest}: no event is 1 in some of the 4 videos and 0 in others, so nothing can be "
        "learned; give labelled videos for one event at least, two or more of each kind (fire: "
        "videos that do not show it; flood: videos that show it)"
    )
    assert not (tmp_path / "out").exists()


def test_reference_mode_trains_them_and_says_so(tmp_path):
    manifest = write_runs(tmp_path / "runs", 4)
    relabelled(manifest, flood=0)
    config = small_config(reference=True, epochs=2)
    model = role_learning.train_manifest(manifest, tmp_path / "out", config).model
    assert model.events == EVENTS
    (line,) = files.read_json(tmp_path / "out" / "run.json")["warnings"]
    assert line.startswith("flood: none of the 4") and line.endswith("its P says nothing")


def test_metadata_that_tells_nonsense_of_it_is_one_line():
    for value in (
        3,
        ["riot"],
        [{"event": "riot"}],
        [dict(zip("abcd", "abcd", strict=True))],
        [{"event": "riot", "label": True, "videos": 3, "roles_from": "ontology"}],
    ):
        with pytest.raises(InputError, match="m.json: one_kind is no list of events"):
            one_kind.read_one_kind(value, "m.json")


def test_the_linear_baseline_takes_them(learned):
    rng = np.random.default_rng(2)
    videos = [rng.uniform(size=(5, 3)).astype(np.float32) for _ in range(6)]
    labels = np.array([[n % 2, 1, 0] for n in range(6)])
    found = baselines.mil_linear(videos, labels, videos, seed=0, steps=5)
    assert np.isfinite(np.concatenate(found)).all()


def test_rules_of_events_that_were_taught_and_of_those_that_are_written_stand_together(tmp_path):
    """riot has two written rules of one counter, fire and flood learned ones of two counters."""
    rules = "{rules: [[smoke, tree], boat unless wave]}"
    (tmp_path / "o.yaml").write_text(ONTOLOGY.replace("clutter", f"  riot: {rules}\nclutter"))
    ontology = load_ontology(tmp_path / "o.yaml")
    kinds = (one_kind.OneKind("riot", 1, 24, one_kind.WRITTEN),)
    learned = Rules(
        jnp.array([[[0, 1]], [[2, -1]]]),
        jnp.array([[0.5], [1.5]]),
        jnp.array([[[3, 4]], [[-1, 5]]]),
        jnp.array([[[0.1, 0.2]], [[0.0, 0.3]]]),
    )
    for given in (learned, None):
        params = random_params(0, len(ATOMS), 2)._replace(rules=given)
        merged, kept = one_kind.with_written(params, ontology, kinds)
        assert kept.events == (*EVENTS, "riot")
        boat, smoke, tree, wave = (ATOMS.index(name) for name in ("boat", "smoke", "tree", "wave"))
        found = merged.rules
        assert found.atoms[2].tolist() == [[smoke, tree], [boat, -1]]
        assert found.unless[2, :, 0].tolist() == [-1, wave]
        np.testing.assert_allclose(jax.nn.sigmoid(found.theta[2]), 0.99, rtol=1e-6)
        if given is not None:
            assert found.atoms[:2].tolist() == [[[0, 1], [-1, -1]], [[2, -1], [-1, -1]]]
            assert found.unless[:2, 0].tolist() == [[3, 4], [-1, 5]]
            np.testing.assert_array_equal(found.theta[:2, 0], learned.theta[:, 0])
            np.testing.assert_array_equal(found.theta_unless[:2, 0], learned.theta_unless[:, 0])
        else:
            assert (found.atoms[:2] == -1).all()


def test_an_event_with_rules_alone_is_stated(tmp_path):
    (tmp_path / "o.yaml").write_text("events: {a: {rules: [[x, y]]}, b: [x], c: [y]}")
    labels = np.array([[1, 1, 0], [1, 1, 1]])
    found = one_kind.find_one_kind(labels, load_ontology(tmp_path / "o.yaml"), "labels")
    assert [(kind.event, kind.roles_from) for kind in found] == [
        ("a", "ontology"),
        ("b", "nothing"),
    ]
