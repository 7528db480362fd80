"""Numbers of trained roles in an ontology file, and θ as strengths that give it again."""

import jax
import numpy as np
import pytest

from jaxvlm.atoms.roles import event_probability
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology, read_ontology
from jaxvlm.ontology.parameters import (
    as_yaml_number,
    exact_theta,
    role_params,
    written_number,
    written_strength,
)

TEXT = """
events:
  fire:
    direct: [flame: 0.995, smoke: 0.2]
    indirect: [smoke: 0.7]
    rules: [{atoms: [siren], unless: [drum: 0.25], strength: 0.5}]
    weights: {direct: 1.5, bias: -3}
  flood: {direct: [wave: 0.995], counter: [boat], rules: [siren unless drum]}
presence: {flame: {scale: 4}, wave: {scale: 2, center: 0.25}}
"""


def load(tmp_path, text):
    (tmp_path / "o.yaml").write_text(text)
    return load_ontology(tmp_path / "o.yaml")


def test_weights_and_strengths_count_as_they_are_written(tmp_path):
    """An event without weights has what written roles have: strengths up to 0.99, γ_C = −4."""
    o = load(tmp_path, TEXT)
    params = role_params(o)
    at = {atom: c for c, atom in enumerate(o.atoms)}
    direct = np.asarray(jax.nn.sigmoid(params.theta_direct))
    np.testing.assert_allclose(direct[at["flame"]], [0.995, 1e-4], rtol=2e-5)
    np.testing.assert_allclose(direct[at["wave"]], [0, 0.99], atol=1e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(params.theta_indirect)[at["smoke"], 0], 0.7, 1e-6)
    np.testing.assert_array_equal(params.gamma_direct, [1.5, 0])
    np.testing.assert_array_equal(params.gamma_counter, [-4, -4])
    np.testing.assert_array_equal(params.gamma_explicit, [0, -4])
    assert params.bias[0] == -3 and params.bias[1] != 0
    scale, center = np.full(6, 10.0), np.full(6, 0.5)
    scale[at["flame"]], scale[at["wave"]], center[at["wave"]] = 4, 2, 0.25
    np.testing.assert_array_equal(params.presence_scale, scale)
    np.testing.assert_array_equal(params.presence_center, center)
    np.testing.assert_array_equal(params.rules.atoms, [[[at["siren"], -1]]] * 2)
    np.testing.assert_array_equal(params.rules.unless, [[[at["drum"]]]] * 2)
    np.testing.assert_allclose(jax.nn.sigmoid(params.rules.theta)[:, 0], [0.5, 0.99], 1e-6)
    kappa = jax.nn.sigmoid(params.rules.theta_unless)[:, 0, 0]
    np.testing.assert_allclose(kappa, [0.25, 0.99], 1e-6)


def test_rules_of_a_person_are_scored_with(tmp_path):
    """A rule of one atom suffices, its counter holds it back, and no other rule."""
    o = load(
        tmp_path,
        "events:\n  crash:\n    rules:\n      - crashed car unless tow truck\n"
        "      - smoke with people\n",
    )
    params = role_params(o)

    def probability(*atoms):
        shown = np.array([[0.9 if atom in atoms else 0.1 for atom in o.atoms]])
        return float(event_probability(params, shown, candidates=o.candidates)[0, 0])

    assert probability("crashed car") > 0.8
    assert probability("crashed car", "tow truck") < 0.2
    assert max(probability("smoke"), probability("people"), probability("tow truck")) < 0.2
    assert probability("smoke", "people") > 0.8
    assert probability("smoke", "people", "tow truck") > 0.8


def test_events_differ_in_how_many_rules_and_counters_they_have(tmp_path):
    o = load(tmp_path, "events: {a: {rules: [x unless y, [z, x], [z]]}, b: [x], c: {rules: [[x]]}}")
    x, y, z = range(3)
    rules = role_params(o).rules
    assert rules.atoms.tolist() == [
        [[x, -1], [z, x], [z, -1]],
        [[-1, -1]] * 3,
        [[x, -1], [-1, -1], [-1, -1]],
    ]
    assert rules.unless.tolist() == [[[y], [-1], [-1]], [[-1]] * 3, [[-1]] * 3]
    none = load(tmp_path, "events: {a: {rules: [[x]]}}")
    assert role_params(none).rules.unless.shape == (1, 1, 0)


def test_presence_may_count_as_it_is(tmp_path):
    text = TEXT[: TEXT.index("presence")] + "presence: uncalibrated\n"
    params = role_params(load(tmp_path, text))
    assert params.presence_scale is None and params.presence_center is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("weights: {absent: 1}", "unknown key 'absent' (did you mean 'absence'?)"),
        ("weights: {bias: high}", "weights: bias is 'high'; write a number"),
        ("weights: {bias: .inf}", "weights: bias is inf; write a number"),
        ("weights: {bias: yes}", "weights: bias is True; write a number"),
        ("weights: [1, 2]", "weights: must be a mapping; write direct, indirect, absence"),
    ],
)
def test_a_bad_weight_is_one_line(tmp_path, text, cause):
    with pytest.raises(InputError, match=r"line 4: event 'fire'") as error:
        load(tmp_path, f"events:\n  fire:\n    direct: [a]\n    {text}\n")
    assert cause in str(error.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("presence: {flame: {scale: 1}}", "line 3: presence: unknown atom 'flame'"),
        ("presence: {a: 3}", "line 3: presence, 'a': must be a mapping; write {scale: 10"),
        ("presence: {a: {scales: 3}}", "unknown key 'scales' (did you mean 'scale'?)"),
        ("presence: {a: {scale: x}}", "line 3: presence, 'a': scale is 'x'; write a number"),
        ("presence: [a]", "line 3: presence: must be a mapping of atoms; write ATOM:"),
        ("settings: 3", "line 3: settings: must be a mapping; leave it as export-roles wrote it"),
        ("training: [3]", "line 3: training: must be a mapping; leave it"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path, text, cause):
    with pytest.raises(InputError) as error:
        load(tmp_path, f"events:\n  fire: {{direct: [a], weights: {{}}}}\n{text}\n")
    assert cause in str(error.value) and "\n" not in str(error.value)


def test_a_calibration_that_would_be_used_nowhere_is_an_error(tmp_path):
    (tmp_path / "o.yaml").write_text("events: {a: {direct: [x]}}\npresence: {x: {scale: 3}}")
    (problem,) = read_ontology(tmp_path / "o.yaml").problems
    assert problem.line == 2 and "is of events with weights, and none has any" in problem.text


def test_every_theta_comes_back_from_its_strength():
    thetas = np.concatenate([np.linspace(-39.9, 19.9, 3001), np.geomspace(1e-20, 1, 50)])
    thetas = thetas.astype(np.float32)
    again = [np.float32(exact_theta(float(written_strength(theta)))) for theta in thetas]
    # Bit for bit, but next to 0, where σ(θ) is one half in float64.
    np.testing.assert_allclose(again, thetas, rtol=0, atol=1e-15)
    assert written_strength(-40) is None and written_strength(25) == "1"
    assert np.float32(jax.nn.sigmoid(exact_theta(1.0))) == 1 and exact_theta(0.0) == -40


def test_what_a_person_writes_is_what_counts():
    written = np.array([0.001, 0.2, 0.5, 0.75, 0.999], np.float32)
    np.testing.assert_allclose(jax.nn.sigmoid(exact_theta(written)), written, rtol=3e-7)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "9.99999975e-06"), (0.5, "0.5"), (-3.0, "-3"), (2.0**40, "1.09951163e+12")],
)
def test_numbers_are_written_in_nine_digits(value, text):
    assert written_number(np.float32(value)) == text


def test_yaml_reads_an_exponent_only_behind_a_point():
    assert as_yaml_number("1e-05") == "1.0e-05" and as_yaml_number("1.5e-05") == "1.5e-05"
