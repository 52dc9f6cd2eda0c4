"""What a caller may pass: each check gives the value as it goes on the wire, or raises.

`TypeError` and `ValueError` name the parameter; nothing has been sent by then.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from .models import NumberType

MAX_PAGE_SIZE = 1000

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_quoted = functools.lru_cache(quote)
_SPACE = re.compile(r"\s")


def text(name: str, value: object) -> str:
    """A string without control characters or lone surrogates; it may be empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value.isprintable() and _CONTROL.search(value):  # the first is the quicker
        raise ValueError(f"{name} holds a control character or a lone surrogate")
    return value


def optional_text(name: str, value: object) -> str | None:
    """A string, or `None` to leave the parameter out."""
    return None if value is None else text(name, value)


def identifier(name: str, value: object) -> str:
    """A string that says something."""
    said = text(name, value)
    if not said.strip():
        raise ValueError(f"{name} is empty")
    return said


def path_part(name: str, value: object) -> str:
    """One segment of a path: whatever the value holds, it does not leave its segment."""
    part = identifier(name, value)
    if part in {".", ".."}:
        raise ValueError(f"{name} must not be {part!r}")
    return _quoted(part, safe="")


def base_url(value: object, *, allow_http: bool) -> str:
    """Where a service is, without a slash at its end.

    Plain `http://`, over which anybody on the way can read the token, only on this machine.
    """
    url = text("base_url", value)
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in {"http", "https"} or _SPACE.search(url):
        raise ValueError("base_url must be an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must have no credentials, query or fragment")
    if parts.scheme == "http" and not (allow_http or _is_this_machine(parts.hostname or "")):
        raise ValueError(
            "base_url must be https://, or tokens could be read on the way (allow_http=True "
            "permits it)"
        )
    return url.rstrip("/")


def flag(name: str, value: object) -> bool | None:
    """A boolean, or `None` to leave the parameter out."""
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} must be True, False or None, not {type(value).__name__}")
    return value


def whole_number(name: str, value: object, lowest: int, highest: int | None = None) -> int:
    """An integer within its bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if value < lowest or (highest is not None and value > highest):
        bounds = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
        raise ValueError(f"{name} must be {bounds}, not {value}")
    return value


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """A finite, positive time; zero only where that makes sense."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not (value > 0 or (zero and value == 0)) or value == math.inf:
        raise ValueError(f"{name} must be a positive number of seconds, not {value}")
    return value


def price(name: str, value: object) -> Decimal | None:
    """A price, or `None` for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"{name} must be a Decimal or an int, not {type(value).__name__}")
    if not Decimal(value).is_finite():
        raise ValueError(f"{name} must be a finite number, not {value}")
    return Decimal(value)


def country_code(name: str, value: object) -> str:
    """Two letters (ISO 3166-1 alpha-2), in upper case."""
    code = text(name, value)
    if not _COUNTRY.fullmatch(code):
        raise ValueError(f"{name} must be two letters, not {code!r}")
    return code.upper()


def several(name: str, values: object) -> list[Any]:
    """The values of an iterable that is not itself a string."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list or another iterable of several values")
    return list(values)


def number_types(name: str, values: Iterable[str] | None) -> str | None:
    """Number types as the one comma-separated value that the service reads."""
    if values is None:
        return None
    types = [number_type(name, value) for value in several(name, values)]
    if not types:
        raise ValueError(f"{name} is empty: pass None to leave it to the service")
    return ",".join(types)


def number_type(name: str, value: object) -> str:
    """A number type as search and purchase spell it; one that is not known stays as it is."""
    spelled = identifier(name, value)
    if "," in spelled:
        raise ValueError(f"{name} holds a comma: pass each type on its own")
    return _as_known(spelled)


@functools.lru_cache
def _as_known(spelled: str) -> str:
    squeezed = spelled.casefold().replace("-", "").replace(" ", "")
    return next((known for known in NumberType if known.casefold() == squeezed), spelled)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def country_of(phone_number: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a number's country, where it has one."""
    import phonenumbers

    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone_number))
    return region if region and _COUNTRY.fullmatch(region) else None


def e164(name: str, value: object) -> str:
    """A phone number in E.164 format that its country's numbering plan could have."""
    import phonenumbers

    number = text(name, value)
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        parsed = None
    if not (
        _E164.fullmatch(number) and parsed is not None and phonenumbers.is_possible_number(parsed)
    ):
        raise ValueError(f"{name} is not a phone number in E.164 format, such as +18305551234")
    return number
