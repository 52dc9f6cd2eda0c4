"""The parameters of a request, as the service reads them; what it refuses is a `RefusedError`."""

from collections.abc import Container, Iterable
from typing import Any, Final

import msgspec
from attrs import frozen
from multidict import MultiMapping

from .refusals import RefusedError
from .stock import Wanted

_BAD_PAGE: Final = "Invalid locationId format or pagination parameters"
_LARGEST_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 50
_MOST_DIGITS: Final = 15
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


def phone_number_to_buy(body: bytes, required: Iterable[str]) -> str:
    """Read a purchase's body: the number is all that the service insists on."""
    order = json_object(body)
    check_given(order, required)
    for name in STRINGS:
        if not isinstance(order.get(name), str | None):
            raise RefusedError(400, f"{name} must be a string")
    if not isinstance(order.get("skipLocationKYC"), bool | None):
        raise RefusedError(400, "skipLocationKYC must be a boolean value")
    if not order.get("phoneNumber"):
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
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise RefusedError(400, _BAD_PAGE)
    return int(text)


def flag(query: Query, name: str, *, default: bool) -> bool:
    """Read a parameter that is `true` or `false`."""
    text = query.get(name)
    if text not in (None, "true", "false"):
        raise RefusedError(400, f"{name} must be a boolean value")
    return default if text is None else text == "true"
