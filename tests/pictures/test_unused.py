"""A setting that was given and cannot apply ends in one line that names what decides."""

import dataclasses

import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.words.lists import SPLIT_FOLDER
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.unused import refuse_unused

WORDS = Words(["dog"], ["tree"])
FIELDS = {field.name for field in dataclasses.fields(OodConfig)} - {"negalign"} | {
    f"negalign.{field.name}" for field in dataclasses.fields(NegAlignConfig)
}


def config(method="neglabel", **changes):
    own = {name: changes.pop(name) for name in list(changes) if name in FIELDS}
    return OodConfig(method=method, negalign=NegAlignConfig(**changes), **own)


@pytest.mark.parametrize(
    ("field", "settings", "decides"),
    [
        ("negalign.lambda_bg", config(), "--method=neglabel does not use it; take negalign"),
        ("negalign.p_align_variant", config("mcm"), "--method=mcm does not use it"),
        ("negalign.glmcm_weight", config(), "take gl_mcm, gl_mcm_output"),
        ("negalign.topk_aggregation_k", config(), "take negalign, neglabel_m1"),
        ("negalign.logit_scale", config("gl_mcm"), "take max_logit, energy, neglabel or another"),
        ("lambdas", config(), "that is evaluate-ood"),
        ("negalign.neg_topk", config("negalign", use_p_align=False), "use_p_align is off"),
        ("negalign.use_scale_stabilization", config("negalign", use_neglabel_star=False),
         "use_neglabel_star is off"),
        ("templates", config(prompts="csp"), "prompts=csp decides"),
        ("negalign.soft_beta", config(), "soft_weighting=none decides"),
        ("negalign.neg_split_tau", config(), "split_percentile=45 decides; set it to 0"),
        ("negalign.neg_split_recompute", config(), "no split lies beside"),
        ("negalign.cam_fg_percentile", config(cam_threshold="otsu"), "otsu chooses by itself"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_apply_is_refused(field, settings, decides):
    assert field in FIELDS
    with pytest.raises(InputError, match=f"--config.{field}: has no effect") as error:
        refuse_unused({"seed", field}, settings, WORDS)
    assert decides in str(error.value)
    refuse_unused(FIELDS - {field, *_refused(settings)}, settings, WORDS)


def _refused(settings, **options):
    """The fields that are refused one by one."""
    found = set()
    for field in FIELDS:
        try:
            refuse_unused({field}, settings, WORDS, **options)
        except InputError:
            found.add(field)
    return found


def test_what_applies_passes():
    aligned = {"negalign.lambda_bg", "negalign.p_align_variant", "negalign.use_neglabel_star"}
    assert not aligned & _refused(config("negalign"))
    assert aligned <= _refused(config())
    # A comparison of all methods uses all but what the words and the split decide.
    assert _refused(config(), methods=["all"]) == {
        "negalign.soft_beta", "negalign.neg_split_tau", "negalign.neg_split_recompute",
    }  # fmt: skip
    few = _refused(config("mcm"), methods=["mcm", "gl_mcm"])
    assert aligned <= few and not few & {"negalign.glmcm_weight", "lambdas", "method"}
    assert "method" in _refused(config("energy"), methods=["mcm"])
    assert "store_hidden" in _refused(config(), stored=False) - _refused(config())


def test_a_split_beside_the_negatives_decides(tmp_path):
    (tmp_path / SPLIT_FOLDER).mkdir()
    words = Words(["dog"], tmp_path)
    with pytest.raises(InputError, match=f"{SPLIT_FOLDER} is the split; add .*recompute"):
        refuse_unused({"split_percentile"}, config(), words)
    recomputed = config(neg_split_recompute=True)
    refuse_unused({"split_percentile", "negalign.neg_split_recompute"}, recomputed, words)
