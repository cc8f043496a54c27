"""Lines of a text file in any supported encoding and compression."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from mmsearch.errors import CatalogError
from mmsearch.products.formats.ahead import BUFFER, Ahead, buffered
from mmsearch.products.formats.compressed import unpacked
from mmsearch.products.formats.encodings import Utf8
from mmsearch.products.formats.found import Found

MAX_LINE = 1 << 20


def text_lines(path: str, what: str, say: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """Yield the lines of a file, or of standard input for `-`, that are not blank, without the white space
    around them.

    `what` names the content in messages; `say` is called if it is not UTF-8. Raise CatalogError.
    """
    try:
        with ExitStack() as keep:
            raw = (
                buffered(cast(io.RawIOBase, sys.stdin.buffer))
                if path == "-"
                else cast(io.BufferedReader, keep.enter_context(Path(path).open("rb", buffering=BUFFER)))
            )
            stream, _ = unpacked(Ahead(raw), path, keep)
            lines = buffered(Utf8(stream, path, Found(), say))
            while line := lines.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    raise CatalogError(f"expected {what}, one per line, in {path}, got a line of 1 MiB")
                if text := line.decode("utf-8").strip():
                    yield text
    except UnicodeDecodeError:
        raise CatalogError(f"expected UTF-8 in {path}, got other bytes; save it as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CatalogError(f"expected {what} at {path}, got: {why}") from None
