"""The dominant colours of a product's image, as names: `red`, `brown`.

Each pixel of the product gets the name of the nearest sample in CIELAB, where distances are close to what
people see; a pixel between two names counts for both. The samples are colours that people gave these names
to, mostly those of the XKCD colour survey (R. Munroe, "Color Survey Results", 2010, public domain): for each
basic colour term (B. Berlin and P. Kay, "Basic Color Terms", 1969) the colour of that name and of its
modifications, such as dark, light, pale and dull. Added are shades of wood, leather, navy and painted white,
as products have them in the shade. The background, a uniform colour that the border of the image is of, is
left out.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SAMPLES = {
    "red": "e50000 840000 ff474c bb3f3f 9a0200 a83c2a",
    "orange": "f97306 c65102 fdaa48 ff5b00 f0833a",
    "yellow": "ffff14 d5b60a fffe7a eedc5b ffc512",
    "green": "15b01a 033500 96f97b c7fdb5 39ad48 74a662 5fa052 667e2c 02590f 1d3b2a",
    "blue": "0343df 00035b 95d0fc 0165fc 2c6fbb 49759c 5a86ad 01153e 2b3a55",
    "purple": "7e1e9c 35063e bf77f6 b790d4 84597e 805b87",
    "pink": "ff81c0 cb416b ffd1df fe01b1 d5869d d1768f",
    "brown": "653700 341c02 ad8150 b1916e 7f5112 876e4b a0522d c4955a",
    "beige": "e6daa6 d1b26f fff7d6 d3b683",
    "turquoise": "06c2ac 045c5a 7ef4cc 0ffef9 017374",
    "black": "000000 1b1b1b 2c2c2c",
    "grey": "929591 7d7f7c 5a5b5b a5a5a5",
    "white": "ffffff f0f0f0 e2e2e2 d0d2d4 c6c6c6",
}
NAMES = tuple(SAMPLES)
MOST = 3
"""names of one image"""
LEAST = 0.15
"""share of the product's pixels that a name needs"""
_STEP = 40
"""samples along a side: enough for a share, few enough to take less than a millisecond"""
_NEAR = 8.0
"""distance in CIELAB below which a pixel is of the background's colour"""
_UNIFORM = 0.6
"""share of the border that a background has to take"""
_BLUR = 4.0
"""distance in CIELAB by which another name is e times less likely than the nearest one"""
_TOO_LITTLE = 0.02
"""share of the pixels below which what differs from the background is no product"""


def dominant_colours(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return up to MOST names of an image, uint8 [height, width, 3] in sRGB, the most frequent first."""
    height, width = pixels.shape[:2]
    rows = np.linspace(0, height - 1, min(_STEP, height)).astype(int)
    columns = np.linspace(0, width - 1, min(_STEP, width)).astype(int)
    lab = _lab(pixels[rows][:, columns])
    product = ~_background(lab)
    if product.mean() < _TOO_LITTLE:
        product[:] = True
    nearest = _distances(lab[product])
    likely = np.exp((nearest.min(axis=0) - nearest) / _BLUR)
    shares = (likely / likely.sum(axis=0)).mean(axis=1)
    order = np.argsort(-shares, kind="stable")[:MOST]
    return tuple(NAMES[name] for name in order if shares[name] >= LEAST)


def _distances(lab: Floats) -> Floats:
    """Return how far each of n pixels, float32 [n, 3], is from each name's nearest sample: [names, n]."""
    own = np.square(lab).sum(axis=1)
    # (a - b)^2 = a^2 - 2ab + b^2 as one matrix product, ten times faster than the differences.
    squares = _TERMS @ np.stack([*lab.T, np.ones_like(own), own])
    nearest = np.stack([squares[start:end].min(axis=0) for start, end in pairwise(_BOUNDS)])
    distances: Floats = np.sqrt(np.maximum(nearest, 0))
    return distances


def _background(lab: Floats) -> NDArray[np.bool_]:
    """Return which pixels are of the border's colour and connected to the border by such."""
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    middle = np.median(border, axis=0)
    if (np.linalg.norm(border - middle, axis=1) < _NEAR).mean() < _UNIFORM:
        return np.zeros(lab.shape[:2], bool)
    alike: NDArray[np.bool_] = np.linalg.norm(lab - middle, axis=2) < _NEAR
    found: NDArray[np.bool_] = alike.copy()
    found[1:-1, 1:-1] = False
    while True:
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= alike
        if (grown == found).all():
            return found
        found = grown


def _lab(pixels: NDArray[np.uint8]) -> Floats:
    """Return sRGB, uint8 [..., 3], in CIELAB with the white of D65 (CIE 15:2004; sRGB: IEC 61966-2-1)."""
    encoded = pixels.astype(np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = linear @ _TO_XYZ.T / _WHITE
    root = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    found: Floats = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)
    return found


_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
_WHITE = np.array([0.95047, 1.0, 1.08883], np.float32)
_BOUNDS = tuple(accumulate((len(samples.split()) for samples in SAMPLES.values()), initial=0))
"""of each name's rows in _LAB"""
_LAB = _lab(
    np.array([list(bytes.fromhex(sample)) for name in NAMES for sample in SAMPLES[name].split()], np.uint8)
)
_TERMS = np.column_stack([-2 * _LAB, np.square(_LAB).sum(axis=1), np.ones(len(_LAB), np.float32)])
