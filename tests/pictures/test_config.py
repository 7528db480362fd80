"""The settings of an evaluation: what is refused, and what a checked config is."""

import dataclasses

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.pictures.config import check


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(validation_fraction=1.0), "validation_fraction 1.0"),
        (dict(validation_fraction=float("nan")), "validation_fraction=nan"),
        (dict(templates=()), "templates"),
        (dict(lambdas=()), "lambdas"),
        (dict(lambdas=(1.0, float("nan"))), "lambdas.*not finite"),
        (dict(batch_size=-1), "batch_size=-1"),
        (dict(batch_size=10**8), "batch_size=100000000"),
        (dict(num_resamples=0), "num_resamples 0"),
        (dict(seed=-1), "seed -1"),
        (dict(convention="neither"), "convention 'neither'"),
        (dict(p_align_variant="v42"), "p_align_variant 'v42'"),
        (dict(num_groups=0), "num_groups 0"),
        (dict(method="cover"), "evaluate-ood does with --methods=cover"),
    ],
)
def test_a_setting_out_of_range_is_named(settings, changes, says):
    with pytest.raises(InputError, match=says):
        settings(**changes)


def test_a_variant_may_be_named_by_its_number(settings):
    assert settings(p_align_variant="v3").negalign.p_align_variant == "v3_ratio"


def test_a_checked_config_is_frozen_and_knows_the_models_logit_scale(settings, model):
    config = settings(logit_scale=0.0, cam_block_weights=[0.6, 0.4])
    assert config.negalign.logit_scale == pytest.approx(np.exp(model.params["logit_scale"]))
    assert check(config, model) == config and hash(check(config, model)) == hash(config)
    assert config.negalign.cam_block_weights == (0.6, 0.4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
