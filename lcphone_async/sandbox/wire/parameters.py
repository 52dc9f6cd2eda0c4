"""The parameters of a request, as the service reads them; what it refuses is a `RefusedError`."""

import re
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

import msgspec
from attrs import frozen
from multidict import MultiMapping

from ..inventory.stock import Wanted
from ..refusals import RefusedError

_BAD_PAGE: Final = "Invalid locationId format or pagination parameters"
_LARGEST_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 50
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WITH_RADIX: Final = re.compile(r"0(x[0-9a-f]+|o[0-7]+|b[01]+)", re.IGNORECASE)
_LARGEST_EXACT: Final = 2**53 - 1
# ECMAScript's WhiteSpace and LineTerminator; Python's own idea of space differs.
_SPACE: Final = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
STRINGS: Final = (
    "phoneNumber",
    "addressSid",
    "bundleSid",
    "countryCode",
    "numberType",
    "paymentIntentId",
    "stripeAccountId",
    "paymentMethodId",
    "locality",
    "region",
    "fingerprintId",
)
"""The fields of a purchase that are strings."""
ORDER: Final = (*STRINGS, "skipLocationKYC")
"""All of them."""

Query = MultiMapping[str]


@frozen
class ListQuery:
    """What a list of active numbers is asked for."""

    page: int
    """Zero-based."""
    page_size: int
    search: str
    skip_pools: bool
    rcs_sender_ids: bool


def list_query(query: Query) -> ListQuery:
    """Read the parameters of the active numbers."""
    page = _count(query, "page", 0)
    size = _count(query, "pageSize", _DEFAULT_PAGE)
    if not 1 <= size <= _LARGEST_PAGE:
        raise RefusedError(400, _BAD_PAGE)
    return ListQuery(
        page,
        size,
        query.get("searchFilter", ""),
        skip_pools=flag(query, "skipNumberPool", default=True),
        rcs_sender_ids=flag(query, "includeRcsSenderIds", default=False),
    )


def check_given(given: Container[str], required: Iterable[str]) -> None:
    """Refuse a request that leaves out what is required."""
    for name in required:
        if name not in given:
            raise RefusedError(400, f"{name} is required")


def check_single(query: Query) -> None:
    """Refuse a query that says one thing twice; number types may come one by one."""
    for name in set(query) - {"numberTypes"}:
        if len(query.getall(name)) > 1:
            raise RefusedError(400, f"{name} must be one value")


def check_country(query: Query) -> None:
    """Refuse a country that is no ISO 3166-1 alpha-2 code."""
    code = query.get("countryCode", "")
    if not (len(code) == len("US") and code.isascii() and code.isalpha() and code.isupper()):
        raise RefusedError(400, "countryCode must be an ISO 3166-1 alpha-2 code")


def search_query(query: Query, default_types: str) -> Wanted:
    """Read the parameters of a search. A capability that is `false` is one that nobody asked for.

    `numberTypes` is one value with commas; the vendor's Python SDK repeats it, so that is read too.
    """
    if not query.get("countryCode"):
        raise RefusedError(400, "countryCode is required")
    types = ",".join(query.getall("numberTypes", [default_types]))
    return Wanted(
        country=query["countryCode"],
        kinds=tuple(types.replace(" ", "").split(",")),
        first_part=query.get("firstPart", ""),
        last_part=query.get("lastPart", ""),
        anywhere=query.get("anywhere", ""),
        sms=flag(query, "smsEnabled", default=False),
        mms=flag(query, "mmsEnabled", default=False),
        voice=flag(query, "voiceEnabled", default=False),
    )


@frozen
class OrderRules:
    """What a purchase's body must be like. Without any, it must have a number."""

    required: Sequence[str] = ("phoneNumber",)
    nullable: Container[str] = ORDER
    number_types: Container[str] | None = None
    """Any, if `None`."""


def phone_number_to_buy(body: bytes, rules: OrderRules) -> str:
    """Read a purchase's body."""
    sent = json_object(body)
    order = {k: value for k, value in sent.items() if value is not None or k not in rules.nullable}
    check_given(order, rules.required)
    for name in STRINGS:
        if not isinstance(order.get(name, ""), str):
            raise RefusedError(400, f"{name} must be a string")
    if not isinstance(order.get("skipLocationKYC", False), bool):
        raise RefusedError(400, "skipLocationKYC must be a boolean value")
    if (
        rules.number_types is not None
        and order.get("numberType", "local") not in rules.number_types
    ):
        raise RefusedError(400, "numberType must be one of local, tollFree, mobile")
    if not order["phoneNumber"]:
        raise RefusedError(400, "phoneNumber is required")
    return str(order["phoneNumber"])


def json_object(body: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.ValidationError:
        raise RefusedError(400, "The body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError(400, "The body is not valid JSON") from None


def _count(query: Query, name: str, default: int) -> int:
    if name not in query:
        return default
    count = whole_number(query[name])
    if count is None or count < 0:
        raise RefusedError(400, _BAD_PAGE)
    return count


def whole_number(text: str) -> int | None:
    """Return what `Number(text)` of JavaScript is, if it is a whole number that fits exactly.

    >>> [whole_number(text) for text in ("1000.0", "1e3", " 10 ", "0x10", "")]
    [1000, 1000, 10, 16, 0]
    >>> [whole_number(text) for text in ("1.5", "1_0", "ten", "Infinity", "1e99")]
    [None, None, None, None, None]
    """
    text = text.strip(_SPACE)
    if _WITH_RADIX.fullmatch(text):
        number: float = int(text, 0)
    elif _DECIMAL.fullmatch(text or "0"):
        number = float(text or "0")
    else:
        return None
    return int(number) if abs(number) <= _LARGEST_EXACT and number == int(number) else None


def flag(query: Query, name: str, *, default: bool) -> bool:
    """Read a parameter that is `true` or `false`."""
    text = query.get(name)
    if text not in (None, "true", "false"):
        raise RefusedError(400, f"{name} must be a boolean value")
    return default if text is None else text == "true"
