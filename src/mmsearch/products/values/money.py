"""Prices: `$1,299.00`, `1 299,00 €`, `EUR 12.50`, `{"amount": 12, "currency": "EUR"}`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

MOST = 3.4e38
"""the largest float of the index"""
CODES = frozenset(
    str.split(
        """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTC BTN BWP BYN
    BZD CAD CDF CHF CLF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
    GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW
    KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD
    NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR SDG SEK SGD
    SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED
    VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL
        """
    )
)
SIGNS = {
    "US$": "USD", "CA$": "CAD", "C$": "CAD", "AU$": "AUD", "A$": "AUD", "NZ$": "NZD", "HK$": "HKD",
    "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY",
    "￥": "JPY", "円": "JPY", "元": "CNY", "₹": "INR", "RS.": "INR", "RS": "INR", "₽": "RUB",
    "РУБ.": "RUB", "РУБ": "RUB",
    "₩": "KRW", "₺": "TRY", "TL": "TRY", "₴": "UAH", "ГРН": "UAH", "₪": "ILS", "₫": "VND", "฿": "THB",
    "₱": "PHP", "₦": "NGN", "₡": "CRC", "₲": "PYG", "₸": "KZT", "₾": "GEL", "ZŁ": "PLN", "KČ": "CZK",
    "FT": "HUF",
    "LEI": "RON", "ЛВ": "BGN", "FR.": "CHF", "SFR.": "CHF", "EURO": "EUR", "KR.": "kr", "KR": "kr",
}  # fmt: skip
"""currency signs in capitals; `kr` stays, for it is that of several countries"""
THREE_DECIMALS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
_NUMBER = re.compile(r"[+\-]?[0-9.,](?:[0-9.,]*[0-9.,])?(?:[eE][+\-]?[0-9]+)?")
_SPACE_IN_NUMBER = re.compile(r"(?<=[0-9])[\s'’](?=[0-9]{3}(?![0-9]))")
_SIGN = "|".join(sorted(map(re.escape, (*SIGNS, *CODES)), key=len, reverse=True))
_BEFORE = re.compile(rf"([+\-]?)\s*({_SIGN})\s*", re.IGNORECASE)
_AFTER = re.compile(rf"\s*({_SIGN})", re.IGNORECASE)
_WHOLE = re.compile(r"([.,])\s*[-–—]{1,2}(?=\s*\D*$)")
_MINUS_AFTER = re.compile(r"([0-9])-$")
_GROUPS = {
    sign: re.compile(rf"[0-9]{{1,3}}(?:(?:\{sign}[0-9]{{3}})+|(?:\{sign}[0-9]{{2}})+\{sign}[0-9]{{3}})")
    for sign in ".,"
}
_TRANSLATED = str.maketrans({"−": "-", "٫": ".", "٬": ",", "，": ",", "．": "."})
_AMOUNT_KEYS = ("amount", "value", "price", "#text")
_CURRENCY_KEYS = ("currency", "currencyCode", "currency_code", "priceCurrency", "@currency", "unit")


class Money(NamedTuple):
    """An amount, and the code of its currency, empty where none is told."""

    amount: float
    currency: str = ""


def money(value: Any) -> Money | None:
    """Return the price that a value says, or None if it says none.

    Of a list it is the lowest of those in the currency of the first. `$` is read as USD and `¥` as JPY.
    """
    if type(value) in (int, float):
        return _finite(value)
    if isinstance(value, str):
        return _written(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _finite(value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list):
        several = [money(each) for each in value if each not in (None, "")]
        found = [each for each in several if each is not None]
        if not found or len(found) < len(several):
            return None
        return min(each for each in found if each.currency == found[0].currency)
    return None


def _object(value: Mapping[str, Any]) -> Money | None:
    currency = next((code for key in _CURRENCY_KEYS if isinstance(code := value.get(key), str)), "")
    cents = value.get("centAmount")
    if isinstance(cents, int) and not isinstance(cents, bool):
        digits = value.get("fractionDigits", 2)
        found = _finite(cents / 10**digits) if isinstance(digits, int) and 0 <= digits <= 20 else None
    else:
        inner = next((value[key] for key in _AMOUNT_KEYS if value.get(key) not in (None, "")), None)
        found = money(inner)
    return found and Money(found.amount, code_of(currency) or found.currency)


def code_of(text: str) -> str:
    """Return the code of a currency's sign or code, and anything else unchanged."""
    text = text.strip()
    return SIGNS.get(text.upper(), text.upper() if text.upper() in CODES else text)


def _written(text: str) -> Money | None:
    text = _WHOLE.sub(r"\g<1>00", text.translate(_TRANSLATED).strip())
    currency = ""
    if before := _BEFORE.match(text):
        text, currency = before[1] + text[before.end() :], code_of(before[2])
    if text[:1] != "-" and _MINUS_AFTER.search(text):  # as accountants write it
        text = "-" + text[:-1]
    text = _SPACE_IN_NUMBER.sub("", text)
    number = _NUMBER.match(text)
    if number is None:
        return None
    after = text[number.end() :]
    if after.strip():
        found = _AFTER.fullmatch(after.rstrip())
        if found is None:
            return None
        code = code_of(found[1])
        currency = code if not currency or found[1].upper() in CODES else currency
    amount = _amount(number[0], currency)
    return None if amount is None else _finite(amount, currency)


def _finite(amount: float, currency: str = "") -> Money | None:
    try:
        amount = float(amount)
    except OverflowError:
        return None
    return Money(amount, currency) if math.isfinite(amount) and abs(amount) <= MOST else None


def _amount(text: str, currency: str) -> float | None:
    """Return the number of digits with separators. Of two kinds the last is the decimal one. One alone that
    three digits follow is a separator of thousands if it is a comma, or if a currency of two decimals is
    there too; `1.299` alone is a number as programs write it.
    """
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0 and "e" not in digits.lower():
        separator = digits[last]
        other = "," if separator == "." else "."
        whole, decimals = digits[:last], digits[last + 1 :]
        if other in whole or separator in whole:
            groups = _GROUPS[other if other in whole else separator]
            if other in whole and separator not in whole and groups.fullmatch(whole):
                digits = whole.replace(other, "") + "." + decimals
            elif separator in whole and other not in digits and groups.fullmatch(digits):
                digits = digits.replace(separator, "")
            else:
                return None
        elif (
            len(decimals) == 3
            and _GROUPS[separator].fullmatch(digits)
            and whole != "0"
            and (separator == "," or currency)
            and currency not in THREE_DECIMALS
        ):
            digits = whole + decimals
        elif not decimals or (separator == "," and not whole):
            return None if separator == "," else _plain(sign + digits)
        else:
            digits = f"{whole}.{decimals}"
    return _plain(sign + digits)


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
