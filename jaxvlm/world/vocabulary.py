"""What the rendered world contains, and which atom plays which role for which event.

These tables are the written ground truth; how the atoms of an event count together is a matter of
the world's law, see `laws`.
"""

from typing import NamedTuple

BACKGROUNDS = (
    "road",
    "square",
    "forest",
    "shop",
    "night street",
    "parking lot",
    "beach",
    "field",
    "subway station",
    "hallway",
)

# Harmless things; the OOD benchmark splits them into known and unknown classes.
OBJECTS = (
    "airplane",
    "ball",
    "bench",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "clock",
    "cow",
    "dog",
    "guitar",
    "horse",
    "mailbox",
    "motorcycle",
    "person",
    "sheep",
    "suitcase",
    "table",
    "traffic cone",
    "traffic light",
    "tree",
    "truck",
    "umbrella",
    "windmill",
)

# Photographs in the wild pair things with places; half of the rendered pictures do so too.
FAVOURITE_BACKGROUND = {
    "airplane": "field",
    "ball": "square",
    "bench": "square",
    "bicycle": "road",
    "bird": "forest",
    "boat": "beach",
    "bottle": "shop",
    "bus": "road",
    "car": "parking lot",
    "cat": "hallway",
    "chair": "hallway",
    "clock": "subway station",
    "cow": "field",
    "dog": "square",
    "guitar": "shop",
    "horse": "field",
    "mailbox": "square",
    "motorcycle": "parking lot",
    "person": "night street",
    "sheep": "field",
    "suitcase": "subway station",
    "table": "shop",
    "traffic cone": "road",
    "traffic light": "night street",
    "tree": "forest",
    "truck": "road",
    "umbrella": "beach",
    "windmill": "field",
}


class EventRoles(NamedTuple):
    """The atoms of one event by logical role."""

    direct: tuple[str, ...]
    indirect: tuple[str, ...]
    counter: tuple[str, ...]


EVENT_ROLES: dict[str, EventRoles] = {
    "explosion": EventRoles(
        direct=("blast flash", "fireball"),
        indirect=("smoke plume", "flying debris", "shattered window", "people running away"),
        counter=("film crew", "fireworks show"),
    ),
    "fighting": EventRoles(
        direct=("people punching", "person kicking"),
        indirect=(
            "raised fists",
            "person on the ground",
            "crowd in a circle",
            "knocked over chair",
        ),
        counter=("boxing ring", "referee"),
    ),
    "shooting": EventRoles(
        direct=("muzzle flash", "masked gunman"),
        indirect=("gun in hand", "people taking cover", "bullet holes", "person on the ground"),
        counter=("toy gun", "shooting target"),
    ),
    "abuse": EventRoles(
        direct=("person beating a victim", "victim tied up"),
        indirect=("cowering person", "raised stick", "crying child", "person on the ground"),
        counter=("theater stage", "nurse"),
    ),
    "riot": EventRoles(
        direct=("burning barricade", "crowd attacking police"),
        indirect=("angry crowd", "riot shields", "thrown stones", "people running away"),
        counter=("carnival parade", "concert stage"),
    ),
    "car accident": EventRoles(
        direct=("crashed cars", "overturned car"),
        indirect=("broken glass", "skid marks", "crumpled hood", "smoke plume"),
        counter=("crash test dummy", "film crew"),
    ),
}

EVENTS = tuple(EVENT_ROLES)

# Visible in the videos, without a role for any event.
CLUTTER_ATOMS = ("police car", "ambulance", "street vendor", "protest sign", "balloons")

ATOMS = tuple(
    sorted(
        {atom for roles in EVENT_ROLES.values() for group in roles for atom in group}
        | set(CLUTTER_ATOMS)
    )
)
