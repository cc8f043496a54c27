"""HTML to text. Text that merely contains `<` or `&` stays as it is.

The standard library's parser takes quadratic time for a text of unclosed tags before Python 3.11.14, and a
catalog is input of others; what a product's text needs of HTML is told by three expressions in linear time.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_LINES = frozenset(
    str.split(
        """
    address article aside blockquote br caption center dd details div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr legend li main nav ol p pre section summary table tbody
    tfoot thead tr ul
        """
    )
)
"""elements that begin a new line"""
_CELLS = frozenset(("td", "th"))
_DROPPED = frozenset(
    str.split(
        """
    script style template head noscript svg iframe object select textarea
        """
    )
)
"""elements whose content is no text of the product"""
_INLINE = frozenset(
    str.split(
        """
    a abbr acronym b big body button canvas cite code del dfn em embed font html i img input ins kbd
    label link mark meta option param picture q s samp small source span strike strong sub sup time
    title tt u var video wbr
        """
    )
)
_KNOWN = _LINES | _CELLS | _DROPPED | _INLINE
_FLAGS = frozenset(
    str.split(
        """
    allowfullscreen async autoplay checked controls defer disabled hidden itemscope loop muted noshade
    nowrap open readonly required reversed selected
        """
    )
)
_TAG = re.compile(
    r"""<(/?)([a-z][a-z0-9:_-]*)(\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*|\s[^<>]*|/?)>""", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_BLANKS = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
_ROUNDS = 2
"""an export may have escaped what was escaped already"""


def plain_text(text: str) -> str:
    """Return the text without tags, comments, scripts and styles, and with its entities read.

    Blocks and `<br>` become line breaks. A text without known tags and entities is returned unchanged.
    """
    if "<" not in text and "&" not in text:
        return text
    for _ in range(_ROUNDS):
        if "<" in text and _is_html(text):
            text = _stripped(text)
        elif "&" in text and _ENTITY.search(text):
            text = _unescaped(text)
        else:
            break
    return text


def _is_html(text: str) -> bool:
    return "<!--" in text or "<![CDATA[" in text or any(name in _KNOWN for _, name, _ in _tags(text))


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text).replace("\xa0", " ")


def _stripped(text: str) -> str:
    text = _without(text.replace("<![CDATA[", "").replace("]]>", ""), "<!--", "-->")
    text = _without(text, "<!doctype", ">")
    found = _BLANKS.sub(" ", _unescaped("".join(_pieces(text))))
    return _BREAKS.sub("\n", found).strip()


def _without(text: str, begins: str, ends: str) -> str:
    """Return the text without what stands between two marks; without its end, a mark alone is left out."""
    if begins not in text:
        return text
    kept = []
    for number, part in enumerate(text.split(begins)):
        _, there, after = part.partition(ends)
        kept.append(after if number and there else part)
    return "".join(kept)


def _tags(text: str) -> Iterator[tuple[re.Match[str], str, bool]]:
    """Yield each tag with its name, and whether it closes. The attributes of a tag have values or are known
    flags, so that `a <b and c> d` has none.
    """
    for tag in _TAG.finditer(text):
        attributes = tag[3].strip(" \t\r\n/").lower()
        if not attributes or "=" in attributes or _FLAGS.issuperset(attributes.split()):
            yield tag, tag[2].lower(), bool(tag[1])


def _pieces(text: str) -> Iterator[str]:
    """Yield the text between the tags, and what stands for a tag. In HTML a line break is a blank."""
    at, until = 0, ""
    closings = {name: tag.end() for tag, name, closes in _tags(text) if closes}
    for tag, name, closes in _tags(text):
        if until:
            if not (closes and name == until):
                continue
            until = ""
        else:
            yield text[at : tag.start()].replace("\n", " ").replace("\r", " ")
            # Without its end, what is dropped could be all that follows.
            if name in _DROPPED and not closes and closings.get(name, 0) > tag.end():
                until = name
        at = tag.end()
        yield "\n" if name in _LINES else " " if name in _CELLS else ""
    yield text[at:].replace("\n", " ").replace("\r", " ")
