"""One drawing per place of the rendered world, without people or anything else with a name.

``draw(image, rng)`` fills an opaque RGB image [S, S, 3]. The primitives of ``ink`` serve here too:
OpenCV ignores the alpha channel of a colour on a three-channel image.
"""

from collections.abc import Callable

import cv2
import numpy as np

from jaxvlm.world import interiors, nature, outdoors

DRAW: dict[str, Callable[[np.ndarray, np.random.Generator], None]] = {
    "road": outdoors.road,
    "square": outdoors.square,
    "forest": nature.forest,
    "shop": interiors.shop,
    "night street": outdoors.night_street,
    "parking lot": outdoors.parking_lot,
    "beach": nature.beach,
    "field": nature.field,
    "subway station": interiors.subway_station,
    "hallway": interiors.hallway,
}


def draw_background(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """A place as an RGB image [size, size, 3] uint8 with its own light, tint and texture."""
    image = np.zeros((size, size, 3), np.uint8)
    DRAW[name](image, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    light = rng.uniform(0.65, 1.1) * rng.uniform(0.94, 1.06, 3)
    coarse = rng.normal(0.0, 1.0, (8, 8)).astype(np.float32)
    fine = rng.normal(0.0, 1.0, (24, 24)).astype(np.float32)
    texture = sum(
        strength * cv2.resize(grain, (size, size), interpolation=cv2.INTER_CUBIC)
        for strength, grain in ((0.05, coarse), (0.03, fine))
    )
    lit = image * light * (1.0 + texture[:, :, None])
    return np.clip(lit, 0, 255).astype(np.uint8)
