"""What a calibration encodes, the same in each call: queries, product texts of 60 to 120 tokens, pictures."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

WORDS = """
chair table lamp sofa shelf desk bed mirror rug kettle toaster backpack jacket boots watch headphones keyboard
drill bicycle tent guitar camera printer vase clock blanket pillow wallet scarf umbrella
wooden leather steel foldable vintage modern round compact wireless waterproof red black grey blue handmade
adjustable lightweight large small outdoor
"""
THINGS, KINDS = WORDS.split()[:30], WORDS.split()[30:]
SENTENCES = (
    "The {kind} {thing} is made of solid oak and finished with natural oil.",
    "Measures {n} x {m} cm and weighs {k} kg.",
    "Suitable for the living room, the office or a small kitchen with a {other}.",
    "Cover removable and washable at {n} degrees, do not tumble dry.",
    "Delivered in {k} parts with tools and an illustrated manual.",
    "Rechargeable battery for up to {m} hours, charging cable included.",
    "Ideal as a gift for everyone who already has a {other} and looks for a matching {thing}.",
    "Two year warranty; spare parts are available for at least {k} years.",
    "Non-slip feet protect the floor, and rounded edges make it safe for children.",
    "Colour: {kind}. Pattern: plain. Care: wipe clean with a damp cloth.",
)


def queries(count: int) -> list[str]:
    """Return search texts of one to three words."""
    draw = random.Random(1)  # noqa: S311 - not for secrets
    found = []
    for _ in range(count):
        words = [*draw.sample(KINDS, draw.randrange(3)), draw.choice(THINGS)]
        found.append(" ".join(words))
    return found


def products(count: int) -> list[str]:
    """Return titles with descriptions, as a shop has them."""
    draw = random.Random(2)  # noqa: S311
    found = []
    for _ in range(count):
        thing, other = draw.sample(THINGS, 2)
        kind = draw.choice(KINDS)
        said = draw.sample(SENTENCES, draw.randint(4, 8))
        numbers = {"n": draw.randint(20, 60), "m": draw.randint(20, 180), "k": draw.randint(2, 12)}
        parts = [each.format(thing=thing, other=other, kind=kind, **numbers) for each in said]
        found.append(" ".join([f"{kind} {thing} no. {draw.randint(1, 999)}.".capitalize(), *parts]))
    return found


def pictures(count: int, size: int) -> NDArray[np.uint8]:
    """Return RGB pictures with the spectrum of photographs (amplitude 1/f), an object in the middle, and soft
    light: uint8 [count, size, size, 3].
    """
    draw = np.random.default_rng(3)
    across = np.fft.fftfreq(size)
    frequency = np.hypot(across[:, None], across[None, :])
    frequency[0, 0] = 1 / size
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    found = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        noise = np.fft.ifft2(
            np.fft.fft2(draw.normal(size=(3, size, size)), axes=(1, 2)) / frequency, axes=(1, 2)
        ).real
        ground = 128 + 50 * noise / noise.std(axis=(1, 2), keepdims=True)
        wide, high, power = (*draw.uniform(0.15, 0.45, 2), draw.uniform(1, 6))
        inside = np.abs(rows / high) ** power + np.abs(columns / wide) ** power < 1
        colours = draw.uniform(0, 255, (3, 1, 1)) + 60 * (rows + columns) + noise * 8 / noise.std()
        whole = np.where(inside, colours, ground * draw.uniform(0.4, 1.2) + 40 * draw.uniform(0, 2))
        found[number] = whole.clip(0, 255).transpose(1, 2, 0).astype(np.uint8)
    return found
