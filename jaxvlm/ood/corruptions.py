"""Mild corruptions of pictures, jitted: the versions that CoVer averages over.

One picture [H, W, 3] in [0, 1] in and out, batched with ``jax.vmap``; severity 1 or 2 of the five
of ImageNet-C. Fog and the angle of motion blur are random, by a key.

Source: Hendrycks and Dietterich 2019 (ImageNet-C), whose parameters these are; CoVer's choice of
kinds is made on SVHN (tmlr-group/CoVer, ``eval_ood_detection.py``, the recommended types). Each
kind gives the numbers of ``utils/imagenet_c/corruptions.py`` there to 1e-6, the fractal given the
same draws, but for motion blur, which could not be compared: it samples a line of Gaussian weights
between pixels instead of ImageMagick's. Known differences: the defocus blur takes the border's
pixels as going on instead of mirroring them, and nothing is rounded to bytes and written as JPEG.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError

SEVERITIES = (1, 2)


def corrupted(image: jax.Array, key: jax.Array) -> jax.Array:
    """The picture and its twelve mild corruptions, [13, H, W, 3], in the order of `KINDS`.

    Raises ValueError: another shape.
    """
    check_shapes("corrupted", image=(image, "H W 3"))
    keys = jax.random.split(key, len(KINDS) * len(SEVERITIES))
    versions = [
        KINDS[kind](image, keys[2 * i + s - 1], severity=s)
        for i, kind in enumerate(KINDS)
        for s in SEVERITIES
    ]
    return jnp.stack([jnp.asarray(image), *versions])


@functools.partial(jax.jit, static_argnames="severity")
def brightness(image: jax.Array, key: jax.Array | None = None, *, severity: int = 1) -> jax.Array:
    """HSV's value raised by 0.1 or 0.2, up to 1."""
    del key
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue, saturation, jnp.minimum(value + _pick(severity, 0.1, 0.2), 1.0))


@functools.partial(jax.jit, static_argnames="severity")
def saturate(image: jax.Array, key: jax.Array | None = None, *, severity: int = 1) -> jax.Array:
    """HSV's saturation times 0.3 or 0.1: towards grey."""
    del key
    hue, saturation, value = to_hsv(image)
    return from_hsv(hue, saturation * _pick(severity, 0.3, 0.1), value)


@functools.partial(jax.jit, static_argnames="severity")
def gaussian_blur(
    image: jax.Array, key: jax.Array | None = None, *, severity: int = 1
) -> jax.Array:
    """A Gaussian of σ = 1 or 2 pixels, cut at 4σ."""
    del key
    sigma = _pick(severity, 1, 2)
    at = np.arange(-4 * sigma, 4 * sigma + 1)
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    weights /= weights.sum()
    return _filtered(_filtered(image, weights[:, None]), weights[None])


@functools.partial(jax.jit, static_argnames="severity")
def defocus_blur(image: jax.Array, key: jax.Array | None = None, *, severity: int = 1) -> jax.Array:
    """A disc of radius 3 or 4 pixels, its edge softened by a 3 by 3 Gaussian of σ = 0.1 or 0.5."""
    del key
    radius, sigma = _pick(severity, (3, 0.1), (4, 0.5))
    at = np.arange(-8, 9)
    disc = (at[:, None] ** 2 + at**2 <= radius**2).astype(float)
    disc /= disc.sum()
    soft = np.exp(-0.5 * (np.arange(-1, 2) / sigma) ** 2)
    soft /= soft.sum()
    padded = np.pad(disc, 1)
    rows = sum(w * padded[i : i + 17] for i, w in enumerate(soft))
    kernel = sum(w * rows[:, i : i + 17] for i, w in enumerate(soft))
    return _filtered(image, kernel)


@functools.partial(jax.jit, static_argnames="severity")
def motion_blur(image: jax.Array, key: jax.Array, *, severity: int = 1) -> jax.Array:
    """Along a line at a random angle within ±45°: 21 or 31 pixels one way, weights of a Gaussian of
    σ = 3 or 5 pixels."""
    radius, sigma = _pick(severity, (10, 3.0), (15, 5.0))
    angle = jax.random.uniform(key, minval=-jnp.pi / 4, maxval=jnp.pi / 4)
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    weights /= weights.sum()
    rows, columns = jnp.mgrid[: image.shape[0], : image.shape[1]]
    moved = functools.partial(jax.scipy.ndimage.map_coordinates, order=1, mode="nearest")

    def add(total: jax.Array, tap: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        step, weight = tap
        at = [rows + step * jnp.sin(angle), columns + step * jnp.cos(angle)]
        return total + weight * jax.vmap(moved, (-1, None), -1)(image, at), None

    taps = jnp.asarray(steps, jnp.float32), jnp.asarray(weights, jnp.float32)
    return jax.lax.scan(add, jnp.zeros_like(image), taps)[0]


@functools.partial(jax.jit, static_argnames="severity")
def fog(image: jax.Array, key: jax.Array, *, severity: int = 1) -> jax.Array:
    """x ← (x + c·f)·m/(m + c): a plasma fractal f, m = max x, c = 1.5 or 2."""
    amount, decay = _pick(severity, (1.5, 2.0), (2.0, 2.0))
    height, width = image.shape[:2]
    size = 1 << (max(height, width) - 1).bit_length()
    plasma = plasma_fractal(key, size=max(size, 256), decay=decay)[:height, :width, None]
    largest = image.max()
    return jnp.clip((image + amount * plasma) * largest / (largest + amount), 0.0, 1.0)


KINDS: Mapping[str, Callable[..., jax.Array]] = {
    "brightness": brightness,
    "fog": fog,
    "saturate": saturate,
    "motion_blur": motion_blur,
    "defocus_blur": defocus_blur,
    "gaussian_blur": gaussian_blur,
}


def plasma_fractal(key: jax.Array, *, size: int, decay: float) -> jax.Array:
    """[size, size] in [0, 1] by the diamond-square rule on a torus; size: a power of two.

    Of step s, s/2, …: the middle of every square is the mean of its corners, then the middle of
    every edge the mean of its four neighbours, each plus a uniform number in ±w²; w = 100, divided
    by ``decay`` with every step.
    """
    field, step, wibble = jnp.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        key, *own = jax.random.split(key, 4)
        cells = size // step

        def noise(k, cells=cells, wibble=wibble):
            return wibble * jax.random.uniform(k, (cells, cells), minval=-wibble, maxval=wibble)

        corners = field[::step, ::step]
        below = corners + jnp.roll(corners, -1, axis=0)
        squares = below + jnp.roll(below, -1, axis=1)
        middles = squares / 4 + noise(own[0])
        field = field.at[half::step, half::step].set(middles)
        across = middles + jnp.roll(middles, 1, axis=0) + corners + jnp.roll(corners, -1, axis=1)
        down = middles + jnp.roll(middles, 1, axis=1) + corners + jnp.roll(corners, -1, axis=0)
        field = field.at[::step, half::step].set(across / 4 + noise(own[1]))
        field = field.at[half::step, ::step].set(down / 4 + noise(own[2]))
        step, wibble = half, wibble / decay
    field -= field.min()
    return field / field.max()


def to_hsv(image: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Hue, saturation and value in [0, 1] of RGB [..., 3]."""
    red, green, blue = jnp.moveaxis(jnp.asarray(image), -1, 0)
    value = image.max(axis=-1)
    spread = value - image.min(axis=-1)
    some = jnp.where(spread > 0, spread, 1.0)
    hue = jnp.select(
        [value == red, value == green],
        [(green - blue) / some, 2.0 + (blue - red) / some],
        4.0 + (red - green) / some,
    )
    hue = jnp.where(spread > 0, (hue / 6.0) % 1.0, 0.0)
    return hue, spread / jnp.where(value > 0, value, 1.0), value


def from_hsv(hue: jax.Array, saturation: jax.Array, value: jax.Array) -> jax.Array:
    """RGB [..., 3]: channel n of 5, 3, 1 is v − v·s·clip(min(k, 4 − k), 0, 1), k = n + 6h mod 6."""
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (n + 6.0 * hue) % 6.0
        channels.append(value - value * saturation * jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0))
    return jnp.stack(channels, axis=-1)


def _pick(severity: int, first, second):
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity}: CoVer takes 1 and 2")
    return first if severity == 1 else second


def _filtered(image: jax.Array, kernel: np.ndarray) -> jax.Array:
    """The picture under a kernel with odd sides; pixels of the border go on outside."""
    high, wide = (side // 2 for side in kernel.shape)
    padded = jnp.pad(jnp.asarray(image), ((high, high), (wide, wide), (0, 0)), mode="edge")
    planes = jnp.moveaxis(padded, -1, 0)[:, None]
    weights = jnp.asarray(kernel, jnp.float32)[None, None]
    found = jax.lax.conv(planes, weights, (1, 1), "VALID", precision="highest")
    return jnp.moveaxis(found[:, 0], 0, -1)
