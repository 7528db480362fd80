"""Drawings of the atoms that are people: one function per atom, all of the same form.

``draw(image, rng, phase)`` paints a transparent sprite in place. ``rng`` decides colours and
variants and is used the same way at any ``phase`` (seconds), so a video re-creates it from one
seed for each frame. Sprites are seen at 18 to 50 pixels: limbs are thick and props oversized.
"""

from collections.abc import Callable

import numpy as np

from jaxvlm.world import crowds, violence

DRAW: dict[str, Callable[[np.ndarray, np.random.Generator, float], None]] = {
    draw.__name__.replace("_", " "): draw
    for draw in (
        violence.people_punching,
        violence.person_kicking,
        violence.raised_fists,
        violence.person_on_the_ground,
        violence.crowd_in_a_circle,
        violence.masked_gunman,
        violence.gun_in_hand,
        violence.people_taking_cover,
        violence.person_beating_a_victim,
        violence.victim_tied_up,
        violence.cowering_person,
        violence.raised_stick,
        violence.crying_child,
        crowds.people_running_away,
        crowds.angry_crowd,
        crowds.riot_shields,
        crowds.crowd_attacking_police,
        crowds.referee,
        crowds.nurse,
        crowds.film_crew,
        crowds.street_vendor,
        crowds.crash_test_dummy,
        crowds.toy_gun,
        crowds.protest_sign,
    )
}
