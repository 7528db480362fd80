"""Against the public code of each method.

``golden/streams.safetensors`` has random unit rows and what the methods' released code gave for
them on a CPU, in batches of 32: AdaNeg and TANL of YBZh/OpenOOD-VLM, OODD of zxk1212/OODD, and the
lines that score a picture of fu1001hao/CLIPScope, tmlr-group/EOE and yuxiaoLeeMarks/CMA. Its
AdaNeg was given L = 4 and stops at 3 pictures a label.
"""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxvlm.ood.streams import adaneg, clipscope, oodd, tanl
from jaxvlm.ood.streams.running import Texts, run
from jaxvlm.ood.text_scores import cma_score, eoe_score

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "streams.safetensors")
TEXTS = Texts(GOLDEN["positive"], GOLDEN["negative"], GOLDEN["corpus"], GOLDEN["noise"])
ADANEG = adaneg.Config(slots=3, sharpness=5.0)
TANL = tanl.Config(count=12, queue=20, window=200)
CASES = {
    "adaneg_task": (adaneg, ADANEG),
    "adaneg_sample": (adaneg, ADANEG._replace(sample_adaptive=True)),
    "adaneg_adaptive_gap": (adaneg, ADANEG._replace(adaptive_gap=True, base_weight=1.0)),
    "clipscope": (clipscope, clipscope.Config()),
    "oodd": (oodd, oodd.Config(queue=50)),
    "tanl_alpha_0": (tanl, TANL),
    "tanl_alpha_0.5": (tanl, TANL._replace(keep=0.5)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_stream_scores_as_the_public_code(name):
    method, config = CASES[name]
    base = GOLDEN["mcm"] if method is oodd else None
    state = method.start(config, TEXTS)
    _, found = run(method.step, config, TEXTS, state, GOLDEN["rows"], base=base, batch_size=32)
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_stream_and_its_pieces_give_the_same_numbers(name):
    method, config = CASES[name]
    rows, base = GOLDEN["rows"][:150], GOLDEN["mcm"][:150] if method is oodd else None
    start = method.start(config, TEXTS)
    _, whole = run(method.step, config, TEXTS, start, rows, base=base, batch_size=32)
    state, pieces = start, []
    for first, last in ((0, 64), (64, 96), (96, 150)):
        part = None if base is None else base[first:last]
        state, found = run(
            method.step, config, TEXTS, state, rows[first:last], base=part, batch_size=32
        )
        pieces.append(found)
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-6, atol=1e-6)


def test_what_pads_a_batch_teaches_nothing():
    """The 10 pictures of a short batch leave the state of a batch of 10."""
    for method, config in CASES.values():
        base = GOLDEN["mcm"][:10] if method is oodd else None
        states = [
            run(
                method.step,
                config,
                TEXTS,
                method.start(config, TEXTS),
                GOLDEN["rows"][:10],
                base=base,
                batch_size=size,
            )[0]
            for size in (10, 32)
        ]
        if method is oodd:  # which holds no picture where its score is infinite
            states = [state._replace(rows=state.rows[:10]) for state in states]
        for one, other in zip(*map(jax.tree.leaves, states), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_clipscope_is_the_same_in_batches_and_one_by_one():
    found = [
        run(
            clipscope.step,
            clipscope.Config(),
            TEXTS,
            clipscope.start(clipscope.Config(), TEXTS),
            GOLDEN["rows"][:40],
            batch_size=size,
        )[1]
        for size in (1, 40)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_eoe_and_cma_score_as_the_public_code():
    rows = 100 * GOLDEN["rows"]
    known, other = rows @ GOLDEN["positive"].T, rows @ GOLDEN["negative"].T
    np.testing.assert_allclose(jax.vmap(eoe_score)(known, other), GOLDEN["eoe"], atol=1e-6)
    agents = rows @ GOLDEN["corpus"][20:26].T
    np.testing.assert_allclose(jax.vmap(cma_score)(known, agents), GOLDEN["cma"], atol=1e-6)


def test_tanl_without_noise_starts_from_the_texts_alone():
    texts = TEXTS._replace(noise=None)
    state = tanl.start(TANL, texts)
    assert int(state.ood_seen) == 0 and int(state.id_seen) == 6
    _, found = run(tanl.step, TANL, texts, state, GOLDEN["rows"], batch_size=32)
    assert np.isfinite(found).all() and found.std() > 0.1


def test_otsu_finds_the_gap_between_two_heaps():
    scores = np.concatenate([np.full(30, 0.2), np.full(50, 0.8)]).astype(np.float32)
    held = np.arange(80) < 70
    # every threshold of 0.21 … 0.80 parts the heaps; 60 of them, the middle one is the 31st
    assert float(tanl.otsu(scores, held)) == pytest.approx(0.51)


def test_pictures_of_noise_are_in_range_and_of_five_kinds():
    noise = np.asarray(tanl.noise_pictures(0, 32))
    assert noise.shape == (15, 32, 32, 3) and noise.min() == 0 and noise.max() == 1
    assert set(np.unique(noise[12:])) == {0.0, 1.0}
    assert len(np.unique(noise[6:9])) < 30  # Poisson: few values
