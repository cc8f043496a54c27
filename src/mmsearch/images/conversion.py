"""Images for programs that take encoded ones: query images for the encoder, and thumbnails for pages."""

from __future__ import annotations

import io

from PIL import ExifTags, Image

from mmsearch.images.decode import opened
from mmsearch.images.header import TAKEN, read_header
from mmsearch.images.limits import require_within
from mmsearch.serving.pictures.colours import mend_transparency
from mmsearch.serving.pictures.images import UPRIGHT, averaged, orientation

QUERY_SIDE = 896
"""four times the 224 pixels of the usual towers; nothing smaller is reduced"""
PAGE_SIDE = 448
_KEPT = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""modes that a PNG stores as they are"""
_NUMBERS: dict[Image.Transpose | None, int] = {turn: number for number, turn in UPRIGHT.items()}


def as_taken(data: bytes) -> bytes:
    """Return a query image in a format that the encoder takes: an AVIF, TIFF or BMP as a PNG without loss.

    The encoder makes of it the pixels that ingest makes of the image itself. Only an image of more than twice
    QUERY_SIDE is reduced, by an integer factor. Raise PictureError as `decode.pixels` does; an image in one
    of the encoder's formats is not decoded here.
    """
    header = read_header(data)
    require_within(header)
    if header.format in TAKEN:
        return data
    with opened(data) as image:
        image.load()
        # Turned by the encoder too, because it averages pixels before it turns them.
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = _NUMBERS.get(orientation(image), 1)
        factor = min(image.size) // QUERY_SIDE
        if factor >= 2 or image.mode not in _KEPT:
            image = _bare(averaged(image, factor))
        return _saved(image, "PNG", exif=exif, compress_level=1)


def thumbnail(data: bytes, side: int = PAGE_SIDE) -> bytes:
    """Return a complete image as an upright JPEG for a page, with a short side of at most `side` pixels; as a
    PNG if it was not larger. Raise PictureError as `decode.pixels` does.
    """
    with opened(data) as image:
        scale = min(1.0, side / min(image.size))
        target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image.draft(None, target)
        image.load()
        mend_transparency(image, data)
        turn = orientation(image)
        small = averaged(image, min(image.size) // (2 * side))
        if scale < 1:
            small = small.resize(target, Image.Resampling.BICUBIC)
        upright = _bare(small if turn is None else small.transpose(turn))
        if scale < 1:
            return _saved(upright, "JPEG", quality=90)
        return _saved(upright, "PNG", compress_level=1)


def _bare(image: Image.Image) -> Image.Image:
    """Return the image without its metadata: its profile is applied."""
    image.info = {}
    return image


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
