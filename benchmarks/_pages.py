"""A location's numbers as v3 sends them: pages of bytes, the same in every run."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Any

PAGE = 1000
"""Numbers a page."""

_ID = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def iso(dice: random.Random) -> str:
    """A date as the documents have it."""
    return f"2024-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}T10:30:00.000Z"


def rfc_2822(dice: random.Random) -> str:
    """A date as it was seen in live answers."""
    return f"Mon, {dice.randint(1, 28):02} Feb 2026 22:00:52 +0000"


def number(
    dice: random.Random, digits: str, date: Callable[[random.Random], str]
) -> dict[str, Any]:
    """One active number with all fields that v3 knows, some of them empty."""
    return {
        "phoneNumber": f"+1{digits}",
        "friendlyName": f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
        "sid": f"PN{dice.getrandbits(128):032x}",
        "countryCode": "US",
        "capabilities": {
            "voice": True,
            "sms": True,
            "mms": dice.choice((True, False)),
            "fax": False,
        },
        "type": dice.choice(("local", "local", "tollFree", "toll-free", "mobile")),
        "isDefaultNumber": False,
        "linkedUser": "".join(dice.choices(_ID, k=20)) if dice.getrandbits(1) else "",
        "linkedRingAllUsers": [],
        "inboundCallService": None if dice.randrange(10) else {"type": "ivr", "value": "flow"},
        "forwardingNumber": "",
        "isGroupConversationEnabled": False,
        "addressSid": None,
        "bundleSid": None,
        "dateAdded": date(dice),
        "dateUpdated": date(dice),
        "origin": "twilio",
    }


@functools.cache
def _template(date: Callable[[random.Random], str]) -> bytes:
    dice = random.Random(0)
    numbers = [number(dice, f"#####{index:05}", date) for index in range(PAGE)]
    details = {"isUnderLc": True, "pageSize": PAGE, "accountStatus": "active"}
    data = {"numbers": numbers, **details, "page": "<page>", "total": "<total>"}
    envelope = {"status": "success", "data": data, "message": "OK", "statusCode": 200}
    return json.dumps(envelope, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=64)
def active_page(page: int, pages: int, date: Callable[[random.Random], str] = iso) -> bytes:
    """The body of one page of a list of so many whole pages."""
    return (
        _template(date)
        .replace(b"#####", b"%05d" % (20_000 + page))
        .replace(b'"<page>"', b"%d" % page)
        .replace(b'"<total>"', b"%d" % (pages * PAGE))
    )


@functools.cache
def search(found: int = 30) -> bytes:
    """The body of a search's answer."""
    numbers = [
        {
            "phoneNumber": f"+1830555{index:04}",
            "friendlyName": f"(830) 555-{index:04}",
            "lata": "566",
            "locality": "Austin",
            "rateCenter": "AUSTIN",
            "latitude": "30.267200",
            "longitude": "-97.743100",
            "region": "TX",
            "postalCode": "78701",
            "isoCountry": "US",
            "addressRequirements": "none",
            "beta": False,
            "capabilities": {"voice": True, "SMS": True, "MMS": True},
            "price": {"number_type": "local", "price": 1.15, "price_unit": "USD"},
        }
        for index in range(found)
    ]
    return json.dumps({"fingerprintId": "f1", "numbers": numbers}).encode()
