"""Label banks and pictures that do not fit the model or the settings."""

import numpy as np
import pytest

from jaxvlm import ood
from jaxvlm.errors import InputError
from jaxvlm.ood import detector, encoding
from tests.ood.test_detector import CONFIG, change, encoded, score
from tests.ood.test_golden import (
    arrays,
    golden_banks,
    golden_model,
    reference_config,
)


def broken(name: str, value: float) -> ood.LabelBanks:
    bank = getattr(golden_banks(), name).copy()
    bank[3] *= value
    return golden_banks()._replace(**{name: bank})


BANKS = ("positive", "negative", "negative_object", "negative_background")


@pytest.mark.parametrize("name", BANKS)
def test_banks_that_fit_nothing(name):
    for value in (np.nan, np.inf, 0.0, 2.0):
        with pytest.raises(InputError, match=f"label bank {name}: a row is NaN or not of unit"):
            ood.check_banks(broken(name, value), CONFIG)
    for wrong in (np.eye(31, dtype=np.float32), getattr(golden_banks(), name)[0]):
        banks = golden_banks()._replace(**{name: wrong})
        with pytest.raises(InputError, match="label bank .*embed all labels with one model"):
            ood.check_banks(banks, CONFIG)


def test_empty_banks():
    nothing = np.zeros((0, 32), np.float32)
    no_background = golden_banks()._replace(negative_background=nothing)
    with pytest.raises(InputError, match="negative_background: empty.*use_p_align=False"):
        score(banks=no_background)
    without = score(change(use_p_align=False), no_background)
    np.testing.assert_array_equal(without["s_final"], score()["s_neglabel_star"])
    with pytest.raises(InputError, match="positive: empty; give at least one class name"):
        ood.check_banks(golden_banks()._replace(positive=nothing), CONFIG)
    with pytest.raises(InputError, match="0 cannot fill 10 groups"):
        score(banks=golden_banks()._replace(negative_object=nothing))


def test_what_the_tower_cannot_take():
    model, positive = golden_model(), golden_banks().positive
    pixels = arrays()["pixel_values"]
    for block in (-5, 0, 2):
        with pytest.raises(InputError, match=f"cam_block {block} .*-1 to -4"):
            ood.encode(model, positive, pixels, reference_config(block).cam)
    for wrong in (
        pixels[0],
        pixels[:0],
        pixels[:, :1],
        pixels[..., :32],
        np.moveaxis(pixels, 1, -1),
    ):
        with pytest.raises(InputError, match=r"pixel values: shape .*\(N, 3, 64, 64\)"):
            ood.encode(model, positive, wrong, CONFIG.cam)
    hidden = encoding.encode_hidden(model, pixels, CONFIG.cam)
    for wrong in (positive[:, :16], positive[0]):
        with pytest.raises(InputError, match="positive labels: shape .*32 dimensions"):
            ood.encode(model, wrong, pixels, CONFIG.cam)
        with pytest.raises(InputError, match="positive labels: shape .*32 dimensions"):
            encoding.encode_from_hidden(model, wrong, hidden, CONFIG.cam)
    for wrong in (hidden[0], hidden[:, 1:], hidden[..., :16]):
        with pytest.raises(
            ValueError, match=r"encode_from_hidden: hidden has shape .*needs \[N, 65"
        ):
            encoding.encode_from_hidden(model, positive, wrong, CONFIG.cam)


def test_prompts_and_weights_that_do_not_go_with_their_bank():
    banks = golden_banks()
    prompts = np.repeat(banks.positive[:, None], 2, axis=1)
    ood.check_banks(banks._replace(positive_prompts=prompts), CONFIG)
    for wrong in (prompts[:-1], prompts[:, 0], 2 * prompts, np.nan * prompts):
        with pytest.raises(InputError, match="label bank positive_prompts"):
            score(banks=banks._replace(positive_prompts=wrong))
    for name, bank in (
        ("object_weights", banks.negative_object),
        ("background_weights", banks.negative_background),
    ):
        for wrong in (np.ones(len(bank) - 1), np.full(len(bank), np.nan), 1.0):
            with pytest.raises(InputError, match=f"label bank {name}: not {len(bank)} finite"):
                score(banks=banks._replace(**{name: wrong}))


def test_the_models_own_logit_scale_must_be_resolved():
    own = change(logit_scale=0.0)
    for unresolved in (
        lambda: score(own),
        lambda: ood.neglabel_scores(encoded().image, golden_banks(), own),
    ):
        with pytest.raises(InputError, match="logit_scale 0: .*with_logit_scale"):
            unresolved()
    resolved = ood.with_logit_scale(own, golden_model())
    assert resolved.logit_scale == pytest.approx(np.exp(golden_model().params["logit_scale"]))
    assert ood.with_logit_scale(CONFIG, golden_model()) is CONFIG


def test_bad_banks_cost_no_forward_pass(monkeypatch):
    monkeypatch.setattr(detector, "encode", lambda *_: pytest.fail("encoded"))
    with pytest.raises(InputError, match="positive: empty"):
        empty = golden_banks()._replace(positive=np.zeros((0, 32), np.float32))
        ood.score_images(golden_model(), empty, arrays()["pixel_values"], CONFIG)
