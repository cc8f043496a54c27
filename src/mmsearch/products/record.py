"""Parse a catalog line into a Product, or raise RecordError with line, field and value.

A record has an `id` and any of `title`, `description`, `category`, `brand`, `price`, `currency`, `image`,
`images`, `group`. All other keys become searchable attributes, including titles in other languages.
`_delete: true` deletes the product.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mmsearch.errors import RecordError
from mmsearch.products import translations
from mmsearch.products.ids import identifier
from mmsearch.products.mapping.renamed import KNOWN, MARK, renamed, split
from mmsearch.products.values import cells
from mmsearch.products.values.markup import plain_text
from mmsearch.products.values.money import code_of, money

MAX_ID_BYTES = 512  # OpenSearch's own limit for _id
MAX_LINE_BYTES = 40 << 20  # a picture of 20 MB in base64, and the record around it
MAX_RECORD_BYTES = 1 << 20  # of what is not a picture
MAX_DEPTH = 20  # OpenSearch's default limit for nested objects
_KEY_ENDS = re.compile(rb'"[ \t\r\n]*:')
_NESTED = frozenset((dict, list))
MAX_DIGITS = 4_300  # of an integer, Python's own limit
_BOM = b"\xef\xbb\xbf"
_PICTURE_KEYS = ("url", "src", "contentUrl", "#text")
_NAME_KEYS = ("name", "title", "label", "#text", "@value")
_REFERENCE = frozenset(("@id", "@type"))
"""keys of an object that only refers to another one, as in graphs of JSON-LD"""
_TEXT_KEYS = ("#text", "@value")
"""keys by which feeds wrap a picture, a category or brand, and a text in an object"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the catalog: its number, starting at 1, and its bytes.

    `trouble` has the reason and the message if the reader already knows that the line is invalid.
    """

    number: int
    raw: bytes
    trouble: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A parsed catalog line. `line` starts at 1; `pictures` are the image references as written."""

    line: int
    id: str
    title: str = ""
    description: str = ""
    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    price: float | None = None
    currency: str = ""
    pictures: tuple[str, ...] = ()
    group: str = ""
    """what the product is a variant of"""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    delete: bool = False
    """whether the line only deletes the product"""


def parse(line: Line, renames: Mapping[str, str] | None = None, language: str | None = None) -> Product:
    """Parse one line of JSON.

    `renames` maps our field names to what they are read from, as `--map` does. `language` is preferred for
    the title if the record has several. Raise RecordError for any invalid input.
    """
    if line.trouble is not None:
        raise RecordError(*line.trouble, line=line.number)
    return product(load(line.raw, line.number), line.number, renames, size=len(line.raw), language=language)


def load(raw: bytes, line: int) -> dict[str, Any]:
    """Parse the JSON object of one line strictly: UTF-8, no lone surrogates, no repeated keys.

    Integers of more than 64 bits and numbers beyond a double become text. In attributes NaN counts as
    missing, and Infinity becomes text.
    """
    text = raw.removeprefix(_BOM).strip(b" \t\r\n")
    record: Any
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        record = _with_endless_attributes(text, str(error))
        if record is None:
            raise RecordError(
                "not_json", f"expected one JSON object on line {line}, got {_shown(text)}: {error}", line=line
            ) from None
    if not isinstance(record, dict):
        raise _wrong(line, "", record, "a JSON object")
    try:
        if _has_long_number(record):
            # orjson makes a float of an integer of more than 64 bits; its text keeps all digits.
            record = json.loads(text, parse_int=_int_or_text, parse_float=_float_or_text)
    except RecursionError:
        raise _deep(line) from None
    found: dict[str, Any] = record
    if _plainly_unique(found, text):
        return found
    try:
        # orjson silently takes the last of two equal keys, so the standard parser checks for repeated keys.
        json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as twice:
        raise RecordError(
            "duplicate_key",
            f"expected each key once in the object on line {line}, got {_shown(twice.key)} twice",
            line=line,
            field=twice.key,
        ) from None
    except (RecursionError, ValueError):
        # ValueError: an integer with more digits than Python converts.
        raise _deep(line) from None
    return found


def product(
    record: Mapping[str, Any],
    line: int,
    renames: Mapping[str, str] | None = None,
    size: int = 0,
    *,
    language: str | None = None,
    partial: bool = False,
) -> Product:
    """Return the Product of a parsed record. `size` is its length in bytes, images included.

    In a `partial` record a title in another language than `language` is a translation only, never the title.
    """
    # A record that a preset has mapped is one of ours already.
    values, rest = renamed(record, renames) if renames and MARK not in record else split(record)
    rest.pop(MARK, None)
    translations.spread(values, rest)
    translations.choose(values, rest, language, other=not partial)
    identifier = _identifier(values["id"], line)
    try:
        if "_delete" in rest and _delete(rest.pop("_delete"), line):
            return Product(line=line, id=identifier, delete=True)
        return _product(identifier, values, rest, line, size)
    except RecordError as error:
        error.identifier = identifier
        raise


def _product(
    identifier: str, values: Mapping[str, Any], rest: dict[str, Any], line: int, size: int
) -> Product:
    pictures = _strings(values["image"], "image", line, _PICTURE_KEYS, cells.pictures) + _strings(
        values["images"], "images", line, _PICTURE_KEYS, cells.pictures
    )
    if size - sum(map(len, pictures)) > MAX_RECORD_BYTES:
        raise RecordError(
            "record_too_long",
            f"expected at most {MAX_RECORD_BYTES} bytes besides the pictures on line {line}, got {size}",
            line=line,
        )
    nested = rest.pop("attributes", None)
    if isinstance(nested, dict):
        rest = {**nested, **rest}
    elif nested is not None:
        rest["attributes"] = nested
    price, currency = _price(values["price"], line)
    category = _strings(values["category"], "category", line, _NAME_KEYS, _categories)
    return Product(
        line=line,
        id=identifier,
        title=_text(values["title"], "title", line),
        description=_text(values["description"], "description", line),
        category=tuple(dict.fromkeys(category)),
        brand=_strings(values["brand"], "brand", line, _NAME_KEYS, _plain),
        price=price,
        currency=currency if values["currency"] is None else _currency(values["currency"], line) or currency,
        pictures=tuple(dict.fromkeys(pictures)),
        group=_text(values["group"], "group", line),
        attributes=_without_nulls(rest, line, MAX_DEPTH) if rest else rest,
    )


def _identifier(value: Any, line: int) -> str:
    try:
        found = identifier(value)
    except ValueError as error:
        raise _wrong(line, "id", value, str(error)) from None
    if not found:
        raise RecordError("missing_id", f"expected an `id` on line {line}, got none", line=line, field="id")
    if len(found.encode()) > MAX_ID_BYTES:
        raise RecordError(
            "id_too_long",
            f"expected an `id` of at most {MAX_ID_BYTES} bytes on line {line}, got {len(found.encode())}",
            line=line,
            field="id",
            value=_shown(found),
        )
    return found


def _delete(value: Any, line: int) -> bool:
    """Parse a boolean, also from text as in tables."""
    if isinstance(value, str):
        value = {"true": True, "1": True, "false": False, "0": False, "": False}.get(
            value.strip().lower(), value
        )
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(line, "_delete", value, "true or false")


def _currency(value: Any, line: int) -> str:
    """Return the code of a currency; of several, as of a product's offers, the first."""
    if isinstance(value, list):
        value = next((each for each in value if each), None)
    return code_of(_text(value, "currency", line))


def _text(value: Any, name: str, line: int) -> str:
    """Return a text field from a string, a number, or a list of them, which is joined by line breaks. HTML
    becomes text.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return plain_text(value).strip()
    parts = [_unwrapped(part, _TEXT_KEYS) for part in (value if isinstance(value, list) else [value])]
    if not all(isinstance(part, str | int | float) and not isinstance(part, bool) for part in parts):
        raise _wrong(line, name, value, "a string")
    return "\n".join(text for part in parts if (text := plain_text(str(part)).strip()))


def _strings(
    value: Any, name: str, line: int, keys: Sequence[str], read: Callable[[str], Sequence[str]]
) -> tuple[str, ...]:
    """Return the strings that `read` finds in a string, or in a list of strings or of objects that wrap them.
    Nulls and empty strings are dropped.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(read(value))
    found: list[str] = []
    for part in value if isinstance(value, list) else [value]:
        text = part if isinstance(part, str) else _unwrapped(part, keys)
        if keys is _NAME_KEYS and type(text) in (int, float):
            text = str(text)
        if not isinstance(text, str):
            raise _wrong(line, name, value, "a string or a list of strings")
        found += read(text)
    return tuple(found)


def _unwrapped(value: Any, keys: Sequence[str]) -> Any:
    """Return the string inside an object; null, and a reference to another object, as an empty string."""
    if isinstance(value, dict):
        if value and value.keys() <= _REFERENCE:
            return ""
        return next((value[key] for key in keys if isinstance(value.get(key), str)), value)
    return "" if value is None else value


def _categories(cell: str) -> tuple[str, ...]:
    return cells.categories(plain_text(cell))


def _plain(cell: str) -> tuple[str, ...]:
    text = plain_text(cell).strip()
    return (text,) if text else ()


def _price(value: Any, line: int) -> tuple[float | None, str]:
    """Return a price and the code of its currency."""
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        return None, ""
    found = money(value)
    if found is None:
        raise _wrong(line, "price", value, "a number, such as 1299, $1,299.00 or 1.299,00 EUR,")
    return found


def _without_nulls(value: Any, line: int, depth: int) -> Any:
    """Return `value` without nulls and without objects under empty keys: OpenSearch's flat_object rejects
    nulls.
    """
    if isinstance(value, dict):
        if depth == 0:
            raise _deep(line)
        return {
            key: _without_nulls(inner, line, depth - 1) for key, inner in value.items() if inner is not None
        }
    if isinstance(value, list):
        if depth == 0:
            raise _deep(line)
        return [_without_nulls(inner, line, depth - 1) for inner in value if inner is not None]
    return value


def _plainly_unique(record: dict[str, Any], text: bytes) -> bool:
    """Return whether a flat record has as many keys as its text can contain, so that no repeated key was
    lost. This is the fast path for most records.

    Each key ends with a quote and a colon. Strings may contain these too; the count is then too high and the
    slow check decides. A short text cannot contain an integer that Python refuses to convert.
    """
    return (
        len(text) < MAX_DIGITS
        and _NESTED.isdisjoint(map(type, record.values()))
        and len(_KEY_ENDS.findall(text)) == len(record)
    )


def _has_long_number(value: Any) -> bool:
    """Return whether there is a float that may have been such an integer."""
    if isinstance(value, float):
        return abs(value) >= 2**63
    if isinstance(value, dict):
        return any(map(_has_long_number, value.values()))
    return isinstance(value, list) and any(map(_has_long_number, value))


def _int_or_text(digits: str) -> int | str:
    if len(digits) > MAX_DIGITS:
        raise ValueError(digits)
    return digits if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64 else int(digits)


def _with_endless_attributes(text: bytes, why: str) -> dict[str, Any] | None:
    """Return a record that orjson refused, if nothing is wrong with it but such numbers in attributes."""
    if not any(word in text for word in (b"NaN", b"Infinity")) and "infinity" not in why:
        return None
    try:
        record = json.loads(text.decode(), parse_int=_int_or_text, parse_float=_float_or_text)
        if not isinstance(record, dict) or any(
            _ended(record.get(name)) != record.get(name) for name in KNOWN
        ):
            return None
        found: dict[str, Any] = {name: _ended(value) for name, value in record.items()}
        orjson.dumps(found)
    except (ValueError, TypeError, RecursionError):
        return None
    return found


def _float_or_text(digits: str) -> float | str:
    return number if math.isfinite(number := float(digits)) else digits


def _ended(value: Any) -> Any:
    """Return the value without NaN and infinity: a null and a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else json.dumps(value)
    if isinstance(value, dict):
        return {name: _ended(inner) for name, inner in value.items()}
    return [_ended(inner) for inner in value] if isinstance(value, list) else value


class _TwiceError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return seen


def _deep(line: int) -> RecordError:
    return RecordError(
        "too_deep",
        f"expected objects at most {MAX_DEPTH} deep and numbers up to 4,300 digits on line {line}, got more",
        line=line,
    )


def _wrong(line: int, name: str, value: Any, expected: str) -> RecordError:
    where = f"`{name}` on line {line}" if name else f"line {line}"
    return RecordError(
        "wrong_type",
        f"expected {expected} in {where}, got {_shown(value)}",
        line=line,
        field=name,
        value=_shown(value),
    )


def _shown(value: Any, limit: int = 60) -> str:
    """Format a value for a message: short, printable, on one line."""
    if isinstance(value, bytes):
        text = ascii(value[: limit + 1])[1:]
    elif isinstance(value, dict | list):
        text = f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    else:
        text = ascii(value[: limit + 1] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
