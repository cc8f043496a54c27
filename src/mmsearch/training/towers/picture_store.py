"""Images of a training that a moving tower reads: decoded by processes, a step ahead, lightly changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mmsearch.errors import PictureError
from mmsearch.images.preprocess import Task
from mmsearch.images.process_pool import DecoderPool, Ticket
from mmsearch.models.weights import file_hash
from mmsearch.serving.pictures.pixels import Frame, unpacked

TOGETHER = 32
"""images that are computed together"""
SMALLEST = 0.9
"""side of the smallest random crop, as a share of the image's"""


class PictureStore:
    """The first images of n products, each a path or a `data:` URI, or None, fitted to a square of `size`
    pixels as `fit` says.

    `broken` is called once with the number of a product whose image does not decode, and the reason; such a
    product has no image. In training each image is cropped at random; the draw depends on the seed and the
    step alone.
    """

    def __init__(
        self,
        pictures: Sequence[Path | str | None],
        size: int,
        fit: str,
        broken: Callable[[int, str], None],
    ) -> None:
        self._pictures = pictures
        self._frame = frame = Frame(size, fit)
        self._broken = broken
        self._unread: set[int] = set()
        self._pool = DecoderPool(Path(), frame)
        self._ahead: dict[int, tuple[Ticket, int]] = {}
        self._draw: torch.Generator | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def present(self) -> Tensor:
        """Return which products name an image, bool [n]."""
        return torch.tensor([picture is not None for picture in self._pictures])

    def expect(self, places: Tensor) -> None:
        """Begin to decode images that will be asked for."""
        new = [
            (place, Task((picture,), ""))
            for place in torch.unique(places.cpu()).tolist()
            if place not in self._ahead and (picture := self._pictures[place]) is not None
        ]
        # A ticket's images come together: the first ones are computed while the others are decoded.
        for start in range(0, len(new), TOGETHER):
            part = new[start : start + TOGETHER]
            ticket = self._pool.submit([task for _, task in part])
            self._ahead |= {place: (ticket, number) for number, (place, _) in enumerate(part)}

    def change(self, seed: int | None) -> None:
        """Change the images at random from now on, drawn by this seed; with None leave them as they are."""
        self._draw = None if seed is None else torch.Generator().manual_seed(seed)

    def batches(self, places: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor]]]:
        """Yield the numbers of those of `places` that have an image, int64 [b], and their pixels, uint8 [b,
        size, size, 3].
        """
        self.expect(places)
        for numbers in torch.split(torch.arange(len(places)), TOGETHER):
            read = [(number, self._pixels(int(places[number]))) for number in numbers.tolist()]
            there = [(number, pixels) for number, pixels in read if pixels is not None]
            if there:
                kept, pixels = zip(*there, strict=True)
                # The tower moves the channels to the front, and gets them in this order in memory too: torch
                # 2.15 crashes in the backward pass of depthwise convolutions with the channels last
                # (MobileCLIP2).
                values = self._changed(torch.stack(pixels).permute(0, 3, 1, 2).contiguous())
                yield torch.tensor(kept), (values.permute(0, 2, 3, 1),)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the images as they are stored."""
        digest = hashlib.sha256(str(self._frame).encode())
        for picture in self._pictures:
            if isinstance(picture, Path):
                digest.update((file_hash(picture) if picture.is_file() else "none").encode())
            else:
                digest.update(hashlib.sha256((picture or "").encode()).digest())
        return digest.hexdigest()

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def _pixels(self, place: int) -> Tensor | None:
        if self._pictures[place] is None:
            return None
        ticket, number = self._ahead.pop(place)
        found = self._pool.result(ticket)[number]
        if isinstance(found, PictureError):
            if place not in self._unread:
                self._unread.add(place)
                self._broken(place, str(found))
            return None
        return torch.from_numpy(unpacked(found.pictures[0], self._frame).copy())

    def _changed(self, pixels: Tensor) -> Tensor:
        """Crop pixels, uint8 [b, 3, size, size], at random."""
        if self._draw is None:
            return pixels
        count, size = len(pixels), self._frame.size
        side = SMALLEST + (1 - SMALLEST) * torch.rand(count, generator=self._draw)
        shift = (1 - side).unsqueeze(1) * (2 * torch.rand(count, 2, generator=self._draw) - 1)
        frames = torch.zeros(count, 2, 3)
        # Not mirrored, which would be wrong for images with writing.
        frames[:, 0, 0], frames[:, 1, 1], frames[:, :, 2] = side, side, shift
        grid = functional.affine_grid(frames, [count, 3, size, size], align_corners=False)
        moved = functional.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
        return moved.round().clamp(0, 255).to(torch.uint8)
