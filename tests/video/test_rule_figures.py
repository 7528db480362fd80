"""Rules as sentences; the words are written by hand."""

import math

import pytest

from jaxvlm.video.rule_figures import RuleFigures, rules_sentence, told_rules

CAR = RuleFigures("crash", ("crashed car",), ("tow truck",), 0.7, 12, 0.917, 0.9)
PAIR = RuleFigures("crash", ("smoke plume", "people running away"), (), 0.9, 1, 1.0, 0.49)
FAINT = RuleFigures("crash", ("siren",), (), 0.04, 0, math.nan)


def test_rules_come_by_strength_and_what_is_next_to_nothing_is_left_out():
    assert rules_sentence(told_rules([FAINT, CAR, PAIR])) == (
        "smoke plume with people running away (uncertain); or crashed car unless tow truck"
    )
    assert rules_sentence(told_rules([FAINT])) == ""


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((["fireball"], [], []), "fireball"),
        # Alone an indirect atom makes nothing.
        ((["fireball"], ["smoke"], []), "fireball"),
        (
            (["fireball", "flash"], ["smoke", "debris", "crowd"], ["film crew"]),
            "fireball; or flash; or any two of smoke, debris and crowd; never with film crew",
        ),
        (([], ["smoke", "debris"], []), "any two of smoke and debris"),
        (([], [], ["film crew"]), ""),
    ],
)
def test_roles_are_told_as_rules(roles, expected):
    assert rules_sentence(told_rules([], *roles)) == expected


def test_rules_and_roles_together():
    several = CAR._replace(unless=("tow truck", "film crew", "scrapyard"))
    told = told_rules([several], ["crashed car", "fireball"], [], ["toy car", "race track"])
    assert rules_sentence(told) == (
        "fireball; or crashed car unless tow truck, film crew or scrapyard; never with toy car or "
        "race track"
    )


def test_figures_in_words():
    assert CAR.figures() == "strength 0.70, fired in 12 videos, right in 92 %"
    assert PAIR.figures() == (
        "strength 0.90, fired in 1 video, right in 100 %, uncertain: in 49 % of repeated fits"
    )
    assert FAINT.figures() == "strength 0.04, fired in 0 videos"
    assert RuleFigures("crash", ("siren",), (), 1.0).figures() == "strength 1.00"
    assert CAR.text == "crashed car unless tow truck"


@pytest.mark.parametrize(("stability", "uncertain"), [(None, False), (0.5, False), (0.49, True)])
def test_a_rule_is_uncertain_below_half(stability, uncertain):
    assert CAR._replace(stability=stability).is_uncertain == uncertain
