"""How a tower runs where nothing was measured: onnxruntime on its file, in small slices."""

from __future__ import annotations

from mmsearch.serving.runtime import Choice

TEXT_ROWS, PICTURE_ROWS = (2, 8), (1, 2)
"""least and most rows of a slice"""


def default_choice(precision: str, *, pictures: bool, fixed_length: bool = False) -> Choice:
    """Return the choice for a file of a precision, fp32 or int8. Texts of a tower without a fixed length are
    sorted by length.
    """
    least, most = PICTURE_ROWS if pictures else TEXT_ROWS
    return Choice("onnxruntime", precision, least, most, 1, ragged=not (pictures or fixed_length))
