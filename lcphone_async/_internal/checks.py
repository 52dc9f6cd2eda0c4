"""What a caller may pass: each check gives the value as it goes on the wire, or raises.

`TypeError` and `ValueError` name the parameter; nothing has been sent by then.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from inspect import iscoroutinefunction
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from typing import Any, Literal, TypeVar, cast, get_args
from urllib.parse import quote

from ..models import NumberType
from .calling_codes import COUNTRY_CODES, MEANT, national_part

T = TypeVar("T")

ApiVersion = Literal["v3", "2021-07-28"]
API_VERSIONS: tuple[ApiVersion, ...] = get_args(ApiVersion)
MAX_PAGE_SIZE = 1000

# No list is as long: beyond it there is a mistake.
MAX_PAGE = 2**31 - 1

# Whatever is longer is no id, name or code, and no server takes it in a URL.
_MAX_LENGTH = 8_000

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# What people write between digits, and the invisible signs that come along when they copy one.
_SEPARATORS = re.compile(r"[\s()\[\]./\u00ad\u200b-\u2015\u202a-\u202e\u2060-\u2069\u2212\ufeff-]+")
_NO_LETTER = re.compile(r"[\W_]+")

# What a base URL may be: without credentials, a query or a fragment there is nothing in it that
# two parsers of URLs could understand in two ways (RFC 3986, 3.2.2 and 3.3).
_BASE_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<ipv6>[0-9a-f.]*:[0-9a-f:.]*)\]|(?P<host>[a-z0-9_.-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/(?!(?:\.|%2e){1,2}(?:/|$))(?:[a-z0-9._~!$&'()*+,;=:-]|%[0-9a-f]{2})+)*/*",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_MAX_HOST = 253
_MAX_PORT = 65_535


def string(name: str, value: object) -> str:
    """What a string holds, whatever a subclass says that it is."""
    if type(value) is str:
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {_named(value)}")
    return str.__str__(value)


def text(name: str, value: object) -> str:
    """A string without control characters or lone surrogates; it may be empty."""
    said = string(name, value)
    if len(said) > _MAX_LENGTH:
        raise ValueError(f"{name} is longer than {_MAX_LENGTH:,} characters")
    if not said.isprintable() and _CONTROL.search(said):  # the first is the quicker
        raise ValueError(f"{name} holds a control character or a lone surrogate")
    return said


def optional_text(name: str, value: object) -> str | None:
    """A string, or `None` to leave the parameter out."""
    return None if value is None else text(name, value)


def known_text(name: str, value: object) -> str | None:
    """A string of the service's own, or `None`: in a body control characters may stand."""
    if value is None:
        return None
    said = string(name, value)
    if not said.isprintable() and _SURROGATE.search(said):
        raise ValueError(f"{name} holds a lone surrogate")
    return said


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
    return quote(part, safe="")


def base_url(value: object, *, allow_http: bool) -> str:
    """Where a service is, without a slash at its end.

    Plain `http://`, over which anybody on the way can read the token, only on this machine.
    """
    url = text("base_url", value)
    if any(sign in url for sign in "@?#"):
        raise ValueError("base_url must have no credentials, query or fragment")
    parts = _BASE_URL.fullmatch(url)
    if parts is None or not (1 <= int(parts["port"] or 443) <= _MAX_PORT):
        raise ValueError(
            "base_url must be an http:// or https:// URL in ASCII (a name in other letters as "
            "xn--…), without spaces and without empty parts, `.` or `..` in its path"
        )
    host = _host(parts["ipv6"] or parts["host"])
    if parts["scheme"].lower() == "http" and not (allow_http or _is_this_machine(host)):
        raise ValueError(
            "base_url must be https://, or tokens could be read on the way (allow_http=True "
            "permits it)"
        )
    return url.rstrip("/")


def _host(said: str) -> str | IPv4Address | IPv6Address:
    """A host's address or its name, in lower case; raises `ValueError` for what is neither."""
    with suppress(ValueError):
        return ip_address(said)
    name = said.lower()
    labels = name.removesuffix(".").split(".")
    is_name = len(name) <= _MAX_HOST and all(map(_LABEL.fullmatch, labels))
    with suppress(UnicodeError):
        name.encode().decode("idna")  # what xn-- stands for, which aiohttp looks at, too
        if is_name:
            return name
    raise ValueError("base_url has a host that there cannot be")


def api_version(value: object) -> ApiVersion:
    """One of the contracts that there are."""
    return cast("ApiVersion", one_of("api_version", value, API_VERSIONS))


def one_of(name: str, value: object, there_are: Sequence[str]) -> str:
    """One of a few words."""
    word = text(name, value)
    if word not in there_are:
        raise ValueError(f"{name} must be {' or '.join(there_are)}")
    return word


def switch(name: str, value: object) -> bool:
    """True or false, and nothing that only counts as one of them."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
    return value


def instance(name: str, value: object, cls: type[T]) -> T:
    """An object of a class."""
    if not isinstance(value, cls):
        raise TypeError(f"{name} must be {cls.__name__}, not {_named(value)}")
    return value


def function(name: str, value: T) -> T:
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, not {_named(value)}")
    return value


def having(name: str, value: T, what: str, *methods: str) -> T:
    """An object with the methods of what it is to be."""
    is_object = not isinstance(value, type)
    if not (is_object and all(callable(getattr(value, method, None)) for method in methods)):
        raise TypeError(f"{name} must be {what}, or have its methods; not {_named(value)}")
    return value


def limiter(name: str, value: T) -> T:
    """What keeps budgets."""
    having(name, value, "a RateLimiter", "slot", "status")
    whole_number(f"{name}.max_requests", getattr(value, "max_requests", None), 1)
    return value


def journal(name: str, value: T) -> T:
    """What keeps purchases."""
    methods = ("past", "begin", "replace", "records")
    return having(name, value, "a PurchaseJournal", *methods)


def redis_client(name: str, value: T) -> T:
    """A client whose calls are coroutines, and not one of redis-py's others."""
    having(name, value, "a client of redis.asyncio", "register_script", "execute_command")
    execute: Callable[..., object] = value.execute_command  # type: ignore[attr-defined]  # having
    if not iscoroutinefunction(execute):
        raise TypeError(f"{name} must be a client of redis.asyncio: this one's calls block")
    return value


def _named(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def flag(name: str, value: object) -> bool | None:
    """A boolean, or `None` to leave the parameter out."""
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} must be True, False or None, not {type(value).__name__}")
    return value


def whole_number(name: str, value: object, lowest: int, highest: int = sys.maxsize) -> int:
    """An integer within its bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    number = int.__int__(value)
    if number < lowest and highest == sys.maxsize:
        raise ValueError(f"{name} must be {lowest} or more")
    if not lowest <= number <= highest:
        raise ValueError(f"{name} must be {lowest} to {highest}")
    return number


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """A finite, positive time; zero only where that makes sense."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    try:
        is_time = isfinite(value) and (value > 0 or (zero and value == 0))
    except OverflowError:  # an integer beyond all floats
        is_time = False
    if not is_time:
        raise ValueError(f"{name} must be a {'' if zero else 'positive '}number of seconds")
    return value


def price(name: str, value: object) -> Decimal | None:
    """A price, or `None` for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"{name} must be a Decimal or an int, not {type(value).__name__}")
    if not Decimal(value).is_finite() or value < 0:
        raise ValueError(f"{name} must be a finite number, 0 or more")
    return Decimal(value)


def country_code(name: str, value: object) -> str:
    """The code of a country (ISO 3166-1 alpha-2), in upper case."""
    code = known_country_code(name, value)
    if code not in COUNTRY_CODES:
        hint = f": did you mean {MEANT[code]}?" if code in MEANT else ""
        raise ValueError(f"{name}: no country has the code {code}{hint}")
    return code


def known_country_code(name: str, value: object) -> str:
    """A country's code of the service's own: any two letters, in upper case."""
    code = string(name, value)
    if not _is_country(code):
        raise ValueError(f"{name} must be two letters, such as US")
    return code.upper()


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isascii() and code.isalpha()  # noqa: PLR2004  # ISO's own


def first_digits(name: str, value: object, country: str) -> str | None:
    """The digits with which a national number begins, without the country's calling code."""
    start = _digits(name, value, plus="+")
    if not start:
        return start
    try:
        return national_part(country, start)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def digits(name: str, value: object) -> str | None:
    """Some digits of a number; `None` leaves the parameter out."""
    return _digits(name, value)


def _digits(name: str, value: object, plus: str = "") -> str | None:
    said = optional_text(name, value)
    if not said:
        return said
    bare = _SEPARATORS.sub("", said)
    numerals = bare.removeprefix(plus)
    if not (numerals.isdecimal() and numerals.isascii()):
        raise ValueError(f"{name} must be digits of a number, such as 813")
    return bare


def several(name: str, values: object) -> list[Any]:
    """The values of an iterable that is not itself a string."""
    # A list or a tuple is told by its class, which takes a tenth of the time.
    if isinstance(values, (str, bytes)) or not isinstance(values, (list, tuple, Iterable)):
        raise TypeError(f"{name} must be a list or another iterable of several values")
    return list(values)


def number_types(name: str, values: Iterable[str] | None) -> str | None:
    """Number types as the one comma-separated value that the service reads."""
    if values is None:
        return None
    types = dict.fromkeys(number_type(name, value) for value in several(name, values))
    if not types:
        raise ValueError(f"{name} is empty: pass None to leave it to the service")
    return ",".join(types)


def number_type(name: str, value: object) -> str:
    """A number type as search and purchase spell it; one that is not known stays as it is."""
    return _number_type(name, string(name, value))


@functools.lru_cache
def _number_type(name: str, said: str) -> str:
    spelled = identifier(name, said)
    if "," in spelled:
        raise ValueError(f"{name} holds a comma: pass each type on its own")
    squeezed = _NO_LETTER.sub("", spelled).casefold()
    return next((known for known in NumberType if known.casefold() == squeezed), spelled)


def is_this_machine(host: str) -> bool:
    """Whether a base URL's host is this machine."""
    return _is_this_machine(_host(host))


def _is_this_machine(host: str | IPv4Address | IPv6Address) -> bool:
    if isinstance(host, str):
        return host == "localhost"
    mapped = getattr(host, "ipv4_mapped", None)  # of which only Python 3.13 knows what it is
    return (mapped or host).is_loopback


def country_of(phone_number: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a number's country, where it has one."""
    import phonenumbers

    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone_number))
    return region if region and _is_country(region) else None


def national_digits(phone_number: str) -> str:
    """The digits of a number without its country's code."""
    import phonenumbers

    return phonenumbers.national_significant_number(phonenumbers.parse(phone_number))


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
