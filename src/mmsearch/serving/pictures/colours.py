"""Colours of a decoded image as the towers read them: 8 bits, RGB, on white, in sRGB.

Ingest and serving use the same functions, so that an image has the same pixels as a product and as a query.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

WHITE = (255, 255, 255)
MAX_PROFILE = 4 << 20  # bytes; profiles of printers have up to three megabytes
PRINTED = ("CMYK", "LAB")
"""modes that are converted by the profile and not before"""
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_SIXTEEN_BITS = 257  # of 16 bits for one of 8
_UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError)


def rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image in sRGB with transparent pixels on white.

    `profile` is the image's ICC profile, or None. It is ignored if it is sRGB, broken, or of other colours
    than the image's.
    """
    if image.mode not in PRINTED:
        image = on_white(image)
    found = _conversion(profile, image.mode) if profile and len(profile) <= MAX_PROFILE else None
    if found is None:
        return _lab(image) if image.mode == "LAB" else on_white(image)
    mode, convert = found
    converted: Image.Image = convert(image if image.mode == mode else image.getchannel(0))
    return converted


def on_white(image: Image.Image) -> Image.Image:
    """Return the image in RGB of 8 bits with transparent pixels on white, without regard to a profile."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layered = image.convert("RGBA")
    flat = Image.new("RGB", layered.size, WHITE)
    flat.paste(layered, mask=layered.getchannel("A"))
    return flat


def mend_transparency(image: Image.Image, data: bytes) -> None:
    """Bring the transparent colour of a PNG with 16 bits per channel to the 8 bits of its decoded pixels."""
    colour = image.info.get("transparency")
    if image.format == "PNG" and data[24:25] == b"\x10" and isinstance(colour, tuple):
        image.info["transparency"] = tuple(part >> 8 for part in colour)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return gray of more than 8 bits as 8 bits; Pillow's own conversion clips at 255 instead of scaling."""
    wide = np.asarray(image, dtype=np.float32)
    clear = image.info.get("transparency")
    scaled = wide / (_SIXTEEN_BITS if image.mode.startswith("I;16") else _unit(wide))
    grey = np.nan_to_num(np.clip(scaled, 0, 255)).astype(np.uint8)
    if isinstance(clear, int):
        grey[wide == clear] = 255
    return Image.fromarray(grey)


def _unit(wide: Any) -> float:
    """Return what one step of 8 bits is in an image of 32 bits, by the largest value in it."""
    most = float(np.nan_to_num(wide, posinf=0.0).max(initial=0.0))
    if most <= 1:
        return 1 / 255
    return 1 if most <= 255 else _SIXTEEN_BITS if most <= 65_535 else most / 255


@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> tuple[str, Any] | None:
    """Return the mode that a profile takes, and the function to sRGB; None if there is nothing to convert."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        takes = _SPACES.get(opened.profile.xcolor_space)
        fits = takes == mode or (takes == "L" and mode == "RGB")
        if not fits or "srgb" in (opened.profile.profile_description or "").lower():
            return None
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            str(takes),
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except _UNUSABLE:
        return None
    return str(takes), transform.apply


def _lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image)
